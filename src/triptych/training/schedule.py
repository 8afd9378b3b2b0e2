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


def warmup_stable_decay(peak: float, warmup: int, last: int, decay_share: float) -> Schedule:
    """peak · min(u / warmup, 1 − √max(0, (u − b) / (T + 1 − b)))  — Hu et al. 2024, §4.

    T is the last update and b = max(warmup, T − decay_share · T) the one after which the rate
    falls, to zero just after T. The root is the form that Hägele et al. 2024, §3, found best.
    """
    begin = max(warmup, last - round(decay_share * last))

    def rate(update: int) -> float:
        decayed = 1 - min(1.0, _left(update, begin, last))
        return peak * min(update / warmup, 1 - math.sqrt(decayed))

    return rate


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
        case "wsd":
            return warmup_stable_decay(peak, settings.warmup, last, settings.decay_share)


def _left(update: int, warmup: int, last: int) -> float:
    """Share of the decay that is still ahead."""
    return max(0.0, (last + 1 - update) / max(1, last + 1 - warmup))
