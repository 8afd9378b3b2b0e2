"""Next-sentence pairs: each property of the protocol, and the protocol itself in plain Python.

`original` is written from the paper's description, a token and a coin at a time. Given the draws of
`counter_random` it must make the same examples to the last token; given Python's own random numbers
it must make examples of the same statistics.
"""

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
import pytest

from triptych.data import next_sentence
from triptych.data.counter_random import below, random_bits, uniform
from triptych.data.document_shards import DocumentShards
from triptych.data.next_sentence import (
    NextSentencePairs,
    NextSentenceRules,
    next_sentence_pairs,
    truncated,
)
from triptych.errors import ConfigError, UsageError

SEED, EPOCH = 11, 3


class PythonDraws:
    """The draws that an implementation with one generator would make."""

    def __init__(self, seed: int) -> None:
        self.generator = random.Random(seed)

    def length(self, document: int, most: int, short_seq_prob: float) -> int:
        if self.generator.random() < short_seq_prob:
            return self.generator.randint(2, most)
        return most

    def split(self, sentence: int, n_sentences: int) -> int:
        return self.generator.randint(1, n_sentences - 1)

    def is_random(self, sentence: int) -> bool:
        return self.generator.random() < 0.5

    def other(self, sentence: int, document: int, n_documents: int) -> int:
        while (drawn := self.generator.randrange(n_documents)) == document:
            pass
        return drawn

    def start(self, sentence: int, n_sentences: int) -> int:
        return self.generator.randrange(n_sentences)

    def front(self, side: str, sentence: int, number: int) -> bool:
        return self.generator.random() < 0.5


class HashedDraws(PythonDraws):
    """The draws that belong to a document or to the sentence with which a chunk begins."""

    def length(self, document: int, most: int, short_seq_prob: float) -> int:
        if uniform(SEED, EPOCH, next_sentence._SHORT, document) < short_seq_prob:
            return 2 + int(below(most - 1, SEED, EPOCH, next_sentence._LENGTH, document)[0])
        return most

    def split(self, sentence: int, n_sentences: int) -> int:
        return 1 + int(below(n_sentences - 1, SEED, EPOCH, next_sentence._SPLIT, sentence)[0])

    def is_random(self, sentence: int) -> bool:
        return bool(uniform(SEED, EPOCH, next_sentence._RANDOM, sentence) < 0.5)

    def other(self, sentence: int, document: int, n_documents: int) -> int:
        drawn = int(below(n_documents - 1, SEED, EPOCH, next_sentence._DOCUMENT, sentence)[0])
        return drawn + (drawn >= document)

    def start(self, sentence: int, n_sentences: int) -> int:
        return int(below(n_sentences, SEED, EPOCH, next_sentence._START, sentence)[0])

    def front(self, side: str, sentence: int, number: int) -> bool:
        stream = next_sentence._FRONT_A if side == "a" else next_sentence._FRONT_B
        word = int(random_bits(SEED, EPOCH, stream, sentence, number // 64)[0])
        return word >> (63 - number % 64) & 1 == 1


@dataclass(frozen=True)
class Example:
    """Parts as places in the corpus, and how it came about."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    is_random: bool
    n_sentences: int
    is_short: bool
    cut_a: tuple[int, int]  # tokens lost at the front and at the back
    cut_b: tuple[int, int]


def original(
    corpus: DocumentShards,
    rules: NextSentenceRules,
    draws: PythonDraws,
    n_documents: int | None = None,
) -> list[Example]:
    """The protocol, document after document; a token is its place in the corpus."""
    ends = corpus.sentence_offsets.tolist()
    sentences = [list(range(begin, end)) for begin, end in pairwise(ends)]
    borders = corpus.document_offsets.tolist()
    most = rules.max_seq_len - 3
    examples = []
    for document, (first, end) in enumerate(islice(pairwise(borders), n_documents)):
        length = draws.length(document, most, rules.short_seq_prob)
        at = first
        while at < end:
            chunk = []
            while at < end and sum(map(len, chunk)) < length:
                chunk.append(sentences[at])
                at += 1
            begin = at - len(chunk)
            split = draws.split(begin, len(chunk)) if len(chunk) > 1 else 1
            a = list(chain(*chunk[:split]))
            is_random = len(chunk) == 1 or draws.is_random(begin)
            if is_random:
                b = []
                other = draws.other(begin, document, len(borders) - 1)
                i = borders[other] + draws.start(begin, borders[other + 1] - borders[other])
                while i < borders[other + 1] and (not b or len(b) < length - len(a)):
                    b += sentences[i]
                    i += 1
                at = begin + split  # the rest is put back
            else:
                b = list(chain(*chunk[split:]))
            cut = {"a": [0, 0], "b": [0, 0]}
            while len(a) + len(b) > most:
                side, part = ("a", a) if len(a) > len(b) else ("b", b)
                if draws.front(side, begin, sum(cut[side])):
                    del part[0]
                    cut[side][0] += 1
                else:
                    part.pop()
                    cut[side][1] += 1
            examples.append(
                Example(
                    tuple(a), tuple(b), is_random, len(chunk), length < most,
                    tuple(cut["a"]), tuple(cut["b"]),
                )
            )  # fmt: skip
    return examples


def draw(corpus: DocumentShards, max_seq_len: int = 64, **arguments) -> NextSentencePairs:
    given = {"seed": SEED, "epoch": EPOCH, "short_seq_prob": 0.1, **arguments}
    rules = NextSentenceRules(max_seq_len, given.pop("short_seq_prob"))
    return next_sentence_pairs(corpus, rules, **given)


def parts(pairs: NextSentencePairs) -> list[tuple[tuple[int, ...], tuple[int, ...], bool]]:
    return [
        (tuple(range(a, b)), tuple(range(c, d)), bool(is_random))
        for (a, b, c, d), is_random in zip(pairs.ranges.tolist(), pairs.is_random, strict=True)
    ]


def document_of(corpus: DocumentShards, tokens) -> np.ndarray:
    borders = corpus.sentence_offsets[corpus.document_offsets]
    return np.searchsorted(borders, tokens, side="right") - 1


def same(one: NextSentencePairs, two: NextSentencePairs) -> bool:
    return np.array_equal(one.ranges, two.ranges) and np.array_equal(one.is_random, two.is_random)


# -- against the protocol in plain Python ----------------------------------------------------------


@pytest.mark.parametrize("max_seq_len", [5, 6, 33, 64, 128, 512])
@pytest.mark.parametrize("short_seq_prob", [0.0, 0.1, 1.0])
def test_the_same_draws_make_the_same_examples(corpus, max_seq_len, short_seq_prob):
    rules = NextSentenceRules(max_seq_len, short_seq_prob)
    expected = original(corpus, rules, HashedDraws(0), 40)
    assert len(expected) >= 40
    found = parts(next_sentence_pairs(corpus, rules, SEED, EPOCH))[: len(expected)]
    assert found == [(e.a, e.b, e.is_random) for e in expected]


@pytest.mark.parametrize("max_seq_len", [32, 128])
def test_the_statistics_are_those_of_python_random_numbers(corpus, max_seq_len):
    rules = NextSentenceRules(max_seq_len)
    ours = [draw(corpus, max_seq_len, epoch=epoch) for epoch in range(4)]
    theirs = [original(corpus, rules, PythonDraws(seed)) for seed in range(4)]

    def close(a: list[float], b: list[float]) -> bool:
        """Equal to within four standard errors of the difference, and 1 %."""
        error = np.hypot(np.std(a) / len(a) ** 0.5, np.std(b) / len(b) ** 0.5)
        return abs(np.mean(a) - np.mean(b)) < 4 * error + 0.01 * abs(np.mean(b))

    ranges = np.concatenate([pairs.ranges for pairs in ours])
    examples = list(chain(*theirs))
    a_length, b_length = ranges[:, 1] - ranges[:, 0], ranges[:, 3] - ranges[:, 2]
    assert close([len(pairs) for pairs in ours], [len(found) for found in theirs])
    assert close(a_length, [len(e.a) for e in examples])
    assert close(b_length, [len(e.b) for e in examples])
    assert close(
        np.concatenate([pairs.is_random for pairs in ours]), [e.is_random for e in examples]
    )
    assert close(
        a_length + b_length < max_seq_len // 2,
        [len(e.a) + len(e.b) < max_seq_len // 2 for e in examples],
    )
    assert close(a_length > b_length, [len(e.a) > len(e.b) for e in examples])


def test_truncation_in_one_step():
    for limit in range(2, 12):
        for a in range(1, 15):
            for b in range(1, 15):
                left = [a, b]
                while sum(left) > limit:
                    left[0 if left[0] > left[1] else 1] -= 1
                found = truncated(np.array([a]), np.array([b]), limit)
                assert [int(part[0]) for part in found] == left


# -- properties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_seq_len", [5, 16, 64, 512])
def test_no_example_is_longer_than_allowed_and_no_part_is_empty(corpus, max_seq_len):
    pairs = draw(corpus, max_seq_len)
    assert pairs.lengths.max() == max_seq_len
    assert (pairs.ranges[:, 0] < pairs.ranges[:, 1]).all()
    assert (pairs.ranges[:, 2] < pairs.ranges[:, 3]).all()
    assert pairs.ranges.min() >= 0
    assert pairs.ranges.max() <= len(corpus.tokens)


def test_random_text_is_of_another_document_and_next_text_of_the_same(corpus):
    pairs = draw(corpus)
    a, b = (document_of(corpus, pairs.ranges[:, column]) for column in (0, 2))
    assert (a == document_of(corpus, pairs.ranges[:, 1] - 1)).all()
    assert (b == document_of(corpus, pairs.ranges[:, 3] - 1)).all()
    assert ((a != b) == pairs.is_random).all()
    follows = pairs.ranges[~pairs.is_random]
    assert (follows[:, 2] >= follows[:, 1]).all(), "B stands behind A"


def test_two_documents_are_enough(numbers_corpus):
    corpus = numbers_corpus([[[5, 6], [7, 8]] * 9, [[9, 10]]])
    pairs = draw(corpus, 9)
    a, b = (document_of(corpus, pairs.ranges[:, column]) for column in (0, 2))
    assert ((a != b) == pairs.is_random).all()
    assert set(b[pairs.is_random & (a == 0)]) == {1}


def test_half_of_the_chunks_that_could_go_on_do(corpus):
    """Of chunks with two sentences or more half are random; of single ones, all."""
    examples = original(corpus, NextSentenceRules(64), HashedDraws(0), 200)
    is_random = draw(corpus).is_random[: len(examples)]
    has_several = np.array([example.n_sentences > 1 for example in examples])
    n = has_several.sum()
    assert n > 800
    assert abs(is_random[has_several].sum() - n / 2) < 4 * (n / 4) ** 0.5
    assert n < len(examples)
    assert is_random[~has_several].all()


def test_other_documents_and_their_sentences_are_equally_likely(numbers_corpus):
    corpus = numbers_corpus([[[5]] * 2000, [[6]] * 4, [[7]] * 2])
    pairs = draw(corpus, 5, short_seq_prob=0)
    starts = pairs.ranges[pairs.is_random & (pairs.ranges[:, 0] < 2000), 2] - 2000
    counts = np.bincount(starts, minlength=6)
    expected = len(starts) * np.array([1 / 8] * 4 + [1 / 4] * 2)
    assert (abs(counts - expected) < 4 * expected**0.5).all(), counts


def test_every_sentence_is_used_in_order_and_the_unused_are_put_back(corpus):
    """The parts A, and B where it follows, put together are the corpus, but for what is cut off."""
    examples = original(corpus, NextSentenceRules(128), HashedDraws(0), 200)
    place = n_cut = 0
    for (a, b, is_random), example in zip(parts(draw(corpus, 128)), examples, strict=False):
        for part, (front, back) in ((a, example.cut_a), (b, example.cut_b))[: 2 - is_random]:
            assert part[0] == place + front
            place = part[-1] + 1 + back
            n_cut += front + back
    assert place == corpus.sentence_offsets[corpus.document_offsets[200]]
    assert 0 < n_cut < 0.2 * place


def test_without_overflow_nothing_is_lost(numbers_corpus):
    """Sentences of one token fill every chunk exactly."""
    corpus = numbers_corpus([[[5]] * n for n in (1, 2, 30, 31, 64, 7)])
    pairs = draw(corpus, 13, short_seq_prob=0.5)
    used = [
        place
        for (a, b, is_random) in parts(pairs)
        for place in (a if is_random else a + b)
    ]  # fmt: skip
    assert used == list(range(len(corpus.tokens)))


def test_tokens_are_cut_from_both_ends(corpus):
    """The tokens lost at the front of A are half of all that A has lost, give or take."""
    pairs = draw(corpus, 32, short_seq_prob=0)
    offsets = corpus.sentence_offsets
    at_border = np.isin(pairs.ranges[:, :2], offsets)
    examples = original(corpus, NextSentenceRules(32, 0), HashedDraws(0), 200)
    for cuts in ([e.cut_a for e in examples], [e.cut_b for e in examples]):
        front, back = np.sum(cuts, axis=0)
        n = front + back
        assert n > 3000
        assert abs(front - n / 2) < 4 * (n / 4) ** 0.5
    assert 0.2 < at_border[:, 0].mean() < 0.8
    assert 0.2 < at_border[:, 1].mean() < 0.8


def test_one_document_in_ten_aims_at_fewer_tokens(numbers_corpus):
    corpus = numbers_corpus([[[5]] * 200] * 3000)
    pairs = draw(corpus, 103)
    document = document_of(corpus, pairs.ranges[:, 0])
    a_and_b = pairs.lengths - 3
    longest = np.zeros(3000, dtype=int)
    np.maximum.at(longest, document, a_and_b)
    is_short = longest < 100
    assert abs(is_short.sum() - 0.99 * 300) < 4 * (3000 * 0.1 * 0.9) ** 0.5
    assert longest.min() <= 4
    aimed = longest[is_short]
    assert abs(aimed.mean() - 50.5) < 4 * 28.3 / len(aimed) ** 0.5, "uniform from 2 to 99"


def test_an_epoch_is_a_pure_function(corpus):
    base = draw(corpus)
    assert same(base, draw(corpus))
    for other in (draw(corpus, epoch=EPOCH + 1), draw(corpus, seed=SEED + 1)):
        ours, theirs = ({tuple(row) for row in pairs.ranges.tolist()} for pairs in (base, other))
        assert len(ours & theirs) < 0.1 * len(ours)


@pytest.mark.parametrize("n_processes", [1, 2, 3, 7, 1000])
def test_any_number_of_processes_makes_the_same(corpus, n_processes):
    borders = np.linspace(0, len(corpus), n_processes + 1).astype(int).tolist()
    found = [draw(corpus, documents=range(a, b)) for a, b in pairwise(borders)]
    whole = draw(corpus)
    assert np.array_equal(whole.ranges, np.concatenate([pairs.ranges for pairs in found]))
    assert np.array_equal(whole.is_random, np.concatenate([pairs.is_random for pairs in found]))


def test_blocks_do_not_show(corpus, monkeypatch):
    whole = draw(corpus)
    for block in (1, 100, 1001):
        monkeypatch.setattr(next_sentence, "BLOCK", block)
        assert same(draw(corpus), whole)


ELSEWHERE = """
import hashlib, sys
from pathlib import Path
from triptych.data.document_shards import DocumentShards
from triptych.data.next_sentence import NextSentenceRules, next_sentence_pairs
corpus = DocumentShards.load(Path(sys.argv[1]))
pairs = next_sentence_pairs(corpus, NextSentenceRules(64), int(sys.argv[2]), int(sys.argv[3]))
print(hashlib.sha256(pairs.ranges.tobytes() + pairs.is_random.tobytes()).hexdigest())
"""


def test_another_process_makes_the_same(corpus):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(corpus.folder), str(SEED), str(EPOCH)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
    )
    pairs = draw(corpus)
    own = hashlib.sha256(pairs.ranges.tobytes() + pairs.is_random.tobytes()).hexdigest()
    assert done.stdout.strip() == own, done.stderr


def test_a_sentence_longer_than_everything(numbers_corpus):
    corpus = numbers_corpus([[list(range(5, 200)) * 30], [[7, 8]], [[9] * 3000, [10]]])
    pairs = draw(corpus, 16)
    assert pairs.lengths.max() == 16
    assert (pairs.ranges[:, 1] - pairs.ranges[:, 0] >= 1).all()


def test_impossible_rules_and_documents(corpus):
    with pytest.raises(ConfigError, match=r"max_seq_len = 4 has no room .* at least 5"):
        NextSentenceRules(4)
    with pytest.raises(ConfigError, match=r"short_seq_prob = 1\.5 must be from 0 to 1"):
        NextSentenceRules(64, 1.5)
    for documents in (range(2000), range(3, 1), range(0, 10, 2)):
        with pytest.raises(UsageError, match="is no run of the corpus's 1000 documents"):
            draw(corpus, documents=documents)
    assert len(draw(corpus, documents=range(4, 4))) == 0
