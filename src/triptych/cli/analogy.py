"""triptych analogy: a is to b as c is to what."""

import json
from dataclasses import dataclass
from typing import Annotated

from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Solve an analogy with word vectors."""

    vectors: Annotated[str, POSITIONAL]
    """A folder of word vectors, or a file of word2vec's or GloVe's."""
    a: Annotated[str, POSITIONAL]
    """A word: man."""
    b: Annotated[str, POSITIONAL]
    """What it is to: king."""
    c: Annotated[str, POSITIONAL]
    """The word that is to the answer as A is to B: woman."""
    top_k: int = 5
    """Answers to show, the best first."""
    json: bool = False
    """One JSON object an answer."""


def run(options: Options) -> int:
    """3CosAdd: the words with the largest cosine to b − a + c, those three left out."""
    from triptych.recipes.vectors_folder import load_vectors

    vectors = load_vectors(options.vectors)
    for found in vectors.analogy(options.a, options.b, options.c, options.top_k):
        content = {"word": found.word, "cosine": found.cosine}
        line = f"{found.cosine:7.4f}  {found.word}"
        print(json.dumps(content, ensure_ascii=False) if options.json else line)
    return 0
