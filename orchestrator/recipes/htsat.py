"""Recipes of HTS-AT (arXiv 2202.00874), at full size and for a laptop."""

from __future__ import annotations

import dataclasses

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.datar import datar_laptop
from orchestrator.recipes.families import HTSAT
from orchestrator.recipes.recipe import Figure, Recipe

_CODE = "RetroCirce/HTS-Audio-Transformer 2e29471"


def htsat_tiny() -> Experiment:
    """HTS-AT as its paper trains it (arXiv 2202.00874; RetroCirce/HTS-Audio-Transformer 2e29471).

    32 kHz, its log-mel and masking, AdamW at 1e-4 with decay 0.05, gradient norm 1, batch 128, 100
    epochs, float32. Different here: a cosine with warm-up instead of its steps (whose rate is also
    1e-4 after three epochs), no decay on vectors and bias tables, cross-entropy over classes, and
    no mixup, which it uses on AudioSet alone.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=32000, seconds=10.0),
        frontend=Component("log_mel"),
        augmentation=Component("stripes"),
        transform=Component("identity"),
        model=Component("htsat_tiny"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-4, weight_decay=0.05),
        schedule=Component("cosine", warmup_fraction=0.03, final_learning_rate=3e-5),
        epochs=100,
        batch_size=128,
        clip_norm=1.0,
        precision="fp32",
    )


def htsat_laptop() -> Experiment:
    """HTS-AT in laptop size, under the recipe of `datar_laptop`."""
    base = datar_laptop()
    return dataclasses.replace(base, model=HTSAT.model(base), frontend=HTSAT.frontend(base))


def htsat_audioset() -> Experiment:
    """HTS-AT on AudioSet as its code trains it, which is not as its paper says.

    AdamW at 1e-3 times 0.02, 0.05 and 0.1 in the first three epochs, 0.1 to the eleventh, 0.05 to
    the 21st, 0.02 to the 31st and 0.03 after; decay 0.05 on every parameter; gradient norm 1; batch
    128; one clip of each class in turn; features of each 32 clips mixed with the same in reverse by
    Beta(0.5, 0.5), under the labels of the first; two stripes of up to 64 frames and two of up to 8
    mels. Probabilities are means over ten shifts of the waveform, 0, 100, 300, 600 and so on to
    4500 samples earlier. It starts from Swin's weights (`swin_tiny_imagenet`).
    """
    return dataclasses.replace(
        htsat_tiny(),
        loss=Component("binary_cross_entropy"),
        optimizer=Component("adam", learning_rate=1e-3, weight_decay=0.05, decoupled=True),
        schedule=Component("piecewise"),
        sampler=Component("balanced"),
        mixup=Component("reversed_batch", alpha=0.5, group=32),
        test_shifts_s=tuple(-50 * number * (number + 1) / 32000 for number in range(10)),
    )


def htsat_esc50() -> Experiment:
    """HTS-AT on ESC-50: every clip joined to itself and not shifted, no mixup, batch 64.

    Cross-entropy; the epoch is chosen on the clips that are reported, as in its code. The rest is
    that of `htsat_audioset`; it starts from AudioSet's weights (`htsat_tiny_audioset`).
    """
    return dataclasses.replace(
        htsat_audioset(),
        dataset=Component("synthetic", sample_rate=32000, seconds=5.0),
        frontend=Component("repeated_log_mel", seconds=10.0),
        loss=Component("cross_entropy"),
        sampler=Component("each_once"),
        mixup=Component("none"),
        batch_size=64,
        selection="best_on_test",
        test_shifts_s=(0.0,),
    )


def htsat_speech_commands() -> Experiment:
    """HTS-AT on the 35 words of Speech Commands V2: every clip repeated to 10 s.

    16 kHz with filters up to 14 kHz, so that those above 8 kHz are empty; binary cross-entropy, no
    mixup, batch 128, the epoch chosen on the clips that are reported. The rest is that of
    `htsat_audioset`.
    """
    return dataclasses.replace(
        htsat_esc50(),
        dataset=Component("synthetic", sample_rate=16000, seconds=1.0),
        frontend=Component("repeated_log_mel", sample_rate=16000, hop_length=160),
        loss=Component("binary_cross_entropy"),
        batch_size=128,
    )


_SCHEDULE = {
    "schedule.starts": (0, 1, 2, 10, 20),
    "schedule.factors": (0.05, 0.1, 0.2, 0.1, 0.05),
}
"""The paper's text, read as shares of 1e-3: up to 0.2 in three epochs, halved every ten to 0.05."""
_ON_TEST = {"selection": "last"}
_LOOKS = "one look at the test clips an epoch instead of ten"


def _log(rate: int, classes: int, seconds: float, **counts: int) -> dict[str, Figure]:
    """Return the figures of a data set in HTS-AT's code and paper."""
    return {
        "data.sample_rate": Figure(rate),
        "data.num_classes": Figure(classes),
        "data.seconds": Figure(seconds),
        **({"data.clips": Figure(counts)} if counts else {}),
    }


PAPERS = (
    Recipe(
        build=htsat_audioset,
        data="AudioSet, 2 M clips",
        source=f"{_CODE} (config.py, main.py, sed_model.py, data_generator.py, utils.py, "
        "model/htsat.py)",
        weights="swin_tiny_imagenet",
        published="mAP 0.471",
        quirks={
            "draws balanced by class": {"sampler": Component("each_once")},
            "mixed features": {"mixup": Component("none")},
            "labels left unmixed": {"mixup.labels": True},
            "ten shifts of the evaluated clips": {"test_shifts_s": (0.0,)},
            "rates of the code, not of the paper": _SCHEDULE,
            "decay of all parameters": {
                "optimizer": Component("adam_w", learning_rate=1e-3, weight_decay=0.05)
            },
        },
        differs="the last epoch instead of the best of ten looks an epoch at the evaluation clips, "
        "and every epoch at ten shifts; no mean of the best checkpoints",
        log=_log(32000, 527, 10.0),
    ),
    Recipe(
        build=htsat_esc50,
        data="ESC-50, 5 folds",
        source=f"{_CODE} (esc_config.py, main.py, sed_model.py, data_generator.py)",
        weights="htsat_tiny_audioset",
        published="97.0 +- 0.2 %",
        quirks={
            "epoch chosen on test clips": _ON_TEST,
            "clips joined to themselves": {"frontend": Component("log_mel")},
            "rates of the code, not of the paper": _SCHEDULE,
        },
        differs=_LOOKS,
        log=_log(32000, 50, 5.0, train=1600, test=400),
    ),
    Recipe(
        build=htsat_speech_commands,
        data="Speech Commands V2, 35 words",
        source=f"{_CODE} (config.py, README.md, main.py, sed_model.py, data_generator.py, "
        "scv2/prep_scv2.ipynb)",
        weights="htsat_tiny_audioset",
        published="98.0 +- 0.03 %",
        quirks={
            "epoch chosen on test clips": _ON_TEST,
            "filters above half the sample rate": {"frontend.f_max": 8000.0},
            "rates of the code, not of the paper": _SCHEDULE,
        },
        differs=f"{_LOOKS}; clips shorter than a second are padded to it before they are repeated; "
        "theirs trains on the validation clips too",
        log=_log(16000, 35, 1.0),
    ),
)
