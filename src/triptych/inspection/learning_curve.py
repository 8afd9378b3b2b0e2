"""The learning curve of a training run, as SVG or PNG bytes.

Colors are Okabe and Ito's, told apart by every kind of color vision; each line also carries its
name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from triptych.errors import UsageError
from triptych.inspection.canvas import SERIES, Format, new_figure, picture_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Curve:
    """A named line: y over steps. `best` names the extreme to mark with its value."""

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    best: Literal["lowest", "highest"] | None = None


def curve(
    rows: Iterable[Mapping[str, Any]],
    key: str,
    label: str,
    best: Literal["lowest", "highest"] | None = None,
    step: str = "step",
) -> Curve:
    """The curve of `key` over `step` in the rows of a metrics file; rows without it are passed
    over, and so are values that are not finite."""
    points = [
        (float(row[step]), float(row[key]))
        for row in rows
        if row.get(key) is not None and np.isfinite(row[key])
    ]
    return Curve(label, [x for x, _ in points], [y for _, y in points], best)


def learning_curve(panels: Mapping[str, Sequence[Curve]], form: Format = "svg") -> bytes:
    """One panel a quantity, side by side: {"Loss": [train, valid], "BLEU": [valid]}.

    Each line carries its name at its end. Raises UsageError when there is no point at all.
    """
    drawn = {title: [c for c in curves if len(c.values)] for title, curves in panels.items()}
    drawn = {title: curves for title, curves in drawn.items() if curves}
    if not drawn:
        raise UsageError("there is no learning curve to draw: no row has one of its values yet.")
    with new_figure(4.4 * len(drawn), 2.9) as figure:
        for axes, (title, curves) in zip(
            figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True
        ):
            _draw_panel(axes, title, curves)
        return picture_bytes(figure, form)


def _draw_panel(axes: "Axes", title: str, curves: Sequence[Curve]) -> None:
    axes.set_title(title, pad=8)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("step")
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    for color, line in zip(_cycle(len(curves)), curves, strict=True):
        few = len(line.values) < 40
        look: dict[str, Any] = {"lw": 1.6, "marker": "o", "ms": 2.6} if few else {"lw": 1.0}
        axes.plot(line.steps, line.values, color=color, zorder=3, **look)
        if line.best is not None:
            _mark_best(axes, line, color)
    axes.margins(x=0.02, y=0.12)
    _name_lines(axes, curves)


def _mark_best(axes: "Axes", line: Curve, color: str) -> None:
    at = _best(line)
    axes.plot(line.steps[at], line.values[at], "o", ms=6.5, mfc="none", mec=color, mew=1.4)


def _name_lines(axes: "Axes", curves: Sequence[Curve]) -> None:
    """Each name, and its best value, at the end of its line, moved apart where they would
    overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.075
    order = sorted(range(len(curves)), key=lambda i: curves[i].values[-1])
    colors = list(_cycle(len(curves)))
    floor = -np.inf
    for i in order:
        y = max(float(curves[i].values[-1]), floor + gap)
        floor = y
        axes.annotate(
            _named(curves[i]),
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=colors[i],
            weight="bold",
            annotation_clip=False,
        )


def _best(line: Curve) -> int:
    pick = np.argmin if line.best == "lowest" else np.argmax
    return int(pick(np.asarray(line.values)))


def _named(line: Curve) -> str:
    return line.label if line.best is None else f"{line.label} {line.values[_best(line)]:.4g}"


def _cycle(n: int) -> Iterator[str]:
    return (SERIES[i % len(SERIES)] for i in range(n))
