"""Whole words, and each word as its characters, as ELMo reads them (Peters et al. 2018, §3.1).

A word's characters are the bytes of its UTF-8, so that every word has some; the words of the
vocabulary are only those that the model may predict.

Shapes: T words with the two marks of a sentence, C characters of a word.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
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
N_CHARACTERS = 262
"""256 bytes, the five marks below, and 0 where there is no word."""
LONGEST_WORD = 50
"""Characters of a word [C] in the published models, two marks included."""

# Each byte and mark is one more than in the published code, where 0 is the first byte.
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
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Words":
        """The commonest words of `texts`, ties in order of their code points; marks are counted.

        Memory grows with the number of distinct words. Raises DataError where the text has fewer
        than two of them, UsageError for a vocabulary that has no room beside the marks.
        """
        if vocab_size <= len(MARKS):
            raise UsageError(
                f"a vocabulary of {vocab_size} has no room for a word beside its {len(MARKS)} "
                "marks; give it more"
            )
        counts = Counter(word for text in texts for word in split_words(text))
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

    def extended(self, texts: Iterable[str]) -> "Words":
        """With every other word of `texts` behind these, as they come.

        Memory grows with the number of distinct words.
        """
        others: dict[str, None] = {}
        for text in texts:
            others.update((w, None) for w in split_words(text) if w not in self._ids)
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
