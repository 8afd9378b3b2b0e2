"""The fast trunk against the plain module; the fast product against torch's own."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from triptych.models.bert import Bert, BertConfig
from triptych.runtime import linear, post_norm
from triptych.runtime.encoder import FastBert
from triptych.runtime.linear import fast_linear

CONFIG = BertConfig(
    vocab_size=40, d_model=32, d_ff=48, n_heads=4, n_layers=3, max_seq_len=20, pad_id=0
)


def made(activation: str = "gelu") -> Bert:
    torch.manual_seed(0)
    model = Bert(replace(CONFIG, activation=activation)).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def inputs(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, 40, valid.shape, generator=generator).masked_fill(~valid, 0)
    return ids, valid, (torch.arange(max(lengths)) > 3).long().expand_as(ids).contiguous()


RAGGED = [[9, 9, 9], [12, 3, 1, 7], [20], [12, 7, 7, 12, 7], [5, 0, 4, 0, 0]]


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu"])
@pytest.mark.parametrize("lengths", RAGGED)
@pytest.mark.parametrize("packed", [True, False])
def test_it_is_the_module(
    activation: str, lengths: list[int], packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_norm, "takes_padding_out", lambda device: packed)
    bert, given = made(activation), inputs(lengths)
    with torch.no_grad():
        expected = bert(*given)
    found = FastBert(bert)(*given)
    assert found.isfinite().all()
    torch.testing.assert_close(found[given[1]], expected[given[1]], rtol=1e-5, atol=1e-5)


def test_a_hole_in_a_text_is_passed_over() -> None:
    """What is real need not stand at the beginning; positions are those of the input."""
    bert, (ids, valid, segments) = made(), inputs([12, 12, 9])
    valid[0, 3], valid[2, 0] = False, False
    with torch.no_grad():
        expected = bert(ids, valid, segments)
    found = FastBert(bert)(ids, valid, segments)
    torch.testing.assert_close(found[valid], expected[valid], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", RAGGED)
@pytest.mark.parametrize(("packed", "amx"), [(True, True), (True, False), (False, False)])
def test_in_bf16_it_stays_near(
    lengths: list[int], packed: bool, amx: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stated bound: 3 % of the norm of the float32 result, as the plain module in bf16."""
    monkeypatch.setattr(post_norm, "takes_padding_out", lambda device: packed)
    monkeypatch.setattr(post_norm, "has_amx", lambda: amx)
    bert, given = made(), inputs(lengths)
    with torch.no_grad():
        expected = bert(*given)[given[1]]
    found = FastBert(bert.to(torch.bfloat16))(*given)[given[1]]
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() <= 0.03 * expected.norm()


def test_padding_changes_nothing() -> None:
    fast = FastBert(made())
    ids, valid, segments = inputs([12, 3, 7])
    together = fast(ids, valid, segments)
    for row, n in enumerate([12, 3, 7]):
        alone = fast(*(x[row : row + 1, :n] for x in (ids, valid, segments)))
        torch.testing.assert_close(alone[0], together[row, :n], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", [None, F.gelu, F.relu, F.silu])
@pytest.mark.parametrize("onednn", [True, False])
def test_products(activation, onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    if not onednn:
        monkeypatch.setattr(linear, "has_onednn", lambda: False)
    elif not linear.has_onednn():
        pytest.skip("this torch has no oneDNN")
    generator = torch.Generator().manual_seed(2)
    x, weight, bias = (torch.randn(s, generator=generator) for s in ((3, 5, 8), (6, 8), (6,)))
    expected = F.linear(x, weight, bias)
    expected = expected if activation is None else activation(expected)
    torch.testing.assert_close(fast_linear(x, weight, bias, activation), expected)
