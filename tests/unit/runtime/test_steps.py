"""The loops for few rows and one query against torch's own, and which product takes which rows."""

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numba import carray
from torch import Tensor

from triptych.runtime import packed, panels, past, steps
from triptych.runtime.instructions import can_compile
from triptych.runtime.int8 import int8_linear, quantize_weight
from triptych.runtime.openmp import has_team
from triptych.runtime.packed import Precision
from triptych.runtime.parts import additive, attend, attend_one, merge
from triptych.runtime.past import Past, Places

if not has_team():
    pytest.skip("torch's threads cannot be asked here", allow_module_level=True)

from triptych.runtime import half_rows, int8_rows, panel_rows, team, tiled
from triptych.runtime.few_rows import FewRows
from triptych.runtime.half_rows import HalfRows
from triptych.runtime.int8_rows import Int8Rows
from triptych.runtime.one_query import attend_by_loop

ROWS = [1, 2, 3, 5, 8, 15]
SIZES = [(1, 1), (2, 15), (3, 16), (7, 33), (50, 24), (1001, 768)]


pytestmark = pytest.mark.usefixtures("threads")


def given(n_out: int, n_in: int, n_rows: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n_out + n_in)
    x = torch.randn(n_rows, 1, n_in, generator=generator) * 3
    weight = torch.randn(n_out, n_in, generator=generator)
    return x, weight, torch.randn(n_out, generator=generator)


@pytest.mark.parametrize(("n_out", "n_in"), SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_few_rows_of_floats(n_out: int, n_in: int, dtype: torch.dtype) -> None:
    """Products of two bfloat16 are exact in float32; x is rounded to it, as the weights are."""
    for n_rows in ROWS:
        x, weight, bias = given(n_out, n_in, n_rows)
        x, weight = x * 1.001, weight.to(dtype)
        expected = x.to(dtype).double() @ weight.double().T
        for product, shift in ((FewRows(weight, bias), bias.double()), (FewRows(weight, None), 0)):
            found = product(x)
            assert (found.dtype, found.shape) == (torch.float32, expected.shape)
            torch.testing.assert_close(found, (expected + shift).float(), rtol=1e-5, atol=1e-4)


@pytest.fixture(params=["tiles", "lines"])
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """AMX's, where there are any, and the processor's own for a line of weights."""
    if request.param == "lines":
        monkeypatch.setattr(panel_rows, "tiles", lambda kind: None)
    elif panel_rows.tiles(panels.BYTES) is None:
        pytest.skip("the processor has no AMX")


@pytest.mark.skipif(not int8_rows.has_bytes(), reason="the processor has no VNNI")
@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize(("n_out", "n_in"), SIZES)
def test_rows_in_int8_are_the_librarys(n_out: int, n_in: int) -> None:
    """Bit for bit, so that a text alone is what it is in a batch; of 90 rows of 768 the bytes are
    made once for all threads."""
    for n_rows in (*ROWS, 16, 17, 40, 90):
        x, weight, bias = given(n_out, n_in, n_rows)
        expected = int8_linear(weight, bias)
        found = Int8Rows(*quantize_weight(weight), bias)
        without = Int8Rows(*quantize_weight(weight), None)
        for rows in (x, -x, x * 1e6, x * 1e-20, torch.zeros_like(x)):
            assert torch.equal(found(rows), expected(rows))
            assert torch.equal(without(rows), int8_linear(weight, None)(rows))
        x[-1, 0, n_in // 2] = torch.nan
        assert found(x)[-1].isnan().all()
        assert not found(x)[:-1].isnan().any()


@pytest.mark.skipif(not half_rows.has_halves(), reason="the processor multiplies no bfloat16")
@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize(("n_out", "n_in"), SIZES)
def test_rows_in_bfloat16(n_out: int, n_in: int) -> None:
    """Against exact products of the rounded numbers; what is no number stays in its row."""
    for n_rows in (*ROWS, 16, 17, 40, 90):
        x, weight, bias = given(n_out, n_in, n_rows)
        x = x * 1.001
        exact = x.bfloat16().double() @ weight.bfloat16().double().T
        for product, shift in (
            (HalfRows(weight, bias), bias.double()),
            (HalfRows(weight, None), 0),
        ):
            found = product(x)
            assert (found.dtype, found.shape) == (torch.float32, exact.shape)
            torch.testing.assert_close(found, (exact + shift).float(), rtol=1e-5, atol=2e-4)
        x[-1, 0, n_in // 2] = torch.nan
        assert HalfRows(weight, bias)(x)[-1].isnan().all()
        assert not HalfRows(weight, bias)(x)[:-1].isnan().any()


EACH_KIND = pytest.mark.parametrize("kind", [panels.BYTES, panels.HALVES], ids=["bytes", "halves"])


@EACH_KIND
@pytest.mark.parametrize("feature", ["tiles", "none"])
def test_only_where_there_is_amx_its_instructions_are_made(
    kind: panels.Kind, feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler ends the process over an instruction that its processor lacks."""
    if feature == "tiles" and not can_compile(kind.tile_feature):
        pytest.skip("the processor has no AMX")
    monkeypatch.setattr(panels, "can_compile", lambda name: feature == "tiles")
    sums, setting = panels.tile_sums(kind, 1, 2), panels._tile_setting("llvm.x86.ldtilecfg")

    def loop(data):  # type: ignore[no-untyped-def]
        n = carray(data, 7)
        setting(n[0])
        sums(n[0], n[1], n[2], n[3], n[4], n[5], n[6])

    made = team._compiled(loop)._library.get_llvm_str()
    for name in (kind.tile, "llvm.x86.tileloadd64", "llvm.x86.ldtilecfg"):
        assert (name in made) == (feature == "tiles")


@team.Kernel
def put_tiles(data):  # type: ignore[no-untyped-def]
    panels.set_tiles(data[0])


@team.Kernel
def read_tiles(data):  # type: ignore[no-untyped-def]
    panels.write_tiles(data[0])


@EACH_KIND
@pytest.mark.parametrize(("n_rows", "n_in"), [(16, 64), (17, 96), (40, 100), (300, 768)])
def test_rows_lie_as_tiles(kind: panels.Kind, n_rows: int, n_in: int) -> None:
    dtype = torch.uint8 if kind is panels.BYTES else torch.bfloat16
    width = 64 // dtype.itemsize
    x = torch.randn(n_rows, n_in, generator=torch.Generator().manual_seed(n_rows)) * 50
    expected = F.pad(x.abs().to(dtype), (0, -n_in % width))
    given = [x.abs().to(dtype)] if kind is panels.BYTES else [x.abs(), x.abs().to(dtype)]
    for rows in given:
        found = tiled.in_tiles(kind, rows, dtype)
        if panel_rows.tiles_for(kind, n_rows):
            assert found.shape == (-(-n_rows // 16), expected.size(1) // width, 16, width)
            found = found.transpose(1, 2).reshape(-1, expected.size(1))
        assert torch.equal(found[:n_rows], expected)


@EACH_KIND
def test_the_librarys_own_tiles_stay_as_they_were(kind: panels.Kind) -> None:
    """oneDNN sets the sizes of tiles, and may rely on them at its next product."""
    if panel_rows.tiles(kind) is None:
        pytest.skip("the processor has no AMX")
    torch.set_num_threads(1)  # each thread has tiles of its own
    theirs, found = torch.zeros(64, dtype=torch.uint8), torch.zeros(64, dtype=torch.uint8)
    theirs[0], theirs[16:20:2], theirs[48:50] = 1, 32, 7  # two tiles of seven rows of 32 bytes
    x, weight, bias = given(96, 128, 40)
    in_bytes = kind is panels.BYTES
    product = Int8Rows(*quantize_weight(weight), bias) if in_bytes else HalfRows(weight, bias)
    product(x)
    put_tiles(theirs.data_ptr())
    product(x)
    read_tiles(found.data_ptr())
    assert torch.equal(found, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_is_the_same_whatever_stands_beside_it(dtype: torch.dtype) -> None:
    x, weight, bias = given(50, 96, 15)
    product = FewRows(weight.to(dtype), bias)
    together = product(x)
    for start, end in ((0, 1), (3, 5), (4, 9), (2, 14)):
        assert torch.equal(product(x[start:end]), together[start:end])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@torch.inference_mode()
def test_a_weight_that_lies_the_other_way(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of GPT-2's published files."""
    monkeypatch.setattr(steps, "SMALL", 0)
    x, weight, bias = given(50, 96, 3)
    product = steps.for_steps(weight.T.contiguous().T, bias, precision)
    assert torch.equal(product(x), steps.for_steps(weight, bias, precision)(x))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@torch.inference_mode()
def test_any_kind_of_rows(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """No rows, rows of another type, and another default type than float32, in which none of what a
    kernel is given may be made."""
    monkeypatch.setattr(steps, "SMALL", 0)
    x, weight, bias = given(50, 96, 3)
    product = steps.for_steps(weight, bias, precision)
    assert product(x[:0]).shape == (0, 1, 50)
    for dtype in (torch.bfloat16, torch.float64):
        assert torch.equal(product(x.to(dtype)), product(x.to(dtype).float()))
    expected = product(x)
    for dtype in (torch.bfloat16, torch.float64):
        try:
            torch.set_default_dtype(dtype)
            found = steps.for_steps(weight, bias, precision)(x)
        finally:
            torch.set_default_dtype(torch.float32)
        assert torch.equal(found, expected)


@torch.inference_mode()
def test_attention_with_another_default_type() -> None:
    q, k, v = heads(2, 5, torch.Generator().manual_seed(2))
    expected = attend_one(q, k, v, None)
    try:
        torch.set_default_dtype(torch.bfloat16)
        found = attend_one(q, k, v, None)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(found, expected)


def test_narrow_vectors_have_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert steps.most_rows("fp32") >= steps.MOST_NARROW
    monkeypatch.setattr(steps, "can_compile", lambda feature: feature == "fma")
    assert (steps.most_rows("fp32"), steps.has_rows()) == (steps.MOST_NARROW, True)
    monkeypatch.setattr(steps, "can_compile", lambda feature: False)
    assert not steps.has_rows()


def test_what_numba_is_told_to_leave_out_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "ENABLE_AVX", 0)
    assert not can_compile.__wrapped__("avx512vnni")
    monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
    assert not can_compile.__wrapped__("fma")


def heads(
    n_rows: int, n_keys: int, generator: torch.Generator, width: int = 8
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries as a joined product gives them, keys and values as parts of a larger room."""
    joint = torch.randn(n_rows, 1, 3, 4, width, generator=generator)
    room = torch.randn(2, 2, 4, n_keys + 5, width, generator=generator)
    return joint[:, :, 1].transpose(1, 2), room[0, :, :, :n_keys], room[1, :, :, :n_keys]


@pytest.mark.parametrize("n_keys", [1, 2, 17, 300])
@pytest.mark.parametrize("n_beams", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("width", [8, 16, 64, 80])  # of heads: chunks of 16, four at a time
def test_one_query(n_keys: int, n_beams: int, masked: bool, width: int) -> None:
    generator = torch.Generator().manual_seed(1)
    q, k, v = heads(2 * n_beams, n_keys, generator, width)
    allowed = torch.rand(2, 1, 1, n_keys, generator=generator) < 0.6
    allowed[..., -1] = True
    mask = additive(allowed) if masked else None
    together = q.reshape(2, n_beams, 4, width).transpose(1, 2)  # of a sentence: [B, H, K, D]
    expected = merge(attend(together, k, v, mask)).view(2 * n_beams, 1, 4 * width)
    for found in (attend_one(q, k, v, mask), attend_by_loop(q.squeeze(2), k, v, mask)[:, None]):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("n_keys", [1, 2, 17, 300])
@pytest.mark.parametrize("n_beams", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("width", [32, 64, 96])  # of heads: chunks of 32, two at a time
def test_one_query_of_keys_and_values_in_bfloat16(
    n_keys: int, n_beams: int, masked: bool, width: int
) -> None:
    """Which become float32 exactly, as if they had been so all the time."""
    generator = torch.Generator().manual_seed(1)
    q, k, v = heads(2 * n_beams, n_keys, generator, width)
    k, v = k.bfloat16().contiguous(), v.bfloat16().contiguous()
    mask = None
    if masked:
        mask = additive(torch.rand(2, 1, 1, n_keys, generator=generator) < 0.6)
        mask[..., -1] = 0
    expected = attend_one(q, k.float(), v.float(), mask)
    torch.testing.assert_close(attend_one(q, k, v, mask), expected, rtol=1e-5, atol=1e-5)


def test_other_widths_in_bfloat16_go_as_float32() -> None:
    q, k, v = heads(2, 9, torch.Generator().manual_seed(1), width=24)
    expected = attend_one(q, k.bfloat16().float(), v.bfloat16().float(), None)
    assert torch.equal(attend_one(q, k.bfloat16(), v.bfloat16(), None), expected)


def test_large_scores_have_a_softmax() -> None:
    q, k, v = heads(2, 5, torch.Generator().manual_seed(2))
    found = attend_one(q * 1e4, k, v, None)
    torch.testing.assert_close(found, merge(attend(q * 1e4, k, v, None)))
    assert found.isfinite().all()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.inference_mode()
def test_each_number_of_rows_has_the_same_product(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after the weight was laid out for steps of several rows."""
    monkeypatch.setattr(steps, "SMALL", 0)
    monkeypatch.setattr(packed, "SMALL", 0)
    _, weight, bias = given(50, 24)
    monkeypatch.setitem(steps.MOST, precision, 1)
    monkeypatch.setattr(steps, "has_halves", lambda: False)  # which has one layout for all
    x = torch.randn(3, 40, 24, generator=torch.Generator().manual_seed(5))
    product = steps.for_steps(weight, bias, precision, torch.relu)
    expected = packed.packed(weight, bias, precision, torch.relu)(x).float()
    bound = {"fp32": 1e-5, "bf16": 0.02}[precision]  # bf16 rounds what comes out
    for laid_out in (False, True):
        found = {
            "a prompt": (product(x), expected),
            "one row": (product(x[1:2, 3:4]), expected[1:2, 3:4]),
            "the last of a row": (product(x[2:3, -1]), expected[2:3, -1]),
        }
        assert (product.many is not None) == laid_out
        found["a step"] = product(x[:, :1]), expected[:, :1]
        for name, (ours, theirs) in found.items():
            torch.testing.assert_close(ours.float(), theirs, rtol=bound, atol=bound, msg=name)


def test_without_a_team_the_library_has_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (steps, int8_rows, half_rows):
        monkeypatch.setattr(module, "has_team", lambda: False)
    _, weight, bias = given(50, 24)
    for precision in ("bf16", "int8"):
        assert isinstance(steps.for_steps(weight, bias, precision), packed.InPieces)


def test_without_vnni_nothing_multiplies_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older processor's products of bytes overflow in 16 bits."""
    monkeypatch.setattr(int8_rows, "has_int8", lambda: False)
    _, weight, bias = given(50, 24)
    assert isinstance(steps.for_steps(weight, bias, "int8"), packed.InPieces)


@torch.inference_mode()
def test_a_past_whose_rows_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against keys and values that are copied at each move, through more positions than there was
    room for, with rows that part, change places and leave."""
    generator = torch.Generator().manual_seed(6)
    ours, places = Past(n_heads=2), Places()
    held = torch.empty(2, 3, 2, 0, 4)  # k and v, [R, H, S, D]
    for step in range(150):
        qkv = torch.randn(held.size(1), 1, 24, generator=generator)
        q, k, v = qkv.view(-1, 1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        held = torch.cat([held, torch.stack([k, v])], dim=3)
        expected = merge(attend(q, held[0], held[1], None))
        places.extend(len(qkv), 1)
        with monkeypatch.context() as patched:
            if step % 3 == 2:  # as on a machine without a team
                patched.setattr(past, "has_team", lambda: False)
            torch.testing.assert_close(ours.attend(qkv, places), expected)
        rows = torch.randint(0, held.size(1), ((3, 12, 7)[step % 3],), generator=generator)
        places.select(rows)
        held = held[:, rows]


def test_without_a_folder_for_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba says so by a RuntimeError; the loop is compiled all the same."""

    def no_folder(_: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(team.KeptLoop, "enable_caching", no_folder)
    y = torch.zeros(1)

    def loop(data):  # type: ignore[no-untyped-def]
        carray(team.address(data[0]), 1, np.float32)[0] = 3

    team.Kernel(loop)(y.data_ptr())
    assert y.item() == 3
