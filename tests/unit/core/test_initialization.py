"""The law of each weight: its bound, its variance, its zeros."""

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.embeddings import ScaledEmbedding
from triptych.core.feed_forward import FeedForward
from triptych.core.initialization import (
    initialize_bert,
    initialize_gpt2,
    initialize_vaswani,
    without_memory,
)
from triptych.core.positions import LearnedPositions, sinusoidal_table
from triptych.core.residual import PreNorm


def test_projections_are_glorot_uniform_with_zero_biases():
    torch.manual_seed(0)
    module = nn.ModuleDict({"a": nn.Linear(200, 300), "b": nn.Linear(300, 100, bias=False)})
    nn.init.ones_(module["a"].bias)
    initialize_vaswani(module)
    for part in module.values():
        bound = math.sqrt(6 / sum(part.weight.shape))
        assert part.weight.abs().max() <= bound
        assert part.weight.abs().max() > 0.999 * bound
        # Of a uniform law on ±bound; its square has relative deviation 2/√5.
        expected, n = bound**2 / 3, part.weight.numel()
        assert part.weight.square().mean().item() == pytest.approx(
            expected, rel=5 * (2 / math.sqrt(5)) / math.sqrt(n)
        )
        assert abs(part.weight.mean()) < 5 * math.sqrt(expected / n)
    assert (module["a"].bias == 0).all()


def test_queries_keys_and_values_begin_as_one_matrix_of_glorot_s_bound():
    """A 3E × E matrix has the bound √(6 / 4E): smaller than that of E × E by √2."""
    torch.manual_seed(0)
    module = MultiHeadAttention(96, 4)
    initialize_vaswani(module)
    for projection in (module.w_q, module.w_k, module.w_v):
        largest = projection.weight.abs().max().item()
        assert largest == pytest.approx(math.sqrt(6 / (4 * 96)), rel=0.01)
    assert module.w_o.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 192), rel=0.01)


def test_embeddings_enter_the_stack_with_unit_variance():
    torch.manual_seed(0)
    module = ScaledEmbedding(1000, 64, pad_id=999)
    initialize_vaswani(module)
    assert (module.weight[999] == 0).all()
    assert module.weight[:999].std().item() == pytest.approx(1 / 8, rel=0.02)
    entering = module(torch.arange(999)[None])
    assert entering.var().item() == pytest.approx(1, rel=0.03)
    # A normal law and no uniform one: a share of 0.27 % lies beyond three deviations.
    beyond = (entering.abs() > 3).double().mean().item()
    assert beyond == pytest.approx(0.0027, rel=0.3)


def test_norms_are_left_as_they_are():
    norm = nn.LayerNorm(8)
    nn.init.constant_(norm.weight, 0.5)
    initialize_vaswani(nn.Sequential(norm))
    assert (norm.weight == 0.5).all()


@pytest.mark.parametrize("std", [0.02, 0.05])
@torch.no_grad()
def test_bert_begins_with_the_deviation_asked_for(std: float) -> None:
    torch.manual_seed(0)
    table = nn.Embedding(500, 64, padding_idx=3)
    initialize_bert(table, std)
    rest = table.weight[[i for i in range(500) if i != 3]]
    assert not table.weight[3].any()
    assert rest.abs().max().item() <= 2 * std
    assert rest.std().item() == pytest.approx(0.88 * std, rel=0.02)  # a normal law cut at two


@pytest.mark.parametrize("initialize", [initialize_bert, initialize_gpt2])
def test_learned_positions_may_begin_as_waves(initialize: Callable[..., None]) -> None:
    """Products of two positions then tell their distance, wherever they stand."""
    torch.manual_seed(0)
    positions = LearnedPositions(128, 64)
    initialize(positions, 0.02, waves=True)
    weight = positions.weight.detach()
    assert weight.pow(2).mean().sqrt().item() == pytest.approx(0.02, rel=0.01)
    torch.testing.assert_close(weight, sinusoidal_table(128, 64) * 0.02 * math.sqrt(2))
    products = weight @ weight.T
    for distance in (1, 5, 40):
        along = products.diagonal(distance)  # the same wherever the pair stands
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-5, rtol=0)
    assert positions.weight.requires_grad


@pytest.mark.parametrize("std", [0.02, 0.05])
def test_what_gpt_2_adds_to_its_residual_stream_begins_smaller(std: float) -> None:
    torch.manual_seed(0)
    module = nn.ModuleDict({
        "attention": MultiHeadAttention(96, 4), "feed_forward": FeedForward(96, 200, nn.ReLU()),
        "words": nn.Embedding(500, 96), "positions": LearnedPositions(300, 96),
        "residuals": nn.ModuleList(PreNorm(96) for _ in range(4)),
    })  # fmt: skip
    for parameter in module.parameters():
        nn.init.constant_(parameter, 7.0)
    initialize_gpt2(module, std)
    halved = ("w_o", "w_down", "positions")  # 1 / √N of four residual layers
    for name, parameter in module.named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all()
        elif name.endswith("bias"):
            assert (parameter == 0).all()
        else:
            expected = std / 2 if any(part in name for part in halved) else std
            assert parameter.std().item() == pytest.approx(expected, rel=0.03), name


LOAD = """
import sys, torch
from torch import nn
from triptych.core.initialization import without_memory
with without_memory():
    parts = nn.Linear(3, 4), nn.Embedding(5, 6), nn.init.trunc_normal_(torch.empty(7))
    parts[2].data /= 2
print([part.device.type for part in (parts[0].weight, parts[1].weight, parts[2])])
print({"torch._dynamo", "sympy"} & set(sys.modules))
"""


def test_without_memory_nothing_is_drawn_and_no_compiler_imported() -> None:
    """In an interpreter of its own: the import takes longer than all else of a small model."""
    command = [sys.executable, "-c", LOAD]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['meta', 'meta', 'meta']", "set()"]
    before = torch.random.get_rng_state()
    with without_memory():
        nn.Linear(3, 4)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert nn.Linear(3, 4).weight.any()  # outside of it all is as before
