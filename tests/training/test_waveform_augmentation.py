"""Training on augmented waveforms: it repeats, resumes, is shared by workers, and is refused."""

import numpy as np
import pytest
import soundfile
import torch

from orchestrator import Arm, AudioFolder, Component, Factor, Level, Plan, one_at_a_time
from orchestrator.data import open_pack
from orchestrator.errors import ConfigError, PlanError
from orchestrator.execution.preflight.arms import check_arms
from orchestrator.execution.trial import TrialCheckpoints
from orchestrator.store import Store
from orchestrator.training.losses import build_loss
from orchestrator.training.trainer import Trainer
from tests import tiny

torch.set_num_threads(1)
QUIET = {
    "augmentation": Component("none"),
    "model": Component("datar_laptop", depths=(1, 1, 1, 1), drop_path_rate=0.0),
    "epochs": 2,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return tiny.store_with_pack(tmp_path_factory.mktemp("store"), tiny.experiment())


@pytest.fixture(scope="module")
def noisy(tmp_path_factory) -> Component:
    folder = tmp_path_factory.mktemp("background")
    noise = 0.1 * np.random.default_rng(0).standard_normal(20_000)
    soundfile.write(folder / "noise.wav", noise, 16000)
    return Component(
        "wave_augment",
        shift_s=0.1,
        noise_snr_db=(5.0, 20.0),
        background=AudioFolder.read(folder),
        background_volume=(0.0, 0.5),
    )


def trainer(store: Store, name: str = "a", **changes) -> Trainer:
    experiment = tiny.experiment(**{**QUIET, **changes})
    clips = open_pack(experiment.dataset.arguments["fingerprint"], packs=store.packs_uri)
    return Trainer(experiment, clips=clips, checkpoints=TrialCheckpoints(store, name * 16))


def rising(counts: np.ndarray) -> np.ndarray:
    """Weights of classes that differ although as many clips have each."""
    return np.arange(1, len(counts) + 1)


WEIGHTS = Component(f"{__name__}:rising")


def losses(store: Store, name: str, **changes) -> list[float]:
    run = trainer(store, name, **changes)
    return [record.metrics["train/loss"] for record in run.epochs()]


def test_training_repeats_resumes_and_is_shared_by_two_workers(store, noisy, both):
    changes = {"waveform_augmentation": noisy, "loss": Component("focal"), "class_weights": WEIGHTS}
    whole = losses(store, "b", **changes)
    assert whole[0] != losses(store, "c", **{**changes, "class_weights": Component("none")})[0]
    begun = trainer(store, "d", **changes).epochs()
    next(begun)
    begun.close()
    resumed = trainer(store, "d", **changes)
    assert len(resumed.records) == 1
    assert [record.metrics["train/loss"] for record in resumed.epochs()] == whole[1:]
    for theirs in both(losses_of, store, "e", changes):
        np.testing.assert_allclose(theirs, whole, rtol=1e-4)


def losses_of(store: Store, name: str, changes: dict) -> list[float]:
    return losses(store, name, **changes)


def test_clips_are_augmented_by_their_seed_before_they_are_mixed(store, noisy):
    plain = trainer(store)
    assert plain.augment is None and plain.train_inputs is plain.inputs
    run = trainer(store, waveform_augmentation=noisy, mixup=Component("pairs"))
    assert run.inputs.kept == "not kept" or run.train_inputs is not run.inputs
    (batch,) = run._batches([run._steps()[0].shares[0]], epoch=1)
    draws = run._draws(1)
    taken = np.concatenate([draws.first[:5], draws.partner[:5]])
    expected = run.augment(
        run.inputs.waveforms(taken),
        clip_seeds=batch.inputs["clip_seeds"],
        num_samples=torch.from_numpy(run.clips.num_samples[taken]),
    )
    assert torch.equal(batch.inputs["waveform"], expected)
    assert set(batch.inputs) == {"waveform", "clip_seeds", "mix_features"}


def test_loss_over_time_refuses_clips_that_are_moved(store):
    with pytest.raises(ConfigError, match=r"moves clips in time; take .*shift_s=0\.0"):
        build_loss(
            Component("frame_binary_cross_entropy"), kind="events", heads=(), moves_time=True
        )
    build_loss(Component("cross_entropy"), moves_time=True)


def test_frozen_model_refuses_augmented_waveforms(noisy):
    with pytest.raises(ConfigError, match="waveform_augmentation 'wave_augment' changes what"):
        tiny.experiment(frozen=True, augmentation=Component("none"), waveform_augmentation=noisy)


def checks(*arms: Arm, **changes):
    base = tiny.experiment(**{**QUIET, **changes})
    plan = Plan(name="waves", question="What is each worth?", base=base, arms=arms)
    return check_arms(plan, num_classes=3, num_samples=8000, sample_rate=16000)


def test_each_step_is_a_level_that_is_seen_to_differ_before_launch(noisy):
    waves = Factor(
        "waves",
        (
            Level("all", {"waveform_augmentation": noisy}),
            Level("no shift", {"waveform_augmentation": noisy.replace(shift_s=0.0)}),
            Level("no noise", {"waveform_augmentation": noisy.replace(noise_snr_db=None)}),
            Level("no background", {"waveform_augmentation": noisy.replace(background=None)}),
        ),
    )
    _, *changed = checks(*one_at_a_time(waves, baseline="all"))
    assert len(changed) == 3
    for check in changed:
        assert check.output_change == 0 and check.loss_change > 0


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Component("tests.own_parts:Halved"), "called as forward(waveform, *, clip_seeds, num_"),
        (Component("tests.own_parts:HalvedWaves"), "returned shape (3, 4000) for 3 clips"),
        (
            Component("wave_augment", background="noise", background_volume=(0.0, 0.1)),
            "background=AudioFolder.read(PATH)",
        ),
        (Component("wave_augment", shift=0.1), "unknown argument of waveform_augmentation"),
    ],
)
def test_wrong_augmentation_is_named_before_launch(part, said):
    with pytest.raises((PlanError, ConfigError)) as caught:
        checks(Arm(name="plain"), Arm(name="waves", changes={"waveform_augmentation": part}))
    assert said in str(caught.value)
