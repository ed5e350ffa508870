"""A card per family: every folder has one, and a new family is a folder and no line elsewhere."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.card import Conditions, Source, counts, results
from models.registry import catalog, lookup
from models.zoo.cards import CARDS, WEIGHTS, card_of, default_parts, paper_of
from models.zoo.paper_tables import PRINTED

MODELS = Path(__file__).resolve().parents[2] / "models"
MODEL = '''
"""A family of one linear layer."""

from torch import Tensor, nn

from models.output import Output
from models.registry import register


@register("model", variants={"toy_wide": {}, "toy_narrow": {"dim": 2}})
class Toy(nn.Module):
    """Classifies by a linear layer on the mean over time.

    Variants:
        toy_wide: Toy of eight channels.
        toy_narrow: Toy of two.
    """

    def __init__(
        self, num_channels: int, input_size: tuple[int, int], num_classes: int, *, dim: int = 8
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(input_size[0], dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Output:
        return Output(clip_logits=self.head(self.embed(x.mean(dim=(1, 3)))))
'''
CARD = """
from models.card import Card, Paper, counts, results

CARD = Card(
    paper=Paper(name="Toy", title="Toys", arxiv="2401.00001", num_classes=50),
    frontend=("log_mel", {"n_mels": 16}),
    frontends={"toy_narrow": ("log_mel", {"n_mels": 8})},
    counts=counts(
        {"params": "0.001 M"}, model="toy_wide", label="Toy", input_size=(16, 100), num_classes=50
    ),
    results=results(
        {"top1": 12.5},
        model="toy_wide",
        dataset="esc50",
        paper="Toy",
        arxiv="2401.00001",
        place="Table 1",
    ),
)
"""


@pytest.mark.parametrize("family", CARDS)
def test_card_names_models_and_parts_that_exist(family):
    card = CARDS[family]
    own = {n for n, e in catalog()["model"].items() if e.module.startswith(f"models.{family}.")}
    records = (*card.weights, *card.results, *card.counts)
    assert own and {*card.papers, *card.frontends, *(r.model for r in records)} <= own
    for name, arguments in (card.frontend, *card.frontends.values()):
        assert set(arguments) <= set(lookup("frontend", name).arguments)
    assert set(card.transform[1]) <= set(lookup("transform", card.transform[0]).arguments)


def test_names_of_weights_are_given_once():
    names = [weights.name for card in CARDS.values() for weights in card.weights]
    assert sorted(names) == sorted(WEIGHTS)


def test_every_registered_model_has_a_card_and_a_model_of_elsewhere_has_none():
    assert all(card_of(name) for name in catalog()["model"])
    assert card_of("my_module:MyModel") is None
    assert paper_of("my_module:MyModel") is None
    assert default_parts("my_module:MyModel") == (("kaldi_fbank", {}), ("identity", {}))


def test_paper_of_a_second_model_of_a_folder_is_its_own():
    assert paper_of("deepres_laptop") == CARDS["deepres"].paper
    assert paper_of("audioset_baseline_laptop").doi == "10.1109/ICASSP.2017.7952261"


def test_fields_of_a_row_go_before_the_shared_ones():
    shared = dict(model="cnn6", dataset="esc50", epochs=3, paper="P", arxiv="1", place="here")
    first, second = results({"map": 0.5, "top1": 40.0}, shared, epochs=4, spread=0.1)
    assert first.conditions == Conditions(dataset="esc50", epochs=4, spread=0.1)
    assert first.source == Source(paper="P", arxiv="1", place="here")
    assert [(r.metric, r.value, r.unit) for r in (first, second)] == [
        ("val/map", 0.5, ""),
        ("val/top1", 40.0, "%"),
    ]
    (count,) = counts(
        {"MACs": "1.5 G"}, dict(model="cnn6", label="A"), label="B", input_size=(1, 1)
    )
    assert (count.label, count.source, count.value) == ("B", "authors' code", 1.5e9)
    with pytest.raises(TypeError, match="epoch"):
        results({"map": 0.5}, shared, epoch=4)


def test_row_of_a_printed_table_is_read_by_its_columns():
    kwt = PRINTED["htsat-2"].results("KWT-2", model="kwt_2", dataset="speech_commands_v2")
    assert [(r.metric, r.value, r.conditions.spread) for r in kwt] == [("val/top1", 97.3, 0.03)]
    table = PRINTED["htsat-1"]
    (single,) = table.results("HTS-AT (HCP)", model="htsat_tiny")
    (ensemble,) = table.results("HTS-AT (HCP)", model="htsat_tiny", ensemble=True)
    assert (single.metric, single.value) == ("val/map", 0.471)
    assert (ensemble.metric, ensemble.value) == ("val/map", 0.487)
    assert str(single.source) == table.source


def test_new_family_is_a_folder(tmp_path):
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(MODELS, tmp_path / "models", ignore=skipped)
    family = tmp_path / "models" / "toy"
    family.mkdir()
    (family / "__init__.py").write_text('"""A family of one linear layer."""\n')
    (family / "model.py").write_text(MODEL)
    (family / "card.py").write_text(CARD)

    commands = (["toy_wide"], ["toy_narrow"], ["toy_wide", "--compare"])
    code = (
        "from models.__main__ import main\n"
        f"for words in {commands}:\n"
        "    assert main([*words, '--json']) == 0\n"
        "    print('next')\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    [wide], [narrow], [row] = map(json.loads, done.stdout.split("next\n")[:-1])
    assert (wide["paper"]["title"], wide["num_classes"]) == ("Toys", 50)
    assert wide["input_size"][0] == 16
    assert wide["num_params"] == 17 * 8 + 9 * 50
    assert [result["value"] for result in wide["results"]] == [12.5]
    assert (narrow["input_size"][0], narrow["results"]) == (8, [])
    assert row["ours"] == 17 * 8 + 9 * 50
