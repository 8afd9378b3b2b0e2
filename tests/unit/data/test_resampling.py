"""Pairs cut anew for each epoch: repeatable, complete, within the budget."""

import numpy as np
import pytest

from triptych.data.resampling import ResampledPairs
from triptych.errors import DataError
from triptych.tokenizers.bpe import JointBpe

PAIRS = [(f"the reader number {i} reads", f"der Leser Nummer {i} liest") for i in range(60)]


@pytest.fixture(scope="module")
def tokenizer() -> JointBpe:
    return JointBpe.train([text for pair in PAIRS for text in pair] * 3, 330)


def resampled(tokenizer: JointBpe, dropout: float = 0.3, seed: int = 5) -> ResampledPairs:
    return ResampledPairs(PAIRS, tokenizer, dropout, 200, tokenizer.pad_id, seed, 200)


def epoch(source: ResampledPairs) -> list[tuple[list[int], list[list[int]]]]:
    """Indices and target labels of each batch until the epoch changes."""
    batches = []
    for _ in range(source.n_batches - source.position):
        indices = next(source)
        batch = source.load(indices)
        batches.append((indices.tolist(), batch.target_out.tolist()))
    return batches


def test_each_pair_once_an_epoch_and_never_over_budget(tokenizer: JointBpe) -> None:
    source = resampled(tokenizer)
    for _ in range(2):
        batches = epoch(source)
        assert sorted(i for indices, _ in batches for i in indices) == list(range(len(PAIRS)))
        for indices, labels in batches:
            assert len(indices) * len(labels[0]) <= 200
        next(source)
        source.restore({**source.state(), "position": 0})


def test_cuts_change_with_the_epoch_and_decode_to_the_same_text(tokenizer: JointBpe) -> None:
    source = resampled(tokenizer)
    first = [ids.tolist() for ids in source._target_ids]
    source.restore({**source.state(), "epoch": 1, "position": 0})
    second = [ids.tolist() for ids in source._target_ids]
    assert sum(a != b for a, b in zip(first, second, strict=True)) > len(PAIRS) / 2
    for ids, (_, target) in zip(second, PAIRS, strict=True):
        assert tokenizer.decode_target(ids) == target


def test_a_restored_position_gives_the_same_batches(tokenizer: JointBpe) -> None:
    straight = resampled(tokenizer)
    for _ in range(straight.n_batches + 2):  # into the second epoch
        next(straight)
    other = resampled(tokenizer)
    other.restore(straight.state())
    assert epoch(other) == epoch(straight)


def test_the_source_and_target_are_cut_by_different_draws(tokenizer: JointBpe) -> None:
    same = [("reads the reader", "reads the reader")] * 40
    source = ResampledPairs(same, tokenizer, 0.5, 200, tokenizer.pad_id, 1, 200)
    pairs = zip(source._source_ids, source._target_ids, strict=True)
    assert any(not np.array_equal(s, t) for s, t in pairs)


def test_no_side_is_longer_than_the_model_takes(tokenizer: JointBpe) -> None:
    """Long pairs are left out, and dropout makes no other one longer than the limit."""
    plain = tokenizer.encode_source([text for pair in PAIRS for text in pair])
    limit = max(map(len, plain))
    source = ResampledPairs(
        [("the reader " * 30, "der Leser"), *PAIRS], tokenizer, 0.9, 400, tokenizer.pad_id, 1, limit
    )
    assert len(source.sources) == len(PAIRS)
    longest = max(len(ids) for ids in [*source._source_ids, *source._target_ids])
    assert longest <= limit
    grown = tokenizer.sample_encode([target for _, target in PAIRS], 0.9, 1)
    assert max(map(len, grown)) > limit  # else this shows nothing


def test_another_corpus_or_option_is_refused(tokenizer: JointBpe) -> None:
    state = resampled(tokenizer).state()
    with pytest.raises(DataError, match=r"dropout 0\.3, this run has dropout 0\.2"):
        resampled(tokenizer, dropout=0.2).restore(state)
    with pytest.raises(DataError, match="seed"):
        resampled(tokenizer, seed=6).restore(state)


def test_an_empty_corpus_is_refused(tokenizer: JointBpe) -> None:
    with pytest.raises(DataError, match="no pairs"):
        ResampledPairs([], tokenizer, 0.1, 200, tokenizer.pad_id, 1, 200)
