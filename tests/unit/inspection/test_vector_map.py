"""Vectors on their principal axes: the axes of scikit-learn, and every point in its place."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.decomposition import PCA

from triptych.errors import UsageError
from triptych.inspection.canvas import SERIES
from triptych.inspection.vector_map import principal_axes, vector_map

VECTORS = np.random.default_rng(3).normal(size=(9, 5)) * [1, 4, 0.2, 2, 1] + 7
LABELS = ["river", "money", "money"] * 3


def test_axes_are_those_of_scikit_learn() -> None:
    points, shares = principal_axes(VECTORS)
    peer = PCA(n_components=2).fit(VECTORS)
    np.testing.assert_allclose(np.abs(points), np.abs(peer.transform(VECTORS)), atol=1e-9)
    np.testing.assert_allclose(shares, peer.explained_variance_ratio_, atol=1e-9)
    assert (points[np.abs(points).argmax(axis=0), [0, 1]] > 0).all()


def test_the_sign_of_an_axis_is_fixed() -> None:
    np.testing.assert_allclose(
        np.abs(principal_axes(-VECTORS)[0]), np.abs(principal_axes(VECTORS)[0]), atol=1e-9
    )
    assert principal_axes(-VECTORS)[0].max(axis=0).tolist() == pytest.approx(
        np.abs(principal_axes(VECTORS)[0]).max(axis=0).tolist()
    )


def test_each_label_has_its_color_shape_and_name() -> None:
    svg = vector_map(VECTORS, LABELS)
    root = ElementTree.fromstring(svg)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    shares = principal_axes(VECTORS)[1]
    assert {"river", "money", f"second axis, {shares[1]:.0%}"} <= set(texts)
    drawn = re.findall(rb'<use [^>]*style="fill: (#\w+)', svg)
    assert drawn.count(SERIES[0].encode()) == 6 + 1  # the commonest comes first; one in the key
    assert drawn.count(SERIES[1].encode()) == 3 + 1
    marks = re.findall(rb'<use xlink:href="(#\w+)"[^>]*style="fill: (#\w+)', svg)
    shapes = {color: {mark for mark, own in marks if own == color} for _, color in marks}
    assert not shapes[SERIES[0].encode()] & shapes[SERIES[1].encode()]


def test_png_is_a_picture() -> None:
    assert vector_map(VECTORS, LABELS, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("vectors", "labels", "message"),
    [
        (VECTORS[:2], ["a", "b"], r"shape \[2, 5\] have no two principal axes"),
        (VECTORS[0], ["a"], "have no two principal axes"),
        (np.ones((4, 3)), ["a"] * 4, "the 4 vectors are all alike"),
        (VECTORS, ["a"], "9 vectors and 1 labels"),
        (VECTORS, [str(i) for i in range(9)], "9 labels cannot be told apart"),
    ],
)
def test_what_cannot_be_drawn_is_said(vectors: np.ndarray, labels: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        vector_map(vectors, labels)
