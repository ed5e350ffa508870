"""Published weights of TALNet and Res-15, as the fields of `models.weights.Weights`."""

from __future__ import annotations

from typing import Any

KEYWORDS: tuple[dict[str, Any], ...] = (
    {
        "name": "talnet_audioset",
        "model": "talnet",
        "num_classes": 527,
        "trained_on": ("audioset",),
        "frontend": ("talnet_fbank", {}),
        "filename": "TALNet.pt",
        "url": "http://islpc21.is.cs.cmu.edu/yunwang/git/cmu-thesis/model/TALNet.pt",
        "page": "https://github.com/MaigoAkisame/cmu-thesis#workspace",
        "licence": "MIT",
    },
)
