"""A model folder as the kind of model that a task needs."""

from typing import cast

from triptych.checkpoint import ModelFolder
from triptych.errors import ModelFileError
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads
from triptych.predecessors.elmo import Elmo
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters
from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.words import Words


def translation_parts(folder: ModelFolder) -> tuple[EncoderDecoder, TranslationTokenizer]:
    """Raises ModelFileError where the folder holds a model of another family."""
    if not isinstance(folder.model, EncoderDecoder):
        raise _other_kind(folder, "a translation model (model_type 'marian')")
    return folder.model, cast(TranslationTokenizer, folder.tokenizer)


def encoder_parts(folder: ModelFolder) -> tuple[BertWithHeads, WordPiece]:
    """Raises ModelFileError where the folder holds a model of another family."""
    if not isinstance(folder.model, BertWithHeads):
        raise _other_kind(folder, "an encoder (model_type 'bert')")
    return folder.model, cast(WordPiece, folder.tokenizer)


def generator_parts(folder: ModelFolder) -> tuple[Gpt, ByteBpe | Characters]:
    """Raises ModelFileError where the folder holds a model of another family."""
    if not isinstance(folder.model, Gpt):
        raise _other_kind(folder, "a generator (model_type 'gpt2')")
    return folder.model, cast(ByteBpe | Characters, folder.tokenizer)


def elmo_parts(folder: ModelFolder) -> tuple[Elmo, Words]:
    """Raises ModelFileError where the folder holds a model of another family."""
    if not isinstance(folder.model, Elmo):
        raise _other_kind(folder, "an ELMo (model_type 'triptych-elmo')")
    return folder.model, cast(Words, folder.tokenizer)


def _other_kind(folder: ModelFolder, needed: str) -> ModelFileError:
    kind = folder.config.get("model_type")
    return ModelFileError(f"this needs {needed}, and the model given is {kind!r}; name another")
