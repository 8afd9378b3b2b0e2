"""Forced scores against torch's own log-softmax."""

import pytest
import torch
from torch import nn

from triptych.core.loss import IGNORE
from triptych.decoding import forced
from triptych.decoding.forced import as_hypotheses, forced_log_probs


def test_each_token_gets_its_log_softmax(monkeypatch):
    monkeypatch.setattr(forced, "CHUNK", 3)  # several chunks, the last one short
    torch.manual_seed(0)
    hidden, head = torch.randn(3, 4, 8), nn.Linear(8, 11)
    targets = torch.randint(0, 10, (3, 4))
    targets[1, 2:] = IGNORE
    found = forced_log_probs(hidden, head, targets, outside_ids=[10])
    expected = head(hidden)[..., :10].log_softmax(-1)
    for b in range(3):
        for t in range(4):
            if targets[b, t] == IGNORE:
                assert found[b, t] == 0
            else:
                assert found[b, t].item() == pytest.approx(
                    expected[b, t, targets[b, t]].item(), abs=1e-6
                )


def test_hypotheses_of_given_targets():
    log_probs = torch.tensor([[-1.0, -2.0, -3.0], [-4.0, 0.0, 0.0]])
    first, second = as_hypotheses(log_probs, [[5, 6, 0], [7]], 0, ("length", 1.0))
    assert first.token_ids == (5, 6, 0)
    assert first.log_prob == -6.0
    assert first.score == -2.0
    assert first.finished
    assert second.token_log_probs == (-4.0,)
    assert not second.finished
