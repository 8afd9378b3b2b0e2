"""triptych: the Transformer in its three classical forms, from one small core.

    model = triptych.load("runs/multi30k/best")
    model.translate(["A man sleeps in a green room."])[0].text

Everything below is imported when it is first used: `import triptych` loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.data.occurrences import Occurrence, read_occurrences
    from triptych.errors import (
        ConfigError,
        DataError,
        DiskFullError,
        DivergedError,
        LockedError,
        MachineError,
        ModelFileError,
        TriptychError,
        UsageError,
    )
    from triptych.models.bert import Bert, BertConfig
    from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
    from triptych.models.gpt import Gpt, GptConfig
    from triptych.predecessors.elmo import Elmo, ElmoConfig, LayerMix
    from triptych.predecessors.vectors import Neighbor, WordVectors
    from triptych.recipes.completion import Completion
    from triptych.recipes.encoder import Encoder
    from triptych.recipes.fill import Filling
    from triptych.recipes.generate_options import GenerateOptions
    from triptych.recipes.generator import Generator
    from triptych.recipes.load import load
    from triptych.recipes.search import Hit, nearest
    from triptych.recipes.translate_options import TranslateOptions
    from triptych.recipes.translation import Translation
    from triptych.recipes.translator import Translator
    from triptych.recipes.word_encoder import WordEncoder
    from triptych.recipes.words_in_context import word_model

__version__ = "0.1.0"

__all__ = [
    "Bert",
    "BertConfig",
    "Completion",
    "ConfigError",
    "DataError",
    "DiskFullError",
    "DivergedError",
    "Elmo",
    "ElmoConfig",
    "Encoder",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "Filling",
    "GenerateOptions",
    "Generator",
    "Gpt",
    "GptConfig",
    "Hit",
    "LayerMix",
    "LockedError",
    "MachineError",
    "ModelFileError",
    "Neighbor",
    "Occurrence",
    "TranslateOptions",
    "Translation",
    "Translator",
    "TriptychError",
    "UsageError",
    "WordEncoder",
    "WordVectors",
    "__version__",
    "load",
    "nearest",
    "read_occurrences",
    "word_model",
]

_HOMES = {
    "Bert": "models.bert",
    "BertConfig": "models.bert",
    "Completion": "recipes.completion",
    "Elmo": "predecessors.elmo",
    "ElmoConfig": "predecessors.elmo",
    "Encoder": "recipes.encoder",
    "EncoderDecoder": "models.encoder_decoder",
    "EncoderDecoderConfig": "models.encoder_decoder",
    "Filling": "recipes.fill",
    "GenerateOptions": "recipes.generate_options",
    "Generator": "recipes.generator",
    "Gpt": "models.gpt",
    "GptConfig": "models.gpt",
    "Hit": "recipes.search",
    "LayerMix": "predecessors.elmo",
    "Neighbor": "predecessors.vectors",
    "Occurrence": "data.occurrences",
    "TranslateOptions": "recipes.translate_options",
    "Translation": "recipes.translation",
    "Translator": "recipes.translator",
    "WordEncoder": "recipes.word_encoder",
    "WordVectors": "predecessors.vectors",
    "load": "recipes.load",
    "nearest": "recipes.search",
    "read_occurrences": "data.occurrences",
    "word_model": "recipes.words_in_context",
}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module — PEP 562."""
    if name not in __all__:
        raise AttributeError(f"module 'triptych' has no attribute {name!r}")
    module = importlib.import_module(f"triptych.{_HOMES.get(name, 'errors')}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
