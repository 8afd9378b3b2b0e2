"""triptych evaluate analogies: Athens is to Greece as Berlin is to what?"""

import json
from dataclasses import dataclass
from typing import Annotated

from triptych.cli.options import POSITIONAL
from triptych.config import Range


@dataclass(frozen=True, kw_only=True)
class Options:
    """Solve analogies with word vectors, by 3CosAdd."""

    vectors: Annotated[str, POSITIONAL]
    """A folder of word vectors, or a file of word2vec's or GloVe's."""
    data: str
    """Four words a line below `: section`: Google's questions-words.txt."""
    vocab_size: Annotated[int | None, Range(1)] = None
    """Use the most frequent words alone; all if not given."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""


def run(options: Options) -> int:
    """A question with a word that has no vector is not asked, and counted."""
    from triptych.recipes.evaluate_vectors import evaluate_analogies
    from triptych.recipes.vectors_folder import load_vectors

    vectors = load_vectors(options.vectors)
    report = evaluate_analogies(vectors, options.data, options.vocab_size)
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
