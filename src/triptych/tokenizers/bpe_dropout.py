"""BPE-dropout (Provilkov et al. 2020, §3): the merges of one piece, some of them left out."""

from collections.abc import Callable, Sequence
from itertools import pairwise

MAX_STRETCH = 256

Merges = dict[tuple[int, int], tuple[int, int]]  # (left id, right id) -> (rank, merged id)


def merge_with_dropout(
    token_ids: Sequence[int], merges: Merges, dropout: float, draw: Callable[[], float]
) -> list[int]:
    """Apply to one piece the merge of lowest rank, leftmost first, until none is left to apply.

    At each step every possible merge is left out with probability `dropout`; the piece is done
    when none survives. `draw` gives numbers in [0, 1). With dropout 0 this is plain BPE, but for a
    piece of more than `MAX_STRETCH` ids (no word of any language): it is cut into stretches, since
    the work grows with the square of the length.
    """
    merged: list[int] = []
    for start in range(0, len(token_ids), MAX_STRETCH):
        merged += _merge(list(token_ids[start : start + MAX_STRETCH]), merges, dropout, draw)
    return merged


def _merge(
    token_ids: list[int], merges: Merges, dropout: float, draw: Callable[[], float]
) -> list[int]:
    while True:
        best: tuple[int, int] | None = None
        place = 0
        for i, pair in enumerate(pairwise(token_ids)):
            merge = merges.get(pair)
            # A merge of higher rank than the best so far would lose anyhow: no need to draw.
            if merge and (best is None or merge < best) and draw() >= dropout:
                best, place = merge, i
        if best is None:
            return token_ids
        token_ids[place : place + 2] = [best[1]]
