"""Word vectors in, the same in another format out."""

from pathlib import Path
from typing import Literal

from triptych.data.vector_files import VectorFormat, write_vectors
from triptych.errors import UsageError
from triptych.predecessors.vectors import WordVectors
from triptych.recipes.vectors_folder import load_vectors, save_vectors

CARD = "What `triptych convert --to vectors` wrote from `{source}`.\n"


def convert_vectors(
    source: Path | str, out: Path, to: VectorFormat | Literal["vectors"]
) -> WordVectors:
    """Write the vectors of a folder or a file anew; the floats stay the same.

    Raises what reading them raises, DataError for a word that the format cannot hold, UsageError
    where `out` is a folder and a file is to be written, or is the source.
    """
    vectors = load_vectors(source)
    if out.exists() and out.resolve() == Path(source).resolve():
        raise UsageError(f"{out} is the source itself; name another place to write")
    if to == "vectors":
        save_vectors(out, vectors, CARD.format(source=source))
        return vectors
    if out.is_dir():
        raise UsageError(f"{out} is a folder; the format {to} is one file, so name a file")
    write_vectors(out, vectors.words, vectors.vectors, to)
    return vectors
