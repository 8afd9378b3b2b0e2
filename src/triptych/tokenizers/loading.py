"""The tokenizer of a model folder, of whichever kind its files are."""

import json
from pathlib import Path

from triptych.errors import ModelFileError
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import TOKENIZER_FILE, JointBpe
from triptych.tokenizers.sentencepiece import SOURCE_FILE, TARGET_FILE, MarianTokenizer
from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.wordpiece_files import VOCAB_FILE

LIMIT_KEY = "max_input_chars_per_word"


def load_tokenizer(folder: Path) -> TranslationTokenizer | WordPiece:
    """Whichever tokenizer the files in `folder` are. Raises `ModelFileError`."""
    folder = Path(folder)
    return WordPiece.load(folder) if _is_wordpiece(folder) else load_translation_tokenizer(folder)


def load_translation_tokenizer(folder: Path) -> TranslationTokenizer:
    """`MarianTokenizer` where there is a `.spm` file, `JointBpe` where only `tokenizer.json` is.

    Raises `ModelFileError` where there is neither, where the tokenizer is an encoder's, or where
    the files are damaged.
    """
    folder = Path(folder)
    if _is_marians(folder):
        return MarianTokenizer.load(folder)
    if _is_wordpiece(folder):
        raise ModelFileError(
            f"{folder} holds a WordPiece tokenizer, which is an encoder's: name the folder of a "
            "translation model, or train a tokenizer with `triptych tokenizer train`"
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


def _is_marians(folder: Path) -> bool:
    return (folder / SOURCE_FILE).exists() or (folder / TARGET_FILE).exists()


def _is_wordpiece(folder: Path) -> bool:
    """By the model that tokenizer.json names; by vocab.txt where there is no such file."""
    path = folder / TOKENIZER_FILE
    if not path.exists():
        return (folder / VOCAB_FILE).exists()
    try:
        model = json.loads(path.read_bytes())["model"]
        # The first files of this kind do not say which they are; the limit is WordPiece's alone.
        return bool(model.get("type", "WordPiece") == "WordPiece" and LIMIT_KEY in model)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False  # damaged: the reader of the other kind says how
