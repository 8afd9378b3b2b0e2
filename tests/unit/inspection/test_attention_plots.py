"""Attention pictures show the weights that they were given, under the right labels."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import numpy as np
import pytest

from triptych.errors import UsageError
from triptych.inspection.attention_plots import alignment_matrix, heads_grid
from triptych.inspection.canvas import ORANGE

SOURCE, TARGET = ["the", "<b>", "$5$ & up"], ["das", "Ufer"]
WEIGHTS = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 4, 2))


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def images(svg):
    """The opacity of each picture inside, [rows, columns], in document order."""
    for data in re.findall(rb'data:image/png;base64,([^"]+)"', svg):
        pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(data)), format="png")
        yield pixels[..., 3]


def test_each_head_shows_its_weights():
    found = list(images(heads_grid(WEIGHTS, SOURCE, TARGET)))
    assert len(found) == 8
    for opacity, expected in zip(found, WEIGHTS.reshape(8, 2, 3), strict=True):
        np.testing.assert_allclose(opacity, expected, atol=1 / 255)


def test_labels_are_text_as_given():
    found = texts(heads_grid(WEIGHTS, SOURCE, TARGET))
    for label in (*SOURCE, *TARGET, "head 0", "head 3", "layer 0", "layer 1"):
        assert label in found
    assert found.count("das") == 2  # once a layer


def test_the_chosen_head_alone_is_framed():
    frame = f"stroke: {ORANGE}; stroke-width: 2".encode()
    assert heads_grid(WEIGHTS, SOURCE, TARGET).count(frame) == 0
    assert heads_grid(WEIGHTS, SOURCE, TARGET, chosen=(1, 2)).count(frame) == 4  # four sides


def test_labels_too_small_to_read_are_left_out():
    source, target = [f"s{i}" for i in range(40)], [f"t{i}" for i in range(40)]
    found = texts(heads_grid(np.full((1, 8, 40, 40), 1 / 40), source, target))
    assert "s0" not in found
    assert "head 7" in found


def test_alignment_shows_weights_links_and_a_key():
    matrix = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]])
    svg = alignment_matrix(matrix, SOURCE, TARGET, {(0, 0), (2, 1)}, {(0, 0)}, {(0, 0), (1, 1)})
    (opacity,) = images(svg)
    np.testing.assert_allclose(opacity, matrix, atol=1 / 255)
    found = texts(svg)
    for label in (*SOURCE, *TARGET, "gold, sure", "gold, possible", "link read off"):
        assert label in found
    boxes = svg.count(f"stroke: {ORANGE}".encode())
    assert boxes == 2 + 2  # one sure, one only possible, and their two in the key
    assert svg.count(b"stroke-dasharray") == 2


def test_alignment_without_links_has_no_key():
    found = texts(alignment_matrix([[1.0]], ["bank"], ["Ufer"]))
    assert "link read off" not in found
    assert "gold, sure" not in found


def test_png():
    assert heads_grid(WEIGHTS, SOURCE, TARGET, form="png").startswith(b"\x89PNG")
    assert alignment_matrix([[1.0]], ["a"], ["b"], form="png").startswith(b"\x89PNG")


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"\[2, 4, 2, 3\].*3 target and 2 source"):
        heads_grid(WEIGHTS, TARGET, SOURCE)
    with pytest.raises(UsageError, match=r"\[2, 3\] cannot be drawn"):
        heads_grid(WEIGHTS[0, 0], SOURCE, TARGET)
    with pytest.raises(UsageError, match="at least one of each"):
        alignment_matrix(np.zeros((0, 0)), [], [])
    with pytest.raises(UsageError, match="link 3-0 points outside"):
        alignment_matrix(WEIGHTS[0, 0], SOURCE, TARGET, sure={(3, 0)})
