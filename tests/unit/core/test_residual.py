"""Add & Norm, in both orders, by hand."""

import numpy as np
import pytest
import torch

from triptych.core.residual import PostNorm, PreNorm

E = 6


def layer_norm(x, norm):
    """(x − mean) / √(variance + ε) · gain + bias, the variance over E and not E − 1."""
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    gain, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    return (x - mean) / np.sqrt(variance + norm.eps) * gain + bias


def sublayer(x):
    return torch.sin(3 * x) if isinstance(x, torch.Tensor) else np.sin(3 * x)


def made(residual, **keys):
    torch.manual_seed(0)
    module = residual(E, **keys).double()
    torch.nn.init.normal_(module.norm.weight)
    torch.nn.init.normal_(module.norm.bias)
    return module, torch.randn(2, 3, E).double()


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_post_norm(eps):
    module, x = made(PostNorm, eps=eps)
    expected = layer_norm(x.numpy() + sublayer(x.numpy()), module.norm)
    np.testing.assert_allclose(module(x, sublayer).detach(), expected, rtol=1e-10)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_pre_norm(eps):
    module, x = made(PreNorm, eps=eps)
    expected = x.numpy() + sublayer(layer_norm(x.numpy(), module.norm))
    np.testing.assert_allclose(module(x, sublayer).detach(), expected, rtol=1e-10)


@pytest.mark.parametrize("residual", [PostNorm, PreNorm])
def test_only_the_sublayer_s_output_is_dropped(residual):
    module, x = made(residual, dropout=0.5)
    nothing = module(x, torch.zeros_like)
    assert torch.equal(nothing, module.eval()(x, torch.zeros_like))  # x itself is never dropped
    module.train()
    assert not torch.equal(module(x, sublayer), module(x, sublayer))
    module.eval()
    assert torch.equal(module(x, sublayer), module(x, sublayer))
