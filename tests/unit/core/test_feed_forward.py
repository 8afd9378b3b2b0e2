"""Equation 2, by hand."""

import numpy as np
import torch
import torch.nn.functional as F

from triptych.core.feed_forward import FeedForward


def test_it_is_equation_2():
    torch.manual_seed(0)
    module = FeedForward(6, 10, F.relu).double()
    x = torch.randn(2, 3, 6).double()
    w = {name: value.detach().numpy() for name, value in module.named_parameters()}
    inner = np.maximum(0, x.numpy() @ w["w_up.weight"].T + w["w_up.bias"])
    expected = inner @ w["w_down.weight"].T + w["w_down.bias"]
    assert (inner == 0).any()
    assert (inner > 0).any()
    np.testing.assert_allclose(module(x).detach(), expected, rtol=1e-12)


def test_the_activation_is_the_one_given():
    torch.manual_seed(0)
    module = FeedForward(6, 10, F.silu)
    x = torch.randn(2, 3, 6)
    assert torch.equal(module(x), module.w_down(F.silu(module.w_up(x))))
