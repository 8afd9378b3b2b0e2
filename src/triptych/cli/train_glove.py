"""triptych train glove: one vector a word, from how often words stand near each other."""

from dataclasses import dataclass

from triptych.cli.training import VectorsOptions, train_vectors
from triptych.recipes.vectors_run import GloveRun


@dataclass(frozen=True, kw_only=True)
class Options(VectorsOptions):
    """Train vectors of words with GloVe."""

    run: GloveRun


def run(options: Options) -> int:
    """Train, and tell how it went."""
    return train_vectors(options.run, options)
