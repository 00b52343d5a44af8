"""Clips of known frames, encoded here: cut, scaled, labelled; damaged ones left out."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_neuropretrain.config.options.sources import VideoOptions
from napari_neuropretrain.data.clips import read_clips
from napari_neuropretrain.data.video import decode_clip, frame_numbers, load_pyav
from napari_neuropretrain.data.video_source import VideoSource, open_videos
from napari_neuropretrain.errors import CohortError, ConfigError, ImageError
from napari_neuropretrain.progress import Progress, silent

try:
    import av
except ImportError:
    av = None

NASA = Path(__file__).parents[3] / "shared" / "data" / "video" / "nasa_13013.mp4"
EDGES = (16, 16, 16)
needs_pyav = pytest.mark.skipif(
    av is None, reason="PyAV is not installed (extra video)"
)


def encode(path: Path, frames: int = 24, size: tuple[int, int] = (32, 48)) -> Path:
    """Write frames whose left half gets brighter by 8 from frame to frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.height, stream.width = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for number in range(frames):
            pixels = np.full((*size, 3), 128, np.uint8)
            pixels[:, : size[1] // 2] = 8 * number
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage(path: Path) -> Path:
    """Write what an interrupted download leaves of a video."""
    encode(path)
    path.write_bytes(path.read_bytes()[:200])
    return path


@needs_pyav
@pytest.mark.parametrize("colour", ["grey", "rgb_sum"])
def test_frames_are_those_that_were_asked(tmp_path: Path, colour: str) -> None:
    path = encode(tmp_path / "ramp.mp4")
    volume = decode_clip(path, (5, 16, 24), stride=3, colour=colour)
    assert volume.shape == (5, 16, 24)
    assert volume.mean() == pytest.approx(0, abs=1e-5)
    assert volume.std() == pytest.approx(1, abs=1e-5)
    left, right = volume[:, :, 2:10].mean((1, 2)), volume[:, :, 14:22].mean((1, 2))
    steps = np.diff(left - right)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.1)
    # In frame 16 both halves are as bright; three frames make a step.
    first = 16 + 3 * (left - right)[0] / steps.mean()
    assert frame_numbers(24, 5, 3, 0.5)[0] == 5
    assert first == pytest.approx(5, abs=0.7)


@needs_pyav
def test_the_middle_is_cut_out_of_a_wide_frame(tmp_path: Path) -> None:
    path = encode(tmp_path / "wide.mp4", frames=4, size=(32, 96))
    volume = decode_clip(path, (2, 16, 16))
    left, right = volume[0, :, :7].mean(), volume[0, :, 9:].mean()
    assert right - left > 1.5


@needs_pyav
def test_a_short_video_goes_on_with_its_last_frame(tmp_path: Path) -> None:
    volume = decode_clip(encode(tmp_path / "short.mp4", frames=3), (6, 16, 16))
    np.testing.assert_array_equal(volume[2], volume[5])
    assert not np.array_equal(volume[1], volume[2])


@needs_pyav
def test_a_corrupt_clip_is_skipped_and_counted(tmp_path: Path) -> None:
    for name in ("running/a.mp4", "running/b.mp4", "archery/c.mp4"):
        encode(tmp_path / name)
    damage(tmp_path / "archery" / "broken.mp4")
    (tmp_path / "running" / "notes.txt").write_text("no clip")
    heard: list[Progress] = []
    options = VideoOptions(
        path=tmp_path, shape=EDGES, stride=1, cache=str(tmp_path / ".cache")
    )
    source = open_videos(options, heard.append)
    assert len(source) == 3
    assert [failure.item for failure in source.failures] == ["archery/broken.mp4"]
    assert heard[-1].message == "1 of 4 clips are left out."
    assert source.classes("class") == ("archery", "running")
    assert [source.label(index, "class") for index in range(3)] == [0, 1, 1]
    assert source.ids == ("c", "a", "b")
    volume = source.volume(1)
    assert volume.shape == (1, 16, 16, 16)
    assert float(volume.std()) == pytest.approx(1, abs=1e-2)
    with pytest.raises(CohortError, match="no label 'age'"):
        source.label(0, "age")


@needs_pyav
def test_decoded_clips_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(tmp_path / "running" / "a.mp4")
    parts = VideoOptions(path=tmp_path, shape=EDGES, stride=1, clips_per_video=3)
    kept = parts.replace(cache=str(tmp_path / ".cache"))
    for options in (parts, kept):
        source = open_videos(options, silent)
        first = [source.volume(index) for index in range(len(source))]
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "av", None)
            again = VideoSource(source.clips[:1], options, (), source._unpacked)
            for index in range(3):
                assert again.volume(index).equal(first[index])
        assert not first[0].equal(first[2])


@needs_pyav
def test_a_clip_damaged_later_on_is_named(tmp_path: Path) -> None:
    path = encode(tmp_path / "running" / "a.mp4")
    options = VideoOptions(path=tmp_path, shape=EDGES, stride=1, check="first_frame")
    source = open_videos(options, silent)
    damage(path)
    with pytest.raises(ImageError, match=r"a\.mp4.*cannot be decoded"):
        source.volume(0)


def test_tables_of_kinetics_and_of_paths(tmp_path: Path) -> None:
    names = ("abc_000010_000020.mp4", "train/juggling/d-e_000001_000011.mkv", "own.avi")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    header = "label,youtube_id,time_start,time_end,split\n"
    lines = "archery,abc,10,20,train\njuggling,d-e,1,11,train\narchery,zz,3,13,train\n"
    (tmp_path / "train.csv").write_text(header + lines + "archery,abc,10,20,val\n")
    clips, missing = read_clips(tmp_path / "train.csv", "train")
    assert [clip.label for clip in clips] == ["archery", "juggling"]
    assert [failure.item for failure in missing] == ["zz_000003_000013.mp4"]
    (tmp_path / "own.csv").write_text("path,label\nown.avi,cooking\n")
    assert read_clips(tmp_path / "own.csv")[0][0].label == "cooking"
    (tmp_path / "bad.csv").write_text("label,link\na,b\n")
    with pytest.raises(CohortError, match="columns of Kinetics"):
        read_clips(tmp_path / "bad.csv")
    with pytest.raises(CohortError, match="no clip"):
        read_clips(tmp_path / "train" / "juggling")


def test_a_missing_library_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"napari-neuropretrain\[video\]"):
        load_pyav()


@needs_pyav
@pytest.mark.skipif(not NASA.exists(), reason=f"the real clip is missing: {NASA}")
def test_a_real_clip() -> None:
    volume = decode_clip(NASA, (40, 48, 48), stride=4)
    assert volume.shape == (40, 48, 48)
    assert volume.std() == pytest.approx(1, abs=1e-4)
    ends = [decode_clip(NASA, (8, 48, 48), place=place) for place in (0.0, 1.0)]
    correlation = float(np.corrcoef(ends[0].ravel(), ends[1].ravel())[0, 1])
    steady = float(np.corrcoef(volume[0].ravel(), volume[1].ravel())[0, 1])
    assert steady > correlation
