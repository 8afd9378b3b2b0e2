"""Elmo's own properties: padding, directions, state, the mix of layers, what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from triptych.errors import ConfigError, UsageError
from triptych.predecessors.characters import CharacterConfig, Highway
from triptych.predecessors.elmo import (
    Elmo,
    ElmoConfig,
    LayerMix,
    ProjectedLstm,
    mix_layers,
    reversed_within,
)
from triptych.recipes.word_encoder import pad_sentences
from triptych.tokenizers.words import sentence_characters

CONFIG = ElmoConfig(
    characters=CharacterConfig(d_character=3, filters=((1, 4), (3, 5)), n_highway=1),
    d_cell=11, d_projection=6, n_layers=2, cell_clip=0.3, projection_clip=0.125, vocab_size=9,
)  # fmt: skip
LONG, SHORT = ["the", "frog", "sat", "on", "the", "old", "bank"], ["a", "bank"]


@pytest.fixture(scope="module")
def model() -> Elmo:
    torch.manual_seed(3)
    return Elmo(CONFIG).eval()


@torch.no_grad()
def read(model: Elmo, *sentences: list[str]) -> list[Tensor]:
    ids, valid = pad_sentences([sentence_characters(words) for words in sentences])
    return model.layers(ids, valid)[0]


def test_shapes(model: Elmo) -> None:
    layers = read(model, LONG, SHORT)
    assert [tuple(layer.shape) for layer in layers] == [(2, 9, 12)] * 3
    weight, bias = model.output_projection
    assert (weight.shape, bias.shape) == ((9, 6), (9,))


def test_padding_and_neighbors_change_nothing(model: Elmo) -> None:
    together, alone = read(model, LONG, SHORT), read(model, SHORT)
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[1, :4], one[0], rtol=0, atol=1e-6)


@torch.no_grad()
def test_what_padding_holds_changes_nothing(model: Elmo) -> None:
    ids, valid = pad_sentences([sentence_characters(words) for words in (LONG, SHORT)])
    other = ids.clone()
    other[1, 4:] = ids[0, :5]
    for a, b in zip(*(model.layers(x, valid)[0] for x in (ids, other)), strict=True):
        torch.testing.assert_close(a[1, :4], b[1, :4], rtol=0, atol=1e-6)


def test_each_direction_sees_its_own_side_only(model: Elmo) -> None:
    changed = [*LONG[:3], "xylophone", *LONG[4:]]
    before, after = read(model, LONG), read(model, changed)
    place = 4  # of the changed word, behind <S>
    for a, b in zip(before[1:], after[1:], strict=True):
        differs = (a - b).abs().gt(1e-6)[0].view(9, 2, 6).any(dim=2)  # [T, direction]
        assert differs[:, 0].tolist() == [t >= place for t in range(9)]
        assert differs[:, 1].tolist() == [t <= place for t in range(9)]


def test_the_first_layer_is_a_words_own(model: Elmo) -> None:
    first = read(model, LONG, ["the", "bank"])[0]
    torch.testing.assert_close(first[0, 7], first[1, 2])
    torch.testing.assert_close(first[..., :6], first[..., 6:])


@torch.no_grad()
def test_places_left_out_behind_the_longest_word_do_not_count(model: Elmo) -> None:
    ids = torch.from_numpy(sentence_characters([*LONG, "x" * 60]))  # one word fills all places
    cnn = model.characters
    assert cnn.shortened(ids[:-2]).size(1) < 50
    torch.testing.assert_close(cnn(ids)[:-2], cnn(ids[:-2]), rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_state_goes_on_row_by_row(model: Elmo) -> None:
    ids, valid = pad_sentences([sentence_characters(words) for words in (LONG, SHORT)])
    whole = torch.from_numpy(sentence_characters(SHORT))[None]
    _, state = model.layers(ids, valid)
    _, alone = model.layers(whole)
    torch.testing.assert_close(state.hidden[:, :, 1:], alone.hidden, rtol=0, atol=1e-6)
    on, fresh = (model.layers(whole, state=s)[0][-1] for s in (alone, None))
    assert not torch.allclose(on, fresh, atol=1e-3)
    # The left-to-right half of a text in two parts is that of the whole.
    parts = [model.layers(part, state=s) for part, s in ((ids[:1, :5], None),)]
    second = model.layers(ids[:1, 5:], state=parts[0][1])[0]
    for a, b in zip(second, read(model, LONG), strict=True):
        torch.testing.assert_close(a[0, :, :6], b[0, 5:, :6], rtol=0, atol=1e-6)


def test_residuals_are_from_the_second_layer_on(model: Elmo) -> None:
    without = Elmo(replace(CONFIG, residuals=False)).eval()
    without.load_state_dict(model.state_dict())
    ours, plain = read(model, LONG), read(without, LONG)
    torch.testing.assert_close(ours[1], plain[1])
    torch.testing.assert_close(ours[2], plain[2] + plain[1])


def test_clipping_binds(model: Elmo) -> None:
    free = Elmo(replace(CONFIG, cell_clip=100.0, projection_clip=100.0)).eval()
    free.load_state_dict(model.state_dict())
    assert float(read(free, LONG)[1].abs().max()) > 0.125 >= float(read(model, LONG)[1].abs().max())


def test_in_training_words_are_filled_up_and_change_nothing() -> None:
    """To a few numbers of them, for which libraries make code; in use nothing is read in vain."""
    read_at_once: list[int] = []
    model = Elmo(replace(CONFIG, dropout=0.0))
    model.characters.register_forward_pre_hook(lambda _, given: read_at_once.append(len(given[0])))
    ids, valid = pad_sentences([sentence_characters(words) for words in (LONG, SHORT)])
    found = [model.train(mode)(ids, valid) for mode in (True, False)]
    torch.testing.assert_close(found[0], found[1])
    assert read_at_once[0] % 128 == 0
    assert read_at_once[1] < 12


class Written(TorchDispatchMode):
    """Counts the numbers that all operations write."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self.numbers += sum(x.numel() for x in tree_leaves(found) if isinstance(x, Tensor))
        return found


def test_the_backward_pass_grows_with_the_words_not_their_square() -> None:
    lstm = ProjectedLstm(6, 11, cell_clip=3.0, clip=3.0)

    def written(n_words: int) -> int:
        outputs, *_ = lstm(torch.randn(2, n_words, 6), None, torch.zeros(2, 6), torch.zeros(2, 11))
        with Written() as count:
            outputs.sum().backward()
        return count.numbers

    assert written(64) < 4.5 * written(16)


def test_dropout_acts_in_training_alone(model: Elmo) -> None:
    ids = torch.from_numpy(sentence_characters(LONG))[None]
    one, two = (model(ids) for _ in "ab")
    assert torch.equal(one, two)
    model.train()
    one, two = (model(ids) for _ in "ab")
    model.eval()
    assert not torch.equal(one, two)


def test_rows_are_reversed_within_their_length() -> None:
    x = torch.arange(8).view(2, 4, 1)
    valid = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    assert reversed_within(x, valid)[..., 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]
    assert torch.equal(reversed_within(reversed_within(x, valid), valid), x)
    assert torch.equal(reversed_within(x, None), x.flip(1))


def test_a_highway_begins_by_letting_most_through() -> None:
    layer = Highway(4)
    with torch.no_grad():
        layer.gate.weight.zero_()
        layer.transform.weight.zero_()
        layer.transform.bias.zero_()
        out = layer(torch.ones(1, 4))
    torch.testing.assert_close(out, torch.full((1, 4), 1 - 1 / (1 + np.exp(2.0))).float())


def test_the_mix_is_equation_1_and_is_learned() -> None:
    torch.manual_seed(0)
    layers = torch.randn(3, 50, 4)
    mix = LayerMix(3)
    torch.testing.assert_close(mix(layers), layers.mean(dim=0))
    scores, scale = torch.tensor([0.0, 1.0, 2.0]), torch.tensor(3.0)
    p = torch.tensor([1.0, np.e, np.e**2]) / (1 + np.e + np.e**2)
    expected = 3 * (p[0] * layers[0] + p[1] * layers[1] + p[2] * layers[2])
    torch.testing.assert_close(mix_layers(layers, scores, scale), expected)
    optimizer = torch.optim.Adam(mix.parameters(), lr=0.1)
    for _ in range(150):  # a task that wants twice the second layer
        optimizer.zero_grad()
        (mix(layers) - 2 * layers[1]).square().mean().backward()
        optimizer.step()
    assert float(mix.scores.detach().softmax(dim=0)[1]) > 0.95
    assert float(mix.scale.detach()) == pytest.approx(2, abs=0.1)


def test_what_cannot_be_is_refused(model: Elmo) -> None:
    with pytest.raises(UsageError, match="words have 20 characters here, this model's have 50"):
        model(torch.zeros(1, 2, 20, dtype=torch.long))
    with pytest.raises(UsageError, match="predicts no words"):
        _ = Elmo(replace(CONFIG, vocab_size=0)).output_projection
    with pytest.raises(UsageError, match="2 layers for a mix of 3"):
        LayerMix(3)(torch.zeros(2, 1, 4))
    for bad in ({"d_cell": 0}, {"cell_clip": 0.0}, {"vocab_size": -1}, {"dropout": 1.0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            replace(CONFIG, **bad)
    for bad in (
        {"filters": ()},
        {"filters": ((51, 2),)},
        {"activation": "gelu"},
        {"n_highway": -1},
    ):
        with pytest.raises(ConfigError):
            replace(CONFIG.characters, **bad)
