"""WordPiece (Schuster and Nakajima 2012; Devlin et al. 2018, §3): words, cut greedily into the
longest pieces of a vocabulary, run by the `tokenizers` library.

How a text is cut. It is cleaned (control characters dropped, white space made spaces), CJK
characters are set apart, and, for an uncased vocabulary, letters are lowered and lose their
accents. Words are what stands between spaces, each sign of punctuation for itself. From the left,
the longest piece that begins a word is taken, then the longest `##` piece that continues it; a
word that cannot be spelled so is one `[UNK]`.

Ids are read from the files, never assumed. Nothing is cut to a model's length here.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from triptych.tokenizers.base import check_texts, check_token_ids
from triptych.tokenizers.normalization import replace_surrogates
from triptych.tokenizers.wordpiece_files import (
    SpecialTokens,
    read_wordpiece,
    write_wordpiece,
)
from triptych.tokenizers.wordpiece_parts import find_cuts, split_text, split_texts
from triptych.tokenizers.wordpiece_training import train_wordpiece


class WordPiece:
    """An `EncoderTokenizer`. `model_max_length` is what the files say of the model; it is for the
    caller, nothing is cut by it here."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        specials: SpecialTokens | None = None,
        model_max_length: int = 512,
    ) -> None:
        """Wrap a tokenizer made by `train` or read by `load`."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._cuts = find_cuts(tokenizer)
        self.specials = specials or SpecialTokens()
        self.model_max_length = model_max_length
        self.vocab_size: int = tokenizer.get_vocab_size()
        self._tokens = [str(tokenizer.id_to_token(i)) for i in range(self.vocab_size)]
        self.pad_id = self._id_of(self.specials.pad)
        self.unk_id = self._id_of(self.specials.unk)
        self.cls_id = self._id_of(self.specials.cls)
        self.sep_id = self._id_of(self.specials.sep)
        self.mask_id = self._id_of(self.specials.mask)
        self.special_ids = frozenset(
            (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)
        )

    def _id_of(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        assert token_id is not None, token
        return int(token_id)

    @classmethod
    def train(
        cls,
        lines: Iterable[str],
        vocab_size: int,
        *,
        min_frequency: int = 2,
        max_alphabet: int = 1000,
        lowercase: bool = True,
    ) -> "WordPiece":
        """Learn a vocabulary of at most `vocab_size` entries, the five special tokens first.

        The criterion is that of byte-pair encoding, the most frequent pair (what the library has
        under this name), and not the likelihood of Schuster and Nakajima 2012; the cutting is
        WordPiece's. Characters beyond the `max_alphabet` commonest are unknown. The same lines
        give the same file.

        Raises `DataError` where the text is empty, `UsageError` where `vocab_size` has no room for
        the special tokens and the characters.
        """
        return cls(train_wordpiece(lines, vocab_size, min_frequency, max_alphabet, lowercase))

    @classmethod
    def load(cls, folder: Path) -> "WordPiece":
        """Read `tokenizer.json` or `vocab.txt`, with what `tokenizer_config.json` says of it.

        What it says of case, accents and CJK characters holds against tokenizer.json too, as in
        transformers; what it leaves unsaid, tokenizer.json decides, or else uncased BERT's way.
        Raises `ModelFileError`: missing, damaged, of another kind.
        """
        return cls(*read_wordpiece(Path(folder)))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, `vocab.txt` and the two small files that transformers reads."""
        write_wordpiece(Path(folder), self._tokenizer, self.specials, self.model_max_length)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The pieces of each text; a special token written out in it becomes its id."""
        token_ids: list[list[int]] = [[] for _ in check_texts(texts)]
        for group in split_texts(texts, self._cuts):
            encoded = self._tokenizer.encode_batch_fast(
                [replace_surrogates(part) for _, part in group], add_special_tokens=False
            )
            for (number, _), encoding in zip(group, encoded, strict=True):
                token_ids[number] += encoding.ids
        return token_ids

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The pieces of `text`, and where each stands in it (start, end), in characters."""
        token_ids: list[int] = []
        spans: list[tuple[int, int]] = []
        start = 0
        for part in split_text(text, self._cuts):
            encoding = self._tokenizer.encode(replace_surrogates(part), add_special_tokens=False)
            token_ids += encoding.ids
            spans += [(start + first, start + last) for first, last in encoding.offsets]
            start += len(part)
        return token_ids, spans

    def encode_words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """The pieces of words, and the number of the word that each piece belongs to.

        A word of which nothing is left (a lone control character) is `[UNK]`: none disappears.
        """
        token_ids: list[int] = []
        numbers: list[int] = []
        for number, pieces in enumerate(self.encode(words)):
            token_ids += pieces or [self.unk_id]
            numbers += [number] * max(1, len(pieces))
        return token_ids, numbers

    def with_specials(
        self, first: Sequence[int], second: Sequence[int] | None = None
    ) -> tuple[list[int], list[int]]:
        """`[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]`, and the segment of each token (0 or 1)."""
        token_ids = [self.cls_id, *first, self.sep_id]
        segment_ids = [0] * len(token_ids)
        if second is not None:
            token_ids += [*second, self.sep_id]
            segment_ids += [1] * (len(second) + 1)
        return token_ids, segment_ids

    @cached_property
    def is_continuation(self) -> npt.NDArray[np.bool_]:
        """For each entry [V] whether it continues a word (`##…`)."""
        return np.array([token.startswith("##") and len(token) > 2 for token in self._tokens])

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's strings. Raises `DataError` for an id out of range."""
        return [self._tokens[i] for i in check_token_ids(token_ids, self.vocab_size)]

    def token_id(self, token: str) -> int | None:
        """The id of an entry of the vocabulary, or none."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The pieces as text, special tokens dropped; case, accents and spaces may be lost.

        Raises `DataError` for an id out of range.
        """
        token_ids = check_token_ids(token_ids, self.vocab_size)
        kept = [i for i in token_ids if i not in self.special_ids]
        return str(self._tokenizer.decode(kept, skip_special_tokens=False))
