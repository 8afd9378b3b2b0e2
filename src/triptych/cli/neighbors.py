"""triptych neighbors: the words nearest to a word."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Look at word vectors."""

    vectors: Annotated[str, POSITIONAL]
    """A folder of word vectors, or a file of word2vec's or GloVe's."""
    word: Annotated[str, POSITIONAL]
    """A word; in lower case where it is not there as it is written."""
    top_k: int = 10
    """Words to show, the nearest first."""
    by: Literal["cosine", "euclidean"] = "cosine"
    """What nearest means: the largest cosine, or the smallest distance; both are shown."""
    json: bool = False
    """One JSON object a word."""


def run(options: Options) -> int:
    """Cosine, Euclidean distance and word, one a line."""
    from triptych.recipes.vectors_folder import load_vectors

    vectors = load_vectors(options.vectors)
    for found in vectors.neighbors(options.word, options.top_k, options.by):
        line = f"{found.cosine:7.4f} {found.distance:8.4f}  {found.word}"
        print(json.dumps(asdict(found), ensure_ascii=False) if options.json else line)
    return 0
