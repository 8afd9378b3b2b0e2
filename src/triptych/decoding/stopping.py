"""When a text must end: limits by row, forced beginnings, and what happens at the limit."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triptych.decoding.candidates import FREE
from triptych.errors import UsageError

AtLimit = Literal["eos", "unfinished"]
"""The last token a limit allows: `eos` makes it the end-of-sentence token, at the
probability the model gives it; `unfinished` leaves it free and marks the text."""


class Course:
    """What is laid down for each row before the search begins.

    limits: the most tokens of each row, forced ones and end-of-sentence included.
    prefixes: the first tokens of each row, without start or end token; may be empty.
    Raises `UsageError` for a limit under 1 or a prefix that leaves no room for a token.
    """

    def __init__(
        self,
        limits: Sequence[int],
        prefixes: Sequence[Sequence[int]] | None,
        eos_id: int,
        at_limit: str,
    ) -> None:
        if at_limit not in ("eos", "unfinished"):
            raise UsageError(f"at_limit is {at_limit!r}; choose eos or unfinished")
        self.limits = np.asarray(limits, dtype=np.int64)
        self.eos_id = eos_id
        self.must_end = at_limit == "eos"
        prefixes = prefixes if prefixes is not None else [()] * len(limits)
        if len(prefixes) != len(limits):
            raise UsageError(f"{len(prefixes)} prefixes for {len(limits)} texts; give one for each")
        for row, (limit, prefix) in enumerate(zip(limits, prefixes, strict=True)):
            self._check(row, limit, prefix)
        width = max((len(prefix) for prefix in prefixes), default=0)
        self.forced = np.full((len(limits), width), FREE, dtype=np.int64)  # [B, longest prefix]
        for row, prefix in enumerate(prefixes):
            self.forced[row, : len(prefix)] = prefix

    def _check(self, row: int, limit: int, prefix: Sequence[int]) -> None:
        if limit < 1:
            raise UsageError(f"text {row + 1} may have {limit} new tokens; allow at least 1")
        if len(prefix) >= limit:
            raise UsageError(
                f"text {row + 1} has a prefix of {len(prefix)} tokens and a limit of {limit}; "
                "raise the limit or shorten the prefix"
            )
        if self.eos_id in prefix or any(token_id < 0 for token_id in prefix):
            raise UsageError(
                f"text {row + 1} has the prefix {list(prefix)}, which holds the end-of-sentence "
                "token or a negative id; a prefix is the beginning of a text"
            )

    def forced_at(self, step: int, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The only token each of `rows` may take at a step counted from 0, or FREE; [B'].

        None when all are free, which is most of the time.
        """
        forced = np.full(len(rows), FREE, dtype=np.int64)
        if step < self.forced.shape[1]:
            forced = self.forced[rows, step]
        if self.must_end:
            forced = np.where(self.limits[rows] == step + 1, self.eos_id, forced)
        return forced if (forced != FREE).any() else None


def finished_quota(beam_size: int, n_best: int, patience: float) -> float:
    """How many hypotheses a row must finish before it stops: patience · K  — Kasai et al. 2022, §3.

    Never less than n_best, nor 1; patience may be infinite.
    """
    if not patience > 0:
        raise UsageError(f"patience is {patience}; it must be above 0 (1 is the usual rule)")
    return max(math.ceil(patience * beam_size) if math.isfinite(patience) else math.inf, n_best)
