"""Recipes of the convolution nets on spectrograms, for `orchestrator.baselines`."""

from __future__ import annotations

from orchestrator.config import Component, Experiment


def psla() -> Experiment:
    """PSLA on EfficientNet-B2 as its paper trains it (arXiv 2102.01243; YuanGongND/psla 76aedd1).

    16 kHz, AST's filterbank with 1056 frames, masks of 48 mels and 192 frames, Adam at 1e-4 with
    betas 0.95 and 0.999 and decay 5e-7, batch 100, 30 epochs, float32, no clipping: its numbers for
    the full AudioSet. Different here: a cosine down to the rate of its last epochs in place of
    halving every five epochs from the tenth, a warm-up of 1 % of the steps for its 1000, decay
    apart from the gradient, cross-entropy over classes in place of binary cross-entropy, features
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
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-4, weight_decay=5e-7, beta1=0.95),
        schedule=Component("cosine", warmup_fraction=0.01, final_learning_rate=6.25e-6),
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
    clipping, two views in evaluation. Different here: AdamW at 1e-3 and a cosine in place of SGD
    with Nesterov's momentum at 0.01, a tenth of it from epoch 30 and a hundredth from 40; decay on
    the heads' biases is left out; stripes are wider on average, as theirs draw a width below a
    drawn width; the mean is that of the data set and not of the clip; no time warping and no
    precise statistics of batch norms.
    """
    return Experiment(
        dataset=Component("synthetic", sample_rate=16000, seconds=10.0),
        frontend=Component("htk_log_mel"),
        augmentation=Component("stripes", time_width=25, freq_width=27),
        transform=Component("identity"),
        model=Component("slowfast_r50"),
        loss=Component("cross_entropy"),
        optimizer=Component("adam_w", learning_rate=1e-3, weight_decay=1e-4),
        schedule=Component("cosine", warmup_fraction=0.0, final_learning_rate=1e-5),
        epochs=50,
        batch_size=32,
        clip_norm=0.0,
        precision="fp32",
    )
