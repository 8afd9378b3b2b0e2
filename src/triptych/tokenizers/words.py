"""Whole words, and each word as its characters, as ELMo reads them (Peters et al. 2018, §3.1).

A word's characters are the bytes of its UTF-8, so that every word has some; the words of the
vocabulary are only those that the model may predict.

Shapes: T words with the two marks of a sentence, C characters of a word.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.base import check_texts, check_token_ids
from triptych.tokenizers.normalization import replace_surrogates
from triptych.tokenizers.shared_files import write_text

WORDS_FILE = "words.txt"
MARKS = ("<S>", "</S>", "<UNK>")
"""The beginning and the end of a sentence, and every word outside the vocabulary: ids 0, 1, 2."""
LONGEST_WORD = 50
"""Characters of a word [C] in the published models, two marks included."""

# Each byte and mark is one more than in the published code, where 0 is the first byte; here 0 is
# where there is no word.
SENTENCE_BEGIN, SENTENCE_END, WORD_BEGIN, WORD_END, WORD_PADDING = range(257, 262)
WORD = re.compile(r"(?<=\w)['’]\w+|\w+|[^\w\s]")
"""Runs of letters and digits; what follows an apostrophe within a word; every other sign alone."""


def split_words(text: str) -> list[str]:
    """The words of a text."""
    return WORD.findall(replace_surrogates(text))


def split_with_spans(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The words of a text, and (start, end) of each in characters."""
    found = list(WORD.finditer(replace_surrogates(text)))
    return [match.group() for match in found], [match.span() for match in found]


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, as they come; memory grows with the number of distinct ones."""
    return Counter(word for text in texts for word in split_words(text))


def sentence_characters(words: Sequence[str], longest: int = LONGEST_WORD) -> npt.NDArray[np.int64]:
    """[T, C]: the characters of `<S>`, of each word and of `</S>`; a word's end may be cut."""
    rows = np.full((len(words) + 2, longest), WORD_PADDING, dtype=np.int64)
    rows[0, :3] = WORD_BEGIN, SENTENCE_BEGIN, WORD_END
    rows[-1, :3] = WORD_BEGIN, SENTENCE_END, WORD_END
    for row, word in zip(rows[1:], words, strict=False):
        written = np.frombuffer(word.encode()[: longest - 2], dtype=np.uint8)
        row[0], row[len(written) + 1] = WORD_BEGIN, WORD_END
        row[1 : len(written) + 1] = written
        row[1 : len(written) + 1] += 1
    return rows


class Words:
    """`MARKS`, then words; the commonest first where they were counted in a text."""

    def __init__(self, words: Sequence[str]) -> None:
        self._tokens = [*MARKS, *words]
        self._ids = {word: number for number, word in enumerate(self._tokens)}
        self.vocab_size = len(self._tokens)
        self.bos_id, self.eos_id, self.unk_id = range(len(MARKS))
        self.pad_id = self.eos_id

    @classmethod
    def commonest(cls, counts: Mapping[str, int], vocab_size: int) -> "Words":
        """Those of most occurrences, ties in order of their code points; marks are counted.

        Raises DataError for fewer than two distinct words, UsageError for a vocabulary that has no
        room beside the marks.
        """
        if vocab_size <= len(MARKS):
            raise UsageError(
                f"a vocabulary of {vocab_size} has no room for a word beside its {len(MARKS)} "
                "marks; give it more"
            )
        if len(counts) < 2:
            raise DataError(
                f"the text has {len(counts)} distinct words; a language model needs at least 2"
            )
        words = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(words[: vocab_size - len(MARKS)])

    @classmethod
    def load(cls, folder: Path) -> "Words":
        """Read `words.txt`. Raises ModelFileError where it is missing or damaged."""
        path = Path(folder) / WORDS_FILE
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise ModelFileError(
                f"{folder} has no {WORDS_FILE}, the list of words that a model predicts; "
                "restore it from a copy"
            ) from None
        except UnicodeDecodeError as error:
            raise ModelFileError(f"{path} is not UTF-8 ({error}); restore it") from error
        if tuple(lines[: len(MARKS)]) != MARKS or len(set(lines)) < len(lines):
            raise ModelFileError(
                f"{path} should hold {', '.join(MARKS)} and then each word once, one a line; "
                "restore it from a copy"
            )
        return cls(lines[len(MARKS) :])

    def save(self, folder: Path) -> None:
        """Write `words.txt`, one word a line, the marks first."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / WORDS_FILE, "\n".join(self._tokens))

    def extended(self, words: Iterable[str]) -> "Words":
        """With every other one of `words` behind these, as they come."""
        others = dict.fromkeys(word for word in words if word not in self._ids)
        return Words([*self._tokens[len(MARKS) :], *others])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's words, without the marks of a sentence."""
        return [self.encode_words(split_words(text)) for text in check_texts(texts)]

    def encode_words(self, words: Sequence[str]) -> list[int]:
        """The ids of words; `<UNK>` for those outside the vocabulary."""
        return [self._ids.get(word, self.unk_id) for word in words]

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The words of some ids. Raises DataError for an id out of range."""
        return [self._tokens[i] for i in check_token_ids(token_ids, self.vocab_size)]
