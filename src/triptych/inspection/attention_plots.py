"""Pictures of attention, as SVG or PNG bytes: all heads side by side, and one as an alignment.

Blue is as opaque as the weight, so the pictures suit any background. What is gold or chosen has a
shape of its own, not only a color.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triptych.errors import UsageError
from triptych.inspection.canvas import (
    BLUE,
    INK,
    LINE,
    MUTED,
    ORANGE,
    Format,
    new_figure,
    picture_bytes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Link = tuple[int, int]

MIN_POINTS = 4.0
NOTE = "source across, target down · stronger blue: more attention"


def heads_grid(
    weights: ArrayLike,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    chosen: tuple[int, int] | None = None,
    form: Format = "svg",
) -> bytes:
    """All heads of one sentence, one row a layer, one column a head: weights [L, H, T, S].

    Stronger blue is more weight, from 0 to 1 everywhere; `chosen` (layer, head) is framed. Layers
    and heads are counted from 0, as in the code. Labels are left out where they could not be
    read. Raises UsageError when the shapes do not fit.
    """
    grid = _checked(weights, 4, source_tokens, target_tokens)
    n_layers, n_heads, n_rows, n_columns = grid.shape
    cell = min(0.15, 2.6 / max(n_rows, n_columns), 11 / (n_heads * n_columns))  # inches
    if _size(cell) < MIN_POINTS:
        source_tokens, target_tokens = [""] * n_columns, [""] * n_rows
    label = _label_inches([*source_tokens, *target_tokens])
    width = n_heads * (cell * n_columns + 0.14) + label + 0.6
    height = n_layers * (cell * n_rows + 0.14) + label + 0.55
    with new_figure(width, height) as figure:
        figure.supxlabel(NOTE, size=8, color=MUTED)
        axes_grid: Any = figure.subplots(n_layers, n_heads, squeeze=False)
        for layer, head in np.ndindex(n_layers, n_heads):
            axes: Axes = axes_grid[layer, head]
            _draw_weights(axes, grid[layer, head])
            _frame(axes, ORANGE if (layer, head) == chosen else LINE, (layer, head) == chosen)
            axes.set_xticks([])
            axes.set_yticks([])
            if layer == 0:
                _label_columns(axes, source_tokens, cell, rotation=90)
                axes.set_title(f"head {head}", loc="center", pad=8)
            if head == 0:
                _label_rows(axes, target_tokens, cell)
            if head == n_heads - 1:
                axes.yaxis.set_label_position("right")
                axes.set_ylabel(
                    f"layer {layer}", color=INK, weight="bold", rotation=270, labelpad=12
                )
        return picture_bytes(figure, form)


def alignment_matrix(
    weights: ArrayLike,
    source_words: Sequence[str],
    target_words: Sequence[str],
    found: Iterable[Link] = (),
    sure: Iterable[Link] = (),
    possible: Iterable[Link] = (),
    form: Format = "svg",
) -> bytes:
    """One sentence's attention between words, [W_t, W_s], source across, target down.

    Links are (source, target): `found` are dots, gold ones boxes, dashed if only possible.
    Raises UsageError when the shape does not fit or a link points outside it.
    """
    matrix = _checked(weights, 2, source_words, target_words)
    sure, found = set(sure), set(found)
    possible = set(possible) - sure
    for source, target in sure | possible | found:
        if not (0 <= source < len(source_words) and 0 <= target < len(target_words)):
            raise UsageError(
                f"link {source}-{target} points outside a sentence pair of"
                f" {len(source_words)} and {len(target_words)} words (counted from 0)."
            )
    cell = 0.34  # inches
    label = _label_inches([*source_words, *target_words])
    width = max(cell * len(source_words) + 1.4 * label, 4.2)
    with new_figure(width, cell * len(target_words) + label + 0.4) as figure:
        axes = figure.subplots()
        _draw_weights(axes, matrix)
        _frame(axes, LINE, heavy=False)
        _label_columns(axes, source_words, cell, rotation=45)
        _label_rows(axes, target_words, cell)
        axes.set_xticks(np.arange(len(source_words) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(target_words) + 1) - 0.5, minor=True)
        axes.grid(which="minor")
        axes.tick_params(which="both", length=0)
        _draw_links(axes, found, sure, possible)
        return picture_bytes(figure, form)


def _draw_weights(axes: "Axes", weights: NDArray[np.float64]) -> None:
    """Blue, as opaque as the weight, so that the picture suits any background."""
    rgba = np.empty((*weights.shape, 4))
    rgba[..., :3] = [int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    rgba[..., 3] = weights.clip(0, 1)
    axes.imshow(rgba, interpolation="none", aspect="equal")


def _draw_links(axes: "Axes", found: set[Link], sure: set[Link], possible: set[Link]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    key: list[Any] = []
    boxes = ((sure, "-", "gold, sure"), (possible, (0, (2, 1.6)), "gold, possible"))
    for links, style, name in boxes:
        look: dict[str, Any] = {"fill": False, "ec": ORANGE, "lw": 1.6, "ls": style}
        for source, target in sorted(links):
            axes.add_patch(Rectangle((source - 0.42, target - 0.42), 0.84, 0.84, **look))
        if links:
            key.append(Rectangle((0, 0), 1, 1, label=name, **look))
    dot: dict[str, Any] = {
        "marker": "o",
        "ls": "none",
        "ms": 4.6,
        "mfc": INK,
        "mec": "white",
        "mew": 0.8,
    }
    for source, target in sorted(found):
        axes.plot(source, target, **dot)
    if found:
        key.append(Line2D([], [], label="link read off", **dot))
    axes.set_xlabel(NOTE, size=8, labelpad=6)
    if key:
        axes.figure.legend(
            handles=key,
            loc="outside lower center",
            ncols=len(key),
            frameon=False,
            fontsize=8,
            handlelength=1.1,
            handleheight=1.1,
            columnspacing=1.6,
        )


def _frame(axes: "Axes", color: str, heavy: bool) -> None:
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(color)
        spine.set_linewidth(2 if heavy else 0.8)


def _label_columns(axes: "Axes", tokens: Sequence[str], cell: float, rotation: int) -> None:
    axes.xaxis.tick_top()
    axes.set_xticks(
        range(len(tokens)),
        [_plain(token) for token in tokens],
        rotation=rotation,
        ha="left" if rotation < 90 else "center",
        va="bottom",
        rotation_mode="anchor" if rotation < 90 else "default",
        size=_size(cell),
        color=INK,
    )
    axes.tick_params(axis="x", length=0, pad=2)


def _label_rows(axes: "Axes", tokens: Sequence[str], cell: float) -> None:
    axes.set_yticks(
        range(len(tokens)), [_plain(token) for token in tokens], size=_size(cell), color=INK
    )
    axes.tick_params(axis="y", length=0, pad=2)


def _plain(token: str) -> str:
    return token.replace("$", r"\$")  # a pair of dollars would be read as mathematics


def _size(cell: float) -> float:
    """Points: as tall as the cell allows, up to comfortable."""
    return min(9.5, cell * 72 * 0.72)


def _label_inches(tokens: Sequence[str]) -> float:
    return 0.3 + 0.075 * max((len(token) for token in tokens), default=0)


def _checked(
    weights: ArrayLike, n_axes: int, sources: Sequence[str], targets: Sequence[str]
) -> NDArray[np.float64]:
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != n_axes or array.shape[-2:] != (len(targets), len(sources)) or not array.size:
        kind = "[layers, heads, target, source]" if n_axes == 4 else "[target, source]"
        raise UsageError(
            f"weights of shape {list(array.shape)} cannot be drawn with {len(targets)} target and"
            f" {len(sources)} source labels; pass {kind}, at least one of each."
        )
    return array
