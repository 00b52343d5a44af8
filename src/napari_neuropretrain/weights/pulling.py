"""The command ``weights pull``: fetch known weights, only when asked."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pooch

from napari_neuropretrain.config.pulled import cached_file
from napari_neuropretrain.config.weights import PullConfig
from napari_neuropretrain.config.weights_catalog import KnownWeights, known_weights
from napari_neuropretrain.errors import CheckpointError, ConfigError
from napari_neuropretrain.progress import Outcome, Progress, Report
from napari_neuropretrain.weights.cache import PulledRecord, has_hash, write_record
from napari_neuropretrain.weights.checkpoint_files import check_file, hash_file
from napari_neuropretrain.weights.licences import describe_terms, require_consent

TIMEOUT_S = 60.0
_MIB = 2**20
_REPORT_EVERY = 4 * _MIB


def pull(config: PullConfig, report: Report) -> Outcome:
    """Download known weights into the cache and check their hash.

    A file that is in the cache already, downloaded or put there by hand, is only
    checked.

    Parameters
    ----------
    config
        Which weights, and what the person agrees to.
    report
        Hears licence and intended preprocessing before anything is fetched, and the
        progress; may raise `Cancelled`, and then nothing stays.

    Raises
    ------
    ConfigError
        If the name is unknown, the licence was not accepted, or there is no hash.
    CheckpointError
        If the download fails or gives another file.
    """
    known = known_weights(config.name)
    report(Progress("item_done", describe_terms(known)))
    require_consent(known, config.accept_licence)
    expected = f"sha256:{config.sha256}" if config.sha256 else known.hash
    _require_hash(known, expected, config.unverified)
    path = cached_file(known)
    if path.is_file():
        check_pulled(path, known, expected)
    else:
        part = download(known, path, report)
        try:
            check_pulled(part, known, expected)
        except CheckpointError:
            part.unlink()
            raise
        part.replace(path)
    sha256 = hash_file(path)
    accepted = config.accept_licence
    write_record(known, PulledRecord(known.name, sha256, expected, accepted))
    how = "its published hash" if expected and not config.sha256 else "the hash given"
    checked = f"has {how}" if expected else f"could not be verified (sha256 {sha256})"
    return Outcome(
        f"'{known.file}' is here and {checked}. Start a training from it with "
        f"--initial-weights {known.name}",
        results={"weights": str(path)},
    )


def _require_hash(known: KnownWeights, expected: str, unverified: bool) -> None:
    if not expected and not unverified:
        raise ConfigError(
            f"There is no published hash of '{known.name}', so a damaged or exchanged "
            "file cannot be told. Give the hash with --sha256 if you know it, or add "
            "--unverified to take the file as it comes."
        )


def check_pulled(path: Path, known: KnownWeights, expected: str) -> None:
    """Check that a file can be weights, and that it has the hash.

    Raises
    ------
    CheckpointError
        If not.
    """
    check_file(path, name=known.file)
    if expected and not has_hash(path, expected):
        raise CheckpointError(
            f"'{path.with_name(known.file)}' is not the file that was published: its "
            f"SHA-256 is {hash_file(path)}, expected is {expected}. Delete it if it is "
            "there, and pull it again; if that does not help, the authors may have "
            f"replaced it: see {known.page}."
        )


def download(known: KnownWeights, path: Path, report: Report) -> Path:
    """Fetch the file of known weights beside where it will be.

    Returns
    -------
    Path
        The unchecked file, whose name ends in ``.part``.

    Raises
    ------
    CheckpointError
        If it cannot be fetched: with the address, and where to put the file.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    fetch = pooch.HTTPDownloader(
        progressbar=_Bar(report, known.file), timeout=TIMEOUT_S
    )
    try:
        done = pooch.retrieve(
            known.url,
            known_hash=None,  # checked afterwards: not all are of a kind it knows
            fname=path.name + ".part",
            path=path.parent,
            downloader=fetch,
        )
    except OSError as error:  # also every error of requests
        if error.errno == errno.ENOSPC:
            raise
        if (response := getattr(error, "response", None)) is not None:
            response.close()  # pooch leaves it open
        raise CheckpointError(
            f"Could not download {known.url} ({_first_line(error)}). Without a "
            f"network, download it elsewhere (page of the authors: {known.page}), "
            f"save it as '{path}', and run this command again: it then only checks."
        ) from None
    return Path(done)


class _Bar:
    """Passes the progress of a download on, in steps of a few megabytes.

    It has the methods that pooch calls on a progress bar.
    """

    def __init__(self, report: Report, name: str) -> None:
        self.total = 0
        self._report = report
        self._name = name
        self._done = 0
        self._told = 0

    def update(self, size: int) -> None:
        self._done += size
        if self._done - self._told < _REPORT_EVERY and self._done < self.total:
            return
        self._told = self._done
        done, total = self._done // _MIB, max(self.total // _MIB, 0)
        message = f"Downloading {self._name}: {done} MiB"
        self._report(Progress("step", message, done, total or None))

    def reset(self) -> None:
        # pooch resets the bar at the end, and then fills it once more.
        self._done = 0
        self._told = self.total

    def close(self) -> None:
        return


def _first_line(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 200 else text[:197] + "..."
