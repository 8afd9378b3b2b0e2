"""Windows that slide: each token predicted once, from as much as is said."""

import pytest
import torch

from triptych.decoding.forced import forced_is_likeliest
from triptych.decoding.windows import collate_windows, sliding_windows
from triptych.errors import UsageError


@pytest.mark.parametrize("length", [2, 7, 8, 9, 10, 23])
@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize("n_before", [1, 2, 9])
def test_each_token_once(length, stride, n_before):
    context, ids = 8, torch.arange(100, 100 + length)
    found = list(sliding_windows(ids, n_before, context, stride))
    predicted = [i for window in found for i in window.token_ids[-window.n_targets :].tolist()]
    assert predicted == ids[n_before:].tolist()
    for window in found:
        read = len(window.token_ids) - 1
        assert read <= context
        first = int(window.token_ids[-window.n_targets]) - 100
        assert read - window.n_targets + 1 >= min(first, context - stride + 1)


@pytest.mark.parametrize("stride", [0, 9])
def test_strides_out_of_range(stride):
    with pytest.raises(UsageError, match=f"stride is {stride}; windows slide by 1 to 8"):
        list(sliding_windows(torch.arange(9), 1, 8, stride))


def test_rows_are_filled_up_at_their_end():
    windows = [
        *sliding_windows(torch.arange(5), 3, 8, 8),
        *sliding_windows(torch.arange(2), 1, 8, 8),
    ]
    read, targets = collate_windows(windows, -100)
    assert read.tolist() == [[0, 1, 2, 3], [0, 0, 0, 0]]
    assert targets.tolist() == [[-100, -100, 3, 4], [1, -100, -100, -100]]


def test_what_greedy_decoding_would_take():
    table = torch.tensor([[1.0, 2.0, 2.0], [3.0, 0.0, 1.0], [0.0, 5.0, 4.0]])
    hidden = torch.eye(3)[None]  # [1, 3, E]

    def likeliest(targets, outside=()):
        return forced_is_likeliest(hidden, lambda h: h @ table, torch.tensor([targets]), outside)

    assert likeliest([1, 0, 2]).tolist() == [[True, True, False]]
    assert likeliest([2, -100, 1]).tolist() == [[False, False, True]]  # the lower of equal ids
    assert likeliest([2, 0, 2], [1]).tolist() == [[True, True, True]]
    assert likeliest([1, 0, 1], [1]).tolist() == [[False, True, False]]
