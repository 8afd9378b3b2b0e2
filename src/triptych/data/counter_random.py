"""Random numbers that are a pure function of a few integers, for whole arrays at once.

The masks of example 17 in epoch 3 must be the same whichever batch and process it lands in, so no
generator may carry a state from one example to the next. Each number is instead a hash of what it
belongs to: `uniform(seed, epoch, example, position)`. The hash is SplitMix64 (Steele, Lea and Flood
2014), once for each integer; with a single one it gives that generator's sequence from state 0.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = int | npt.NDArray[Any]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def random_bits(*numbers: Integers) -> npt.NDArray[np.uint64]:
    """64 random bits for each tuple of integers, which are broadcast against one another.

    Only the low 64 bits of an integer count.
    """
    state = np.zeros(1, dtype=np.uint64)  # an array, since numpy warns of overflow in scalars
    for number in numbers:
        state = _mix(state + (_unsigned(number) + np.uint64(1)) * _GAMMA)
    return state


def uniform(*numbers: Integers) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), multiples of 2⁻⁵³."""
    return (random_bits(*numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(limit: Integers, *numbers: Integers) -> npt.NDArray[np.int64]:
    """Integers from 0 to `limit` - 1, all as likely to within limit × 2⁻⁵³."""
    return (uniform(*numbers) * limit).astype(np.int64)


def heads(tosses: npt.NDArray[np.int64], *numbers: npt.NDArray[Any] | int) -> npt.NDArray[np.int64]:
    """How many of `tosses` [N] fair coins show heads; arrays among `numbers` have the shape [N]."""
    n_words = -(-tosses // 64)
    owner = np.repeat(np.arange(len(tosses)), n_words)
    word = np.arange(len(owner)) - np.repeat(n_words.cumsum() - n_words, n_words)
    owned = [number if isinstance(number, int) else number[owner] for number in numbers]
    used = np.minimum(tosses[owner] - 64 * word, 64)
    bits = random_bits(*owned, word) >> (64 - used).astype(np.uint64)
    counts = np.bincount(owner, weights=np.bitwise_count(bits), minlength=len(tosses))
    return counts.astype(np.int64)


def _unsigned(number: Integers) -> npt.NDArray[np.uint64]:
    if isinstance(number, int):
        return np.array([number & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)
    return number.astype(np.uint64)


def _mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
