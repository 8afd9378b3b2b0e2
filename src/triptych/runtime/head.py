"""The last product of a decoder, over its vocabulary: of all of it, or of the likeliest alone.

Shapes: R rows, E model width, V vocabulary.
"""

from torch import Tensor

from triptych.runtime.few_rows import FewRows
from triptych.runtime.half_rows import HalfRows
from triptych.runtime.int8_rows import has_bytes
from triptych.runtime.packed import Precision, Product, version_of
from triptych.runtime.shortlist import MOST, Shortlist
from triptych.runtime.steps import for_steps, most_rows, rows_of

MANY = 2**22
"""Weights from which looking for the likeliest first is worth its steps."""
HALF_ROWS = 8
"""Rows of a step in bfloat16 up to which it is: more of them hide what reading takes."""
PATIENCE = 32
"""Steps that cost about as much as making the shortlist does; so many go without it first, and
after one that it did not help."""


class Head:
    """hidden [..., E] -> logits [..., V], in float32: weight [V, E]."""

    def __init__(self, weight: Tensor, precision: Precision) -> None:
        self.weight, self.product = weight, for_steps(weight, None, precision)
        self.rows = _for_shortlists(self.product, weight)
        self.most = HALF_ROWS
        if isinstance(self.rows, FewRows):  # for more rows the product may be another
            self.most = most_rows("bf16" if self.rows.is_half else "fp32")
        self.shortlist: Shortlist | None = None
        self.version, self.wait = version_of(weight), PATIENCE

    def __call__(self, hidden: Tensor) -> Tensor:
        return self.product(hidden).float()

    def looks_first(self, n_rows: int, k: int) -> bool:
        """Whether, in a step of so many rows, to look for the k likeliest before all are computed:
        not where they are many, nor where the weights are no longer those that were packed."""
        if self.rows is None or n_rows > self.most or k > MOST:
            return False
        if version_of(self.weight) != self.version:
            return False
        self.wait = max(0, self.wait - 1)
        return self.wait == 0

    def likeliest(self, hidden: Tensor, k: int) -> Tensor:
        """hidden [R, E] -> logits [R, V]: the k highest of each row as in all of them, to the bit,
        and the others as there or -inf. For steps that `looks_first` is true of."""
        assert self.rows is not None
        self.shortlist = self.shortlist or Shortlist(self.weight, self.rows)
        found = self.shortlist(hidden, k)
        if found is None:
            self.wait = PATIENCE
        return self(hidden) if found is None else found


def _for_shortlists(product: Product, weight: Tensor) -> FewRows | HalfRows | None:
    """The loop of a head's rows, where leaving some of its outputs out can be worth it."""
    rows = rows_of(product)
    if not isinstance(rows, FewRows | HalfRows) or rows.missing:
        return None
    return rows if weight.numel() >= MANY and has_bytes() else None
