"""A product's outputs in pieces, of which each thread takes its own first and then others'.

Of threads with a fixed half each, all wait for the slowest: beside one busy program a decoding
step then takes 1.1 to 1.4 times as long, and alone too one of two cores comes to the memory sooner.
Whoever is done takes, from the end of another's part, what that one has not begun.
"""

from typing import Any

import numpy as np
import torch
from numba import carray, types
from numba.core.extending import intrinsic
from torch import Tensor

from triptych.runtime.instructions import LONG
from triptych.runtime.team import address, inner, thread_number, threads

PIECES = 16
"""Of each thread's part."""
NONE_LEFT = -1
Some = tuple[int, int]
"""Where the numbers of some blocks of outputs are, and how many; the address 0 for all blocks."""
ALL = (0, 0)


def untaken(n_products: int = 1) -> Tensor:
    """Who has which piece [N, P], as the kernels of so many products want it: nobody."""
    n_pieces = PIECES * torch.get_num_threads()
    return torch.zeros(n_products, n_pieces, dtype=torch.int64, device="cpu")


def _claim(_typing: Any, _at: Any, _value: Any) -> Any:

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        at = builder.inttoptr(given[0], LONG.as_pointer())
        found = builder.cmpxchg(at, LONG(0), given[1], "monotonic")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64), generate


claim: Any = intrinsic(_claim)
"""Put a number at an address where 0 stands; whether it did, as of several threads one does."""


@inner
def piece_of(number: int, n: int) -> tuple[int, int]:
    """From where to where of n blocks of outputs a piece has; it may have none."""
    n_all = PIECES * threads()
    return number * n // n_all, (number + 1) * n // n_all


@inner
def take(taken_at: int, turn: int, n: int) -> tuple[int, int, int]:
    """The next piece of n blocks for this thread: from where, to where, and the turn after, which
    is `NONE_LEFT` if there was none. The first turn is 0."""
    while turn < PIECES * threads():
        number = (thread_number() + turn // PIECES) % threads() * PIECES
        number += turn if turn < PIECES else PIECES - 1 - turn % PIECES
        turn += 1
        first, last = piece_of(number, n)
        if first < last and claim(taken_at + 8 * number, 1 + thread_number()):
            return first, last, turn
    return 0, 0, NONE_LEFT


@inner
def taken_from(taken_at: int, number: int, n: int) -> tuple[int, int, int]:
    """Of n blocks the next that this thread has taken and that follow one another, from a piece
    on: from where, to where, and the piece after, `NONE_LEFT` if there were none."""
    taken, own = carray(address(taken_at), PIECES * threads(), np.int64), 1 + thread_number()
    while number < len(taken) and taken[number] != own:
        number += 1
    if number == len(taken):
        return 0, 0, NONE_LEFT
    first, last = piece_of(number, n)
    while number < len(taken) and taken[number] == own:
        last = piece_of(number, n)[1]
        number += 1
    return first, last, number


@inner
def number_of_blocks(n_out: int, together: int, some: Some) -> int:
    """Of outputs, so many of which are computed together."""
    return some[1] if some[0] else (n_out + together - 1) // together


@inner
def block_of(n: int, some: Some) -> int:
    """The n-th of them."""
    return carray(address(some[0]), some[1], np.int64)[n] if some[0] else n
