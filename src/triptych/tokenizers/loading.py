"""The tokenizer of a model folder, of whichever kind its files are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from triptych.errors import ModelFileError
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import TOKENIZER_FILE, JointBpe
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.byte_bpe_files import MERGES_FILE, VOCAB_FILE, is_byte_level
from triptych.tokenizers.characters import Characters
from triptych.tokenizers.sentencepiece import SOURCE_FILE, TARGET_FILE, MarianTokenizer
from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.wordpiece_files import VOCAB_FILE as WORDPIECE_FILE

LIMIT_KEY = "max_input_chars_per_word"
Kind = Literal["marian", "wordpiece", "byte-bpe", "characters", "bpe"]


def load_tokenizer(folder: Path) -> TranslationTokenizer | WordPiece | ByteBpe | Characters:
    """Whichever tokenizer the files in `folder` are. Raises `ModelFileError`."""
    folder = Path(folder)
    kind = _kind(folder)
    if kind == "wordpiece":
        return WordPiece.load(folder)
    if kind in ("byte-bpe", "characters"):
        return load_generator_tokenizer(folder)
    return load_translation_tokenizer(folder)


def load_translation_tokenizer(folder: Path) -> TranslationTokenizer:
    """`MarianTokenizer` where there is a `.spm` file, `JointBpe` where only `tokenizer.json` is.

    Raises `ModelFileError` where there is neither, where the tokenizer is an encoder's or a
    generator's, or where the files are damaged.
    """
    folder = Path(folder)
    kind = _kind(folder)
    if kind == "marian":
        return MarianTokenizer.load(folder)
    if kind == "wordpiece":
        raise ModelFileError(
            f"{folder} holds a WordPiece tokenizer, which is an encoder's: name the folder of a "
            "translation model, or train a tokenizer with `triptych tokenizer train`"
        )
    if kind in ("byte-bpe", "characters"):
        raise ModelFileError(
            f"{folder} holds a tokenizer of bytes or characters, which is a generator's: name the "
            "folder of a translation model, or train a tokenizer with `triptych tokenizer train`"
        )
    if (folder / TOKENIZER_FILE).exists():
        return JointBpe.load(folder)
    raise ModelFileError(
        f"{folder} holds no tokenizer ({TOKENIZER_FILE}, or {SOURCE_FILE} with {TARGET_FILE} and "
        "vocab.json): train one with `triptych tokenizer train` or copy the model's files"
    )


def load_encoder_tokenizer(folder: Path) -> WordPiece:
    """The WordPiece tokenizer of an encoder's folder.

    Raises `ModelFileError` where there is none, where the tokenizer is a translation model's, or
    where the files are damaged.
    """
    folder = Path(folder)
    if _is_marians(folder):
        raise ModelFileError(
            f"{folder} holds {SOURCE_FILE} and {TARGET_FILE}, the tokenizer of a translation "
            "model: name the folder of an encoder, with tokenizer.json or vocab.txt"
        )
    return WordPiece.load(folder)


def load_generator_tokenizer(folder: Path) -> ByteBpe | Characters:
    """The byte-level or character tokenizer of a generator's folder.

    Raises `ModelFileError` where there is none, where the tokenizer is of another family, or where
    the files are damaged.
    """
    folder = Path(folder)
    if _is_marians(folder):
        raise ModelFileError(
            f"{folder} holds {SOURCE_FILE} and {TARGET_FILE}, the tokenizer of a translation "
            f"model: name the folder of a GPT, with tokenizer.json or {VOCAB_FILE}"
        )
    return Characters.load(folder) if _kind(folder) == "characters" else ByteBpe.load(folder)


def _is_marians(folder: Path) -> bool:
    return (folder / SOURCE_FILE).exists() or (folder / TARGET_FILE).exists()


def _kind(folder: Path) -> Kind | None:
    """By the `.spm` files, then by what tokenizer.json holds, then by the other files."""
    if _is_marians(folder):
        return "marian"
    path = folder / TOKENIZER_FILE
    if path.exists():
        try:
            return _kind_of(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None  # damaged: the reader that is tried says how
    if (folder / WORDPIECE_FILE).exists():
        return "wordpiece"
    return "byte-bpe" if (folder / MERGES_FILE).exists() else None


def _kind_of(pipeline: Mapping[str, Any]) -> Kind:
    """By the content of tokenizer.json."""
    model = pipeline["model"]
    # The first files of this kind do not say which they are; the limit is WordPiece's alone.
    if model.get("type", "WordPiece") == "WordPiece" and LIMIT_KEY in model:
        return "wordpiece"
    if is_byte_level(pipeline):
        return "byte-bpe"
    return "bpe" if model["merges"] or pipeline["pre_tokenizer"] else "characters"
