"""Which outputs can be among the k largest of x Wᵀ, and the products of these alone.

Who takes the likeliest of V tokens needs few of their scores, and W [V, E] is a third of what a
step of GPT-2 reads. So bounds of all are computed from a copy in bytes
(`runtime/output_bounds.py`); outputs that lie below k others are left out, and the rest come from
the product that would have computed all: to the bit the same. Nothing that is among the k largest
is ever left out.

Shapes: R rows, E columns in, V outputs; G groups of them have bounds, and blocks a product.
"""

from typing import NamedTuple

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.few_rows import FewRows
from triptych.runtime.half_rows import HalfRows
from triptych.runtime.int8_loops import exact
from triptych.runtime.output_bounds import GROUP, WEIGHTS, InBytes, bound_bytes, split_rows
from triptych.runtime.panel_rows import SUMS, begin_tiles, end_tiles, filled, use_of_tiles
from triptych.runtime.panels import BYTES, LINE
from triptych.runtime.pieces import ALL, PIECES, untaken
from triptych.runtime.step_loop import PER_CALL, PER_PRODUCT, filled_up, multiply
from triptych.runtime.team import (
    Arrays,
    Kernel,
    Scalar,
    address,
    floats,
    scratch_for,
    share,
    thread_number,
    threads,
    wait_for_all,
)

SHARE = 0.25
"""Of all outputs; where more are left, all may as well be computed."""
MOST = 256
"""The largest k."""


@exact
def kth_largest(values: Arrays, k: int, largest: Arrays) -> Scalar:
    """Of values [N ≥ k]; in largest [k] the k largest, falling."""
    largest[:k] = np.float32(-np.inf)
    for i in range(len(values)):
        place = k
        while place > 0 and values[i] > largest[place - 1]:
            place -= 1
        for later in range(k - 1, place, -1):
            largest[later] = largest[later - 1]
        if place < k:
            largest[place] = values[i]
    return largest[k - 1]


@exact
def reaches(values: Arrays, kth: Arrays) -> Scalar:
    """Whether any of values [R, N] is at least its row's kth [R]."""
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            if values[row, i] >= kth[row]:
                return True
    return False


@exact
def list_blocks(bounds: Arrays, kth: Arrays, together: int, n_out: int, found: Arrays) -> None:
    """Into found [1 + N] blocks, in their order, that may hold an output of a row that is at least
    its kth [R]; first, how many. `bounds` are numbered as `WEIGHTS`."""
    n_filled, n_found, n_rows = bounds[8], 0, len(kth)
    most = floats(bounds[13], 0, (n_rows, n_filled // GROUP))
    for group in range(n_filled // GROUP):
        if not reaches(most[:, group : group + 1], kth):
            continue
        for start in range(GROUP * group, GROUP * (group + 1), together):
            is_in = bounds[14] == 0
            if not is_in and start < n_out:
                high = floats(bounds[14], 0, (n_rows, n_filled))
                is_in = reaches(high[:, start : start + together], kth)
            if is_in:
                n_found += 1
                found[n_found] = start // together
    found[0] = n_found


@exact
def fill_share(at: int, n: int) -> None:
    """This thread's share of n floats with minus infinity."""
    values, (first, last) = floats(at, 0, (n,)), share(n)
    values[first:last] = np.float32(-np.inf)


@Kernel
def shorten(data):  # type: ignore[no-untyped-def]
    (x_at, is_half, rows_at, taken_at, own_at, own_size, found_at, scores_at, kth_at, k, together,
     most, n_x, n_out, kernel_at, scratch_at, some_at) = carray(data, 17)  # fmt: skip
    bounds, product = carray(data, 17 + WEIGHTS)[17:], carray(data, 17 + WEIGHTS + PER_PRODUCT)
    tiles_at, factors_at, n_both, n_filled, n_in = (
        bounds[4], bounds[5], bounds[7], bounds[8], bounds[9],
    )  # fmt: skip
    n_rows, n_groups, own_at = n_both // 2, n_filled // GROUP, own_at + thread_number() * own_size
    split_rows(x_at, own_at, rows_at, factors_at, (n_rows, n_x, n_in, is_half, tiles_at != 0))
    fill_share(scores_at, n_rows * n_out)
    wait_for_all()
    begin_tiles(own_at + SUMS, tiles_at)
    sizes = (n_both, n_filled, n_in, use_of_tiles(tiles_at, True))
    bound_bytes(rows_at, factors_at, bounds, 0, own_at, taken_at, sizes, ALL)
    end_tiles(own_at + SUMS, tiles_at)
    wait_for_all()
    found = carray(address(found_at), 2 + n_out // together, np.int64)
    if thread_number() == 0:
        kth, least = floats(kth_at, 0, (n_rows,)), floats(bounds[12], 0, (n_rows, n_groups))
        for row in range(n_rows):
            kth[row] = kth_largest(least[row], k, floats(kth_at, n_rows, (k,)))
        list_blocks(bounds, kth, together, n_out, found)
        if kth.min() == np.float32(-np.inf):  # a row that is not finite
            found[0] = 0
    wait_for_all()
    call = carray(address(own_at), PER_CALL + PER_PRODUCT, np.int64)
    call[0], call[1], own = kernel_at, scratch_at, call[PER_CALL:]
    own[:] = product[17 + WEIGHTS :]
    own[some_at], own[some_at + 1] = found_at + 8, found[0]
    if 0 < found[0] <= most:
        multiply(own, x_at, scores_at, taken_at + 8 * PIECES * threads(), call)


class Looked(NamedTuple):
    """What was seen of some rows; V is filled up to whole groups but for the scores."""

    scores: Tensor
    """Of the outputs that are left [R, V]."""
    n_blocks: int
    """How many blocks these are."""
    least: Tensor
    """What the largest output of each group is at least [R, G], less the mean row's."""
    most: Tensor
    """What it is at most [R, G]."""
    high: Tensor | None
    """What each output is at most [R, V], where a block is less than a group."""


class Shortlist:
    """Of the largest outputs of a product of weight [V, E] without a bias."""

    def __init__(self, weight: Tensor, product: FewRows | HalfRows) -> None:
        self.product, self.n_out = product, len(weight)
        self.is_half = isinstance(product, HalfRows) or bool(product.is_half)
        used = weight.detach().bfloat16() if self.is_half else weight.detach()
        self.in_bytes = InBytes(used.float())
        self.most = int(SHARE * self.n_out / product.together)  # blocks
        self.k_most = min(MOST, len(self.in_bytes.norm) // GROUP)

    def __call__(self, x: Tensor, k: int) -> Tensor | None:
        """x [R, E] -> scores [R, V], in float32: -inf but for the k largest of each row, and some
        others. None where nothing is gained, or no number is finite."""
        if k > self.k_most or not self.in_bytes.is_sound:
            return None
        found = self.look(x, k)
        return found.scores if 0 < found.n_blocks <= self.most else None

    def look(self, x: Tensor, k: int) -> Looked:
        """x [R, E]. Where a row is not finite, no blocks are left."""
        x, product, in_bytes = x.float().contiguous(), self.product, self.in_bytes
        (n_rows, n_x), n_filled = x.shape, len(in_bytes.norm)
        least, most = x.new_empty(2, n_rows, n_filled // GROUP)
        high = None if product.together == GROUP else x.new_empty(n_rows, n_filled)
        factors, kth = x.new_empty(4 * n_rows), x.new_empty(n_rows + k)
        at = least.data_ptr(), most.data_ptr(), 0 if high is None else high.data_ptr()
        bounds = in_bytes.weights(n_rows, factors, at)
        n_in = bounds[9]
        rows = torch.empty(filled(BYTES, 2 * n_rows) * n_in, dtype=torch.uint8, device="cpu")
        found = torch.empty(2 + self.n_out // product.together, dtype=torch.int64, device="cpu")
        scores = x.new_empty(n_rows, self.n_out)
        numbers = product.numbers(n_rows)
        own_size = max(SUMS + LINE, 4 * n_x + n_in, 8 * (PER_CALL + PER_PRODUCT))
        own, scratch, taken = scratch_for((own_size,)), scratch_for(numbers), untaken(2)
        shorten(
            *(x.data_ptr(), self.is_half, rows.data_ptr(), taken.data_ptr(), own.data_ptr()),
            *(own_size, found.data_ptr(), scores.data_ptr(), kth.data_ptr(), k, product.together),
            *(self.most, n_x, self.n_out, product.kernel.at, scratch.data_ptr(), len(numbers) - 2),
            *bounds, *filled_up(numbers),
        )  # fmt: skip
        return Looked(scores, int(found[0]), least, most, high)
