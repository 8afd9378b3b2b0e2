"""Word2Vec through gensim: whose words, how often read, the same again with one worker."""

from collections.abc import Iterator

import numpy as np
import pytest
from gensim.models import Word2Vec

from triptych.errors import ConfigError, DataError
from triptych.predecessors import word2vec
from triptych.predecessors.settings import Word2VecSettings
from triptych.predecessors.vectors import WordVectors
from triptych.predecessors.word2vec import train_word2vec

WORDS = ["a", "cat", "dog", "sat", "ran", "sun", "moon", "shone", "rose"]


def lines() -> list[np.ndarray]:
    """Animals sit and run, lights shine and rise."""
    random = np.random.default_rng(0)
    animal, light = ([1, 2], [3, 4]), ([5, 6], [7, 8])
    found = []
    for _ in range(600):
        nouns, verbs = animal if random.random() < 0.5 else light
        found.append(np.array([0, random.choice(nouns), random.choice(verbs)], dtype=np.int32))
    return found


LINES = lines()
COUNTS = np.bincount(np.concatenate(LINES), minlength=len(WORDS)).tolist()


def train(**changes: object) -> np.ndarray:
    settings = {"d_model": 8, "epochs": 20, "subsample": 0.0, "window": 2, **changes}
    return train_word2vec(lambda: LINES, WORDS, COUNTS, Word2VecSettings(**settings))


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_words_of_a_kind_are_near(architecture: str) -> None:
    vectors = WordVectors(WORDS, train(architecture=architecture, epochs=60))
    for word, kin in (("cat", "dog"), ("sun", "moon"), ("ran", "sat"), ("shone", "rose")):
        animals = {"cat", "dog", "sat", "ran"}
        near = [n.word for n in vectors.neighbors(word, 3)]
        assert kin in near
        assert vectors.cosine(word, kin) > vectors.cosine(word, "sun" if word in animals else "cat")


def test_one_worker_repeats_bit_for_bit() -> None:
    assert np.array_equal(train(), train())
    assert not np.array_equal(train(), train(seed=2))


def test_it_is_gensim_with_the_same_settings() -> None:
    theirs = Word2Vec(
        [[WORDS[i] for i in line] for line in LINES], vector_size=8, epochs=20, sample=0, window=2,
        sg=1, negative=5, min_count=1, workers=1, seed=1, alpha=0.025, min_alpha=0.0001,
    )  # fmt: skip
    # gensim orders words by count alone, so that ours may stand in other rows: draws differ, and
    # with them the vectors, unless the counts are all different
    assert len(set(COUNTS)) == len(COUNTS)
    order = np.argsort([-count for count in COUNTS])
    words, back = [WORDS[i] for i in order], np.argsort(order)
    again = [back[line].astype(np.int32) for line in LINES]
    settings = Word2VecSettings(d_model=8, epochs=20, subsample=0.0, window=2)
    ours = train_word2vec(lambda: again, words, [COUNTS[i] for i in order], settings)
    assert np.array_equal(ours, theirs.wv[words])


def test_long_lines_are_cut_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """gensim reads 10,000 words of a sentence and drops the rest."""
    line = np.tile(np.arange(9, dtype=np.int32), 3000)  # 27,000 words
    lengths: list[int] = []
    sentences = word2vec._Sentences(lambda: [line], WORDS, lambda done: None)
    lengths += [len(sentence) for sentence in sentences]
    assert lengths == [10_000, 10_000, 7_000]


def test_words_read_are_told() -> None:
    heard: list[int] = []

    def read() -> Iterator[np.ndarray]:
        yield from LINES

    settings = Word2VecSettings(d_model=4, epochs=3)
    train_word2vec(read, WORDS, COUNTS, settings, heard.append)
    assert heard[-1] == 3 * sum(COUNTS)
    assert heard == sorted(heard)


def test_a_text_that_trains_nothing_is_refused() -> None:
    single = [np.array([word], dtype=np.int32) for word in range(len(WORDS))]
    with pytest.raises(DataError, match="no two words stand in one line"):
        train_word2vec(lambda: single, WORDS, [1] * len(WORDS), Word2VecSettings(d_model=4))
    with pytest.raises(DataError, match=r"passed over, with a subsample of 1e-12; raise it"):
        train(subsample=1e-12)
    for seed in (-1, 1 << 32):
        with pytest.raises(ConfigError, match="choose it from 0 to 4294967295"):
            Word2VecSettings(seed=seed)
