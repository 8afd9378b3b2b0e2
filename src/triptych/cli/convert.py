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
    """A model folder (a checkpoint, or OPUS-MT), or a name on the Hugging Face Hub."""
    dst: Annotated[Path, POSITIONAL]
    """The folder to write."""
    to: Literal["huggingface", "gguf"]
    """huggingface: transformers, CTranslate2 and everything that reads their folders."""


def run(options: Options) -> int:
    """Write the folder and say how it is read."""
    from triptych.recipes.convert import convert_to_huggingface, written_class

    if options.to == "gguf":
        raise UsageError(
            "--to gguf is for decoder-only models, and this version does not write it; "
            "give --to huggingface"
        )
    n_parameters = convert_to_huggingface(options.src, options.dst)
    name = written_class(options.dst)
    print(
        f"{options.dst}: {name} with {n_parameters:,} parameters and its tokenizer\n"
        f"  transformers: {name}.from_pretrained({str(options.dst)!r})\n"
        f"  CTranslate2:  ct2-transformers-converter --model {options.dst} --output_dir …"
    )
    return 0
