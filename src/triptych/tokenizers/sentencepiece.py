"""OPUS-MT's tokenizer: two SentencePiece models that cut, one vocabulary file that numbers.

`source.spm` cuts the source and `target.spm` the target; a piece's id is read from `vocab.json`
(SentencePiece's own ids are other numbers: its 0 is `<unk>`, often `</s>` in `vocab.json`). A piece
that `vocab.json` does not hold is `<unk>`. `</s>` ends every text. In multilingual models a source
text starts with the target language, `>>deu<< How are you?`: that code is cut off before
SentencePiece and looked up as one entry.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor

from triptych.errors import DataError, ModelFileError
from triptych.tokenizers.base import check_texts, check_token_ids
from triptych.tokenizers.normalization import replace_surrogates

EOS, UNK, PAD = "</s>", "<unk>", "<pad>"
SOURCE_FILE, TARGET_FILE, VOCAB_FILE = "source.spm", "target.spm", "vocab.json"
CONFIG_FILE, SPECIALS_FILE = "tokenizer_config.json", "special_tokens_map.json"
WORD_START = "\u2581"


class MarianTokenizer:
    """A `TranslationTokenizer` on OPUS-MT's files, which it writes back byte for byte.

    `language_codes` are the entries that name a target language (none in a bilingual model);
    `source_lang` and `target_lang` are what `tokenizer_config.json` says, or None.
    """

    def __init__(self, files: dict[str, bytes], folder: Path) -> None:
        """`files` by name, as `load` reads them; `folder` is named in errors."""
        config = _read_json(files.get(CONFIG_FILE, b"{}"), folder / CONFIG_FILE)
        if config.get("separate_vocabs"):
            raise _separate_vocabularies(folder / CONFIG_FILE)
        self._files = files
        self._ids = _read_vocabulary(files[VOCAB_FILE], folder / VOCAB_FILE)
        self._tokens = {token_id: token for token, token_id in self._ids.items()}
        self._source = _read_model(files[SOURCE_FILE], folder / SOURCE_FILE)
        self._target = _read_model(files[TARGET_FILE], folder / TARGET_FILE)
        _check_match(self._ids, [self._source, self._target], folder / VOCAB_FILE)
        self.vocab_size = len(self._ids)
        self.eos_id, self.pad_id = self._ids[EOS], self._ids[PAD]
        self.unk_id: int | None = self._ids[UNK]
        self.language_codes = [t for t in self._ids if t.startswith(">>") and t.endswith("<<")]
        self.source_lang: str | None = config.get("source_lang")
        self.target_lang: str | None = config.get("target_lang")
        self._no_word = {self.eos_id, self.pad_id, *(self._ids[c] for c in self.language_codes)}

    @classmethod
    def load(cls, folder: Path) -> "MarianTokenizer":
        """Read the files. Raises `ModelFileError`: one missing, damaged or not supported."""
        folder = Path(folder)
        if (folder / "target_vocab.json").exists():
            raise _separate_vocabularies(folder / "target_vocab.json")
        files = {}
        for name in (SOURCE_FILE, TARGET_FILE, VOCAB_FILE, CONFIG_FILE, SPECIALS_FILE):
            try:
                files[name] = (folder / name).read_bytes()
            except FileNotFoundError:
                if name in (CONFIG_FILE, SPECIALS_FILE):
                    continue  # the other three say all that is needed
                raise ModelFileError(
                    f"{folder / name} is missing: an OPUS-MT tokenizer is {SOURCE_FILE}, "
                    f"{TARGET_FILE} and {VOCAB_FILE}, copy all three"
                ) from None
        return cls(files, folder)

    def save(self, folder: Path) -> None:
        """Write the files as they were read, and the two small ones where there were none."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        specials = {"eos_token": EOS, "unk_token": UNK, "pad_token": PAD}
        config = {"tokenizer_class": "MarianTokenizer", "separate_vocabs": False, **specials}
        for name, content in {CONFIG_FILE: config, SPECIALS_FILE: specials}.items():
            if name not in self._files:
                (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for name, data in self._files.items():
            (folder / name).write_bytes(data)

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, each list ending in `eos_id`.

        Raises `DataError` where a multilingual model does not know a text's language code.
        """
        codes, rests = [], []
        for text in check_texts(texts):
            code, rest = self._split_language_code(text)
            codes.append(code)
            rests.append(rest)
        encoded = self._encode(self._source, rests)
        return [code + ids for code, ids in zip(codes, encoded, strict=True)]

    def encode_target(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode_source`, by the target model and without language codes."""
        return self._encode(self._target, check_texts(texts))

    def _encode(self, model: SentencePieceProcessor, texts: Sequence[str]) -> list[list[int]]:
        pieces = model.encode([replace_surrogates(text) for text in texts], out_type=str)
        unknown = self._ids[UNK]
        return [[*(self._ids.get(p, unknown) for p in line), self.eos_id] for line in pieces]

    def _split_language_code(self, text: str) -> tuple[list[int], str]:
        """The id of the code in front of `text`, if there is one, and what comes after it."""
        end = text.find("<<")
        if not self.language_codes or not text.startswith(">>") or end < 0:
            return [], text
        code = text[: end + 2]
        if code not in self._ids:
            raise DataError(
                f"this model has no language code {code}: it has {' '.join(self.language_codes)}"
            )
        return [self._ids[code]], text[end + 2 :]

    def decode_target(self, token_ids: Sequence[int]) -> str:
        """The text; `</s>`, `<pad>` and `<unk>` are dropped. `DataError` for an id out of range."""
        dropped = {self.eos_id, self.pad_id, self.unk_id}
        token_ids = check_token_ids(token_ids, self.vocab_size)
        pieces = [self._tokens[i] for i in token_ids if i not in dropped]
        return str(self._target.decode_pieces(pieces)).replace(WORD_START, " ").strip()

    def source_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """The vocabulary's strings; a token that begins a word begins with U+2581."""
        return [self._tokens[i] for i in check_token_ids(token_ids, self.vocab_size)]

    def target_tokens(self, token_ids: Sequence[int]) -> list[str]:
        """As `source_tokens`: the ids are shared."""
        return self.source_tokens(token_ids)

    def source_words(self, token_ids: Sequence[int]) -> list[int]:
        """For each token the number of its white-space separated word, -1 for special tokens.

        An `<unk>` counts to the word before it: its own beginning is lost with its text.
        """
        words, word = [], -1
        for token_id in check_token_ids(token_ids, self.vocab_size):
            if token_id in self._no_word:
                words.append(-1)
                continue
            if self._tokens[token_id].startswith(WORD_START) or word < 0:
                word += 1
            words.append(word)
        return words

    def target_words(self, token_ids: Sequence[int]) -> list[int]:
        """As `source_words`."""
        return self.source_words(token_ids)


def _read_json(data: bytes, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError as error:
        raise ModelFileError(f"{path} is not valid JSON ({error}): copy it again") from None
    if not isinstance(content, dict):
        raise ModelFileError(f"{path} does not hold a JSON object: copy it again")
    return content


def _read_vocabulary(data: bytes, path: Path) -> dict[str, int]:
    """Token -> id; raises `ModelFileError` unless the ids are 0, 1, 2 … and the specials there."""
    ids = _read_json(data, path)
    missing = [token for token in (EOS, UNK, PAD) if token not in ids]
    if missing:
        raise ModelFileError(f"{path} has no entry {missing[0]}: it is not OPUS-MT's vocabulary")
    if not all(type(i) is int for i in ids.values()) or set(ids.values()) != set(range(len(ids))):
        raise ModelFileError(
            f"{path} does not number its {len(ids)} entries from 0 without gaps: copy it again"
        )
    return ids


def _read_model(data: bytes, path: Path) -> SentencePieceProcessor:
    model = SentencePieceProcessor()
    try:
        model.LoadFromSerializedProto(data)
    except (RuntimeError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{path} is not a SentencePiece model ({error}): copy it again"
        ) from None
    return model


def _check_match(ids: dict[str, int], models: list[SentencePieceProcessor], path: Path) -> None:
    """Raise `ModelFileError` where the vocabulary is not made of the models' pieces.

    A model file that is cut short between two pieces loads without complaint: here it is seen. A
    tenth may be foreign: language codes, and characters that were unknown to the models.
    """
    pieces = {m.id_to_piece(i) for m in models for i in range(m.get_piece_size())}
    foreign = sum(token not in pieces for token in ids)
    if foreign > len(ids) // 10 + len((EOS, UNK, PAD)):
        raise ModelFileError(
            f"{path} does not fit {SOURCE_FILE} and {TARGET_FILE}, which lack {foreign} of its "
            f"{len(ids)} entries: copy all three files again, from one model"
        )


def _separate_vocabularies(path: Path) -> ModelFileError:
    return ModelFileError(
        f"{path} says that this model has one vocabulary a language, which is not supported yet: "
        "use a model with a single vocab.json"
    )
