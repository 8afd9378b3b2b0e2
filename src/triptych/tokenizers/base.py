"""What the rest of the house asks of a tokenizer: for translation, for encoders, for generators."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError, UsageError


class Tokenizer(Protocol):
    """What a model folder asks of any tokenizer."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def pad_id(self) -> int: ...

    def save(self, folder: Path) -> None:
        """Write the tokenizer's files into `folder`, which is made if it is not there."""
        ...


class TranslationTokenizer(Tokenizer, Protocol):
    """Text to ids and back, for a source and a target language.

    Ids are read from files, never assumed. `words` number the white-space separated words of the
    normalized text from 0, one number for each token and -1 for special tokens, so that what is
    found for subwords can be told for words.
    """

    @property
    def eos_id(self) -> int: ...
    @property
    def unk_id(self) -> int | None: ...

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; each list ends in `eos_id`, an empty text is `[eos_id]`."""
        ...

    def encode_target(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode_source`, in the target language."""
        ...

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """The text; special tokens are dropped. Raises `DataError` for an id out of range."""
        ...

    def source_tokens(self, token_ids: Sequence[int]) -> list[str]: ...
    def target_tokens(self, token_ids: Sequence[int]) -> list[str]: ...
    def source_words(self, token_ids: Sequence[int]) -> list[int]: ...
    def target_words(self, token_ids: Sequence[int]) -> list[int]: ...


class EncoderTokenizer(Tokenizer, Protocol):
    """Text to the pieces of an encoder's input and back. Ids are read from files, never assumed.

    Texts longer than the model takes are not cut: all pieces are given, the caller decides.
    """

    @property
    def unk_id(self) -> int: ...
    @property
    def cls_id(self) -> int: ...
    @property
    def sep_id(self) -> int: ...
    @property
    def mask_id(self) -> int: ...
    @property
    def special_ids(self) -> frozenset[int]: ...
    @property
    def model_max_length(self) -> int: ...
    @property
    def is_continuation(self) -> npt.NDArray[np.bool_]:
        """For each entry [V] whether it continues a word."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The pieces of each text, without special tokens but for those written out in it."""
        ...

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The pieces, and (start, end) of each in the text as given, in characters."""
        ...

    def encode_words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """The pieces, and the number of the word that each belongs to; each word has one."""
        ...

    def with_specials(
        self, first: Sequence[int], second: Sequence[int] | None = None
    ) -> tuple[list[int], list[int]]:
        """The model's input of one text or two: ids, and the segment of each (0 or 1)."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text; special tokens are dropped. Raises `DataError` for an id out of range."""
        ...

    def tokens(self, token_ids: Sequence[int]) -> list[str]: ...
    def token_id(self, token: str) -> int | None: ...


class GeneratorTokenizer(Tokenizer, Protocol):
    """Text to ids and back without loss. Ids are read from files, never assumed.

    Special tokens written out in a text are text, unless `special_tokens` asks that they be read
    as such; those among the ids are dropped in decoding, unless it asks that they be spelled out.
    """

    @property
    def eos_id(self) -> int:
        """Ends a document, and begins the next one."""
        ...

    @property
    def special_ids(self) -> frozenset[int]: ...
    @property
    def token_bytes(self) -> list[bytes]:
        """The bytes that each entry [V] stands for; of a special token, those of its name."""
        ...

    def encode(self, texts: Sequence[str], *, special_tokens: bool = False) -> list[list[int]]:
        """Token ids of each text; nothing is added, an empty text is an empty list."""
        ...

    def decode_bytes(self, token_ids: Sequence[int], *, special_tokens: bool = False) -> bytes:
        """The very bytes, UTF-8 or not. Raises `DataError` for an id out of range."""
        ...

    def decode(self, token_ids: Sequence[int], *, special_tokens: bool = False) -> str:
        """The text; bytes that are no UTF-8 become U+FFFD."""
        ...

    def tokens(self, token_ids: Sequence[int]) -> list[str]: ...


def check_texts(texts: Sequence[str]) -> Sequence[str]:
    """`texts`; raises `UsageError` for one string, whose characters would be taken for texts."""
    if isinstance(texts, str):
        raise UsageError(f"a list of texts is needed, not one text ({texts[:40]!r}): use [text]")
    return texts


def check_token_ids(token_ids: Sequence[int], vocab_size: int) -> list[int]:
    """The ids as a list of int; raises `DataError` for one that is not in 0 to `vocab_size` - 1."""
    token_ids = [int(token_id) for token_id in token_ids]
    for token_id in token_ids:
        if not 0 <= token_id < vocab_size:
            raise DataError(
                f"token id {token_id} is outside this vocabulary (0 to {vocab_size - 1}): "
                "the ids come from another tokenizer"
            )
    return token_ids
