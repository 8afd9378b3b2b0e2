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
    """The folder to write; for word2vec, word2vec-binary and glove the file."""
    to: Literal["huggingface", "gguf", "vectors", "word2vec", "word2vec-binary", "glove"]
    """huggingface: transformers, CTranslate2 and everything that reads their folders. Of word
    vectors: our folder, word2vec's text or binary format, or GloVe's text without a first line."""


def run(options: Options) -> int:
    """Write the folder and say how it is read."""
    from triptych.recipes.convert import convert_to_huggingface, written_class
    from triptych.recipes.convert_vectors import convert_vectors

    if options.to == "gguf":
        raise UsageError(
            "--to gguf is for decoder-only models, and this version does not write it; "
            "give --to huggingface"
        )
    if options.to != "huggingface":
        vectors = convert_vectors(options.src, options.dst, options.to)
        print(f"{options.dst}: {len(vectors):,} words, {vectors.d_model} wide")
        return 0
    n_parameters = convert_to_huggingface(options.src, options.dst)
    name = written_class(options.dst)
    print(
        f"{options.dst}: {name} with {n_parameters:,} parameters and its tokenizer\n"
        f"  transformers: {name}.from_pretrained({str(options.dst)!r})\n"
        f"  CTranslate2:  ct2-transformers-converter --model {options.dst} --output_dir …"
    )
    return 0
