"""A model switched to fast training against the plain one."""

import copy

import pytest
import torch
from torch import nn

from triptych.core import products
from triptych.models.gpt import Gpt, GptConfig
from triptych.runtime import training
from triptych.runtime.attention import fast_attention
from triptych.runtime.training import FastLinear, use_fast_training

SHAPES = [(6, 5), (2, 3, 5), (1, 1, 5), (0, 5)]


@pytest.fixture(params=[True, False], ids=["onednn", "plain"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(products, "has_onednn", lambda: False)
    monkeypatch.setattr(training, "ROWS", 1)


def both(bias: bool = True, dtype: torch.dtype = torch.float32) -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    plain = nn.Linear(5, 4, bias=bias, dtype=dtype)
    fast = copy.deepcopy(plain)
    use_fast_training(nn.Sequential(fast))
    assert isinstance(fast, FastLinear)
    return plain, fast


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients(bias: bool, shape: tuple[int, ...]) -> None:
    plain, fast = both(bias)
    x = torch.randn(shape)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [part(given) for part, given in zip((plain, fast), inputs, strict=True)]
    upstream = torch.randn(*shape[:-1], 8)[..., ::2]  # not contiguous
    for found in outputs:
        found.backward(upstream)
    pairs = [outputs, [given.grad for given in inputs], [plain.weight.grad, fast.weight.grad]]
    for a, b in pairs + ([[plain.bias.grad, fast.bias.grad]] if bias else []):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_what_needs_no_gradient_gets_none() -> None:
    _, fast = both()
    fast.weight.requires_grad_(False)
    x = torch.randn(3, 5)
    fast(x).sum().backward()
    assert fast.weight.grad is None
    torch.testing.assert_close(fast.bias.grad, torch.full((4,), 3.0))
    fast.requires_grad_(False)
    assert not fast(x).requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_the_plain_ones(dtype: torch.dtype) -> None:
    plain, fast = both(dtype=dtype)
    x = torch.randn(3, 5, dtype=dtype)
    assert torch.equal(plain(x), fast(x))


def test_only_full_batches_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each other number of rows would cost memory for ever."""
    monkeypatch.setattr(training, "ROWS", 4)
    taken = []
    monkeypatch.setattr(
        training, "product", lambda a, b, c=None: taken.append(len(a)) or torch.addmm(c, a, b)
    )
    _, fast = both()
    for n in range(1, 10):
        fast(torch.randn(n, 5))
    assert taken == [4, 8]


def test_so_is_autocast() -> None:
    plain, fast = both()
    x = torch.randn(3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = fast(x)
        assert found.dtype == torch.bfloat16
        assert torch.equal(found, plain(x))


def small_gpt() -> Gpt:
    torch.manual_seed(0)
    config = GptConfig(
        vocab_size=50, d_model=32, d_ff=48, n_heads=4, n_layers=2, max_seq_len=24,
        dropout=0.0, attention_dropout=0.0, embedding_dropout=0.0,
    )  # fmt: skip
    return Gpt(config).train()


def test_a_whole_model() -> None:
    plain, fast = small_gpt(), use_fast_training(small_gpt())
    assert all(type(part) is FastLinear for part in fast.modules() if isinstance(part, nn.Linear))
    assert fast.blocks[0].self_attention.attend is fast_attention
    assert list(fast.state_dict()) == list(plain.state_dict())
    ids = torch.randint(0, 50, (3, 20))
    for model in (plain, fast):
        model(ids).square().sum().backward()
    for (name, a), (_, b) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-3, msg=name)
