"""The printed tables agree with the papers' numbers that are records, and with one another."""

import pytest

from models.zoo.cards import published_results
from models.zoo.paper_tables import PRINTED

FORMS = {
    "HTS-AT (H)": "H",
    "HTS-AT (HC)": "HC",
    "HTS-AT (HCP)": "HCP",
    "HTS-AT": "HCP",
    "HTS-AT, ensemble": "HCP, six seeds",
    "DATAR (deformable + adaptor)": "deformable + adaptor",
}


@pytest.mark.parametrize("key", PRINTED)
def test_every_row_has_a_cell_for_every_column(key):
    table = PRINTED[key]
    assert key == f"{table.paper.lower().replace('-', '')}-{table.place[-1]}"
    assert all(len(cells) == len(table.columns) for _, cells in table.rows)
    assert len({model for model, _ in table.rows}) == len(table.rows)
    assert len({column.key for column in table.columns}) == len(table.columns)


def printed(result):
    """The cell that a published result is printed in, or None."""
    for table in PRINTED.values():
        if table.source != str(result.source):
            continue
        keys = {
            "metrics": result.metric,
            "datasets": result.conditions.dataset,
            "classes": result.class_name,
        }
        columns = [column.key for column in table.columns]
        for model, cells in table.rows:
            wanted = FORMS.get(model, model)
            if result.form == wanted or (result.model == "ast_base" and model == "AST"):
                cell = cells[columns.index(keys[table.layout])]
                if cell:
                    return cell
    return None


def test_numbers_that_are_records_too_are_the_same():
    found = 0
    for result in published_results():
        if result.model not in ("datar_tiny", "htsat_tiny", "ast_base"):
            continue
        cell = printed(result)
        if cell is None:
            # The ensemble's mAP stands in a column of its own.
            assert result.source.paper in ("AST", "DAT", "DAT++") or "six seeds" in result.form
            continue
        found += 1
        value, _, spread = cell.partition(" ±")
        assert float(value) == result.value
        if spread:
            assert float(spread) == result.conditions.spread
    # DATAR 4, 4, 6 and 12; HTS-AT 4, 2 and 22.
    assert found == 54


def test_ensemble_is_the_record_of_six_seeds():
    table = PRINTED["htsat-1"]
    (six,) = published_results("htsat_tiny", metric="val/map", form="HCP, six seeds")
    row = dict(table.rows)["HTS-AT (HCP)"]
    assert float(row[-1]) == six.value


def test_printed_averages_are_the_means_of_their_classes():
    for model, cells in PRINTED["htsat-3"].rows:
        *classes, average = map(float, cells)
        # Printed to one decimal; the leaderboard's are means over two test sets.
        if model in ("PANN", "HTS-AT", "HTS-AT, ensemble"):
            assert sum(classes) / 10 == pytest.approx(average, abs=0.1)
