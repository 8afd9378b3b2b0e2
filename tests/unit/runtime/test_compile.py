"""torch.compile where it can be, the plain path where not."""

import shutil

import pytest
import torch
from torch import nn

from triptych.runtime import compile as compile_module
from triptych.runtime.compile import compiled


def made() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.GELU(), nn.Linear(7, 3))


def test_without_a_compiler_the_model_goes_on_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    model, x = made(), torch.randn(4, 5)
    expected = model(x)
    assert compiled(model) is model
    assert torch.equal(model(x), expected)
    assert "no C++ compiler found: training goes on without torch.compile" in caplog.text


def test_a_gpu_needs_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(compile_module, "find_spec", lambda name: None)
    assert compile_module._lacks(on_gpu=True) == "Triton"
    monkeypatch.setattr(compile_module, "find_spec", lambda name: name)
    assert compile_module._lacks(on_gpu=True) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of itself
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_compiled_it_is_the_same_model() -> None:
    """Values, gradients and names, for batches of more than one size."""
    plain, model = made(), compiled(made())
    assert [name for name, _ in model.named_parameters()] == [
        name for name, _ in plain.named_parameters()
    ]
    for n in (4, 6):
        x = torch.randn(n, 5)
        for each in (plain, model):
            each.zero_grad()
            each(x).square().sum().backward()
        torch.testing.assert_close(model(x), plain(x))
        for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
