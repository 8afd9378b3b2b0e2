"""Pretraining batches: laid out as the paper says, complete, resumable, the same everywhere."""

import hashlib
import json
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.data.batching import IGNORE
from triptych.data.masking import MaskingRules
from triptych.data.next_sentence import NextSentenceRules, next_sentence_pairs
from triptych.data.pretraining_batches import FixedRows, PretrainingBatches, TokenBudget
from triptych.errors import ConfigError, DataError
from triptych.training.step import split_rows
from triptych.training.task import BatchSource

CLS, SEP, PAD, MASK = 2, 3, 0, 4


@pytest.fixture
def source(corpus, tokenizer):
    def make(max_seq_len=64, grouping=None, seed=1, **masking) -> PretrainingBatches:
        rules = NextSentenceRules(max_seq_len)
        grouping = grouping or FixedRows(32)
        return PretrainingBatches(corpus, tokenizer, rules, MaskingRules(**masking), grouping, seed)

    return make


@pytest.fixture(scope="session")
def small(numbers_corpus, random_documents):
    """A corpus of few batches."""
    return numbers_corpus(random_documents(30, seed=4))


def digest(batch) -> str:
    tensors = (batch.token_ids, batch.valid, batch.segment_ids, batch.labels, batch.is_random,
               batch.indices)  # fmt: skip
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()


@pytest.mark.parametrize("max_seq_len", [5, 30, 64])
def test_each_row_is_cls_a_sep_b_sep(corpus, source, max_seq_len):
    stream = source(max_seq_len)
    pairs = next_sentence_pairs(corpus, NextSentenceRules(max_seq_len), 1, 0)
    for _ in range(40):
        batch = stream.load(next(stream))
        original = torch.where(batch.labels == IGNORE, batch.token_ids, batch.labels)
        for row, index in enumerate(batch.indices.tolist()):
            a_begin, a_end, b_begin, b_end = pairs.ranges[index].tolist()
            a, b = corpus.tokens[a_begin:a_end].tolist(), corpus.tokens[b_begin:b_end].tolist()
            ids = [CLS, *a, SEP, *b, SEP]
            n_padded = batch.token_ids.size(1) - len(ids)
            assert original[row].tolist() == ids + [PAD] * n_padded
            assert batch.valid[row].tolist() == [True] * len(ids) + [False] * n_padded
            segments = [0] * (len(a) + 2) + [1] * (len(b) + 1) + [0] * n_padded
            assert batch.segment_ids[row].tolist() == segments
            assert batch.is_random[row] == int(pairs.is_random[index])


def test_the_batch_itself(source):
    stream = source()
    choice = next(stream)
    batch = stream.load(choice)
    assert len(batch) == 32
    assert batch.n_target_tokens == int((batch.labels != IGNORE).sum()) > 100
    assert batch.token_ids.shape == batch.valid.shape == batch.segment_ids.shape
    assert batch.labels.shape == batch.valid.shape
    assert batch.is_random.shape == batch.indices.shape == (32,)
    assert batch.valid.dtype == torch.bool
    for tensor in (batch.token_ids, batch.segment_ids, batch.labels, batch.is_random):
        assert tensor.dtype == torch.int64
    assert digest(batch.to("cpu")) == digest(batch)
    assert batch.indices.tolist() == choice.indices.tolist()
    assert (batch.token_ids == MASK).any()


def test_a_batch_can_be_cut_along_its_rows(source):
    batch = source().load(next(source()))
    parts = list(split_rows(batch, 3))
    assert [len(part) for part in parts] == [11, 11, 10]
    assert torch.cat([part.labels for part in parts]).equal(batch.labels)
    assert sum(part.n_target_tokens for part in parts) == batch.n_target_tokens


@pytest.mark.parametrize("max_seq_len", [128, 100, 5])
def test_shapes_are_few_and_never_too_long(source, max_seq_len):
    stream = source(max_seq_len)
    widths = set()
    for choice in stream.epoch_choices(0):
        batch = stream.load(choice)
        longest = int(batch.valid.sum(dim=1).max())
        width = batch.token_ids.size(1)
        assert width == min(-(-longest // 8) * 8, max_seq_len)
        widths.add(width)
    assert max(widths) == max_seq_len


def test_little_is_padded(source):
    def padding(grouping) -> float:
        stream = source(128, grouping)
        real = padded = 0
        for choice in stream.epoch_choices(0):
            batch = stream.load(choice)
            real += int(batch.valid.sum())
            padded += batch.valid.numel()
        return 1 - real / padded

    assert padding(FixedRows(32, pool=1)) > 0.2, "nothing to gain: the test shows nothing"
    assert padding(FixedRows(32)) < 0.06
    assert padding(TokenBudget(32 * 128)) < 0.06


def test_each_example_once_in_an_epoch(source):
    for grouping in (FixedRows(32), TokenBudget(4096)):
        stream = source(grouping=grouping)
        choices = [next(stream) for _ in range(stream.n_batches)]
        n_examples = sum(len(choice.indices) for choice in choices)
        indices = sorted(chain.from_iterable(choice.indices.tolist() for choice in choices))
        assert indices == list(range(n_examples))
        assert {choice.epoch for choice in choices} == {0}
        assert next(stream).epoch == stream.epoch == 1


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 400),
    batch_size=st.integers(1, 70),
    pool=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_fixed_rows(n, batch_size, pool, seed):
    lengths = np.random.default_rng(seed).integers(5, 60, n)
    batches = FixedRows(batch_size, pool).epoch(lengths, seed, 3)
    sizes = [len(batch) for batch in batches]
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == -(-n // batch_size)
    again = FixedRows(batch_size, pool).epoch(lengths, seed, 3)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]


def test_the_order_of_fixed_rows():
    lengths = np.arange(5, 1005)

    def epoch(pool: int, seed: int = 0, number: int = 0) -> list[list[int]]:
        return [batch.tolist() for batch in FixedRows(10, pool).epoch(lengths, seed, number)]

    assert epoch(5) != epoch(5, number=1)
    assert epoch(5) != epoch(5, seed=1)
    means = {pool: [np.mean(batch) for batch in epoch(pool)] for pool in (1, 10, 100)}
    assert np.std(means[1]) < 150, "independent draws: 289 / √10 = 91"
    assert np.std(means[10]) > 250
    assert means[100] != sorted(means[100]), "the batches must not come by length"
    first_pool = sorted(chain(*epoch(10)[:10]))
    assert first_pool[-1] - first_pool[0] > 800, "a pool is a random part of the epoch"


def test_a_budget_is_kept(source):
    stream = source(grouping=TokenBudget(2048))
    sizes = [stream.load(choice).token_ids.numel() for choice in stream.epoch_choices(0)]
    assert max(sizes) <= 2048
    assert np.median(sizes) > 1700


@pytest.mark.parametrize("grouping", [FixedRows(16, 3), TokenBudget(1024)])
@pytest.mark.parametrize("whole_words", [False, True])
def test_resuming_at_any_batch_changes_no_bit(small, tokenizer, grouping, whole_words):
    def make():
        masking = MaskingRules(whole_words=whole_words)
        return PretrainingBatches(small, tokenizer, NextSentenceRules(64), masking, grouping, 5)

    whole = make()
    n_batches = whole.n_batches
    states, expected = [], []
    for _ in range(2 * n_batches + 3):
        states.append(json.loads(json.dumps(whole.state())))
        expected.append(digest(whole.load(next(whole))))
    assert n_batches > 5
    assert len(set(expected)) == len(expected)
    for position, state in enumerate(states[:-2]):
        resumed = make()
        resumed.restore(state)
        found = [digest(resumed.load(next(resumed))) for _ in range(3)]
        assert found == expected[position : position + 3]
    assert whole.epoch == 2


def test_choices_of_two_epochs_can_be_loaded_in_any_order(small, tokenizer):
    """An update may gather batches on both sides of an epoch's end before it loads them."""
    rules = NextSentenceRules(64), MaskingRules(), FixedRows(16)
    straight, gathered = (PretrainingBatches(small, tokenizer, *rules, 5) for _ in range(2))
    n = straight.n_batches + 3
    expected = [digest(straight.load(next(straight))) for _ in range(n)]
    choices = [next(gathered) for _ in range(n)]
    assert [digest(gathered.load(choice)) for choice in reversed(choices)] == expected[::-1]


def test_another_seed_or_epoch_makes_other_batches(small, tokenizer):
    def digests(seed, epoch):
        rules = NextSentenceRules(64), MaskingRules(), FixedRows(16)
        stream = PretrainingBatches(small, tokenizer, *rules, seed)
        return {digest(stream.load(choice)) for choice in stream.epoch_choices(epoch)}

    assert digests(1, 0) == digests(1, 0)
    assert digests(1, 0).isdisjoint(digests(1, 1))
    assert digests(1, 0).isdisjoint(digests(2, 0))


def test_two_phases_are_two_sources_over_one_corpus(source):
    first, second = source(32), source(128, FixedRows(8))
    assert first.load(next(first)).token_ids.size(1) <= 32
    assert max(second.load(next(second)).token_ids.size(1) for _ in range(20)) == 128
    with pytest.raises(DataError, match="max_seq_len 32, this run has max_seq_len 128"):
        second.restore(first.state())


def test_the_state_of_another_is_refused(source, small, tokenizer):
    state = source().state()
    for other, name in (
        (source(seed=2), "seed 1, this run has seed 2"),
        (source(mask_prob=0.2), "mask_prob 0.15, this run has mask_prob 0.2"),
        (source(whole_words=True), "whole_words False, this run has whole_words True"),
        (source(grouping=FixedRows(16)), r"grouping FixedRows\(batch_size=32, pool=16\), this"),
        (source(grouping=TokenBudget()), "grouping .*, this run has grouping TokenBudget"),
        (
            PretrainingBatches(
                small, tokenizer, NextSentenceRules(64), MaskingRules(), FixedRows(32), 1
            ),
            "corpus",
        ),
    ):
        with pytest.raises(DataError, match=f"belongs to {name}"):
            other.restore(state)
    with pytest.raises(DataError, match="batch 99999 of epoch 0 does not exist"):
        source().restore({**state, "position": 99999})


def test_the_tokenizer_must_be_that_of_the_corpus(source, tokenizer):
    tokenizer.vocab_size = 300
    tokenizer.is_continuation = np.zeros(300, dtype=bool)
    with pytest.raises(DataError, match="vocabulary of 200 entries, this tokenizer has 300"):
        source()


def test_impossible_groupings(source):
    with pytest.raises(ConfigError, match="batch_size 0 and pool 16 must be at least 1"):
        FixedRows(0)
    with pytest.raises(DataError, match=r"more than a batch may hold \(40\)"):
        source(grouping=TokenBudget(40))


def test_the_trainer_takes_it_for_a_source(source):
    stream: BatchSource = source()
    before = stream.state()
    first = digest(stream.load(next(stream)))
    stream.restore(before)
    assert digest(stream.load(next(stream))) == first
    assert stream.epoch == 0
