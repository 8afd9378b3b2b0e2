"""What every picture shares: colors, type, a figure of its own, bytes at the end."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from triptych.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["svg", "png"]

INK = "#1b1b1f"
MUTED = "#6a6a72"
LINE = "#d9d9de"
BLUE = "#0072b2"
ORANGE = "#d55e00"
SERIES = (BLUE, ORANGE, "#009e73", "#cc79a7")

STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "triptych",
    "savefig.dpi": 200,
}


@contextmanager
def new_figure(width: float, height: float) -> "Iterator[Figure]":
    """A figure that belongs to nobody else: no pyplot, no window, no global state left behind."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def picture_bytes(figure: "Figure", form: Format) -> bytes:
    if form not in ("svg", "png"):
        raise UsageError(f"a picture can be 'svg' or 'png', not {form!r}.")
    buffer = io.BytesIO()
    svg = form == "svg"
    metadata = {"Date": None, "Creator": "triptych"} if svg else {"Software": "triptych"}
    figure.savefig(
        buffer,
        format=form,
        metadata=metadata,
        bbox_inches="tight",
        pad_inches=0.06,
        **({"transparent": True} if svg else {"facecolor": "white"}),
    )
    return buffer.getvalue()
