"""Byte-level byte-pair encoding (Radford et al. 2019, §2.2): any text, and any bytes, without an
unknown token, run by the `tokenizers` library.

How a text is cut. It is taken as it is, with every space and line end. A pattern cuts it into
words with the space before them, numbers, signs and white space; each such piece becomes its UTF-8
bytes, and inside a piece the merges apply, the earliest learned first. So the tokens' bytes joined
are the text's own:

    decode_bytes(encode([text])[0]) == text.encode()

As a token is a run of bytes it need not end where a character does, and a model may produce bytes
that are no UTF-8: `decode_bytes` gives those very bytes, `decode` shows U+FFFD for them.

Special tokens written out in a text are that text, unless it is asked that they be read as such:
what a user types should not end a document. Ids are read from the files, never assumed.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from triptych.tokenizers.base import check_texts, check_token_ids
from triptych.tokenizers.byte_bpe_files import (
    BYTE_OF_LETTER,
    Merge,
    SpecialNames,
    cuts_as_gpt2,
    read_byte_bpe,
    read_merges,
    write_byte_bpe,
)
from triptych.tokenizers.byte_bpe_training import train_byte_bpe
from triptych.tokenizers.normalization import replace_surrogates


class ByteBpe:
    """A `GeneratorTokenizer`. `model_max_length` is only written into `tokenizer_config.json` for
    other libraries; nothing is ever cut here.

    Where the files name no padding token, `pad_id` is `eos_id`, as everywhere with GPT-2.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        names: SpecialNames | None = None,
        model_max_length: int = 1024,
    ) -> None:
        """Wrap a tokenizer made by `train` or read by `load`."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # special tokens in a text are text
        self._tokenizer = tokenizer
        self.names = names or SpecialNames()
        self.model_max_length = model_max_length
        self.vocab_size: int = tokenizer.get_vocab_size()
        self._tokens = [str(tokenizer.id_to_token(i)) for i in range(self.vocab_size)]
        self._known_bytes: dict[int, bytes] = {}
        self.eos_id = self._id_of(self.names.eos)
        self.pad_id = self._id_of(self.names.pad or self.names.eos)
        added = tokenizer.get_added_tokens_decoder()
        self.added_ids = frozenset(added)
        self.special_ids = frozenset(i for i, token in added.items() if token.special)

    def _id_of(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        assert token_id is not None, token
        return int(token_id)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, min_frequency: int = 2) -> "ByteBpe":
        """Learn a vocabulary of exactly `vocab_size` entries: the 256 bytes, the merges, and
        `<|endoftext|>` last, in GPT-2's order.

        `texts` is gone through once, as a stream; give it with its line ends, that they be learned
        too. Pairs that occur fewer than `min_frequency` times are not merged. The same texts give
        the same files, to the byte. A vocabulary of 257 has no merges: its tokens are the bytes.

        Raises `DataError` where the text is empty or too small for `vocab_size`, `UsageError`
        where `vocab_size` has no room for the bytes.
        """
        return cls(train_byte_bpe(texts, vocab_size, min_frequency))

    @classmethod
    def load(cls, folder: Path) -> "ByteBpe":
        """Read `tokenizer.json`, or `vocab.json` with `merges.txt` as GPT-2 was published.

        Raises `ModelFileError`: missing, damaged, of another kind.
        """
        return cls(*read_byte_bpe(Path(folder)))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, `vocab.json`, `merges.txt` and the two small files that
        transformers reads beside them."""
        write_byte_bpe(Path(folder), self._tokenizer, self.names, self.model_max_length)

    def encode(self, texts: Sequence[str], *, special_tokens: bool = False) -> list[list[int]]:
        """Token ids of each text; nothing is added, an empty text is an empty list.

        With `special_tokens`, those written out in a text are read as what they are. A lone
        surrogate, which is no character and has no bytes, is read as U+FFFD.
        """
        batch = [replace_surrogates(text) for text in check_texts(texts)]
        tokenizer = self._reading_specials if special_tokens else self._tokenizer
        return [
            encoding.ids
            for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        ]

    @cached_property
    def _reading_specials(self) -> Tokenizer:
        """A copy, since the choice is a state of the library's object and threads may share it."""
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        return tokenizer

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes that each entry [V] stands for; of an added token, those of its name."""
        return [self._bytes_of(token_id) for token_id in range(len(self._tokens))]

    def _bytes_of(self, token_id: int) -> bytes:
        """Of one, kept: a short text is decoded sooner than all entries are."""
        found = self._known_bytes.get(token_id)
        if found is None:
            token, is_added = self._tokens[token_id], token_id in self.added_ids
            letters = token.encode() if is_added else bytes(BYTE_OF_LETTER[c] for c in token)
            found = self._known_bytes[token_id] = letters
        return found

    def decode_bytes(self, token_ids: Sequence[int], *, special_tokens: bool = False) -> bytes:
        """The very bytes; special tokens are dropped, or spelled out with `special_tokens`.

        Raises `DataError` for an id out of range.
        """
        dropped = frozenset() if special_tokens else self.special_ids
        token_ids = check_token_ids(token_ids, self.vocab_size)
        return b"".join(self._bytes_of(i) for i in token_ids if i not in dropped)

    def decode(self, token_ids: Sequence[int], *, special_tokens: bool = False) -> str:
        """As `decode_bytes`, as text; what is no UTF-8 becomes U+FFFD."""
        return self.decode_bytes(token_ids, special_tokens=special_tokens).decode(errors="replace")

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's strings, with GPT-2's letters for bytes (`Ġ` is the space).

        Raises `DataError` for an id out of range.
        """
        return [self._tokens[i] for i in check_token_ids(token_ids, self.vocab_size)]

    @cached_property
    def merges(self) -> list[Merge]:
        """The pairs that become one token, the earliest learned first."""
        return read_merges(self._tokenizer)

    @property
    def cuts_as_gpt2(self) -> bool:
        """Whether texts are cut by GPT-2's pattern, which other programs know by its name."""
        return cuts_as_gpt2(self._tokenizer)

    def token_id(self, token: str) -> int | None:
        """The id of an entry of the vocabulary, or none."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None else int(found)
