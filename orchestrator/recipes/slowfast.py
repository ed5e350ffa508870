"""The recipe of Auditory SlowFast (arXiv 2103.03516)."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment


def slowfast() -> Experiment:
    """Auditory SlowFast as its authors train it on VGG-Sound (arXiv 2103.03516).

    Source: ekazakos/auditory-slow-fast 6af3fd7, `configs/VGG-Sound/SLOWFAST_R50.yaml` and
    `slowfast/datasets/spec_augment.py`. 16 kHz, its log-mel, one random crop of 512 frames per clip
    and epoch, two stripes of up to 25 frames and two of up to 27 mels filled with the mean, dropout
    0.5, decay 1e-4, batch 32, 50 epochs, float32, no clipping, SGD with Nesterov's momentum 0.9 at
    0.01, 0.001 from epoch 30 and 0.0001 from 40, two views in evaluation. Different here: decay on
    the batch norms too; stripes are wider on average, since theirs draw a width below a drawn
    width; the mean is the dataset's, not the clip's; no time warping and no precise statistics of
    batch norms.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
        frontend=Component("htk_log_mel"),
        augmentation=Component("stripes", time_width=25, freq_width=27),
        transform=Component("identity"),
        model=Component("slowfast_r50"),
        loss=Component("cross_entropy"),
        optimizer=Component("sgd", learning_rate=0.01, weight_decay=1e-4, nesterov=True),
        schedule=Component("steps", fractions=(0.6, 0.8)),
        epochs=50,
        batch_size=32,
        clip_norm=0.0,
        precision="fp32",
    )
