"""Downloads by the real pooch, from a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_neuropretrain.config import weights_catalog
from napari_neuropretrain.config.pulled import cache_folder
from napari_neuropretrain.config.weights import PullConfig
from napari_neuropretrain.config.weights_catalog import KnownWeights
from napari_neuropretrain.errors import Cancelled, CheckpointError, ConfigError
from napari_neuropretrain.progress import Progress, silent
from napari_neuropretrain.weights.cache import pulled_file
from napari_neuropretrain.weights.pulling import pull

DATA = bytes(range(256)) * 40_000  # 10 MB


class Server:
    """Serves one file, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                body = {"/w.pth": DATA, "/page.pth": b"<!doctype html>no"}
                found = body.get(self.path)
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(found or b"")))
                self.end_headers()
                self.wfile.write(found or b"")

            def log_message(self, *arguments: Any) -> None:
                return

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    serving = Server()
    thread = threading.Thread(target=serving.http.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.http.shutdown()
    serving.http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROPRETRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "weights"


def offer(monkeypatch: pytest.MonkeyPatch, url: str, **changes: Any) -> KnownWeights:
    """Put an entry into the list of known weights."""
    values = {
        "name": "toy",
        "title": "Toy weights",
        "backbone": "sfcn",
        "importer": "sfcn",
        "file": "w.pth",
        "url": url,
        "page": "https://example.org/toy",
        "hash": f"sha256:{hashlib.sha256(DATA).hexdigest()}",
        "hash_source": "here",
        "licence": "MIT",
        "preprocessing": "Skull-stripped T1.",
        "trained_on": "nothing",
        "citation": "nobody",
        **changes,
    }
    known = KnownWeights.parse(values)
    monkeypatch.setitem(weights_catalog.KNOWN_WEIGHTS, "toy", known)
    return known


def test_a_pull_brings_the_file_and_tells_the_terms_first(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = offer(monkeypatch, server.url + "/w.pth")
    heard: list[Progress] = []
    outcome = pull(PullConfig(name="toy"), heard.append)
    assert (cache / "w.pth").read_bytes() == DATA
    assert outcome.results["weights"] == str(cache / "w.pth")
    assert "has its published hash" in outcome.message
    assert "licence: MIT" in heard[0].message
    assert "intended preprocessing: Skull-stripped T1." in heard[0].message
    steps = [one for one in heard if one.state == "step"]
    assert steps[-1].step == steps[-1].total == len(DATA) // 2**20
    assert pulled_file(known) == cache / "w.pth"
    assert sorted(file.name for file in cache.iterdir()) == [
        "w.pth",
        "w.pth.pulled.json",
    ]


def test_a_second_pull_only_checks(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url + "/w.pth")
    pull(PullConfig(name="toy"), silent)
    pull(PullConfig(name="toy"), silent)
    assert server.asked == ["/w.pth"]
    (cache / "w.pth").write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="is not the file that was published"):
        pull(PullConfig(name="toy"), silent)
    assert (cache / "w.pth").exists()  # it is the person's, perhaps


def test_another_file_than_published_does_not_stay(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url + "/w.pth", hash="sha256:" + "0" * 64)
    with pytest.raises(CheckpointError, match=r"expected is sha256:0000"):
        pull(PullConfig(name="toy"), silent)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("digits", [8, 64])
def test_the_first_digits_of_a_hash_are_compared(
    server: Server, monkeypatch: pytest.MonkeyPatch, digits: int
) -> None:
    whole = hashlib.sha256(DATA).hexdigest()
    offer(monkeypatch, server.url + "/w.pth", hash=f"sha256:{whole[:digits]}")
    assert "has its published hash" in pull(PullConfig(name="toy"), silent).message


def test_the_hash_of_a_git_blob_is_compared(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What `git hash-object` prints for this file.
    blob = hashlib.sha1(b"blob 10240000\0" + DATA).hexdigest()
    offer(monkeypatch, server.url + "/w.pth", hash=f"git:{blob}")
    pull(PullConfig(name="toy"), silent)
    offer(monkeypatch, server.url + "/w.pth", hash="git:" + "0" * 40)
    (cache / "w.pth").unlink()
    with pytest.raises(CheckpointError, match="is not the file"):
        pull(PullConfig(name="toy"), silent)


def test_without_a_published_hash_the_person_decides(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url + "/w.pth", hash="", hash_source="")
    with pytest.raises(ConfigError, match=r"no published hash.*--unverified"):
        pull(PullConfig(name="toy"), silent)
    assert server.asked == []
    outcome = pull(PullConfig(name="toy", unverified=True), silent)
    assert "could not be verified" in outcome.message
    with pytest.raises(CheckpointError, match="is not the file"):
        pull(PullConfig(name="toy", sha256="0" * 64), silent)
    right = hashlib.sha256(DATA).hexdigest()
    assert (
        "the hash given" in pull(PullConfig(name="toy", sha256=right), silent).message
    )


def test_a_restrictive_licence_must_be_accepted(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(
        monkeypatch, server.url + "/w.pth", licence="CC-BY-NC-4.0", needs_consent=True
    )
    heard: list[Progress] = []
    with pytest.raises(ConfigError, match=r"CC-BY-NC-4\.0.*--accept-licence"):
        pull(PullConfig(name="toy"), heard.append)
    assert "CC-BY-NC-4.0" in heard[0].message
    assert server.asked == []
    pull(PullConfig(name="toy", accept_licence=True), silent)
    record = json.loads((cache / "w.pth.pulled.json").read_text())
    assert record["accepted"] is True


@pytest.mark.parametrize("path", ["/gone.pth", "offline"])
def test_a_failed_download_names_the_address_and_the_place(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    url = "http://127.0.0.1:9/w.pth" if path == "offline" else server.url + path
    offer(monkeypatch, url)
    with pytest.raises(CheckpointError) as caught:
        pull(PullConfig(name="toy"), silent)
    text = str(caught.value)
    assert f"Could not download {url}" in text
    assert f"save it as '{cache / 'w.pth'}'" in text
    assert "https://example.org/toy" in text
    # Doing what it says helps.
    (cache / "w.pth").write_bytes(DATA)
    assert "has its published hash" in pull(PullConfig(name="toy"), silent).message


def test_a_page_in_place_of_the_file_is_told(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url + "/page.pth", hash="", hash_source="")
    with pytest.raises(CheckpointError, match="is a page of text, not weights"):
        pull(PullConfig(name="toy", unverified=True), silent)
    assert list(cache.iterdir()) == []


def test_a_cancelled_download_leaves_nothing(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, server.url + "/w.pth")

    def stop(progress: Progress) -> None:
        if progress.state == "step":
            raise Cancelled("Stopped on request.")

    with pytest.raises(Cancelled):
        pull(PullConfig(name="toy"), stop)
    assert list(cache.iterdir()) == []


def test_the_cache_is_where_the_system_keeps_caches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NEUROPRETRAIN_CACHE")
    assert "napari-neuropretrain" in str(cache_folder())


def test_unknown_names_are_corrected() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'kinetics_swin_t'"):
        pull(PullConfig(name="kinetics_swint"), silent)
