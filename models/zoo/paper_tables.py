"""The tables of the DATAR and HTS-AT papers as printed, row by row.

Reports append their arms below the printed rows, and the families' cards take their numbers from
here. Sources: DATAR (arXiv 2312.16228, Tables 1 to 4) and HTS-AT (arXiv 2202.00874, Tables 1 to 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from models.card import Fields, Result, Source, results

Layout = Literal["metrics", "datasets", "classes"]


@dataclass(frozen=True, kw_only=True)
class PrintedColumn:
    """A column of a printed table.

    Attributes:
        key: A metric key, `pretrain`, `params`, or `ensemble/map`; or the name of a data set or
            class, if these are the columns.
        title: Column title.
        unit: Unit of the numbers; empty if they have none.
    """

    key: str
    title: str
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class PrintedTable:
    """A table of a paper.

    Attributes:
        paper: Short name.
        arxiv: Number of the preprint.
        place: Number of the table, for example `Table 1`.
        caption: What the table compares.
        dataset: Data set of the numbers, as in `Conditions`; empty if the columns are data sets.
        layout: Whether the columns are metrics, data sets or classes.
        columns: The columns after the model's name.
        rows: Models and their cells as printed; missing cells are empty.
        note: Meaning of the numbers, if the column titles do not give it.
    """

    paper: str
    arxiv: str
    place: str
    caption: str
    dataset: str = ""
    layout: Layout = "metrics"
    columns: tuple[PrintedColumn, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    note: str = ""

    @property
    def source(self) -> str:
        """Paper, preprint and table as text."""
        return str(Source(paper=self.paper, arxiv=self.arxiv, place=self.place))

    def results(
        self, row: str, *shared: Fields, ensemble: bool = False, **own: Any
    ) -> tuple[Result, ...]:
        """Return the numbers of a row as results.

        Args:
            row: The model, as printed.
            *shared: See `models.card.results`.
            ensemble: Whether to read the columns of ensembles instead of single models.
            **own: See `models.card.results`; if the columns are data sets, `dataset` selects one.
        """
        own = dict(paper=self.paper, arxiv=self.arxiv, place=self.place) | own
        own.setdefault("dataset", self.dataset)
        found: list[Result] = []
        for column, cell in zip(self.columns, dict(self.rows)[row], strict=True):
            metric = column.key.removeprefix("ensemble/" if ensemble else "val/")
            if self.layout == "classes":
                metric, own["class_name"] = "intersection_f1", column.key
            elif self.layout == "datasets" and column.key == own["dataset"]:
                metric = "top1"
            elif metric == column.key:
                continue
            value, _, spread = cell.partition(" ±")
            if spread:
                own["spread"] = float(spread)
            found += results({metric: float(value)}, *shared, **own)
        return tuple(found)


def _rows(*lines: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Split rows of text into cells at `|`."""
    split = [[cell.strip() for cell in line.split("|")] for line in lines]
    return tuple((model, tuple(cells)) for model, *cells in split)


def _columns(titles: dict[str, str], unit: str = "") -> tuple[PrintedColumn, ...]:
    return tuple(PrintedColumn(key=key, title=title, unit=unit) for key, title in titles.items())


def _datar(number: int, caption: str, dataset: str, *rows: str) -> PrintedTable:
    titles = {"val/top1": "top-1", "val/top5": "top-5"}
    actions = {f"val/{kind}_top1": kind for kind in ("verb", "noun", "action")}
    return PrintedTable(
        paper="DATAR",
        arxiv="2312.16228",
        place=f"Table {number}",
        caption=caption,
        dataset=dataset,
        columns=_columns(actions if number == 3 else titles, "%"),
        rows=_rows(*rows),
    )


PRINTED = {
    "datar-1": _datar(
        1,
        "Comparison on Kinetics-Sounds",
        "kinetics_sounds",
        "AST                          | 52.6 | 71.5",
        "DATAR (deformable + adaptor) | 71.5 | 90.5",
    ),
    "datar-2": _datar(
        2,
        "Comparison on VGGSound",
        "vggsound",
        "AST                          | 52.3 | 78.1",
        "Chen et al.                  | 48.8 | 76.5",
        "AudioSlowFast                | 50.1 | 77.9",
        "DATAR (deformable + adaptor) | 55.5 | 80.2",
    ),
    "datar-3": _datar(
        3,
        "Comparison on EPIC-Kitchens-100",
        "epic_kitchens_100",
        "AST                          | 44.3 | 22.4 | 13.0",
        "Damen et al.                 | 42.1 | 21.5 | 14.8",
        "AudioSlowFast                | 46.5 | 22.8 | 15.4",
        "DATAR (deformable + adaptor) | 48.7 | 22.9 | 16.3",
    ),
    "datar-4": _datar(
        4,
        "Ablation on Kinetics-Sounds",
        "kinetics_sounds",
        "without deformable           | 69.4 | 86.6",
        "with deformable              | 70.5 | 89.9",
        "deformable + N(0, 0.005)     | 70.2 | 90.1",
        "deformable + L(0, 0.005)     | 70.5 | 89.6",
        "deformable + adaptor λ=0.2   | 70.5 | 90.2",
        "deformable + adaptor λ=0.005 | 71.5 | 90.5",
    ),
    "htsat-1": PrintedTable(
        paper="HTS-AT",
        arxiv="2202.00874",
        place="Table 1",
        caption="mAP on the evaluation set of AudioSet",
        dataset="audioset",
        columns=_columns(
            {"pretrain": "pretrained", "params": "params"}
            | {"val/map": "mAP", "ensemble/map": "ensemble mAP"}
        ),
        rows=_rows(
            "Baseline     | no  | 2.6 M  | 0.314 |",
            "DeepRes      | no  | 26 M   | 0.392 |",
            "PANN         | no  | 81 M   | 0.434 |",
            "PSLA (P)     | yes | 13.6 M | 0.444 | 0.474",
            "AST          | no  | 87 M   | 0.366 |",
            "AST (P)      | yes | 87 M   | 0.459 | 0.475",
            "HTS-AT (H)   | no  | 28.8 M | 0.440 |",
            "HTS-AT (HC)  | no  | 31 M   | 0.453 |",
            "HTS-AT (HCP) | yes | 31 M   | 0.471 | 0.487",
        ),
        note="Printed mAPs of single models are of averaged weights; HTS-AT's ensemble is of six "
        "seeds, AST's of three (0.485 with six of several patch settings).",
    ),
    "htsat-2": PrintedTable(
        paper="HTS-AT",
        arxiv="2202.00874",
        place="Table 2",
        caption="Accuracy on ESC-50 and Speech Commands V2",
        layout="datasets",
        columns=_columns({"esc50": "ESC-50", "speech_commands_v2": "Speech Commands V2"}, "%"),
        rows=_rows(
            "PANN   | 90.5      |",
            "RES-15 |           | 97.0",
            "AST    | 95.6 ±0.4 | 98.1 ±0.05",
            "ERANN  | 96.1      |",
            "KWT-2  |           | 97.3 ±0.03",
            "HTS-AT | 97.0 ±0.2 | 98.0 ±0.03",
        ),
        note="Printed ± are standard deviations, HTS-AT's over three runs.",
    ),
    "htsat-3": PrintedTable(
        paper="HTS-AT",
        arxiv="2202.00874",
        place="Table 3",
        caption="Event-based F1 by class on DESED",
        dataset="desed",
        layout="classes",
        columns=_columns(
            {
                "alarm_bell_ringing": "Alarm",
                "blender": "Blender",
                "cat": "Cat",
                "dishes": "Dishes",
                "dog": "Dog",
                "electric_shaver_toothbrush": "Shaver",
                "frying": "Frying",
                "running_water": "Water",
                "speech": "Speech",
                "vacuum_cleaner": "Cleaner",
                "": "average",
            }
        ),
        rows=_rows(
            "PANN             |34.3|42.4|36.3|17.6|35.8|23.8| 9.3|30.6|69.7|51.0|35.1",
            "HTS-AT           |48.6|52.9|67.7|25.0|48.0|42.9|60.3|43.0|46.8|49.1|48.4",
            "HTS-AT, ensemble |47.5|55.1|72.4|30.9|49.7|41.9|63.2|44.3|51.3|50.6|50.7",
            "Zheng et al.     |41.4|54.1|72.4|29.4|47.8|61.01|49.2|33.7|69.5|65.5|52.4",
            "Kim et al.       |34.7|59.8|71.6|40.4|47.3|26.2|61.8|32.8|64.9|66.7|50.6",
            "Lu et al.        |37.1|41.4|62.5|40.6|39.7|46.5|46.5|34.5|54.5|46.9|45.0",
        ),
        note="Printed F1 is of events: PANN's and HTS-AT's by intersection, the last three by "
        "collars, on more data and another test set.",
    ),
}
"""Key -> table, `datar-1` to `datar-4` and `htsat-1` to `htsat-3`."""
