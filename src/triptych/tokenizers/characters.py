"""One token a character, for small models and comparisons with them; no merges, no unknown token.

The vocabulary is the characters of the training text in the order of their code points, and
`<|endoftext|>` last. A character outside it is refused: dropping or replacing it would make a
loss per character mean something else.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.base import check_texts, check_token_ids
from triptych.tokenizers.byte_bpe_files import END_OF_TEXT, LONGEST
from triptych.tokenizers.normalization import replace_surrogates
from triptych.tokenizers.shared_files import (
    CONFIG_FILE,
    MAP_FILE,
    TOKENIZER_FILE,
    read_json,
    read_longest,
    read_pipeline,
    write_text,
)


class Characters:
    """A `GeneratorTokenizer` whose tokens are `alphabet`, and `<|endoftext|>` behind them."""

    def __init__(self, alphabet: Sequence[str], model_max_length: int = LONGEST) -> None:
        self._ids = {character: i for i, character in enumerate(alphabet)}
        self._tokens = [*self._ids, END_OF_TEXT]
        self.model_max_length = model_max_length
        self.vocab_size = len(self._tokens)
        self.eos_id = self.pad_id = len(self._ids)
        self.special_ids = frozenset([self.eos_id])

    @classmethod
    def train(cls, texts: Iterable[str], max_vocab_size: int = 10_000) -> "Characters":
        """The characters of `texts`, which is gone through once.

        Raises `DataError` where the text is empty, `UsageError` where it has more than
        `max_vocab_size` characters, `<|endoftext|>` counted.
        """
        found: set[str] = set()
        for text in texts:
            found.update(replace_surrogates(text))
        if not found:
            raise DataError("there is no text to train a tokenizer on: every text is empty")
        if len(found) >= max_vocab_size:
            raise UsageError(
                f"this text has {len(found)} different characters, and {END_OF_TEXT} makes "
                f"{len(found) + 1}: allow as many entries, or train a byte-bpe"
            )
        return cls(sorted(found))

    @classmethod
    def load(cls, folder: Path) -> "Characters":
        """Read `tokenizer.json`. Raises `ModelFileError`: missing, damaged, of another kind."""
        path = Path(folder) / TOKENIZER_FILE
        pipeline = read_pipeline(path)
        vocab: dict[str, int] = pipeline.get_vocab()
        alphabet = sorted(vocab.keys() - {END_OF_TEXT}, key=vocab.__getitem__)
        tokenizer = cls(alphabet)
        single = pipeline.pre_tokenizer is None and all(len(token) == 1 for token in alphabet)
        if tokenizer._vocab != vocab or not single:
            raise ModelFileError(
                f"{path} is not a vocabulary of characters with {END_OF_TEXT} last: train one "
                "with `triptych tokenizer train --kind characters`"
            )
        config = Path(folder) / CONFIG_FILE
        tokenizer.model_max_length = read_longest(config, read_json(config), LONGEST)
        return tokenizer

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and the two small files that transformers reads beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = Tokenizer(BPE(self._vocab, []))
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens([END_OF_TEXT])
        specials = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **specials,
            "model_max_length": self.model_max_length,
            "clean_up_tokenization_spaces": False,
        }
        write_text(folder / TOKENIZER_FILE, tokenizer.to_str(pretty=True))
        write_text(folder / CONFIG_FILE, json.dumps(config, indent=2))
        write_text(folder / MAP_FILE, json.dumps(specials, indent=2))

    @property
    def _vocab(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self._tokens)}

    def encode(self, texts: Sequence[str], *, special_tokens: bool = False) -> list[list[int]]:
        """As `ByteBpe.encode`. Raises `DataError` for a character outside the vocabulary."""
        try:
            if not special_tokens:
                return [[self._ids[c] for c in replace_surrogates(t)] for t in check_texts(texts)]
            between = [self.encode(text.split(END_OF_TEXT)) for text in check_texts(texts)]
        except KeyError as error:
            character: str = error.args[0]
            raise DataError(
                f"the character {character!r} (U+{ord(character):04X}) is not among the "
                f"{len(self._ids)} of this vocabulary: leave it out, or use a byte-bpe, which "
                "knows every character"
            ) from None
        return [
            [token_id for part in parts for token_id in (self.eos_id, *part)][1:]
            for parts in between
        ]

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes that each entry [V] stands for; of `<|endoftext|>`, those of its name."""
        return [token.encode() for token in self._tokens]

    def decode_bytes(self, token_ids: Sequence[int], *, special_tokens: bool = False) -> bytes:
        """As `decode`, in UTF-8."""
        return self.decode(token_ids, special_tokens=special_tokens).encode()

    def decode(self, token_ids: Sequence[int], *, special_tokens: bool = False) -> str:
        """The text; `<|endoftext|>` is dropped, or spelled out with `special_tokens`.

        Raises `DataError` for an id out of range.
        """
        tokens = self.tokens(token_ids)
        return "".join(t for t in tokens if special_tokens or t != END_OF_TEXT)

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's strings. Raises `DataError` for an id out of range."""
        return [self._tokens[i] for i in check_token_ids(token_ids, self.vocab_size)]
