"""Auditory SlowFast: slow-fast auditory streams for audio recognition, arXiv 2103.03516.

The authors' code is ekazakos/auditory-slow-fast 6af3fd7 (CC-BY-NC-SA-4.0, as are its weights); none
of it is here, only its facts. Equal to it in values (a test holds parity vectors), and different
in:

- the whole clip comes in, and the model crops and lengthens what the authors' loader cuts out of
  the waveform: the edges of a crop see their neighbours where theirs see zeros;
- logits instead of probabilities, for clips of any length on the scale of the layer's output. With
  several heads (verbs and nouns), one tensor holds the logits of all, head after head;
- several heads can be built, loaded and run (`models.create_model`), not trained or scored: packs
  have one label per clip, and `orchestrator.training.evaluate.build` refuses such an experiment.
  Take the softmax and the largest of each head by itself, `clip_logits.split(heads, dim=1)`;
- any number of mels: theirs pools 128 / 32 rows at the end, this all rows;
- no single streams, and no time warping.

Published weights expect `models.frontends.htk_log_mel.HtkLogMel` of audio at 16 kHz (VGG-Sound,
crops of 512 frames), or at 24 kHz with win_length 240, hop_length 120 and f_max 12000
(EPIC-KITCHENS, 400 frames). 26.68 M parameters with 309 classes, 5.52 GMAC for one view of 512
frames.
"""

from __future__ import annotations

from models.registry import register
from models.slowfast.pathways import SlowFast


@register("model")
def slowfast_r50(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    heads: tuple[int, ...] = (),
    num_frames: int = 512,
    views: int = 2,
    dropout: float = 0.5,
    width: int = 64,
    slow_ratio: int = 4,
    width_ratio: int = 8,
    lateral_ratio: int = 2,
    depths: tuple[int, ...] = (3, 4, 6, 3),
) -> SlowFast:
    """Two ResNet50s with separable kernels, the size of the paper: 26.68 M parameters.

    Arguments, shapes and errors as in `models.slowfast.pathways.SlowFast`.
    """
    return SlowFast(
        num_channels,
        input_size,
        num_classes,
        heads=heads,
        num_frames=num_frames,
        views=views,
        dropout=dropout,
        width=width,
        slow_ratio=slow_ratio,
        width_ratio=width_ratio,
        lateral_ratio=lateral_ratio,
        depths=depths,
    )


@register("model")
def slowfast_laptop(
    num_channels: int,
    input_size: tuple[int, int],
    num_classes: int,
    *,
    heads: tuple[int, ...] = (),
    num_frames: int = 128,
    views: int = 2,
    dropout: float = 0.0,
    width: int = 16,
    slow_ratio: int = 4,
    width_ratio: int = 4,
    lateral_ratio: int = 2,
    depths: tuple[int, ...] = (1, 1, 1, 1),
) -> SlowFast:
    """SlowFast for a laptop, for 64 mels x 128 frames; not a published size.

    Arguments, shapes and errors as in `models.slowfast.pathways.SlowFast`.
    """
    return SlowFast(
        num_channels,
        input_size,
        num_classes,
        heads=heads,
        num_frames=num_frames,
        views=views,
        dropout=dropout,
        width=width,
        slow_ratio=slow_ratio,
        width_ratio=width_ratio,
        lateral_ratio=lateral_ratio,
        depths=depths,
    )
