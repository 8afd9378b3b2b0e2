"""Which outputs can be among the k largest of x Wᵀ, and the products of these alone.

Who takes the likeliest of V tokens needs few of their scores, and W [V, E] is a third of what a
step of GPT-2 reads. So bounds of all are computed from a copy in bytes
(`runtime/output_bounds.py`); outputs that lie below k others are left out, and the rest come from
the product that would have computed all: to the bit the same. Nothing that is among the k largest
is ever left out.

Shapes: R rows, E columns in, V outputs; groups of them have bounds, and blocks a product.
"""

import numpy as np
import torch
from numba import carray
from torch import Tensor

from triptych.runtime.few_rows import FewRows
from triptych.runtime.half_rows import HalfRows
from triptych.runtime.int8_loops import exact
from triptych.runtime.output_bounds import GROUP, Bounds, OutputBounds
from triptych.runtime.pieces import untaken
from triptych.runtime.team import (
    Arrays,
    Kernel,
    Scalar,
    address,
    floats,
    scratch_for,
    thread_number,
)

SHARE = 0.25
"""Of all outputs; where more are left, all may as well be computed."""


@exact
def reaches(values: Arrays, kth: Arrays) -> Scalar:
    """Whether any of values [R, N] is at least its row's kth [R]."""
    for row in range(values.shape[0]):
        for i in range(values.shape[1]):
            if values[row, i] >= kth[row]:
                return True
    return False


@Kernel
def list_blocks(data):  # type: ignore[no-untyped-def]
    """Blocks that may hold an output of a row that is at least its `kth`; first, how many."""
    (kth_at, most_at, high_at, found_at, n_rows, n_groups, together, n_out) = carray(data, 8)
    kth, most = floats(kth_at, 0, (n_rows,)), floats(most_at, 0, (n_rows, n_groups))
    found = carray(address(found_at), 1 + (n_out + together - 1) // together, np.int64)
    n_found, n_each = 0, GROUP // together
    for group in range(n_groups if thread_number() == 0 else 0):
        if not reaches(most[:, group : group + 1], kth):
            continue
        for block in range(n_each * group, n_each * (group + 1)):
            start = together * block
            if high_at != 0:
                high = floats(high_at, 0, (n_rows, GROUP * n_groups))
                is_in = start < n_out and reaches(high[:, start : start + together], kth)
            else:
                is_in = True
            if is_in:
                n_found += 1
                found[n_found] = block
    if thread_number() == 0:
        found[0] = n_found


class Shortlist:
    """Of the largest outputs of a product of weight [V, E] without a bias."""

    def __init__(self, weight: Tensor, product: FewRows | HalfRows) -> None:
        self.product, self.n_out = product, len(weight)
        self.most = SHARE * self.n_out / product.together  # blocks
        of_each = product.together < GROUP
        self.bounds = OutputBounds(_as_used(product, weight.detach()), of_each)

    def __call__(self, x: Tensor, k: int) -> Tensor | None:
        """x [R, E] -> scores [R, V], in float32: -inf but for the k largest of each row, and some
        others. None where nothing is gained, or no number is finite."""
        x = x.float().contiguous()
        blocks = self._blocks(self.bounds(_as_used(self.product, x)), k)
        if not self.bounds.is_sound or not 0 < len(blocks) <= self.most:
            return None
        scores = x.new_full((len(x), self.n_out), -torch.inf)
        numbers = self.product.numbers(len(x), (blocks.data_ptr(), len(blocks)))
        given = (x, scores, scratch_for(numbers), untaken())
        self.product.kernel(*(tensor.data_ptr() for tensor in given), *numbers)
        return scores

    def _blocks(self, bounds: Bounds, k: int) -> Tensor:
        """Blocks [N], in their order, that may hold one of the k largest outputs of any row; none
        where there are fewer groups than k."""
        (least, most, high), together = bounds, self.product.together
        if k > least.size(1):
            return torch.empty(0, dtype=torch.int64, device="cpu")
        # As many groups have an output that is no smaller.
        kth = least.amax(1) if k == 1 else least.topk(k, dim=1).values[:, -1].contiguous()
        found = torch.empty(2 + self.n_out // together, dtype=torch.int64, device="cpu")
        at = (kth.data_ptr(), most.data_ptr(), 0 if high is None else high.data_ptr())
        list_blocks(*at, found.data_ptr(), *most.shape, together, self.n_out)
        return found[1 : 1 + int(found[0])]


def _as_used(product: FewRows | HalfRows, x: Tensor) -> Tensor:
    """Rounded as the product does, in float32."""
    is_half = isinstance(product, HalfRows) or product.is_half
    return (x.bfloat16() if is_half else x).float().contiguous()
