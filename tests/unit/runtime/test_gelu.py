"""GELU in bfloat16 by our loop against the formula in float64, and where it stands."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from triptych.core.feed_forward import FeedForward
from triptych.models.gpt import ACTIVATIONS
from triptych.runtime import gelu
from triptych.runtime.gelu import FastActivation, has_gelu, rounded_gelu
from triptych.runtime.training import use_fast_training

if not has_gelu():
    pytest.skip("the processor has no bfloat16, or torch's threads cannot be asked here",
                allow_module_level=True)  # fmt: skip

BOTH = pytest.mark.parametrize("activation", [ACTIVATIONS["gelu_tanh"], F.gelu])
Activation = Callable[[Tensor], Tensor]


def fast(activation: Activation, width: int = 64) -> FastActivation:
    torch.manual_seed(0)
    made = FeedForward(32, width, activation)
    use_fast_training(made)
    assert isinstance(made, FastActivation)
    return made


def is_ours(y: Tensor) -> bool:
    return type(y.grad_fn).__name__ == "_GeluBackward"


@BOTH
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("shape", [(16,), (3, 16), (5, 7, 64), (0, 16)])
def test_values_and_gradients(
    activation: Activation, n_threads: int, shape: tuple[int, ...]
) -> None:
    """To what bfloat16 can show, its last place, and 1e-4 where numbers are small."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    x = (3 * torch.randn(shape, generator=torch.Generator().manual_seed(1))).bfloat16()
    dy = torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2].bfloat16()  # not contiguous
    given, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    found, expected = fast(activation).activate(given), activation(exact)
    assert is_ours(found)
    found.backward(dy)
    expected.backward(dy.double())
    torch.set_num_threads(before)
    for ours, theirs in ((found, expected), (given.grad, exact.grad)):
        assert ours is not None
        torch.testing.assert_close(ours.double(), theirs, rtol=2**-8, atol=1e-4)


@BOTH
def test_every_number_of_bfloat16(activation: Activation) -> None:
    """Zeros, very large ones, and what is no number, as torch's own."""
    x = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    x = x[(x.abs() > 1e-30) & ~(x.abs() > 1e38)]  # below may be zero, and torch's above infinite
    x = x[: len(x) // 16 * 16].requires_grad_()
    found, theirs = fast(activation).activate(x), activation(x)
    assert is_ours(found)
    torch.testing.assert_close(found, theirs, rtol=0.01, atol=1e-4, equal_nan=True)
    largest = x.detach().abs() < 1e18  # whose square is a number
    (ours,) = torch.autograd.grad(found.sum(), x)
    (other,) = torch.autograd.grad(theirs.sum(), x)
    torch.testing.assert_close(ours[largest], other[largest], rtol=0.01, atol=2e-3)


@BOTH
def test_under_autocast_a_block_learns_alike(activation: Activation) -> None:
    ours = fast(activation)
    plain = copy.deepcopy(ours)
    plain.__class__ = FeedForward
    x, upstream = torch.randn(4, 8, 32), torch.randn(4, 8, 32)
    for one in (ours, plain):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = one(x)
        y.float().backward(upstream)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert (a.grad - b.grad).norm() < 0.01 * b.grad.norm()


def test_what_goes_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another type or number of numbers, another activation, another processor."""
    x = torch.randn(3, 16).bfloat16().requires_grad_()
    tanh = ACTIVATIONS["gelu_tanh"]
    assert is_ours(fast(tanh).activate(x))
    for module, given in (
        (fast(tanh), x.float()), (fast(tanh), x[:, :5]), (fast(F.relu), x), (fast(F.silu), x),
    ):  # fmt: skip
        assert not is_ours(module.activate(given))
        assert torch.equal(module.activate(given), module.activation(given))
    monkeypatch.setattr(gelu, "can_compile", lambda feature: False)
    assert not is_ours(fast(tanh).activate(x))


@BOTH
def test_before_a_product_that_rounds(activation: Activation) -> None:
    """In place, to 1e-4; what it is not for goes the plain way."""
    x = 3 * torch.randn(5, 7, 32, generator=torch.Generator().manual_seed(2))
    expected, given = activation(x.double()), x.clone()
    found = rounded_gelu(activation)(given)
    assert found.data_ptr() == given.data_ptr()
    torch.testing.assert_close(found.double(), expected, rtol=2e-4, atol=1e-5)
    assert rounded_gelu(F.relu) is F.relu
    for other in (x.double(), x[:, :, ::2], x[:, :1, :5]):
        before = other.clone()
        torch.testing.assert_close(rounded_gelu(activation)(other), activation(before))
        assert torch.equal(other, before)
