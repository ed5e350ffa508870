"""The paper of every family: title, authors' code and its licence, number of classes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The paper that a family of models is from.

    Attributes:
        name: of the family, as the paper calls it.
        title: of the paper.
        arxiv: number of the preprint; empty where there is none.
        doi: of the paper, where it has no preprint.
        code: the authors' repository and commit, or why there is none.
        licence: of the authors' code.
        num_classes: that the paper's sizes are listed with.
    """

    name: str
    title: str
    arxiv: str = ""
    doi: str = ""
    code: str
    licence: str
    num_classes: int

    @property
    def place(self) -> str:
        """Where it is found: the preprint, or the DOI."""
        return f"arXiv {self.arxiv}" if self.arxiv else f"doi {self.doi}"


_PANNS = Paper(
    name="PANNs",
    title="PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition",
    arxiv="1912.10211",
    code="qiuqiangkong/audioset_tagging_cnn d2f4b8c",
    licence="MIT",
    num_classes=527,
)
# By the beginning of a model's name.
_PAPERS = {
    "ast": Paper(
        name="AST",
        title="AST: Audio Spectrogram Transformer",
        arxiv="2104.01778",
        code="YuanGongND/ast 31088be",
        licence="BSD-3-Clause",
        num_classes=527,
    ),
    "audioset_baseline": Paper(
        name="AudioSet baseline",
        title="Audio Set: An Ontology and Human-Labeled Dataset for Audio Events",
        doi="10.1109/ICASSP.2017.7952261",
        code="none",
        licence="none",
        num_classes=527,
    ),
    "cnn": _PANNS,
    "datar": Paper(
        name="DATAR",
        title="DATAR: Deformable Audio Transformer for Audio Event Recognition",
        arxiv="2312.16228",
        code="none of DATAR; its backbone is LeapLabTHU/DAT 797f187 (arXiv 2201.00520)",
        licence="Apache-2.0",
        num_classes=309,
    ),
    "datar_pp": Paper(
        name="DATAR on DAT++",
        title="DAT++: Spatially Dynamic Vision Transformer with Deformable Attention",
        arxiv="2309.01430",
        code="LeapLabTHU/DAT 32173fc",
        licence="Apache-2.0",
        num_classes=309,
    ),
    "deepres": Paper(
        name="DeepRes",
        title="A Deep Residual Network for Large-Scale Acoustic Scene Analysis",
        doi="10.21437/Interspeech.2019-2731",
        code="none",
        licence="none",
        num_classes=527,
    ),
    "erann": Paper(
        name="ERANN",
        title="ERANNs: Efficient Residual Audio Neural Networks for Audio Pattern Recognition",
        arxiv="2106.01621",
        code="none",
        licence="none",
        num_classes=527,
    ),
    "htsat": Paper(
        name="HTS-AT",
        title="HTS-AT: A Hierarchical Token-Semantic Audio Transformer for Sound Classification "
        "and Detection",
        arxiv="2202.00874",
        code="RetroCirce/HTS-Audio-Transformer 2e29471",
        licence="MIT",
        num_classes=527,
    ),
    "psla": Paper(
        name="PSLA",
        title="PSLA: Improving Audio Tagging with Pretraining, Sampling, Labeling, and Aggregation",
        arxiv="2102.01243",
        code="YuanGongND/psla 76aedd1",
        licence="BSD-3-Clause",
        num_classes=527,
    ),
    "resnet38": _PANNS,
    "slowfast": Paper(
        name="Auditory SlowFast",
        title="Slow-Fast Auditory Streams for Audio Recognition",
        arxiv="2103.03516",
        code="ekazakos/auditory-slow-fast 6af3fd7",
        licence="CC-BY-NC-SA-4.0",
        num_classes=309,
    ),
    "vggsound": Paper(
        name="VGGSound",
        title="VGGSound: A Large-Scale Audio-Visual Dataset",
        arxiv="2004.14368",
        code="hche11/VGGSound 9bbc749",
        licence="CC-BY-4.0",
        num_classes=309,
    ),
    "kwt": Paper(
        name="KWT",
        title="Keyword Transformer: A Self-Attention Model for Keyword Spotting",
        arxiv="2104.00769",
        code="ARM-software/keyword-transformer 237e409",
        licence="Apache-2.0",
        num_classes=12,
    ),
    "res15": Paper(
        name="Res-15",
        title="Deep Residual Learning for Small-Footprint Keyword Spotting",
        arxiv="1710.10361",
        code="castorini/honk c3aae75; by triplet loss roman-vygon/triplet_loss_kws 0d92edd",
        licence="MIT",
        num_classes=12,
    ),
    "talnet": Paper(
        name="TALNet",
        title="A Comparison of Five Multiple Instance Learning Pooling Functions for Sound Event "
        "Detection with Weak Labeling",
        arxiv="1810.09050",
        code="MaigoAkisame/cmu-thesis 7578dda",
        licence="MIT",
        num_classes=527,
    ),
}


def paper_of(model: str) -> Paper | None:
    """Return the paper of a registered model's family; None for a model of another distribution."""
    starts = [start for start in _PAPERS if model.startswith(start)]
    return _PAPERS[max(starts, key=len)] if starts else None
