"""Words and contexts cut into inputs, and inputs into batches."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from triptych.data.answer_windows import MAX_QUESTION_TOKENS, answer_windows
from triptych.data.batching import IGNORE
from triptych.data.finetuning_batches import FinetuningBatches, LabelledInput, collate_inputs
from triptych.data.word_inputs import word_inputs
from triptych.errors import ConfigError, DataError
from triptych.tokenizers.wordpiece import WordPiece

TEXT = "the river bank is steep and the old bankers swim near it ."


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece.train([TEXT, "where is the bank", "steepest rivers"] * 3, 52)


# -- words --------------------------------------------------------------------------------------


def test_the_first_piece_of_a_word_carries_its_label(tokenizer: WordPiece) -> None:
    words = ["the", "bankers", "\x00", "swim"]
    (given,) = word_inputs([words], tokenizer, 64)
    labels = given.labels([5, 6, 7, 8])
    pieces = [tokenizer.encode([word])[0] or [tokenizer.unk_id] for word in words]
    expected = [IGNORE]
    for number, its in enumerate(pieces, 5):
        expected += [number] + [IGNORE] * (len(its) - 1)
    assert len(pieces[1]) > 1
    assert labels == [*expected, IGNORE]
    assert given.token_ids[1:-1] == [i for its in pieces for i in its]


@pytest.mark.parametrize("max_seq_len", [5, 7, 12, 64])
def test_every_word_is_in_exactly_one_input(tokenizer: WordPiece, max_seq_len: int) -> None:
    sentences = [TEXT.split(), ["bankers"], [], TEXT.split() * 2]
    found = word_inputs(sentences, tokenizer, max_seq_len)
    assert all(len(given.token_ids) <= max_seq_len for given in found)
    for number, words in enumerate(sentences):
        parts = [given for given in found if given.sentence == number]
        labels = [x for p in parts for x in p.labels(range(100)) if x != IGNORE]
        assert labels == list(range(len(words)))
        for part in parts:
            for word, place in enumerate(part.first_pieces, part.first_word):
                assert part.token_ids[place] == tokenizer.encode([words[word]])[0][0]


# -- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("max_seq_len", "stride"), [(12, 2), (12, 99), (16, 3), (200, 5)])
def test_windows_cover_the_context_and_know_their_characters(
    tokenizer: WordPiece, max_seq_len: int, stride: int
) -> None:
    ids, spans = tokenizer.encode_with_spans(TEXT)
    windows = answer_windows([("where is", TEXT)], tokenizer, max_seq_len, stride)
    seen = []
    for window in windows:
        assert len(window.token_ids) <= max_seq_len
        part = window.token_ids[window.first : window.first + len(window.spans)]
        start = spans.index(window.spans[0])
        assert (part, window.spans) == (
            ids[start : start + len(part)],
            spans[start : start + len(part)],
        )
        assert window.segment_ids == [0] * window.first + [1] * (len(part) + 1)
        seen.append(start)
    room = max_seq_len - windows[0].first - 1
    assert all(b - a == min(stride, room) for a, b in pairwise(seen))
    assert seen[-1] + room >= len(ids)
    assert len(windows) == 1 or seen[-2] + room < len(ids)


def test_every_answer_is_labelled_where_it_is_whole(tokenizer: WordPiece) -> None:
    windows = answer_windows([("where is", TEXT)], tokenizer, 14, 4)
    n_whole = 0
    for start in range(len(TEXT)):
        for end in range(start + 1, min(start + 15, len(TEXT)) + 1):
            if TEXT[start].isspace() or TEXT[end - 1].isspace():
                continue
            for window in windows:
                first, last = window.label(start, end)
                low, high = window.spans[0][0], window.spans[-1][1]
                assert (first > 0) == (low <= start and end <= high)
                if first:
                    n_whole += 1
                    spans = window.spans[first - window.first : last - window.first + 1]
                    assert spans[0][0] <= start < spans[0][1]
                    assert spans[-1][0] < end <= spans[-1][1]
    assert n_whole > 100


def test_long_questions_and_no_room(tokenizer: WordPiece) -> None:
    (window,) = answer_windows([("bank " * 100, "river")], tokenizer, 100, 8)
    assert window.first == MAX_QUESTION_TOKENS + 2
    with pytest.raises(ConfigError, match="leaves no room"):
        answer_windows([("bank " * 100, "river")], tokenizer, 60, 8)
    (empty,) = answer_windows([("where", "")], tokenizer, 60, 8)
    assert empty.spans == []


# -- batches ------------------------------------------------------------------------------------


def made(n: int, seed: int = 0) -> list[LabelledInput]:
    generator = np.random.default_rng(seed)
    rows = [generator.integers(5, 50, generator.integers(2, 9)).tolist() for _ in range(n)]
    return [LabelledInput(row, [0] * (len(row) - 1) + [1], i) for i, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("labels", "expected", "n_targets"),
    [
        ([3, 4], torch.tensor([3, 4]), 2),
        ([0.5, -100.0], torch.tensor([0.5, -100.0]), 2),
        ([[1, IGNORE, 2], [IGNORE, 5]], torch.tensor([[1, IGNORE, 2], [IGNORE, 5, IGNORE]]), 3),
        ([(1, 2), (0, 0)], torch.tensor([[1, 2], [0, 0]]), 4),
    ],
)
def test_padding(labels: list, expected: torch.Tensor, n_targets: int) -> None:
    inputs = [
        LabelledInput([7, 8, 9], [0, 0, 1], labels[0]),
        LabelledInput([7, 8], [0, 1], labels[1]),
    ]
    batch = collate_inputs(inputs, [4, 6], 0)
    assert batch.token_ids.tolist() == [[7, 8, 9], [7, 8, 0]]
    assert batch.segment_ids.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert batch.valid.tolist() == [[True, True, True], [True, True, False]]
    assert batch.indices.tolist() == [4, 6]
    assert torch.equal(batch.labels, expected)
    assert batch.labels.dtype == expected.dtype
    assert (batch.n_targets, batch.n_tokens) == ((n_targets,), 5)


def test_an_epoch_has_every_input_once_and_goes_on_where_it_was() -> None:
    source = FinetuningBatches(made(23), 0, 5, seed=1)
    epochs = [[next(source) for _ in range(5)] for _ in range(2)]
    for epoch in epochs:
        assert sorted(i for batch in epoch for i in batch) == list(range(23))
    assert not all(np.array_equal(a, b) for a, b in zip(*epochs, strict=True))
    other = FinetuningBatches(made(23), 0, 5, seed=1)
    for _ in range(7):
        next(other)
    resumed = FinetuningBatches(made(23), 0, 5, seed=1)
    resumed.restore(other.state())
    assert all(np.array_equal(next(resumed), wanted) for wanted in epochs[1][2:])


def test_a_position_of_other_inputs_is_refused() -> None:
    state = FinetuningBatches(made(23), 0, 5, seed=1).state()
    with pytest.raises(DataError, match="digest"):
        FinetuningBatches(made(23, seed=9), 0, 5, seed=1).restore(state)
    with pytest.raises(DataError, match="batch_size 5"):
        FinetuningBatches(made(23), 0, 6, seed=1).restore(state)
