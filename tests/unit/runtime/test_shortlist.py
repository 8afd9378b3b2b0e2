"""Bounds of outputs against their exact values, and shortlists against all outputs."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from triptych.decoding.generate import Bounds, Request, generate
from triptych.decoding.sampling import Sampling
from triptych.models.gpt import Gpt, GptConfig
from triptych.runtime import head, panel_rows
from triptych.runtime.int8_rows import has_bytes

if not has_bytes():
    pytest.skip("this processor has no products of bytes", allow_module_level=True)

from triptych.runtime.few_rows import FewRows
from triptych.runtime.gpt import FastGpt
from triptych.runtime.half_rows import HalfRows, has_halves
from triptych.runtime.head import PATIENCE, Head
from triptych.runtime.output_bounds import GROUP
from triptych.runtime.packed import Precision
from triptych.runtime.shortlist import MOST, Shortlist, kth_largest

pytestmark = pytest.mark.usefixtures("threads", "instructions")
SHAPES = [(257, 64), (1000, 96), (4097, 128)]
ROWS = [1, 2, 3, 8, 20]
PRECISIONS: list[Precision] = ["fp32", "bf16"] if has_halves() else ["fp32"]


@pytest.fixture(params=["tiles", "lines"])
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """AMX's, where there are any, and the processor's own for a line of weights."""
    if request.param == "lines":
        monkeypatch.setattr(panel_rows, "tiles", lambda kind: None)


def given(n_out: int, n_in: int, n_rows: int, kind: str = "plain") -> tuple[Tensor, Tensor]:
    """weight [O, I], x [R, I]; `alike`: rows with much in common, columns that stand out."""
    generator = torch.Generator().manual_seed(n_out + n_rows)
    weight = torch.randn(n_out, n_in, generator=generator)
    x = torch.randn(n_rows, n_in, generator=generator)
    if kind == "alike":
        weight += 5 * torch.randn(n_in, generator=generator)
        x[:, ::17] *= 40
    if kind == "tied":
        weight = weight.sign()
        x = x.sign()
    return weight, x


@pytest.mark.parametrize("kind", ["plain", "alike", "tied"])
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_bounds_hold_and_are_tight(n_out: int, n_in: int, kind: str) -> None:
    for n_rows in ROWS:
        weight, x = given(n_out, n_in, n_rows, kind)
        shortlist = Shortlist(weight, FewRows(weight, None))
        _, _, least, most, high = shortlist.look(x, 1)
        assert shortlist.in_bytes.is_sound
        assert high is not None
        mean = weight.mean(0).double()
        exact = x.double() @ (weight.double() - mean).T  # [R, O]
        assert (high[:, :n_out] >= exact).all()
        spread = exact.std(dim=1, keepdim=True)
        assert ((high[:, :n_out] - exact) < spread).all()
        filled = torch.cat([exact, exact[:, -1:].expand(-1, -n_out % GROUP)], dim=1)
        largest = filled.view(n_rows, -1, GROUP).amax(dim=2)
        assert (least <= largest).all()
        assert (largest <= most).all()
        assert torch.equal(most, high.view(n_rows, -1, GROUP).amax(dim=2))


def test_what_two_bytes_leave_of_a_row_is_in_the_bound() -> None:
    """Weights that are whole numbers have no error; theirs here point along what is left of x."""
    x = torch.randn(1, 64, generator=torch.Generator().manual_seed(1))
    left = x.double()
    for _ in range(2):
        largest = left.abs().amax()
        left = left - (128.5 + 127 * left / largest).floor().sub(128) * largest / 127
    along = 127 * left[0].sign().float()
    weight = torch.stack([along, -along]).repeat(GROUP, 1)
    shortlist = Shortlist(weight, FewRows(weight, None))
    assert torch.equal(shortlist.in_bytes.rows.scale * 127, torch.ones(2 * GROUP))
    high = shortlist.look(x, 1).high
    assert high is not None
    assert (high >= x.double() @ weight.double().T).all()


def products(weight: Tensor) -> list[FewRows | HalfRows]:
    made: list[FewRows | HalfRows] = [FewRows(weight, None), FewRows(weight.bfloat16(), None)]
    return [*made, HalfRows(weight, None)] if has_halves() else made


@pytest.mark.parametrize("kind", ["plain", "alike", "tied"])
@pytest.mark.parametrize("k", [1, 4])
def test_the_largest_are_all_there_and_to_the_bit(k: int, kind: str) -> None:
    n_kept = []
    for n_out, n_in in SHAPES:
        for n_rows in ROWS[:4]:
            weight, x = given(n_out, n_in, n_rows, kind)
            for product in products(weight):
                expected, found = product(x), Shortlist(weight, product)(x, k)
                if found is None:
                    n_kept.append(1.0)
                    continue
                kept = found > -torch.inf
                assert torch.equal(found[kept], expected[kept])
                kth = expected.topk(k, dim=1).values[:, -1:]
                assert kept[expected >= kth].all()  # those that are as large too
                n_kept.append(kept.float().mean().item())
    if kind == "plain":
        assert min(n_kept) < 0.05


@pytest.mark.parametrize("place", [0, 31, 32, 255, 256])
def test_the_largest_may_stand_anywhere(place: int) -> None:
    weight, x = given(257, 64, 2)
    weight[place] = 3 * x[1]
    for product in products(weight):
        found = Shortlist(weight, product)(x, 1)
        assert found is not None
        assert found[1].argmax() == place


def test_what_is_not_finite_has_no_shortlist() -> None:
    weight, x = given(4097, 128, 2)
    product = FewRows(weight, None)
    shortlist = Shortlist(weight, product)
    assert shortlist(x, 1) is not None
    for value in (torch.nan, torch.inf):
        damaged = x.clone()
        damaged[:, 5] = value
        assert shortlist(damaged, 1) is None
        weight_too = weight.clone()
        weight_too[77, 3] = value
        assert Shortlist(weight_too, FewRows(weight_too, None))(x, 1) is None
    for value in (torch.nan, torch.inf, -torch.inf):  # a row does not see its neighbour's blocks
        one_row = x.clone()
        one_row[1, 5] = value
        assert shortlist(one_row, 1) is None


def test_more_than_there_are_groups() -> None:
    weight, x = given(257, 64, 1)
    assert Shortlist(weight, FewRows(weight, None))(x, 100) is None


@pytest.mark.parametrize("k", [1, 2, 7, 31])
def test_the_kth_largest(k: int) -> None:
    """Of numbers in any order, some of them alike, some without an end."""
    values = torch.randn(31, generator=torch.Generator().manual_seed(k)).round(decimals=1)
    values[5] = -torch.inf
    for order in (values, values.sort().values, values.sort(descending=True).values):
        found = kth_largest.py_func(order.numpy(), k, torch.empty(k).numpy())
        assert found == values.topk(k).values[-1]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_head_takes_its_time(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shortlist costs some steps; one that leaves too many outputs is not asked at once again."""
    monkeypatch.setattr(head, "MANY", 1)
    weight, x = given(4097, 128, 2)
    made = Head(weight, precision)
    expected = made(x)
    assert [made.looks_first(2, 1) for _ in range(PATIENCE)] == [*[False] * (PATIENCE - 1), True]
    assert not made.looks_first(100, 1)
    assert not made.looks_first(2, MOST + 1)
    assert made.looks_first(2, 1)
    found = made.likeliest(x, 1)
    assert (found == -torch.inf).sum() > 4000
    assert torch.equal(found.argmax(dim=1), expected.argmax(dim=1))
    assert torch.equal(made.likeliest(x, 4000), expected)
    assert not made.looks_first(2, 1)
    assert torch.equal(made.likeliest(x, 1), found)
    for _ in range(PATIENCE):
        looks_first = made.looks_first(2, 1)
    assert looks_first
    weight += 1
    assert not made.looks_first(2, 1)  # what was packed is another weight


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(top_k=3)])
def test_texts_do_not_depend_on_shortlists(
    precision: Precision, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "MANY", 1)
    monkeypatch.setattr(head, "PATIENCE", 3)
    torch.manual_seed(1)
    model = Gpt(GptConfig(vocab_size=1003, d_model=64, d_ff=96, n_heads=2, n_layers=2)).eval()
    twin = FastGpt(model, precision)
    prompts = [Request((5, 6, 7), 20, 1), Request((900,), 20, 2), Request((1, 2), 9, 3)]
    given = twin, prompts, sampling, Bounds(eos_id=1002, vocab_size=1003, max_seq_len=64)
    expected = generate(*given)
    assert twin.head.shortlist is None
    found = generate(*given, log_probs=False)
    assert found == [replace(text, log_probs=()) for text in expected]
    assert (twin.head.shortlist is not None) == (precision in PRECISIONS)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_heads_without_a_shortlist(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too few weights, of another kind, of products whose columns are filled up."""
    monkeypatch.setattr(head, "PATIENCE", 1)
    weight, _ = given(1000, 96, 1)
    assert not Head(weight, precision).looks_first(1, 1)
    monkeypatch.setattr(head, "MANY", 1)
    assert Head(weight, precision).looks_first(1, 1) == (precision in PRECISIONS)
    assert not Head(weight[:, :95], precision).looks_first(1, 1)
