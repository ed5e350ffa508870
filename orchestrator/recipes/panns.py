"""The recipe of PANNs (arXiv 1912.10211) on AudioSet."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment
from orchestrator.recipes.recipe import Figure, Recipe


def panns_cnn14() -> Experiment:
    """CNN14 on AudioSet as its code trains it (qiuqiangkong/audioset_tagging_cnn d2f4b8c).

    32 kHz, 64 log-mels, Adam with amsgrad at a constant 1e-3 without decay, batches of 32 that are
    mixed of 64 clips by Beta(1, 1) with their labels, one clip of each class in turn through the
    class's own shuffled list, two stripes of up to 64 frames and two of up to 8 mels, binary
    cross-entropy, float32. The 600,000 steps of its published model are 10 epochs of 1.9 M clips.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=32000, seconds=10.0),
        frontend=Component("log_mel"),
        augmentation=Component("stripes"),
        transform=Component("identity"),
        model=Component("cnn14"),
        loss=Component("binary_cross_entropy"),
        optimizer=Component("adam", learning_rate=1e-3, amsgrad=True),
        schedule=Component("constant"),
        sampler=Component("class_cycles"),
        mixup=Component("pairs", alpha=1.0),
        epochs=10,
        batch_size=32,
        clip_norm=0.0,
        precision="fp32",
    )


PAPERS = (
    Recipe(
        build=panns_cnn14,
        data="AudioSet, 1.9 M clips",
        source="qiuqiangkong/audioset_tagging_cnn d2f4b8c (README.md, scripts/4_train.sh, "
        "pytorch/main.py, pytorch/models.py, utils/data_generator.py, utils/utilities.py)",
        published="mAP 0.431",
        quirks={
            "draws balanced by class": {"sampler": Component("each_once")},
            "mixed features": {"mixup": Component("none")},
            "mixed labels": {"mixup.labels": False},
            "amsgrad": {"optimizer.amsgrad": False},
        },
        differs="masks and mixing come before the first batch norm instead of after it",
        log={
            "data.sample_rate": Figure(32000),
            "data.num_classes": Figure(527),
            "data.seconds": Figure(10.0),
        },
    ),
)
