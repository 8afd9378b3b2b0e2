"""Which tokens of a corpus stand in one row of a language model's input; every one once an epoch.

A row is a few ranges of the corpus, of at most `max_seq_len` tokens together. These are the tokens
to predict; the model sees each one's predecessor, and before the first token of a document the end
token of another one, which so begins texts as well as it ends them.

Two ways to fill rows, both functions of the corpus, the rules, the seed and the epoch alone:

- by windows (as GPT-2 was trained): the corpus is cut into full rows wherever that falls, from
  another offset in each epoch; the first and the last row may be short;
- by whole documents: a document stands in one row, in its first position or behind others, as many
  as fit; longer ones are cut into full rows and a rest that is packed like a document.

    N  tokens of the corpus     R  rows of an epoch     P  ranges of all rows, P >= R
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from triptych.errors import ConfigError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PackingRules:
    """What a row is, and what of it a position sees. The defaults are those of GPT-2."""

    max_seq_len: int = 1024
    whole_documents: bool = False
    """Rows hold whole documents (short rows are padded); else windows, cut wherever it falls."""
    attend_across: bool = True
    """Whether a position sees the documents before its own in the row."""
    reset_positions: bool = False
    """Whether positions are counted from the beginning of each document, not of the row."""

    def __post_init__(self) -> None:
        if self.max_seq_len < 1:
            raise ConfigError(f"max_seq_len {self.max_seq_len} must be at least 1")


class Ranges(NamedTuple):
    """The rows of an epoch: row r holds the ranges `row_offsets[r]` to `row_offsets[r + 1]` - 1.

    begins, ends [P]: places in the corpus, end excluded; row_offsets [R + 1].
    """

    begins: Indices
    ends: Indices
    row_offsets: Indices


def pack_windows(n_tokens: int, max_seq_len: int, offset: int) -> Ranges:
    """Full windows, the first of which begins at `offset` < max_seq_len; what is before is one."""
    cuts = np.arange(offset, n_tokens, max_seq_len, dtype=np.int64)
    borders = np.unique(np.concatenate([[0], cuts, [n_tokens]]))
    return Ranges(borders[:-1], borders[1:], np.arange(len(borders), dtype=np.int64))


def pack_documents(document_offsets: Indices, max_seq_len: int, order: Indices) -> Ranges:
    """Whole documents, best fit: the longest first, each where the least room is left over.

    Of equally long ones the earlier in `order` [D] comes first, so that another order brings
    others together.
    """
    begins, ends = _pieces(document_offsets, max_seq_len, order)
    longest_first = np.argsort(begins - ends, kind="stable")
    begins, ends = begins[longest_first], ends[longest_first]
    row = _best_fit((ends - begins).tolist(), max_seq_len)
    by_row = np.argsort(row, kind="stable")
    row_offsets = np.concatenate([[0], np.bincount(row).cumsum()]).astype(np.int64)
    return Ranges(begins[by_row], ends[by_row], row_offsets)


def _pieces(offsets: Indices, max_seq_len: int, order: Indices) -> tuple[Indices, Indices]:
    """Begins and ends of the documents in `order`, long ones in pieces."""
    begins, ends = offsets[:-1][order], offsets[1:][order]
    n_pieces = -(-(ends - begins) // max_seq_len)
    number = np.arange(n_pieces.sum()) - np.repeat(n_pieces.cumsum() - n_pieces, n_pieces)
    piece_begins = np.repeat(begins, n_pieces) + number * max_seq_len
    return piece_begins, np.minimum(piece_begins + max_seq_len, np.repeat(ends, n_pieces))


def _best_fit(lengths: list[int], max_seq_len: int) -> Indices:
    """The row of each piece [P]; rows are numbered as they are opened."""
    rows_with_room: list[list[int]] = [[] for _ in range(max_seq_len + 1)]
    rooms = 0  # bit r is set where a row has room for exactly r more tokens
    row_of_piece = np.empty(len(lengths), dtype=np.int64)
    n_rows = 0
    for piece, length in enumerate(lengths):
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            row = rows_with_room[room].pop()
            if not rows_with_room[room]:
                rooms ^= 1 << room
        else:
            room, row = max_seq_len, n_rows
            n_rows += 1
        row_of_piece[piece] = row
        left = room - length
        if left:
            rows_with_room[left].append(row)
            rooms |= 1 << left
    return row_of_piece
