"""Keys and values of what a decoder has seen, whose rows change places without being copied.

A beam search reorders its rows at each step. What a row saw at a position stays where it was
written; a table says for each row and position in which row that is, and only the table is
reordered. Rows that part from one another share all that they have in common.

Shapes: R rows, H heads, T new positions, S all positions seen, D head width, E = H · D.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.runtime.one_query import attend_past
from triptych.runtime.openmp import has_team
from triptych.runtime.parts import attend, merge, split

ROOM = 64


class Places:
    """Where each row's past stands: the table that all blocks of a decoder share."""

    def __init__(self) -> None:
        self.table = torch.zeros(0, 0, dtype=torch.int64, device="cpu")  # [R, S]

    @property
    def length(self) -> int:
        return self.table.size(1)

    def extend(self, n_rows: int, n_new: int) -> None:
        """New positions stand in the row that computes them."""
        past = self.table if self.length else self.table.new_zeros(n_rows, 0)
        new = torch.arange(n_rows, device="cpu")[:, None].expand(-1, n_new)
        self.table = torch.cat([past, new], dim=1)

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows; rows is [R'] int64."""
        self.table = self.table[rows]


class Past:
    """One block's."""

    def __init__(self, n_heads: int) -> None:
        self.n_heads = n_heads
        # k and v are [most R, H, room, D].
        self.k = self.v = torch.empty(0, n_heads, 0, 0, dtype=torch.float32, device="cpu")

    def attend(self, qkv: Tensor, places: Places) -> Tensor:
        """qkv [R, T, 3E], the queries scaled, of positions that `places` has already -> [R, T, E].

        More than one position only at the beginning.
        """
        n_rows, n_new, _ = qkv.shape
        self._make_room(n_rows, places.length, qkv.size(-1) // (3 * self.n_heads))
        if n_new == 1 and has_team():
            return attend_past(qkv, self.k, self.v, places.table)
        q, k, v = split(qkv, 3, self.n_heads)
        new = slice(places.length - n_new, places.length)
        self.k[:n_rows, :, new], self.v[:n_rows, :, new] = k, v
        if n_new > 1:
            return merge(F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0))
        return merge(attend(q, self._seen(self.k, places), self._seen(self.v, places), None))

    def _seen(self, held: Tensor, places: Places) -> Tensor:
        """What each row has seen, copied together: [R, H, S, D]."""
        return held[places.table, :, torch.arange(places.length, device="cpu")].transpose(1, 2)

    def _make_room(self, n_rows: int, length: int, width: int) -> None:
        if n_rows > self.k.size(0) or length > self.k.size(2):
            room = max(ROOM, self.k.size(2) if length <= self.k.size(2) else 2 * length)
            shape = max(n_rows, self.k.size(0)), self.n_heads, room, width
            self.k, self.v = _larger(self.k, shape), _larger(self.v, shape)


def _larger(held: Tensor, shape: tuple[int, ...]) -> Tensor:
    grown = torch.empty(shape, dtype=torch.float32, device="cpu")
    rows, _, room, width = held.shape
    grown[:rows, :, :room, :width] = held
    return grown
