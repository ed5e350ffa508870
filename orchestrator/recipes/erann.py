"""A recipe of ERANN (arXiv 2106.01621)."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment


def erann_2_5() -> Experiment:
    """ERANN-2-5 on its spectrogram (arXiv 2106.01621), from scratch.

    The authors published no code and their recipe was unavailable: Adam at 1e-3 without decay, a
    cosine, batch 32, PANNs' masks twice as wide in mels, 100 epochs and float32 are chosen here.
    Their number on ESC-50 starts from AudioSet, in weights that are not public.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=44100, seconds=5.0),
        frontend=Component(
            "log_mel",
            sample_rate=44100,
            n_fft=2048,
            win_length=1380,
            hop_length=345,
            n_mels=128,
            f_max=22050.0,
        ),
        augmentation=Component("stripes", freq_width=16),
        transform=Component("identity"),
        model=Component("erann_2_5"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=0.0),
        schedule=Component("cosine", warmup_fraction=0.05, final_learning_rate=1e-6),
        epochs=100,
        batch_size=32,
        clip_norm=0.0,
        precision="fp32",
    )
