"""triptych convert: a model folder as other programs read it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from triptych.cli.options import POSITIONAL
from triptych.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Convert a model."""

    src: Annotated[str, POSITIONAL]
    """A model folder (a checkpoint, or OPUS-MT), or a name on the Hugging Face Hub; a folder or a
    file of word vectors."""
    dst: Annotated[Path, POSITIONAL]
    """The folder to write; for gguf and the formats of word vectors, the file."""
    to: Literal["huggingface", "gguf", "vectors", "word2vec", "word2vec-binary", "glove"]
    """huggingface: transformers, CTranslate2 and everything that reads their folders. gguf:
    llama.cpp, for decoder-only models. Of word vectors: our folder, word2vec's text or binary
    format, or GloVe's text without a first line."""
    type: Literal["f32", "f16", "q8_0"] | None = None
    """For gguf, how matrices are stored: f32 whole, f16 in half the size, q8_0 in about a quarter
    (default: f16)."""


def run(options: Options) -> int:
    """Write what is asked for and say how it is read."""
    if options.to != "gguf" and options.type is not None:
        raise UsageError(f"--type {options.type} is for --to gguf; leave it out")
    match options.to:
        case "huggingface":
            print(_to_huggingface(options))
        case "gguf":
            print(_to_gguf(options))
        case _:
            from triptych.recipes.convert_vectors import convert_vectors

            vectors = convert_vectors(options.src, options.dst, options.to)
            print(f"{options.dst}: {len(vectors):,} words, {vectors.d_model} wide")
    return 0


def _to_huggingface(options: Options) -> str:
    from triptych.recipes.convert import convert_to_huggingface, written_class

    n_parameters = convert_to_huggingface(options.src, options.dst)
    name = written_class(options.dst)
    return (
        f"{options.dst}: {name} with {n_parameters:,} parameters and its tokenizer\n"
        f"  transformers: {name}.from_pretrained({str(options.dst)!r})\n"
        f"  CTranslate2:  ct2-transformers-converter --model {options.dst} --output_dir …"
    )


def _to_gguf(options: Options) -> str:
    from triptych.recipes.convert import convert_to_gguf

    kind = options.type or "f16"
    n_parameters, size = convert_to_gguf(options.src, options.dst, kind)
    return (
        f"{options.dst}: {kind} GGUF with {n_parameters:,} parameters and its tokenizer, {size}\n"
        f"  llama.cpp: llama-server -m {options.dst}"
    )
