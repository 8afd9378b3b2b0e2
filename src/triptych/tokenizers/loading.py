"""The tokenizer of a model folder, of whichever kind its files are."""

from pathlib import Path

from triptych.errors import ModelFileError
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import TOKENIZER_FILE, JointBpe
from triptych.tokenizers.sentencepiece import SOURCE_FILE, TARGET_FILE, MarianTokenizer
from triptych.tokenizers.wordpiece import WordPiece


def load_translation_tokenizer(folder: Path) -> TranslationTokenizer:
    """`MarianTokenizer` where there is a `.spm` file, `JointBpe` where only `tokenizer.json` is.

    Raises `ModelFileError` where there is neither, or where the files are damaged.
    """
    folder = Path(folder)
    if (folder / SOURCE_FILE).exists() or (folder / TARGET_FILE).exists():
        return MarianTokenizer.load(folder)
    if (folder / TOKENIZER_FILE).exists():
        return JointBpe.load(folder)
    raise ModelFileError(
        f"{folder} holds no tokenizer ({TOKENIZER_FILE}, or {SOURCE_FILE} with {TARGET_FILE} and "
        "vocab.json): train one with `triptych tokenizer train` or copy the model's files"
    )


def load_encoder_tokenizer(folder: Path) -> WordPiece:
    """The WordPiece tokenizer of an encoder's folder.

    Raises `ModelFileError` where there is none, or where the files are damaged.
    """
    return WordPiece.load(Path(folder))
