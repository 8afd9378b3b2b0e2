"""Vectors as points on a plane: their two principal axes, a color and a shape for each label.

Shapes: N vectors, E width.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triptych.errors import UsageError
from triptych.inspection.canvas import LINE, SERIES, Format, new_figure, picture_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHAPES = ("o", "^", "s", "D")


def principal_axes(vectors: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two directions in which vectors [N, E] differ most: coordinates [N, 2], and the share
    of the variance along each [2].

    The sign of an axis is that which makes its largest coordinate positive. Raises UsageError for
    fewer than three vectors, or vectors that are all alike.
    """
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2 or len(array) < 3 or array.shape[1] < 2:
        raise UsageError(
            f"vectors of shape {list(array.shape)} have no two principal axes; give at least three"
            " vectors of a width of two or more."
        )
    left, sizes, _ = np.linalg.svd(array - array.mean(axis=0), full_matrices=False)
    if not sizes[0] > 0:
        raise UsageError(f"the {len(array)} vectors are all alike, so no axis tells them apart.")
    points = left[:, :2] * sizes[:2]
    points *= np.where(points[np.abs(points).argmax(axis=0), [0, 1]] < 0, -1, 1)
    return points, sizes[:2] ** 2 / (sizes**2).sum()


def vector_map(vectors: ArrayLike, labels: Sequence[str], form: Format = "svg") -> bytes:
    """Vectors [N, E] on their two principal axes, each point in the color and shape of its label.

    Labels are named in a key, the commonest first. Raises UsageError where labels are too many to
    tell apart or not as many as vectors, and as `principal_axes`.
    """
    return vector_maps([("", vectors)], labels, form)


def vector_maps(
    panels: Sequence[tuple[str, ArrayLike]], labels: Sequence[str], form: Format = "svg"
) -> bytes:
    """As `vector_map`, for several (title, vectors) of the same things beside each other."""
    found = [(title, *principal_axes(vectors)) for title, vectors in panels]
    for _, points, _ in found:
        if len(labels) != len(points):
            raise UsageError(
                f"{len(points)} vectors and {len(labels)} labels; give each one its own."
            )
    names = sorted(set(labels), key=lambda name: (-labels.count(name), name))
    if len(names) > len(SERIES):
        raise UsageError(f"{len(names)} labels cannot be told apart; give at most {len(SERIES)}.")
    with new_figure(4.4 * len(panels), 3.3) as figure:
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, points, shares) in zip(all_axes, found, strict=True):
            _draw(axes, points, labels, names)
            axes.set_title(title)
            axes.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
            axes.set_ylabel(f"second axis, {shares[1]:.0%}")
        handles, shown = all_axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            shown,
            loc="outside upper left",
            ncols=len(names),
            frameon=False,
            handletextpad=0.2,
        )
        return picture_bytes(figure, form)


def _draw(
    axes: "Axes", points: NDArray[np.float64], labels: Sequence[str], names: Sequence[str]
) -> None:
    for name, color, shape in zip(names, SERIES, SHAPES, strict=False):
        own = points[[label == name for label in labels]]
        axes.plot(
            own[:, 0],
            own[:, 1],
            shape,
            ms=5.5,
            mfc=color,
            mec="white",
            mew=0.6,
            label=name.replace("$", r"\$"),
        )
    axes.axhline(0, color=LINE, lw=0.6, zorder=0)
    axes.axvline(0, color=LINE, lw=0.6, zorder=0)
    axes.tick_params(length=0)
