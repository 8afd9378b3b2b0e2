"""The three published length penalties of beam search, by name.

A hypothesis of L tokens scores log P / penalty(L). L counts everything after the
start token: a forced prefix, the words, and the end-of-sentence token.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triptych.errors import UsageError

PenaltyName = Literal["gnmt", "length", "none"]
Lengths = NDArray[np.float64]


def gnmt_penalty(length: Lengths, alpha: float) -> Lengths:
    """((5 + L) / 6)^α  — Wu et al. 2016, equation 14. Vaswani et al. 2017 took α = 0.6."""
    return ((5 + length) / 6) ** alpha


def power_penalty(length: Lengths, alpha: float) -> Lengths:
    """L^α; with α = 1 the score is the mean log-probability of a token. Marian, transformers."""
    return length**alpha


def no_penalty(length: Lengths, alpha: float) -> Lengths:
    """1: the score is the log-probability itself, which favours short texts."""
    return np.ones_like(length)


PENALTIES: Mapping[str, Callable[[Lengths, float], Lengths]] = {
    "gnmt": gnmt_penalty,
    "length": power_penalty,
    "none": no_penalty,
}


def length_penalty(name: str, length: ArrayLike, alpha: float) -> Lengths:
    """The penalty called `name` at each length; greater α favours longer texts.

    Raises `UsageError` for an unknown name or a negative α.
    """
    if name not in PENALTIES:
        known = ", ".join(PENALTIES)
        raise UsageError(f"length penalty {name!r} is not known; choose one of {known}")
    if not alpha >= 0:
        raise UsageError(f"the length penalty's alpha is {alpha}; it must be 0 or more")
    return PENALTIES[name](np.asarray(length, dtype=np.float64), alpha)
