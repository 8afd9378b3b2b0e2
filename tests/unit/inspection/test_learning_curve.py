"""Curves from metrics rows, drawn with their names and their best value."""

import math
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import pytest

from triptych.errors import UsageError
from triptych.inspection.learning_curve import Curve, curve, learning_curve

ROWS = [
    {"step": 10, "loss": 5.0},
    {"step": 20, "loss": 4.0, "valid_loss": 4.5, "bleu": 1.5},
    {"step": 30, "loss": math.nan},
    {"step": 40, "loss": 3.0, "valid_loss": 3.25, "bleu": None},
    {"step": 60, "loss": 2.0, "valid_loss": 3.5, "bleu": 20.25},
]


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_rows_without_a_finite_value_are_passed_over():
    assert curve(ROWS, "loss", "train") == Curve("train", [10, 20, 40, 60], [5, 4, 3, 2])
    assert curve(ROWS, "bleu", "valid", "highest").steps == [20, 60]


def test_names_titles_and_best_values_are_written():
    loss = [curve(ROWS, "loss", "train"), curve(ROWS, "valid_loss", "valid", "lowest")]
    found = texts(learning_curve({"Loss": loss, "BLEU": [curve(ROWS, "bleu", "dev", "highest")]}))
    for text in ("Loss", "BLEU", "train", "valid 3.25", "dev 20.25", "step"):
        assert text in found


def test_names_do_not_overlap():
    same = [Curve(name, [1, 2], [1.0, 2.0]) for name in ("one", "two", "three")]
    svg = learning_curve({"Loss": same}).decode()
    heights = [
        float(re.search(r'y="([\d.]+)"', found)[1])
        for found in re.findall(r"<text[^>]*>(?:one|two|three)<", svg)
    ]
    assert len(heights) == 3
    low, middle, high = sorted(heights)
    assert min(middle - low, high - middle) > 9


def test_a_panel_without_points_is_left_out():
    found = texts(learning_curve({"Loss": [curve(ROWS, "loss", "train")], "chrF": [], "X": [
        curve(ROWS, "nothing", "valid")]}))  # fmt: skip
    assert "Loss" in found
    assert "chrF" not in found
    assert "X" not in found


def test_nothing_to_draw_is_said():
    with pytest.raises(UsageError, match="no learning curve to draw"):
        learning_curve({"Loss": [curve([], "loss", "train")]})


def test_bytes_are_the_same_each_time_and_settings_stay():
    before = dict(matplotlib.rcParams)
    panels = {"Loss": [curve(ROWS, "loss", "train")]}
    assert learning_curve(panels) == learning_curve(panels)
    assert learning_curve(panels, "png").startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(UsageError, match="not 'pdf'"):
        learning_curve(panels, "pdf")
