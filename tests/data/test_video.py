"""Sound of m4a, mp4 and webm by PyAV, and what is said where it is not installed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from layout_folders import CLASSES, sound, takes, write
from layout_trial import tones

from orchestrator.data import open_pack, prepare, video
from orchestrator.data.decode import decode
from orchestrator.data.entry import open_source
from orchestrator.data.source import ClipFault
from orchestrator.errors import DataError

CODECS = {"m4a": "aac", "mp4": "aac", "webm": "libopus", "mkv": "aac"}
RATE_HZ = 48000


def encode(path: Path, wave: np.ndarray, *, pictures: bool = False) -> Path:
    """Write (channels, time) at 48 kHz, with a stream of pictures if asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"m4a": "mp4", "mkv": "matroska"}.get(path.suffix[1:], path.suffix[1:])
    with av.open(str(path), "w", format=form) as container:
        layout = "stereo" if len(wave) == 2 else "mono"
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=RATE_HZ, layout=layout)
        if pictures:
            shown = container.add_stream("mpeg4", rate=10, width=32, height=32)
            for _ in range(40):
                picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
                container.mux(shown.encode(picture))
            container.mux(shown.encode(None))
        frame = AudioFrame.from_ndarray(wave.astype(np.float32), "fltp", layout)
        frame.sample_rate = RATE_HZ
        resampler = av.AudioResampler(stream.format, layout, RATE_HZ, frame_size=960)
        for one in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    return path


def wave_of(label: int, take: int, *, seconds: float = 1.0) -> np.ndarray:
    return sound(label, take, seconds=seconds, rate_hz=RATE_HZ)[None]


@pytest.mark.parametrize("suffix", CODECS)
def test_sound_of_a_video_is_decoded_at_its_rate_and_length(suffix, tmp_path):
    left = wave_of(1, 0)
    path = encode(
        tmp_path / f"x.{suffix}", np.concatenate([left, 0.5 * left]), pictures=suffix != "webm"
    )
    found = decode(path)
    assert (found.rate_hz, found.channels) == (RATE_HZ, 2)
    assert len(found.samples) == pytest.approx(RATE_HZ, abs=2200)  # a codec's own padding
    size = min(len(found.samples), RATE_HZ)
    spectra = [np.abs(np.fft.rfft(w[:size])) for w in (found.samples, 0.75 * left[0])]
    assert spectra[0].argmax() == spectra[1].argmax()
    assert spectra[0].max() == pytest.approx(spectra[1].max(), rel=0.05)  # the mean of both
    rate_hz, channels, frames = video.header(path)
    assert (rate_hz, channels) == (RATE_HZ, 2) and frames == pytest.approx(RATE_HZ, abs=2200)


def test_parts_of_a_video_are_cut_from_the_whole(tmp_path):
    path = encode(tmp_path / "x.mp4", wave_of(0, 0))
    whole = decode(path).samples
    for start_s in (0.0, 0.25, 0.6):
        part = decode(path, start_s=start_s, end_s=start_s + 0.3).samples
        first = round(start_s * RATE_HZ)
        np.testing.assert_array_equal(part, whole[first : first + round(0.3 * RATE_HZ)])
    with pytest.raises(ClipFault, match="no samples at 7 s"):
        decode(path, start_s=7.0)


@pytest.mark.parametrize("suffix", ["mp4", "webm", "mkv"])
def test_cut_video_is_broken_and_never_shorter(suffix, tmp_path):
    path = encode(tmp_path / f"x.{suffix}", wave_of(0, 0, seconds=3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ClipFault, match=r"truncated|unreadable"):
        decode(path)


def test_video_without_sound_is_broken(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        shown = container.add_stream("mpeg4", rate=10, width=32, height=32)
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
        container.mux(shown.encode(picture))
        container.mux(shown.encode(None))
    with pytest.raises(ClipFault, match="no sound, only other streams"):
        decode(tmp_path / "x.mp4")


def test_folder_of_videos_is_packed_and_extracted_sound_wins(tmp_path):
    for label, name, take in takes(4):
        suffix = list(CODECS)[take]
        encode(tmp_path / "in" / name / f"{take}-{name}.{suffix}", wave_of(label, take))
    write(tmp_path / "in" / "siren" / "1-siren.flac", 1, 99)
    arguments = {"num_folds": 2, "seconds": 0.5}
    source = open_source("folder", arguments, root=str(tmp_path / "in"))
    assert len(source.clips) == 23  # two windows of each video, and the sound that was extracted
    assert not [clip for clip in source.clips if "1-siren.mp4" in clip.clip_id]
    info = prepare("folder", arguments, root=str(tmp_path / "in"), packs=str(tmp_path / "packs"))
    pack = open_pack(info.fingerprint, packs=str(tmp_path / "packs"))
    assert pack.manifest["tools"]["video"].startswith("PyAV ")
    for index, label in enumerate(pack.labels):
        heard = tones(pack.waveform(index)[:8000], pack.sample_rate)
        assert heard.tolist() == [n == label for n in range(4)], pack.clip_ids[index]


def test_member_of_a_tar_is_decoded(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for label, name, take in takes(4):
            path = encode(tmp_path / "made" / f"{name}{take}.m4a", wave_of(label, take))
            for suffix, content in (("m4a", path.read_bytes()), ("cls", name.encode())):
                member = tarfile.TarInfo(f"{name}{take}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            path.unlink()
    source = open_source("folder", {"num_folds": 2}, root=str(tmp_path))
    assert source.class_names == CLASSES
    assert source.read(source.clips[0]).rate_hz == RATE_HZ


def test_without_pyav_it_is_said_what_to_install(tmp_path, monkeypatch):
    path = encode(tmp_path / "dog" / "x.m4a", wave_of(0, 0))
    wrong = path.rename(path.with_suffix(".wav"))  # as many converters name it
    assert len(decode(wrong).samples) > 40000
    monkeypatch.setattr(video, "installed", lambda: False)
    with pytest.raises(ClipFault, match=r"libsndfile does not decode MP4; install PyAV"):
        decode(wrong)
    wrong.rename(path)
    with pytest.raises(DataError, match=r"1 files such as dog/x.m4a.*pip install av"):
        open_source("folder", {}, root=str(tmp_path))
