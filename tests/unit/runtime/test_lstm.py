"""ELMo's LSTM with its gradient written out: the plain layer's values and gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from triptych.predecessors.elmo import Elmo, ElmoConfig, ProjectedLstm
from triptych.runtime import lstm
from triptych.runtime.exponential import exp, sigmoid, tanh
from triptych.runtime.halves import as_half
from triptych.runtime.lstm import FastLstm, use_fast_lstms

P, D, T = 6, 21, 7
CLIPS = {"cell_clip": 0.3, "clip": 0.25}
"""Small enough that they matter; the second is a bfloat16."""


def layers(seed: int = 0) -> tuple[ProjectedLstm, ProjectedLstm]:
    """The plain one and its twin."""
    torch.manual_seed(seed)
    plain, fast = (ProjectedLstm(P, D, **CLIPS) for _ in range(2))
    fast.load_state_dict(plain.state_dict())
    assert type(use_fast_lstms(fast)) is FastLstm
    return plain, fast


def padded(n_rows: int) -> Tensor:
    lengths = 1 + torch.arange(n_rows) * 5 % T
    return torch.arange(T) < lengths[:, None]


def outcome(
    layer: ProjectedLstm, n_rows: int, valid: Tensor | None, dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """What comes out, and the gradients of everything that went in, for some gradient of each."""
    generator = torch.Generator().manual_seed(n_rows)
    shapes = {"x": (n_rows, T, P), "hidden": (n_rows, P), "cell": (n_rows, D)}
    given = {
        name: (0.3 * torch.randn(shape, generator=generator)).requires_grad_()
        for name, shape in shapes.items()
    }
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is not None):
        found = layer(given["x"], valid, given["hidden"], given["cell"])
    upstream = [torch.randn(part.shape, generator=generator) for part in found]
    torch.autograd.backward(found, [u.to(f.dtype) for u, f in zip(upstream, found, strict=True)])
    named = {**given, **dict(layer.named_parameters())}
    out = dict(zip(("y", "last hidden", "last cell"), found, strict=True))
    return out | {f"gradient of {name}": part.grad for name, part in named.items()}


@pytest.mark.parametrize("n_rows", [1, 3, 16, 19])
@pytest.mark.parametrize("has_padding", [False, True])
def test_values_and_gradients_are_the_plain_layers(n_rows: int, has_padding: bool) -> None:
    valid = padded(n_rows) if has_padding else None
    plain, fast = layers()
    expected, found = outcome(plain, n_rows, valid), outcome(fast, n_rows, valid)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_both_clips_were_met() -> None:
    found = outcome(layers()[1], 16, None)
    assert (found["y"].abs() == CLIPS["clip"]).any()
    assert (found["last cell"].abs() == CLIPS["cell_clip"]).any()
    assert (found["y"].abs() < CLIPS["clip"]).any()


def test_in_bf16_it_is_as_near_to_float32_as_the_plain_layer() -> None:
    exact = outcome(layers()[0], 19, padded(19))
    theirs, ours = (outcome(layer, 19, padded(19), torch.bfloat16) for layer in layers())
    for name, value in exact.items():
        own, other = (float((x[name] - value).detach().norm()) for x in (ours, theirs))
        assert own < 1.5 * other + 0.01 * float(value.detach().norm()), name
    assert ours["y"].dtype == torch.bfloat16
    assert {x.dtype for name, x in ours.items() if name != "y"} == {torch.float32}


def test_a_second_gradient_is_refused() -> None:
    """The first one is written where the gates were."""
    x = torch.randn(2, T, P, requires_grad=True)
    y, _, _ = layers()[1](x, None, torch.zeros(2, P), torch.zeros(2, D))
    y.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second gradient"):
        y.sum().backward()


def test_other_types_are_the_plain_layers() -> None:
    x = torch.randn(2, T, P)
    start = torch.zeros(2, P), torch.zeros(2, D)
    with torch.autocast("cpu", torch.float16):
        found, expected = (layer(x, None, *start)[0] for layer in reversed(layers()))
    assert torch.equal(found, expected)


def test_with_another_default_type() -> None:
    plain, fast = layers()
    x, start = torch.randn(3, T, P), (torch.zeros(3, P), torch.zeros(3, D))
    expected = plain(x, None, *start)[0]
    try:
        torch.set_default_dtype(torch.float64)
        found = fast(x, None, *start)[0]
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("is_bf16", [False, True])
def test_what_is_no_number_stays_none(is_bf16: bool) -> None:
    """A training that diverges has to be noticed."""
    for name in ("w_input", "w_hidden", "w_projection", "bias"):
        fast = layers()[1]
        with torch.no_grad():
            getattr(fast, name).view(-1)[0] = torch.nan
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            y, _, _ = fast(torch.ones(2, T, P), None, torch.ones(2, P), torch.zeros(2, D))
        assert y[:, -1].isnan().any(), name


def test_gradients_inside_autocast() -> None:
    """As a training's are not."""
    found, fast = [], layers()[1]
    for inside in (False, True):
        x = torch.ones(2, T, P, requires_grad=True)
        y, _, _ = fast(x, None, torch.zeros(2, P), torch.zeros(2, D))
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            y.sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(*found)


def test_it_can_be_compiled_whole() -> None:
    plain, fast = layers()
    given = torch.randn(2, 3, P), None, torch.zeros(2, P), torch.zeros(2, D)
    whole = torch.compile(fast, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(*given)[0], plain(*given)[0])


def test_without_a_team_of_threads_it_is_the_plain_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm, "has_team", lambda: False)
    plain, fast = layers()
    expected, found = outcome(plain, 5, padded(5)), outcome(fast, 5, padded(5))
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_several_threads_find_the_same() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = outcome(layers()[1], 19, padded(19))
        torch.set_num_threads(3)
        three = outcome(layers()[1], 19, padded(19))
    finally:
        torch.set_num_threads(before)
    for name, value in one.items():
        torch.testing.assert_close(three[name], value, rtol=1e-6, atol=1e-6, msg=name)


def test_all_of_a_model_are_switched_and_keep_their_names() -> None:
    model = Elmo(ElmoConfig(d_cell=D, d_projection=P, vocab_size=9))
    names = [name for name, _ in model.named_parameters()]
    use_fast_lstms(model)
    assert [type(part) for part in model.directions.modules()].count(FastLstm) == 4
    assert [name for name, _ in model.named_parameters()] == names


def test_functions_of_the_loops() -> None:
    x = np.concatenate([np.linspace(-95, 95, 4001), [0, -1e-4, 1e-4]]).astype(np.float32)
    inside = np.abs(x) < 87
    found = np.array([exp(value) for value in x[inside]])
    np.testing.assert_allclose(found, np.exp(x[inside].astype(np.float64)), rtol=3e-7)
    assert exp(np.float32(-np.inf)) == exp(np.float32(-88)) == 0  # who is masked has no weight
    assert all(np.isnan(function(np.float32(np.nan))) for function in (exp, sigmoid, tanh))
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(
            [sigmoid(value) for value in x], 1 / (1 + np.exp(-x.astype(np.float64))), atol=2e-7
        )
    np.testing.assert_allclose([tanh(v) for v in x], np.tanh(x.astype(np.float64)), atol=2e-7)
    nans = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000], dtype=np.uint32).view(np.float32)
    assert all(np.uint16(as_half(value)) == 0x7FC0 for value in nans)
    halves = np.array([as_half(value) for value in x]).astype(np.int32)
    assert np.array_equal(
        torch.tensor(halves, dtype=torch.int16), torch.tensor(x).bfloat16().view(torch.int16)
    )
