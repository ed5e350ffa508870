"""Recipes of the convolution nets on spectrograms."""

from __future__ import annotations

from orchestrator.experiment.config import Component, Experiment


def psla() -> Experiment:
    """PSLA on EfficientNet-B2 as its paper trains it (arXiv 2102.01243; YuanGongND/psla 76aedd1).

    16 kHz, AST's filterbank with 1056 frames, masks of 48 mels and 192 frames, Adam at 1e-4 with
    betas 0.95 and 0.999 and decay 5e-7, the rate halved every five epochs from the tenth, batch
    100, 30 epochs, binary cross-entropy, float32, no clipping: its numbers for the full AudioSet.
    Different here: no warm-up over the first 1000 steps, decay apart from the gradient, features
    divided by twice their deviation, which the first batch norm undoes, and neither mixup nor
    weighted sampling nor averaged weights. Its best form starts from ImageNet:
    `{"initial": Component("checkpoint", file=File.read("efficientnet_b2_imagenet"))}`.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
        frontend=Component("kaldi_fbank", num_frames=1056, f_max=8000.0),
        augmentation=Component("spec_augment", freq_mask=48, time_mask=192),
        transform=Component("identity"),
        model=Component("psla_b2"),
        loss=Component("binary_cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-4, weight_decay=5e-7, beta1=0.95),
        schedule=Component("steps", fractions=(1 / 3, 1 / 2, 2 / 3, 5 / 6), factor=0.5),
        epochs=30,
        batch_size=100,
        clip_norm=0.0,
        precision="fp32",
    )


def vggsound_resnet() -> Experiment:
    """ResNet18 on VGGSound's log spectrogram (arXiv 2004.14368; hche11/VGGSound 9bbc749).

    16 kHz, ten seconds, softmax over classes. The authors publish their test and not their
    training, so the rest is chosen here: Adam at 1e-3 without decay, a cosine down to 1e-6, batch
    64, 50 epochs, no augmentation, float32.
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


def slowfast() -> Experiment:
    """Auditory SlowFast as its authors train it on VGG-Sound (arXiv 2103.03516).

    Source: ekazakos/auditory-slow-fast 6af3fd7, `VGG-Sound/SLOWFAST_R50.yaml`. 16 kHz, its log-mel,
    one random crop of 512 frames per clip and epoch, two stripes of up to 25 frames and two of up
    to 27 mels with the mean in them, dropout 0.5, decay 1e-4, batch 32, 50 epochs, float32, no
    clipping, SGD with Nesterov's momentum 0.9 at 0.01, 0.001 from epoch 30 and 0.0001 from 40, two
    views in evaluation. Different here: decay on the batch norms too; stripes are wider on average,
    as theirs draw a width below a drawn width; the mean is that of the data set and not of the
    clip; no time warping and no precise statistics of batch norms.
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
