"""A folder of recordings is identified by its audio, and decoded as it was declared."""

import numpy as np
import pytest
import soundfile

from orchestrator import AudioFolder, Component
from orchestrator.errors import ConfigError
from orchestrator.experiment.identity import canonical, complete
from orchestrator.experiment.overrides import from_canonical
from tests import tiny


@pytest.fixture
def noises(tmp_path):
    folder = tmp_path / "_background_noise_"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, rate in (("doing_the_dishes.wav", 16000), ("more/rain.flac", 32000)):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(rate), rate)
    (folder / "README.md").write_text("Noise.")
    return folder


def test_folder_is_known_by_its_audio_wherever_it_lies(noises, tmp_path):
    first = AudioFolder.read(noises)
    (noises / "README.md").write_text("Other words.")
    moved = noises.rename(tmp_path / "elsewhere")
    again = AudioFolder.read(str(moved))
    assert again == first and again.path != first.path

    def experiment(background):
        part = Component("wave_augment", background=background, background_volume=(0.0, 0.1))
        return tiny.experiment(waveform_augmentation=part)

    assert experiment(first).id == experiment(again).id != tiny.experiment().id
    stored = from_canonical(canonical(experiment(first)))
    assert complete(stored).id == experiment(first).id
    (moved / "more" / "rain.flac").rename(moved / "more" / "hail.flac")
    assert AudioFolder.read(moved) != first


def test_recordings_are_decoded_at_the_rate_of_the_clips(noises):
    recordings = AudioFolder.read(noises).load(16000)
    assert [(one.dtype, one.shape) for one in recordings] == [(np.float32, (16000,))] * 2


def test_folder_that_is_missing_or_empty_is_refused(noises, tmp_path):
    with pytest.raises(ConfigError, match="'/no/such' is not a folder on this host; give the path"):
        AudioFolder.read("/no/such")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty holds no audio \(\.wav, \.flac"):
        AudioFolder.read(tmp_path / "empty")
    (noises / "pipe.wav").symlink_to("/no/such/file.wav")
    with pytest.raises(ConfigError, match=r"pipe\.wav is not a file; take it out"):
        AudioFolder.read(noises)


def test_folder_that_changed_or_cannot_be_decoded_is_refused_by_the_name(noises):
    declared = AudioFolder.read(noises)
    (noises / "more" / "rain.flac").write_bytes(b"not a recording")
    with pytest.raises(ConfigError, match=r"put them back, or run the sweep again"):
        declared.load(16000)
    with pytest.raises(ConfigError, match=r"more/rain\.flac cannot be decoded: unreadable"):
        AudioFolder.read(noises).load(16000)
