"""Joint byte-pair encoding with a byte fallback (Sennrich et al. 2016, §3.2): one vocabulary for
the source and the target language, trained and run by the `tokenizers` library.

How a text is cut. It is normalized (`normalization.py`) and a space is set in front, so that every
word begins with its space. It is then cut into words and signs: a run of letters, marks and
digits is one piece, any other character is a piece of its own, and a space belongs to what
follows. Inside a piece the merges apply. A character outside the vocabulary becomes its UTF-8
bytes, `<0x00>` to `<0xFF>`. So nothing is unknown, and the tokens joined are the text again:

    decode_target(encode_target(text)) == tokenizer.normalize(text)

A token's string is the very text it stands for, its leading space included (no stand-in such as
U+2581, which a text may contain as well). As a sign is never merged with anything, no merge can
spell a reserved token: `</s>` or `<0x0A>` in a text is that text.

Ids: `</s>` 0, `<unk>` 1 (never produced; other libraries ask for one), the 256 bytes, the
characters, the merges, and `<pad>` last. They are read from the file all the same.
"""

import json
import random
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import BPE

from triptych.errors import ModelFileError, UsageError
from triptych.tokenizers.base import check_texts, check_token_ids
from triptych.tokenizers.bpe_dropout import Merges, merge_with_dropout
from triptych.tokenizers.bpe_training import BYTES, EOS, PAD, RESERVED, UNK, train_bpe
from triptych.tokenizers.normalization import replace_surrogates

TOKENIZER_FILE = "tokenizer.json"


class JointBpe:
    """A `TranslationTokenizer` with one vocabulary for both languages.

    `model_max_length` is only written into `tokenizer_config.json` for other libraries; nothing
    is ever cut here.
    """

    def __init__(self, tokenizer: Tokenizer, model_max_length: int = 512) -> None:
        """Wrap a tokenizer built by `train` or read by `load`."""
        self._tokenizer = tokenizer
        # Without this, "</s>" inside a text would be taken for the special token.
        tokenizer.encode_special_tokens = True
        self.model_max_length = model_max_length
        self.vocab_size: int = tokenizer.get_vocab_size()
        self._tokens = [str(tokenizer.id_to_token(i)) for i in range(self.vocab_size)]
        self.eos_id = self._id_of(EOS)
        self.pad_id = self._id_of(PAD)
        self.unk_id: int | None = self._id_of(UNK)
        self._special_ids = {self.eos_id, self.pad_id, self.unk_id}
        self._byte_ids = [self._id_of(byte) for byte in BYTES]
        self._byte_values = {token_id: value for value, token_id in enumerate(self._byte_ids)}
        self._starts_word = [token.startswith(" ") for token in self._tokens]

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
        lowercase: bool = False,
    ) -> "JointBpe":
        """Learn a vocabulary of exactly `vocab_size` entries, reserved ones included.

        `lines` holds the text of both languages. It is gone through twice (a bare iterator is
        kept in memory for that). Characters that occur at least `min_frequency` times, at most
        `max_alphabet` of them, get an entry; the others are spelled in bytes. Pairs that occur
        fewer than `min_frequency` times are not merged. The same lines give the same file.

        Raises `DataError` where the text is empty or too small for `vocab_size`, `UsageError`
        where `vocab_size` has no room for the reserved entries and the characters.
        """
        return cls(train_bpe(lines, vocab_size, min_frequency, max_alphabet, lowercase))

    @classmethod
    def load(cls, folder: Path) -> "JointBpe":
        """Read `tokenizer.json`. Raises `ModelFileError`: missing, damaged, of another kind."""
        path = Path(folder) / TOKENIZER_FILE
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelFileError(
                f"{path} is missing: train a tokenizer with `triptych tokenizer train`"
            ) from None
        except Exception as error:  # the library raises a bare Exception
            raise ModelFileError(
                f"{path} cannot be read as a tokenizer ({error}): copy it again or train it anew"
            ) from None
        _check_is_joint_bpe(tokenizer, path)
        return cls(tokenizer, _read_max_length(Path(folder)))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and the two small files that transformers reads beside it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        specials = {"eos_token": EOS, "pad_token": PAD, "unk_token": UNK}
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **specials,
            "model_max_length": self.model_max_length,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,
        }
        _write(folder / TOKENIZER_FILE, self._tokenizer.to_str(pretty=True))
        _write(folder / "tokenizer_config.json", json.dumps(config, indent=2))
        _write(folder / "special_tokens_map.json", json.dumps(specials, indent=2))

    def normalize(self, text: str) -> str:
        """What decoding the encoded `text` gives back (see `normalization.py`)."""
        normalizer = self._tokenizer.normalizer
        assert normalizer is not None
        return str(normalizer.normalize_str(replace_surrogates(text))).removeprefix(" ")

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, each list ending in `eos_id`."""
        batch = [replace_surrogates(text) for text in check_texts(texts)]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(batch)]

    def encode_target(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode_source`: the vocabulary is shared."""
        return self.encode_source(texts)

    def sample_encode(self, texts: Sequence[str], dropout: float, seed: int) -> list[list[int]]:
        """BPE-dropout (Provilkov et al. 2020): every possible merge is left out with probability
        `dropout` at each step, so that a text is cut differently for each `seed`.

        The cut depends on the text, `dropout` and `seed` alone, not on the batch. In Python, as
        the library draws from a generator that cannot be seeded; dropout 0 is `encode_source`.
        """
        if not 0 <= dropout <= 1:
            raise UsageError(f"BPE-dropout is a probability: {dropout} is not between 0 and 1")
        if dropout == 0:
            return self.encode_source(texts)
        return [
            self._sample(replace_surrogates(text), dropout, seed) for text in check_texts(texts)
        ]

    def _sample(self, text: str, dropout: float, seed: int) -> list[int]:
        draw = random.Random(f"{seed} {dropout} {text}").random
        normalizer, pre_tokenizer = self._tokenizer.normalizer, self._tokenizer.pre_tokenizer
        assert normalizer is not None
        assert pre_tokenizer is not None
        token_ids: list[int] = []
        for piece, _ in pre_tokenizer.pre_tokenize_str(normalizer.normalize_str(text)):
            letters = [i for char in piece for i in self._spell(char)]
            token_ids += merge_with_dropout(letters, self._merges, dropout, draw)
        return [*token_ids, self.eos_id]

    def _spell(self, char: str) -> list[int]:
        """The id of one character, or those of its bytes."""
        token_id = self._characters.get(char)
        if token_id is not None:
            return [token_id]
        return [self._byte_ids[value] for value in char.encode()]

    @cached_property
    def _characters(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self._tokens) if len(token) == 1}

    @cached_property
    def _merges(self) -> Merges:
        """(left id, right id) -> (rank, id of both together), from the file's list of merges."""
        ids = {token: i for i, token in enumerate(self._tokens)}
        pairs = json.loads(self._tokenizer.to_str())["model"]["merges"]
        return {(ids[a], ids[b]): (rank, ids[a + b]) for rank, (a, b) in enumerate(pairs)}

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """For each token of `encode_source([text])[0]`, where it stands in `normalize(text)`.

        (start, end) in characters, end excluded and the leading space left out; all bytes of one
        character have its span; `</s>` is the empty span at the end.
        """
        spans: list[tuple[int, int]] = []
        position = -1  # of the space that is set in front
        for token_id in self.encode_source([text])[0]:
            token, value = self._tokens[token_id], self._byte_values.get(token_id)
            if token_id == self.eos_id:
                spans.append((max(position, 0), max(position, 0)))
            elif value is None:
                spans.append((position + token.startswith(" "), position + len(token)))
                position += len(token)
            elif 0x80 <= value < 0xC0:  # not the first byte of its character
                spans.append(spans[-1])
            else:
                spans.append((position, position + 1))
                position += 1
        return spans

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """The text; special tokens are dropped, bytes that are no UTF-8 become U+FFFD.

        Raises `DataError` for an id out of range.
        """
        token_ids = check_token_ids(token_ids, self.vocab_size)
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=True))

    def source_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's strings; a token that begins a word begins with a space."""
        return [self._tokens[i] for i in check_token_ids(token_ids, self.vocab_size)]

    def target_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """As `source_tokens`."""
        return self.source_tokens(token_ids)

    def source_words(self, token_ids: Sequence[int]) -> list[int]:
        """For each token the number of its white-space separated word, -1 for special tokens."""
        words, word = [], -1
        for token_id in check_token_ids(token_ids, self.vocab_size):
            if token_id in self._special_ids:
                words.append(-1)
                continue
            if self._starts_word[token_id] or word < 0:
                word += 1
            words.append(word)
        return words

    def target_words(self, token_ids: Sequence[int]) -> list[int]:
        """As `source_words`."""
        return self.source_words(token_ids)


def _check_is_joint_bpe(tokenizer: Tokenizer, path: Path) -> None:
    """Raise `ModelFileError` unless `tokenizer` keeps the promises at the top of this file."""
    vocab: dict[str, int] = tokenizer.get_vocab()
    missing = [token for token in [*RESERVED, PAD] if token not in vocab]
    if missing:
        problem = f"has no token {missing[0]}"
    elif not (isinstance(tokenizer.model, BPE) and tokenizer.model.byte_fallback):
        problem = "is not a byte-pair encoding with byte fallback"
    elif sorted(vocab.values()) != list(range(len(vocab))):
        problem = f"does not number its {len(vocab)} entries from 0 without gaps"
    elif vocab[PAD] != len(vocab) - 1:
        problem = f"has {PAD} at {vocab[PAD]}, not last at {len(vocab) - 1}"
    elif tokenizer.encode("").ids != [vocab[EOS]]:
        problem = f"does not append {EOS}"
    else:
        return
    raise ModelFileError(
        f"{path} {problem}, as a translation tokenizer must: "
        "train one with `triptych tokenizer train`"
    )


def _read_max_length(folder: Path) -> int:
    """`model_max_length` of `tokenizer_config.json`, 512 where nothing is said."""
    path = folder / "tokenizer_config.json"
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return int(config.get("model_max_length", 512))
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelFileError(
            f"{path} is not a JSON object with a number as model_max_length ({error}): "
            "copy it again or remove it"
        ) from None


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
