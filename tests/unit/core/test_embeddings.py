"""One matrix, two uses: scaled on the way in, plain on the way out."""

import math

import torch

from triptych.core.embeddings import ScaledEmbedding
from triptych.core.initialization import initialize_vaswani

V, E, PAD = 11, 6, 4


def made():
    torch.manual_seed(0)
    module = ScaledEmbedding(V, E, PAD)
    initialize_vaswani(module)
    return module


def test_rows_times_the_root_of_the_width():
    module = made()
    found = module(torch.tensor([[1, 9], [4, 1]]))
    assert found.shape == (2, 2, E)
    for (b, t), token in {(0, 0): 1, (0, 1): 9, (1, 1): 1}.items():
        torch.testing.assert_close(found[b, t], module.weight[token] * math.sqrt(E))


def test_padding_is_zero_and_learns_nothing():
    module = made()
    assert (module.weight[PAD] == 0).all()
    found = module(torch.tensor([[PAD, 2, PAD]]))
    assert (found[0, [0, 2]] == 0).all()
    found.sum().backward()
    assert (module.weight.grad[PAD] == 0).all()
    torch.testing.assert_close(module.weight.grad[2], torch.full((E,), math.sqrt(E)))


def test_logits_use_the_same_matrix_without_the_scale():
    module = made()
    hidden, bias = torch.randn(2, 3, E), torch.randn(V)
    expected = torch.einsum("bte,ve->btv", hidden, module.weight)
    torch.testing.assert_close(module.logits(hidden), expected)
    torch.testing.assert_close(module.logits(hidden, bias), expected + bias)
