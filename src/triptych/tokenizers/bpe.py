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
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.normalization import build_normalizer, replace_surrogates

EOS, UNK, PAD = "</s>", "<unk>", "<pad>"
BYTES = [f"<0x{value:02X}>" for value in range(256)]
RESERVED = [EOS, UNK, *BYTES]
PIECES = r" ?[\p{L}\p{M}\p{N}]+| ?[^\s\p{L}\p{M}\p{N}]"
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
        lines = list(lines) if isinstance(lines, Iterator) else lines
        alphabet = _choose_alphabet(lines, min_frequency, max_alphabet, lowercase)
        smallest = len(RESERVED) + len(alphabet) + 1
        if vocab_size < smallest:
            raise UsageError(
                f"a vocabulary of {vocab_size} entries has no room for the {len(RESERVED) + 1} "
                f"reserved ones and the {len(alphabet)} characters of this text: "
                f"ask for {smallest} or more"
            )
        trained = _pipeline(BPE(), lowercase)
        trainer = BpeTrainer(
            vocab_size=vocab_size - 1,
            min_frequency=min_frequency,
            special_tokens=RESERVED,
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        trained.train_from_iterator(map(replace_surrogates, lines), trainer=trainer)
        if trained.get_vocab_size() < vocab_size - 1:
            raise DataError(
                f"this text gives at most {trained.get_vocab_size() + 1} vocabulary entries, not "
                f"{vocab_size} (pairs seen {min_frequency} times or more): ask for fewer, or give "
                "more text"
            )
        return cls(_with_specials(trained, lowercase))

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
        batch = [replace_surrogates(text) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(batch)]

    def encode_target(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode_source`: the vocabulary is shared."""
        return self.encode_source(texts)

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """The text; special tokens are dropped, bytes that are no UTF-8 become U+FFFD.

        Raises `DataError` for an id out of range.
        """
        token_ids = self._checked(token_ids)
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=True))

    def source_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's strings; a token that begins a word begins with a space."""
        return [self._tokens[i] for i in self._checked(token_ids)]

    def target_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """As `source_tokens`."""
        return self.source_tokens(token_ids)

    def source_words(self, token_ids: Sequence[int]) -> list[int]:
        """For each token the number of its white-space separated word, -1 for special tokens."""
        words, word = [], -1
        for token_id in self._checked(token_ids):
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

    def _checked(self, token_ids: Sequence[int]) -> list[int]:
        token_ids = [int(token_id) for token_id in token_ids]
        for token_id in token_ids:
            if not 0 <= token_id < self.vocab_size:
                raise DataError(
                    f"token id {token_id} is outside this vocabulary (0 to {self.vocab_size - 1}):"
                    " the ids come from another tokenizer"
                )
        return token_ids


def _choose_alphabet(
    lines: Iterable[str], min_frequency: int, max_alphabet: int, lowercase: bool
) -> list[str]:
    """The characters that get an entry: the commonest; of equally common ones the lower."""
    normalizer = build_normalizer(lowercase)
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(normalizer.normalize_str(replace_surrogates(line)))
    if not counts:
        raise DataError("there is no text to train a tokenizer on: every line is empty")
    counts[" "] += 1 + max(counts.values())  # the space begins every word: it is always in
    often = [char for char, count in counts.items() if count >= min_frequency]
    return sorted(sorted(often, key=lambda char: (-counts[char], char))[:max_alphabet])


def _pipeline(model: BPE, lowercase: bool) -> Tokenizer:
    """The library's tokenizer with everything around `model` in place."""
    tokenizer = Tokenizer(model)
    steps = [build_normalizer(lowercase), normalizers.Prepend(" ")]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _with_specials(trained: Tokenizer, lowercase: bool) -> Tokenizer:
    """The trained model with the byte fallback on, `<pad>` behind it and `</s>` appended to texts.

    Built anew because training made the byte tokens special, which decoding would drop.
    """
    model = json.loads(trained.to_str())["model"]
    vocab: dict[str, int] = {**model["vocab"], PAD: len(model["vocab"])}
    merges = [(left, right) for left, right in model["merges"]]
    tokenizer = _pipeline(BPE(vocab, merges, byte_fallback=True, unk_token=UNK), lowercase)
    tokenizer.add_special_tokens([EOS, UNK, PAD])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", pair=f"$A $B {EOS}", special_tokens=[(EOS, vocab[EOS])]
    )
    return tokenizer


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
