"""Every token is a target once an epoch, in rows that say what belongs together."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.blocks import Block
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import causal_mask, document_mask
from triptych.core.residual import PreNorm
from triptych.data.packed_batches import PADDING, PackedBatches
from triptych.data.packing import PackingRules, pack_documents, pack_windows
from triptych.data.text_parts import whole_texts
from triptych.data.token_shards import TokenShards
from triptych.errors import ConfigError, DataError
from triptych.training.step import split_rows

IGNORE = -100
EOS = 1
MODES = list(itertools.product([False, True], repeat=3))
"""whole_documents, attend_across, reset_positions."""


@pytest.fixture(scope="module")
def documents() -> list[list[int]]:
    """Most are short, some longer than any row here; no two tokens of a document are equal."""
    generator = np.random.default_rng(0)
    lengths = np.where(generator.random(150) < 0.1, generator.integers(60, 150, 150),
                       generator.integers(1, 30, 150))  # fmt: skip
    return [generator.permutation(np.arange(5, 195))[:n].tolist() for n in lengths]


@pytest.fixture(scope="module")
def corpus(documents, tmp_path_factory) -> TokenShards:
    return make(documents, tmp_path_factory.mktemp("packing") / "c")


def make(documents: list[list[int]], folder) -> TokenShards:
    class Numbers:
        vocab_size, eos_id = 200, EOS

        def encode(self, texts):
            return [[int(number) for number in text.split()] for text in texts]

        def save(self, folder):
            raise AssertionError

    texts = [" ".join(map(str, document)) for document in documents]
    return TokenShards.build(whole_texts(texts), Numbers(), folder)


def epoch(source: PackedBatches, number: int = 0):
    return [source.load(choice) for choice in source.epoch_choices(number)]


# -- which tokens -------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_documents", [False, True])
@pytest.mark.parametrize("length", [1, 7, 16, 64, 10_000])
def test_each_token_is_a_target_exactly_once(corpus, whole_documents, length):
    rules = PackingRules(length, whole_documents)
    source = PackedBatches(corpus, rules, 5, seed=3)
    n_tokens = len(corpus.tokens)
    for number in (0, 1, 5):
        seen = np.zeros(n_tokens, dtype=int)
        for choice in source.epoch_choices(number):
            batch = source.load(choice)
            lengths = (choice.ends - choice.begins).tolist()
            places = np.concatenate([np.arange(a, b) for a, b, _ in zip(*choice[:2], lengths)])  # noqa: B905
            np.add.at(seen, places, 1)
            targets = batch.targets[batch.valid]
            assert targets.tolist() == corpus.tokens[places].tolist()
            inputs = [corpus.tokens[i - 1] if i else EOS for i in places]
            assert batch.token_ids[batch.valid].tolist() == inputs
        assert (seen == 1).all()


def test_windows_are_cut_elsewhere_in_each_epoch_and_are_full(corpus):
    source = PackedBatches(corpus, PackingRules(16), 4, seed=3)
    cuts = []
    for number in range(6):
        batches = epoch(source, number)
        lengths = Counter(torch.cat([batch.valid.sum(1) for batch in batches]).tolist())
        assert sum(n for length, n in lengths.items() if length < 16) <= 2
        assert all(len(batch) == 4 for batch in batches[:-1])
        cuts.append(min(i for batch in batches for i in batch.indices.tolist() if i))
        assert all(batch.token_ids.shape[1] == 16 for batch in batches)
    assert len(set(cuts)) > 2


@pytest.mark.parametrize(("n_tokens", "length"), [(1, 1), (1, 9), (9, 9), (10, 9), (30, 7)])
def test_windows_by_hand(n_tokens, length):
    for offset in range(min(length, n_tokens)):
        begins, ends, row_offsets = pack_windows(n_tokens, length, offset)
        covered = [i for a, b in zip(begins, ends, strict=True) for i in range(a, b)]
        assert covered == list(range(n_tokens))
        assert (ends - begins).max() <= length
        assert (ends - begins)[1:-1].tolist() == [length] * (len(begins) - 2)
        assert row_offsets.tolist() == list(range(len(begins) + 1))


def test_whole_documents_are_not_cut(corpus, documents):
    rules = PackingRules(64, whole_documents=True, attend_across=False)
    rows = [row for batch in epoch(PackedBatches(corpus, rules, 5, 1)) for row in rows_of(batch)]
    found = Counter()
    for inputs, targets, documents_of_row in rows:
        for number in set(documents_of_row) - {PADDING}:
            at = [i for i, d in enumerate(documents_of_row) if d == number]
            found[tuple(targets[i] for i in at)] += 1
            if len(at) < 64 and at and inputs[at[0]] == EOS:
                assert targets[at[-1]] == EOS
    short = [(*document, EOS) for document in documents if len(document) < 64]
    assert len(short) > 100
    assert all(found[document] == n for document, n in Counter(short).items())
    # nearly everything is full: no more rows than first-fit theory allows, here 3 % over the least
    n_tokens = len(corpus.tokens)
    assert len(rows) <= 1.03 * -(-n_tokens // 64) + 1


def rows_of(batch):
    fields = (batch.token_ids, batch.targets, batch.document_ids)
    return zip(*(field.tolist() for field in fields), strict=True)


def test_best_fit_is_that_of_a_plain_search():
    generator = np.random.default_rng(5)
    for _ in range(30):
        lengths = generator.integers(1, 40, generator.integers(1, 60))
        offsets = np.concatenate([[0], lengths.cumsum()])
        order = generator.permutation(len(lengths))
        begins, ends, row_offsets = pack_documents(offsets, 25, order)
        rows = [(ends - begins)[a:b].tolist() for a, b in itertools.pairwise(row_offsets)]
        expected = plain_best_fit(lengths.tolist(), 25)
        # of two rows with the same room either may be taken: all later rooms are the same
        assert Counter(map(sum, rows)) == Counter(map(sum, expected))
        assert Counter(itertools.chain(*rows)) == Counter(itertools.chain(*expected))


def plain_best_fit(lengths, size):
    pieces = [p for n in lengths for p in [size] * (n // size) + [n % size] if p]
    rows: list[list[int]] = []
    for piece in sorted(pieces, reverse=True):
        fitting = [row for row in rows if sum(row) + piece <= size]
        if fitting:
            max(fitting, key=sum).append(piece)
        else:
            rows.append([piece])
    return rows


# -- what belongs together ----------------------------------------------------------------------


@pytest.mark.parametrize(("whole", "across", "reset"), MODES)
def test_documents_and_positions(corpus, whole, across, reset):
    """By hand, token after token: a document begins behind an end, or where a range begins."""
    rules = PackingRules(32, whole, across, reset)
    source = PackedBatches(corpus, rules, 4, seed=2)
    starts_of_documents = set(corpus.document_offsets.tolist())
    for choice in source.epoch_choices(0):
        batch = source.load(choice)
        for row, (first, last) in enumerate(itertools.pairwise(choice.row_offsets)):
            number, position, at = -1, 0, 0
            for piece in range(first, last):
                for place in range(choice.begins[piece], choice.ends[piece]):
                    if place in starts_of_documents or place == choice.begins[piece]:
                        number, position = number + 1, 0
                    assert batch.document_ids[row, at] == (0 if across else number)
                    assert batch.positions[row, at] == (position if reset else at)
                    position, at = position + 1, at + 1
            assert (batch.document_ids[row, at:] == PADDING).all()
            assert (batch.targets[row, at:] == IGNORE).all()
            assert (batch.token_ids[row, at:] == EOS).all()
        assert int(batch.positions.max()) < 32


# -- batches ------------------------------------------------------------------------------------


def test_a_batch_counts_moves_and_splits(corpus):
    source = PackedBatches(corpus, PackingRules(64, whole_documents=True), 6, seed=1)
    batch = source.load(next(source))
    assert len(batch) == 6
    assert batch.n_tokens == int((batch.targets != IGNORE).sum()) > 0
    assert batch.n_targets == (batch.n_tokens,)
    assert batch.to("meta").token_ids.is_meta
    assert torch.equal(batch.valid, batch.document_ids != PADDING)
    parts = list(split_rows(batch, 4))
    assert [len(part) for part in parts] == [2, 2, 2]
    assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)
    assert sum(part.n_tokens for part in parts) == batch.n_tokens


@pytest.mark.parametrize("whole_documents", [False, True])
def test_the_order_is_the_seed_s_and_the_epoch_s(corpus, whole_documents):
    rules = PackingRules(32, whole_documents)

    def order(seed, number):
        source = PackedBatches(corpus, rules, 4, seed)
        return [batch.targets.tolist() for batch in epoch(source, number)]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(2, 0)
    assert order(1, 0) != order(1, 1)
    rows = [batch.indices.tolist() for batch in epoch(PackedBatches(corpus, rules, 4, 1))]
    flat = list(itertools.chain(*rows))
    assert flat != sorted(flat)


@pytest.mark.parametrize("whole_documents", [False, True])
@pytest.mark.parametrize("n_before", [0, 1, 9, 10_000])
def test_a_resumed_stream_goes_on_as_if_never_stopped(corpus, whole_documents, n_before):
    """Also across the end of an epoch; what was drawn before and after is the whole epoch."""
    rules = PackingRules(32, whole_documents)
    source = PackedBatches(corpus, rules, 4, seed=7)
    n_before = min(n_before, source.n_batches)
    before = [source.load(next(source)) for _ in range(n_before)]
    state = json.loads(json.dumps(source.state()))
    other = PackedBatches(corpus, rules, 4, seed=7)
    other.restore(state)
    after = []
    for _ in range(source.n_batches + 3):
        mine, its = source.load(next(source)), other.load(next(other))
        assert all(torch.equal(getattr(mine, n), getattr(its, n)) for n in vars(mine))
        after.append(its)
    targets = torch.cat([b.targets[b.valid] for b in (before + after)[: len(epoch(source))]])
    assert Counter(targets.tolist()) == Counter(corpus.tokens.tolist())


def test_a_position_of_other_data_is_refused(corpus, documents, tmp_path):
    rules = PackingRules(32)
    state = PackedBatches(corpus, rules, 4, seed=7).state()
    other = make(documents[1:], tmp_path / "other")
    for source in (
        PackedBatches(other, rules, 4, seed=7),
        PackedBatches(corpus, PackingRules(31), 4, seed=7),
        PackedBatches(corpus, PackingRules(32, attend_across=False), 4, seed=7),
        PackedBatches(corpus, rules, 3, seed=7),
        PackedBatches(corpus, rules, 4, seed=8),
    ):
        with pytest.raises(DataError, match="the saved data position belongs to"):
            source.restore(state)


def test_choices_are_kept_apart_from_the_epoch(corpus):
    """A choice can be loaded later, when the stream is in another epoch."""
    source = PackedBatches(corpus, PackingRules(16), 4, seed=7)
    choices = [next(source) for _ in range(source.n_batches + 2)]
    again = PackedBatches(corpus, PackingRules(16), 4, seed=7)
    for choice in choices:
        assert torch.equal(source.load(choice).targets, again.load(next(again)).targets)


def test_rules_that_cannot_be(corpus):
    with pytest.raises(ConfigError, match="max_seq_len 0"):
        PackingRules(0)
    with pytest.raises(ConfigError, match="batch_size 0"):
        PackedBatches(corpus, PackingRules(8), 0, seed=1)


def test_one_document_of_one_token(tmp_path):
    source = PackedBatches(make([[9]], tmp_path / "c"), PackingRules(8), 4, seed=1)
    for batch in (source.load(next(source)) for _ in range(5)):
        assert sorted(batch.targets[batch.valid].tolist()) == [EOS, 9]


# -- no leak ------------------------------------------------------------------------------------


class Stack(nn.Module):
    """Two blocks over tokens and learned positions: all that attends in a GPT."""

    def __init__(self, length: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens, self.positions = nn.Embedding(200, 8), nn.Embedding(length, 8)
        self.blocks = nn.ModuleList(
            Block(
                attention=lambda: MultiHeadAttention(8, 2),
                feed_forward=lambda: FeedForward(8, 16, nn.GELU()),
                residual=lambda: PreNorm(8, dropout=0.0),
            )
            for _ in range(2)
        )

    def forward(self, x, positions, mask):
        x = x + self.positions(positions)
        for block in self.blocks:
            x = block(x, mask)
        return x


@pytest.fixture(scope="module")
def packed(corpus):
    """A batch of rows with several documents, each attending to itself alone."""
    rules = PackingRules(64, whole_documents=True, attend_across=False, reset_positions=True)
    source = PackedBatches(corpus, rules, 8, seed=1)
    batches = (source.load(choice) for choice in source.epoch_choices(0))
    return next(b for b in batches if int(b.document_ids.max()) > 2)


def test_a_packed_document_is_computed_as_if_alone(packed):
    model = Stack(64)
    hidden = model(model.tokens(packed.token_ids), packed.positions,
                   document_mask(packed.document_ids))  # fmt: skip
    n_documents = 0
    for row, ids in enumerate(packed.document_ids):
        for number in range(int(ids.max()) + 1):
            own = ids == number
            alone = packed.token_ids[row, own][None]
            length = alone.size(1)
            expected = model(
                model.tokens(alone), torch.arange(length)[None], causal_mask(length, length)
            )
            torch.testing.assert_close(hidden[row, own][None], expected, atol=1e-5, rtol=1e-5)
            n_documents += 1
    assert n_documents > len(packed) + 2


@pytest.mark.parametrize("attend_across", [False, True])
def test_nothing_flows_between_documents_unless_asked(packed, attend_across):
    """The gradient of one document's states by another's tokens is zero, to the bit."""
    model = Stack(64)
    x = model.tokens(packed.token_ids).detach().requires_grad_()
    mask = causal_mask(64, 64) if attend_across else document_mask(packed.document_ids)
    hidden = model(x, packed.positions, mask)
    watched = packed.document_ids == 1
    (gradient,) = torch.autograd.grad(hidden[watched].square().sum(), x)
    flows = gradient.abs().sum(-1) > 0
    assert flows[watched].any()
    first_of_row = (packed.document_ids == 0) & watched.any(dim=1, keepdim=True)
    assert bool(flows[first_of_row].any()) == attend_across
    assert not flows[packed.document_ids > 1].any()  # nor from the future
