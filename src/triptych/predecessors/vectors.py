"""One vector a word, and what is asked of them: neighbors, and analogies by 3CosAdd."""

import difflib
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError, UsageError

Floats = npt.NDArray[np.float32]

N_SUGGESTIONS = 5
PIECE = 1 << 14


@dataclass(frozen=True)
class Neighbor:
    """A word found, and how near it is."""

    word: str
    cosine: float
    distance: float
    """Euclidean; of neighbors between the vectors as they are, of analogies at length 1."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words, the most frequent first, and their vectors [V, E].

    A word is looked up as it is written; if it is not there, in lower case; and if that is not
    there either, in the composed form and with ' for ’, as the words of our own are spelled.
    """

    words: Sequence[str]
    vectors: Floats
    counts: npt.NDArray[np.int64] | None = None
    """How often each word occurred in the text, [V]; None where the file did not say."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a folder says of how they were made."""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words) or not len(self.words):
            raise DataError(
                f"{len(self.words)} words and vectors of shape {self.vectors.shape}; give one "
                "vector for each of at least one word"
            )

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.find(word) is not None

    @property
    def d_model(self) -> int:
        """The width of a vector."""
        return int(self.vectors.shape[1])

    def find(self, word: str) -> int | None:
        """The row of a word, or None."""
        lower = word.lower()
        spellings = (word, lower, unicodedata.normalize("NFC", lower).replace("’", "'"))
        return next((self._rows[each] for each in spellings if each in self._rows), None)

    def row(self, word: str) -> int:
        """The row of a word. Raises DataError that names near spellings."""
        row = self.find(word)
        if row is None:
            near = self.spellings(word)
            hint = f"; did you mean {', '.join(near)}?" if near else "; try another word"
            raise DataError(f"{word!r} is not among the {len(self):,} words{hint}")
        return row

    def vector(self, word: str) -> Floats:
        """The vector of a word, [E]. Raises DataError that names near spellings."""
        vector: Floats = self.vectors[self.row(word)]
        return vector

    def cosine(self, one: str, other: str) -> float:
        """Of two words. Raises DataError for one that is not there."""
        return float(self.unit[self.row(one)] @ self.unit[self.row(other)])

    def neighbors(
        self, word: str, top_k: int = 10, by: Literal["cosine", "euclidean"] = "cosine"
    ) -> list[Neighbor]:
        """The nearest words, without the word itself; equal ones in the order of the words.

        Raises DataError for a word that is not there.
        """
        row = self.row(word)
        return self._nearest(self.vectors, self.vectors[row], top_k, by, {row})

    def analogy(self, a: str, b: str, c: str, top_k: int = 10) -> list[Neighbor]:
        """`a` is to `b` as `c` is to what: the largest cosine with b − a + c.

        3CosAdd (Mikolov et al. 2013; Levy and Goldberg 2014, equation 3): the three vectors at
        length 1, the three words left out. Raises DataError for a word that is not there.
        """
        rows = [self.row(word) for word in (a, b, c)]
        one, two, three = self.unit[rows]
        return self._nearest(self.unit, two - one + three, top_k, "cosine", set(rows))

    def spellings(self, word: str) -> list[str]:
        """Words written like this one, upper and lower case alike: one edit away, the most frequent
        first, or else alike."""
        rows, lower = self._rows_in_lower_case, word.lower()
        letters = string.ascii_lowercase + "'" + lower
        cuts = [(lower[:i], lower[i:]) for i in range(min(len(lower), 40) + 1)]
        near = {left + right[1:] for left, right in cuts}
        near |= {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
        near |= {left + x + right for left, right in cuts for x in letters}
        near |= {left + x + right[1:] for left, right in cuts if right for x in letters}
        found = sorted(rows[spelling] for spelling in near if spelling in rows)
        if not found:
            lengths = range(len(lower) - 3, len(lower) + 4)
            alike = [w for w in rows if w[:1] == lower[:1] and len(w) in lengths]
            close = difflib.get_close_matches(lower, alike, N_SUGGESTIONS)
            return [self.words[rows[w]] for w in close]
        return [self.words[row] for row in found[:N_SUGGESTIONS]]

    @cached_property
    def unit(self) -> Floats:
        """The vectors at length 1, [V, E]; a vector of zeros stays one."""
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        unit: Floats = self.vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    @cached_property
    def _rows_in_lower_case(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row, word in enumerate(self.words):
            found.setdefault(word.lower(), row)
        return found

    def _nearest(
        self, among: Floats, vector: Floats, top_k: int, by: str, without: set[int]
    ) -> list[Neighbor]:
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}; choose 1 or more")
        if by not in ("cosine", "euclidean"):
            raise UsageError(f"by is {by!r}; choose cosine or euclidean")
        length = max(float(np.linalg.norm(vector)), float(np.finfo(np.float32).tiny))
        cosines = self.unit @ (vector / length)
        pieces = np.array_split(among, 1 + len(among) // PIECE)  # a copy of one piece at a time
        distances = np.concatenate([np.linalg.norm(rows - vector, axis=1) for rows in pieces])
        order = np.argsort(-cosines if by == "cosine" else distances, kind="stable")
        best = [int(row) for row in order[: top_k + len(without)] if int(row) not in without]
        return [
            Neighbor(self.words[row], float(cosines[row]), float(distances[row]))
            for row in best[:top_k]
        ]
