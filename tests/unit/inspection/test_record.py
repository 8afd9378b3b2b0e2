"""Recording changes nothing, records everything, and leaves no trace."""

import pytest
import torch
from torch import nn

from triptych.core.attention import MultiHeadAttention, attention, fused_attention
from triptych.errors import UsageError
from triptych.inspection.record import record


class Toy(nn.Module):
    """Two self-attentions and, in `fail`, a fault on the way."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(MultiHeadAttention(8, 2) for _ in range(2))
        self.fail = False

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = x + layer(x, x, mask)
            if self.fail:
                raise RuntimeError("on the way")
        return x


@pytest.fixture
def toy():
    torch.manual_seed(1)
    return Toy().eval()


X = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(2))
MASK = torch.ones(5, 5, dtype=torch.bool).tril()


def assert_untouched(model):
    for layer in model.layers:
        assert layer.attend is fused_attention
        assert not layer.weights._forward_hooks


def test_weights_are_recorded_by_path(toy):
    with record(toy) as tape:
        toy(X, MASK)
    assert list(tape.weights) == ["layers.0", "layers.1"]
    (weights,) = tape.weights["layers.0"]
    assert weights.shape == (3, 2, 5, 5)
    assert not weights.requires_grad
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5))
    assert weights[:, :, ~MASK].abs().max() == 0
    layer = toy.layers[0]
    _, expected = attention(layer.split(layer.w_q(X)), layer.split(layer.w_k(X)), X[:, None], MASK)
    torch.testing.assert_close(weights, expected)


def test_results_and_gradients_are_the_same(toy):
    plain = toy(X, MASK)
    plain.square().sum().backward()
    expected = {name: p.grad.clone() for name, p in toy.named_parameters()}
    toy.zero_grad()
    with record(toy):
        recorded = toy(X, MASK)
    recorded.square().sum().backward()
    torch.testing.assert_close(recorded, plain)
    for name, p in toy.named_parameters():
        torch.testing.assert_close(p.grad, expected[name], atol=1e-5, rtol=1e-4)


def test_the_model_is_as_before(toy):
    with record(toy) as tape:
        toy(X)
        assert toy.layers[0].attend is attention
    assert_untouched(toy)
    toy(X)
    assert len(tape.weights["layers.0"]) == 1  # the tape has stopped


def test_the_model_is_as_before_after_a_fault(toy):
    toy.fail = True
    with pytest.raises(RuntimeError, match="on the way"), record(toy) as tape:
        toy(X)
    assert_untouched(toy)
    assert list(tape.weights) == ["layers.0"]


def test_a_model_that_already_shows_its_weights_keeps_doing_so(toy):
    toy.layers[1].attend = attention
    with record(toy):
        toy(X)
    assert toy.layers[0].attend is fused_attention
    assert toy.layers[1].attend is attention


def test_every_call_is_kept_and_tapes_may_be_nested(toy):
    with record(toy) as outer:
        toy(X)
        with record(toy) as inner:
            toy(X)
        toy(X)
    assert len(outer.weights["layers.1"]) == 3
    assert len(inner.weights["layers.1"]) == 1
    assert_untouched(toy)


def test_a_model_without_attention_is_refused():
    with (
        pytest.raises(UsageError, match="Linear has no MultiHeadAttention"),
        record(nn.Linear(2, 2)),
    ):
        pass
