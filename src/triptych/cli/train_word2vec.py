"""triptych train word2vec: one vector a word, by skip-gram or CBOW."""

from dataclasses import dataclass

from triptych.cli.training import VectorsOptions, train_vectors
from triptych.recipes.vectors_run import Word2VecRun


@dataclass(frozen=True, kw_only=True)
class Options(VectorsOptions):
    """Train vectors of words with Word2Vec; gensim does it, and repeats exactly with one worker."""

    run: Word2VecRun


def run(options: Options) -> int:
    """Train, and tell how it went."""
    return train_vectors(options.run, options)
