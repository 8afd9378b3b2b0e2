"""triptych evaluate word-similarity: do cosines of word vectors follow people's ratings?"""

import json
from dataclasses import dataclass
from typing import Annotated

from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Correlate cosines with the ratings of pairs of words."""

    vectors: Annotated[str, POSITIONAL]
    """A folder of word vectors, or a file of word2vec's or GloVe's."""
    data: tuple[str, ...]
    """Files of two words and a number in each line: WordSim-353, SimLex-999, MEN."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""


def run(options: Options) -> int:
    """Pairs with a word that has no vector are left out, and counted."""
    from triptych.recipes.evaluate_vectors import evaluate_word_similarity
    from triptych.recipes.vectors_folder import load_vectors

    report = evaluate_word_similarity(load_vectors(options.vectors), options.data)
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
