"""triptych embed: one vector a line of text, as a NumPy file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from triptych.cli.common import Embedding, Machine, importing
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Embed texts."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    input: str = "-"
    """A text file (.gz, .xz and .zst as well), one text a line, or - for standard input."""
    out: Path
    """The .npy file to write: float32, one row a line."""
    quiet: bool = False
    """No progress."""
    embedding: Embedding = field(default_factory=Embedding)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Write the matrix, and say its shape."""
    with importing():
        from triptych.recipes.embed_file import embed_file
        from triptych.recipes.load import load_encoder

    place = options.machine.choose()
    encoder = load_encoder(options.model, device=place, precision=options.embedding.precision)
    shape = embed_file(
        encoder, options.input, options.out, options.embedding.settings(), quiet=options.quiet
    )
    print(f"{options.out}: {shape[0]:,} vectors of {shape[1]:,}")
    return 0
