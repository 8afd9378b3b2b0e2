"""One product, two libraries."""

import pytest
import torch

from triptych.core import products
from triptych.core.products import product

N, K, M = 5, 7, 4


@pytest.fixture(params=[True, False], ids=["onednn", "plain"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(products, "has_onednn", lambda: False)
    elif not products.has_onednn():
        pytest.skip("this torch has no oneDNN")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("a_turned", [True, False])
@pytest.mark.parametrize("b_turned", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
@torch.no_grad()
def test_product(dtype: torch.dtype, a_turned: bool, b_turned: bool, with_bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, bias = (torch.randn(s, generator=generator) for s in ((N, K), (K, M), (M,)))
    a = a.T.contiguous().T if a_turned else a
    b = b.T.contiguous().T if b_turned else b
    expected = a.double() @ b.double() + (bias.double() if with_bias else 0)
    found = product(a.to(dtype), b.to(dtype), bias.to(dtype) if with_bias else None)
    assert found.dtype == dtype
    bound = 0.05 if dtype == torch.bfloat16 else 1e-6
    torch.testing.assert_close(found.double(), expected, rtol=bound, atol=bound)


@torch.no_grad()
def test_a_part_of_a_larger_one() -> None:
    """Rows that are not next to one another, columns likewise."""
    a, b = torch.randn(2 * N, 3 * K)[::2, K : 2 * K], torch.randn(K, 3 * M)[:, M : 2 * M]
    torch.testing.assert_close(product(a, b), a @ b, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_what_does_not_come_again_is_torchs_own() -> None:
    a, b = torch.randn(N, K), torch.randn(K, M)
    assert torch.equal(product(a, b, again=False), a @ b)


@torch.no_grad()
def test_nothing_at_all() -> None:
    assert product(torch.empty(0, K), torch.randn(K, M)).shape == (0, M)
    assert torch.equal(product(torch.empty(N, 0), torch.empty(0, M)), torch.zeros(N, M))
