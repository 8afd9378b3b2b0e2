"""Pairs of text for "is this the next sentence?", by the protocol of the original BERT.

Devlin et al. 2018, §3.1, task 2 and appendix A.2, with what their released code does where the
paper is silent. Two parts A and B become [CLS] A [SEP] B [SEP]. The sentences of a document are
gathered into a chunk until it has as many tokens as the example may hold, mostly: with a small
chance a document aims at fewer, so that short inputs occur too. A is the first part of the chunk,
cut between two sentences at random. B is the rest of it, or, half of the time, text of another
document from a random sentence on; the rest of the chunk is then put back and begins the next one.
What is too long loses tokens at a random end of the longer part.

A part is thus always one range of the corpus, and an example five numbers, whatever its length.

Every other document is as likely to be drawn, whatever its length: beside many articles, a few
books lend hardly any random text, so that in such a corpus style alone gives much away.

    N  examples     S  sentences of a block     D  documents of the corpus

Everything about a chunk follows from its first sentence and from draws that belong to it (see
`counter_random`). So all possible chunks are computed at once, and only the walk from each to the
next, which knows where chunks really begin, goes step by step.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triptych.data.counter_random import below, heads, uniform
from triptych.data.document_shards import DocumentShards
from triptych.errors import ConfigError, UsageError

N_SPECIAL = 3
"""[CLS], and [SEP] after each part."""
BLOCK = 1 << 18
"""Sentences looked at together: some tens of megabytes."""

_SHORT, _LENGTH, _SPLIT, _RANDOM, _DOCUMENT, _START, _FRONT_A, _FRONT_B = range(8)
"""What a number is drawn for."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NextSentenceRules:
    """How long an example may be, [CLS] and [SEP] included, and how often a document aims shorter.

    In a document that does, which happens with the probability `short_seq_prob`, the length that
    chunks reach for is drawn from 2 to the most that fits.
    """

    max_seq_len: int = 128
    short_seq_prob: float = 0.1

    def __post_init__(self) -> None:
        if self.max_seq_len < N_SPECIAL + 2:
            raise ConfigError(
                f"max_seq_len = {self.max_seq_len} has no room for two parts beside [CLS] and two "
                f"[SEP]; it must be at least {N_SPECIAL + 2}"
            )
        if not 0 <= self.short_seq_prob <= 1:
            raise ConfigError(f"short_seq_prob = {self.short_seq_prob} must be from 0 to 1")


@dataclass(frozen=True)
class NextSentencePairs:
    """N examples: `ranges` [N, 4] int64, where A begins and ends and where B does, in the tokens
    of the corpus; `is_random` [N] bool, whether B comes from another document."""

    ranges: Numbers
    is_random: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ranges)

    def __getitem__(self, rows: Numbers | slice) -> "NextSentencePairs":
        return NextSentencePairs(self.ranges[rows], self.is_random[rows])

    @property
    def lengths(self) -> Numbers:
        """Tokens of each example [N], special tokens included."""
        a_begin, a_end, b_begin, b_end = self.ranges.T
        lengths: Numbers = a_end - a_begin + b_end - b_begin + N_SPECIAL
        return lengths


def next_sentence_pairs(
    corpus: DocumentShards,
    rules: NextSentenceRules,
    seed: int,
    epoch: int,
    documents: range | None = None,
) -> NextSentencePairs:
    """The examples of an epoch, in the order of the corpus: a pure function of the arguments.

    `documents` asks for the examples of some documents alone; those of 0 to i and of i to the last
    make up the whole, so any process can draw any part.
    """
    asked = range(len(corpus)) if documents is None else documents
    if asked.step != 1 or not 0 <= asked.start <= asked.stop <= len(corpus):
        raise UsageError(f"{asked} is no run of the corpus's {len(corpus)} documents")
    blocks = _blocks(corpus.document_offsets, asked)
    parts = [_pairs_of(corpus, rules, (seed, epoch), block) for block in blocks]
    return NextSentencePairs(
        np.concatenate([np.zeros((0, 4), dtype=np.int64), *(part.ranges for part in parts)]),
        np.concatenate([np.zeros(0, dtype=bool), *(part.is_random for part in parts)]),
    )


def truncated(a: Numbers, b: Numbers, limit: int) -> tuple[Numbers, Numbers]:
    """What is left of lengths a and b when the longer, B where they are equal, loses a token again
    and again until both together have `limit`."""
    fits = a + b <= limit
    a_left = np.where(b <= limit // 2, limit - b, (limit + 1) // 2)
    a_left = np.minimum(a, a_left)
    b_left = np.minimum(b, limit - a_left)
    return np.where(fits, a, a_left), np.where(fits, b, b_left)


def _blocks(document_offsets: Numbers, documents: range) -> Iterator[range]:
    """`documents` in runs of at most BLOCK sentences, or of one document."""
    begin = documents.start
    while begin < documents.stop:
        limit = document_offsets[begin] + BLOCK
        end = int(np.searchsorted(document_offsets, limit, side="right")) - 1
        end = min(max(end, begin + 1), documents.stop)
        yield range(begin, end)
        begin = end


def _pairs_of(
    corpus: DocumentShards, rules: NextSentenceRules, draw: tuple[int, int], documents: range
) -> NextSentencePairs:
    """The examples of some documents; `draw` is (seed, epoch)."""
    limits = corpus.document_offsets[documents.start : documents.stop + 1]
    offsets = corpus.sentence_offsets[limits[0] : limits[-1] + 1]
    most = rules.max_seq_len - N_SPECIAL
    numbers = np.arange(documents.start, documents.stop)
    is_short = uniform(*draw, _SHORT, numbers) < rules.short_seq_prob
    target = np.where(is_short, 2 + below(most - 1, *draw, _LENGTH, numbers), most)

    # Of the chunk that each sentence would begin: its end, the cut in it, the kind of B.  [S]
    n_sentences = np.diff(limits)
    target, document, document_end = (
        np.repeat(values, n_sentences) for values in (target, numbers, limits[1:])
    )
    sentence = np.arange(limits[0], limits[-1])
    end = limits[0] + np.searchsorted(offsets, offsets[:-1] + target)
    end = np.minimum(end, document_end)
    cut = sentence + 1 + below(np.maximum(end - sentence - 1, 1), *draw, _SPLIT, sentence)
    is_random = (end - sentence == 1) | (uniform(*draw, _RANDOM, sentence) < 0.5)

    chunks = _walk(np.where(is_random, cut, end) - limits[0])  # [N]
    sentence, cut, end, is_random = sentence[chunks], cut[chunks], end[chunks], is_random[chunks]
    a_begin, b_begin, b_end = (offsets[place - limits[0]] for place in (sentence, cut, end))
    a_length = b_begin - a_begin
    other_begin, other_end = _other_text(
        corpus, draw, sentence, document[chunks], target[chunks] - a_length
    )
    b_begin = np.where(is_random, other_begin, b_begin)
    b_length = np.where(is_random, other_end, b_end) - b_begin
    a_left, b_left = truncated(a_length, b_length, most)
    a_begin = a_begin + heads(a_length - a_left, *draw, _FRONT_A, sentence)
    b_begin = b_begin + heads(b_length - b_left, *draw, _FRONT_B, sentence)
    return NextSentencePairs(
        np.stack([a_begin, a_begin + a_left, b_begin, b_begin + b_left], axis=1), is_random
    )


def _walk(following: Numbers) -> Numbers:
    """0, following[0], following[following[0]], … as long as there are such [S] -> [N]."""
    steps, at, visited = following.tolist(), 0, []
    while at < len(steps):
        visited.append(at)
        at = steps[at]
    return np.array(visited, dtype=np.int64)


def _other_text(
    corpus: DocumentShards,
    draw: tuple[int, int],
    sentence: Numbers,
    document: Numbers,
    length: Numbers,
) -> tuple[Numbers, Numbers]:
    """Where text of another document begins and ends, for each chunk [N].

    All other documents and all sentences of one are as likely. The text takes whole sentences until
    it has `length` tokens or its document ends, and one at least.
    """
    other = below(len(corpus) - 1, *draw, _DOCUMENT, sentence)
    other += other >= document
    first, end = corpus.document_offsets[other], corpus.document_offsets[other + 1]
    start = first + below(end - first, *draw, _START, sentence)
    begin = corpus.sentence_offsets[start]
    reached = np.searchsorted(corpus.sentence_offsets, begin + np.maximum(length, 1))
    return begin, corpus.sentence_offsets[np.minimum(reached, end)]
