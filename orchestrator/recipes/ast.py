"""Recipes of AST (arXiv 2104.01778): AudioSet, ESC-50, Speech Commands."""

from __future__ import annotations

import dataclasses

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.recipe import Figure, Recipe

_CODE = "YuanGongND/ast 31088be"
_UNMIXED = {"mixup": Component("none")}
_ALIKE = (
    "bfloat16 instead of float16 with loss scaling; the mean and deviation are those of the "
    "training clips at hand; waveforms of one pack have one length"
)


def _log(
    classes: int, seconds: float, frames: int, mean: float, std: float, **others: Figure
) -> dict[str, Figure]:
    """Return the figures of a data set in AST's code (`src/dataloader.py`, `egs/*/run*.sh`).

    Its mean and deviation are of masked and mixed clips, whose masks are 0, which moves them by up
    to half a deviation towards 0.
    """
    return {
        "data.sample_rate": Figure(16000),
        "data.num_classes": Figure(classes),
        "data.seconds": Figure(seconds),
        "features.shape": Figure([1, 128, frames]),
        "features.mean": Figure(mean, 0.6 * std),
        "features.std": Figure(std, 0.3 * std),
        **{key.replace("__", "."): figure for key, figure in others.items()},
    }


def ast_audioset() -> Experiment:
    """AST on the full AudioSet: 5 epochs, weighted draws, mixed waveforms, averaged weights.

    Adam with betas 0.95 and 0.999 and decay 5e-7, batch 12, 1e-5 after 1000 steps of warm-up,
    halved after epochs 2, 3 and 4; masks of 48 mels and 192 frames; half of the clips mixed by
    Beta(10, 10); the mean of the weights after all five epochs is evaluated. It starts from
    DeiT's weights (`deit_base384_imagenet`).
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
        frontend=Component("kaldi_fbank"),
        augmentation=Component("spec_augment", freq_mask=48, time_mask=192),
        transform=Component("identity"),
        model=Component("ast_base"),
        loss=Component("binary_cross_entropy"),
        optimizer=Component("adam", learning_rate=1e-5, weight_decay=5e-7, beta1=0.95),
        schedule=Component("epoch_decay", first=2, every=1, factor=0.5, warmup_steps=1000),
        sampler=Component("weighted"),
        mixup=Component("random_partner", alpha=10.0, probability=0.5),
        averaging=Component("epoch_mean", first=1),
        epochs=5,
        batch_size=12,
        clip_norm=0.0,
        precision="bf16",
    )


def ast_audioset_balanced() -> Experiment:
    """AST on AudioSet's balanced part: 25 epochs at 5e-5, halved after 10, 15 and 20.

    Every clip once an epoch; the mean over epochs 6 to 25 is evaluated. The rest is that of
    `ast_audioset`.
    """
    full = ast_audioset()
    return dataclasses.replace(
        full,
        optimizer=full.optimizer.replace(learning_rate=5e-5),
        schedule=full.schedule.replace(first=10, every=5),
        sampler=Component("each_once"),
        averaging=Component("epoch_mean", first=6),
        epochs=25,
    )


def ast_esc50() -> Experiment:
    """AST on ESC-50: 25 epochs at 1e-5, times 0.85 after every epoch from the fifth on.

    512 frames, masks of 24 mels and 96 frames, no mixup, batch 48, cross-entropy. It starts from
    AST trained on AudioSet (`ast_base_audioset`); without, the rate is 1e-4.
    """
    full = ast_audioset()
    return dataclasses.replace(
        full,
        dataset=Component("synthetic", sample_rate=16000, seconds=5.0),
        frontend=Component("kaldi_fbank", num_frames=512),
        augmentation=Component("spec_augment", freq_mask=24, time_mask=96),
        loss=Component("cross_entropy"),
        schedule=Component("epoch_decay", first=5, every=1, factor=0.85),
        sampler=Component("each_once"),
        mixup=Component("none"),
        averaging=Component("none"),
        epochs=25,
        batch_size=48,
    )


def ast_speech_commands() -> Experiment:
    """AST on the 35 words of Speech Commands V2: 30 epochs at 2.5e-4, times 0.85 from the fifth on.

    128 frames, masks of 48 mels and 48 frames, noise and a roll of the features, 60 % of the clips
    mixed, batch 128, binary cross-entropy, the best epoch on validation clips. It starts from DeiT.
    """
    esc50 = ast_esc50()
    return dataclasses.replace(
        esc50,
        dataset=Component("synthetic", sample_rate=16000, seconds=1.0),
        frontend=Component("kaldi_fbank", num_frames=128),
        augmentation=Component("noisy_spec_augment", freq_mask=48, time_mask=48),
        loss=Component("binary_cross_entropy"),
        optimizer=esc50.optimizer.replace(learning_rate=2.5e-4),
        mixup=Component("random_partner", alpha=10.0, probability=0.6),
        epochs=30,
        batch_size=128,
        selection="best_on_validation",
    )


PAPERS = (
    Recipe(
        build=ast_audioset,
        data="AudioSet, 2 M clips",
        source=f"{_CODE} (egs/audioset/run.sh, egs/audioset/gen_weight_file.py, src/traintest.py, "
        "src/dataloader.py)",
        weights="deit_base384_imagenet",
        published="mAP 0.448 after the last epoch, 0.459 averaged",
        quirks={
            "draws weighted by class": {"sampler": Component("each_once")},
            "mixed waveforms": _UNMIXED,
            "mixed labels": {"mixup.labels": False},
            "averaged weights": {"averaging": Component("none")},
            "warm-up from rate 0": {"schedule.warmup_steps": 0},
            "L2 decay": {"optimizer.decoupled": True},
        },
        differs=_ALIKE,
        log={
            **_log(527, 10.0, 1024, -4.2677393, 4.5689974),
            # After the first epoch, in the log of its repository.
            "val/map": Figure(0.415, 0.02),
        },
    ),
    Recipe(
        build=ast_audioset_balanced,
        data="AudioSet, the 22 k balanced clips",
        source=f"{_CODE} (egs/audioset/run.sh)",
        weights="deit_base384_imagenet",
        published="mAP 0.347",
        quirks={
            "mixed waveforms": _UNMIXED,
            "averaged weights": {"averaging": Component("none")},
        },
        differs=f"{_ALIKE}; labels are not enhanced",
        log=_log(527, 10.0, 1024, -4.2677393, 4.5689974),
    ),
    Recipe(
        build=ast_esc50,
        data="ESC-50, 5 folds",
        source=f"{_CODE} (egs/esc50/run_esc.sh, egs/esc50/get_esc_result.py)",
        weights="ast_base_audioset",
        published="95.6 %, 95.75 % in the log of its repository",
        quirks={
            "masks": {"augmentation": Component("none")},
            "decay of the rate": {"schedule": Component("constant")},
        },
        differs=f"{_ALIKE}; the last epoch is reported, theirs is the best of the five folds' mean",
        log=_log(
            *(50, 5.0, 512, -6.6268077, 5.358466),
            data__clips=Figure({"train": 1600, "test": 400}),
        ),
    ),
    Recipe(
        build=ast_speech_commands,
        data="Speech Commands V2, 35 words",
        source=f"{_CODE} (egs/speechcommands/run_sc.sh, src/run.py)",
        weights="deit_base384_imagenet",
        published="98.11 +- 0.05 %",
        quirks={
            "mixed waveforms": _UNMIXED,
            "noise": {"augmentation.noise": 0.0},
            "roll": {"augmentation.roll": 0},
            "one-against-all loss": {"loss": Component("cross_entropy")},
        },
        differs=_ALIKE,
        log=_log(
            *(35, 1.0, 128, -6.845978, 5.5654526),
            data__clips=Figure({"train": 84843, "test": 11005}),
        ),
    ),
)
