"""Word2Vec: skip-gram and CBOW with negative sampling — Mikolov et al. 2013a, 2013b.

gensim trains. It draws the same numbers again only with one worker, since several take their work
in the order in which they are ready. Its own report of the loss is wrong (gensim's issues 2617 and
2735), so none is asked for; and its `save` pickles, so nothing of it is written.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.errors import DataError, DivergedError
from triptych.predecessors.settings import Word2VecSettings

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]

LONGEST_SENTENCE = 10_000
"""Words; of a longer one gensim would drop the rest."""
LAST_RATE = 0.0001


class _Sentences:
    """The lines of a text as gensim wants them: lists of words, as often as it asks."""

    def __init__(
        self,
        read: Callable[[], Iterable[Ids]],
        words: Sequence[str],
        on_words: Callable[[int], Any],
    ) -> None:
        self.read, self.words, self.on_words = read, np.array(words, dtype=object), on_words
        self.done = 0

    def __iter__(self) -> Iterator[list[str]]:
        for line in self.read():
            for begin in range(0, len(line), LONGEST_SENTENCE):
                sentence = self.words[line[begin : begin + LONGEST_SENTENCE]].tolist()
                self.done += len(sentence)
                yield sentence
            self.on_words(self.done)


def train_word2vec(
    read: Callable[[], Iterable[Ids]],
    words: Sequence[str],
    counts: Sequence[int],
    settings: Word2VecSettings,
    on_words: Callable[[int], Any] = lambda done: None,
) -> Floats:
    """Vectors [V, E] of `words`, which occur `counts` times in the lines of ids from `read()`.

    `on_words` hears how many words were read, of all epochs. Raises DivergedError for vectors that
    are no numbers, DataError where no two words stand in one line or every word was passed over.
    """
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=settings.d_model,
        window=settings.window,
        sg=int(settings.architecture == "skip-gram"),
        negative=settings.negatives,
        sample=settings.subsample,
        alpha=settings.learning_rate,
        min_alpha=LAST_RATE,
        min_count=1,
        workers=settings.workers,
        seed=settings.seed,
    )
    model.build_vocab_from_freq(dict(zip(words, map(int, counts), strict=True)))
    n_words = int(sum(counts))
    lengths = [len(line) for line in read()]
    if max(lengths, default=0) < 2:
        raise DataError("no two words stand in one line of the text; put sentences on its lines")
    n_sentences = sum(-(-length // LONGEST_SENTENCE) for length in lengths)
    n_trained, _ = model.train(
        _Sentences(read, words, on_words),
        total_examples=n_sentences,
        total_words=n_words,
        epochs=settings.epochs,
    )
    if not n_trained:
        raise DataError(
            f"every word was passed over, with a subsample of {settings.subsample}; raise it, or "
            "give 0, which keeps all"
        )
    rows = [model.wv.key_to_index[word] for word in words]
    vectors: Floats = np.ascontiguousarray(model.wv.vectors[rows], dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise DivergedError(
            f"some vectors are no numbers; lower the learning_rate of {settings.learning_rate}"
        )
    return vectors
