"""No digit that the spread does not support."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.plots.panel import ticks
from orchestrator.report.wording.numbers import (
    POINT_SPACE,
    align,
    decimals,
    digit_spaces,
    duration,
    durations,
    number,
    p_text,
    quantity,
    rates,
)


@pytest.mark.parametrize(
    ("half_width", "places"),
    [
        # The Particle Data Group's own examples: 0.827 +- 0.119, +- 0.367, +- 0.96.
        (0.119, 2),
        (0.367, 1),
        (0.96, 1),
        (1.2, 1),
        (3.54, 1),
        (3.56, 0),
        (12.0, 0),
        (0.024, 3),
        (0.00001, 4),
        (9.7, 0),
    ],
)
def test_decimals_follow_the_particle_data_group(half_width, places):
    assert decimals(half_width) == places


@pytest.mark.parametrize("half_width", [None, 0.0, float("nan")])
def test_decimals_without_an_interval_are_the_default(half_width):
    assert decimals(half_width, default=2) == 2


@given(st.floats(1e-3, 1e3))
def test_the_last_digit_is_neither_finer_than_two_digits_of_the_half_width_nor_coarser_than_it(
    half_width,
):
    step = 10.0 ** -decimals(half_width)
    assert min(half_width / 36, 1.0) <= step <= 2 * half_width or step == 1.0


def test_number_has_a_true_minus_and_no_negative_zero():
    assert number(-1.25, 1) == "−1.2"
    assert number(-0.04, 1) == "0.0"
    assert number(0.4, 1, signed=True) == "+0.4"
    assert number(None, 2) == "—"


@pytest.mark.parametrize(
    ("p_value", "text"),
    [
        (None, "—"),
        (1.0, "1"),
        (0.25, "0.25"),
        (0.03125, "0.031"),
        (0.0078125, "0.0078"),
        (0.000001, "<0.0001"),
        (0.05, "0.05"),
        (0.0501, "0.0501"),
        (0.04999, "0.05"),
    ],
)
def test_p_text(p_value, text):
    assert p_text(p_value) == text


@given(st.floats(0, 1))
def test_p_text_never_crosses_the_decision_line(p_value):
    shown = float(p_text(p_value).removeprefix("<"))
    assert (shown <= 0.05) == (p_value <= 0.05)


def test_quantities_and_durations_carry_three_digits_and_their_unit():
    assert [quantity(v) for v in (28_320_000, 4.6e9, 361e6, 540.2, 0)] == [
        "28.3 M",
        "4.60 G",
        "361 M",
        "540",
        "—",
    ]
    assert [duration(s) for s in (1.5, 90, 5400, 7200, 200_000, 0)] == [
        "1.50 s",
        "90.0 s",
        "90.0 min",
        "2.00 h",
        "2.31 d",
        "—",
    ]


def test_align_puts_decimal_points_under_one_another():
    aligned = align(["1.25", "−10.5", "—", "3"])
    assert len({len(text) for text in aligned}) == 1
    assert aligned[0].index(".") == aligned[1].index(".")


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_ticks_enclose_the_data_with_round_steps(low, span):
    marks = ticks(low, low + span)
    step = marks[1] - marks[0]
    assert marks[0] <= low + 1e-6 * step and marks[-1] >= low + span - 1e-6 * step
    assert 2 <= len(marks) <= 9


def test_digit_spaces_make_marked_numbers_end_alike():
    def width(text: str) -> float:
        # In units of a digit; a point and its space take half of one, a mark what it takes.
        return sum({".": 0.5, POINT_SPACE: 0.5}.get(c, 1.0) for c in text)

    plain, marked, whole = (digit_spaces(text) for text in align(["95.6", "95.6†", "97‡"]))
    assert whole.startswith("97‡" + POINT_SPACE)
    assert width(marked) == width(whole)
    assert plain.startswith("95.6")


def test_column_of_measured_values_has_one_unit_and_one_precision():
    assert durations([67.9, 232.0, None, 277.8]) == ["1.13 min", "3.87 min", "—", "4.63 min"]
    assert durations([7.74, 12.9, 42.0, 84.7]) == ["7.7 s", "12.9 s", "42.0 s", "84.7 s"]
    assert rates([603.2, 281.4, 82.1, 42.1]) == ["603", "281", "82", "42"]
    assert rates([0.012, 400.0, 500.0]) == ["0.01", "400", "500"]
    assert durations([None]) == ["—"]
