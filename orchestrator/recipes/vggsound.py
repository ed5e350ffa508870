"""A recipe of the VGGSound classifiers (arXiv 2004.14368)."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment


def vggsound_resnet() -> Experiment:
    """ResNet18 on VGGSound's log spectrogram (arXiv 2004.14368; hche11/VGGSound 9bbc749).

    16 kHz, ten seconds, softmax over classes. The authors publish test code but no training code,
    so the rest is chosen here: Adam at 1e-3 without decay, a cosine down to 1e-6, batch 64, 50
    epochs, no augmentation, float32.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
        frontend=Component("log_spectrogram"),
        augmentation=Component("none"),
        transform=Component("identity"),
        model=Component("vggsound_resnet18"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.0),
        schedule=Component("cosine", warmup_fraction=0.0, final_learning_rate=1e-6),
        epochs=50,
        batch_size=64,
        clip_norm=0.0,
        precision="fp32",
    )
