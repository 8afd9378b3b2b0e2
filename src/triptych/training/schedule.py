"""Learning rates as functions of the update, counted from 1."""

import math
from collections.abc import Callable

from triptych.training.settings import OptimizerSettings

Schedule = Callable[[int], float]


def inverse_sqrt(peak: float, warmup: int) -> Schedule:
    """peak · min(u / warmup, √(warmup / u))  — Vaswani et al. 2017, equation 3.

    With peak = d_model^−½ · warmup^−½ it is the paper's rate to the letter.
    """
    return lambda update: peak * min(update / warmup, math.sqrt(warmup / update))


def linear(peak: float, warmup: int, last: int) -> Schedule:
    """Linear growth, then a straight line to zero just after the last update."""

    def rate(update: int) -> float:
        return peak * min(update / warmup, _left(update, warmup, last))

    return rate


def cosine(peak: float, warmup: int, last: int) -> Schedule:
    """Linear growth, then half a cosine to zero just after the last update."""

    def rate(update: int) -> float:
        if update < warmup:
            return peak * update / warmup
        return peak * (1 - math.cos(math.pi * _left(update, warmup, last))) / 2

    return rate


def constant(peak: float, warmup: int) -> Schedule:
    """Linear growth, then the peak for ever."""
    return lambda update: peak * min(update / warmup, 1.0)


def paper_peak(d_model: int, warmup: int) -> float:
    """d_model^−½ · warmup^−½: the largest rate of Vaswani et al. 2017, equation 3."""
    return 1 / math.sqrt(d_model * warmup)


def make_schedule(settings: OptimizerSettings, peak: float, last: int) -> Schedule:
    """The schedule that the settings name, for a run of `last` updates."""
    match settings.schedule:
        case "inverse_sqrt":
            return inverse_sqrt(peak, settings.warmup)
        case "linear":
            return linear(peak, settings.warmup, last)
        case "cosine":
            return cosine(peak, settings.warmup, last)
        case "constant":
            return constant(peak, settings.warmup)


def _left(update: int, warmup: int, last: int) -> float:
    """Share of the decay that is still ahead."""
    return max(0.0, (last + 1 - update) / max(1, last + 1 - warmup))
