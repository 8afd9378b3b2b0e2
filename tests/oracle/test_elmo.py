"""Elmo against the published files and their expected outputs, and against plain numpy.

The expected outputs are those of the released code, which went on with its state from one sentence
to the next: three rows of ten sentences, the last layer only. The layers below it are compared with
the same computation written in float64 from the file itself, which the last layer holds to account.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from triptych.convert.elmo import load_published
from triptych.predecessors.elmo import Elmo, ProjectedLstm
from triptych.recipes.word_encoder import pad_sentences
from triptych.tokenizers.words import sentence_characters

h5py = pytest.importorskip("h5py")
Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    return data_dir / "elmo_fixture"


@pytest.fixture(scope="module")
def model(folder: Path) -> Elmo:
    return load_published(folder)


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[list[list[str]]]:
    """Three rows of ten sentences of words."""
    lines = json.loads((folder / "lm_embeddings_sentences.json").read_text())
    return [[line.split() for line in row] for row in lines]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def published(file: Any, words: list[str]) -> list[Array]:
    """All three layers [T, 2P] of one sentence from zeros, as the TensorFlow code computes them."""
    get = {name: np.asarray(file[name], dtype=np.float64) for name in names(file)}
    characters = []
    for word in [b"\x00", *(word.encode() for word in words), b"\x01"]:
        inner = {b"\x00": [256], b"\x01": [257]}.get(word, list(word[:48]))
        ids = [258, *inner, 259]
        characters.append(ids + [260] * (50 - len(ids)))
    x = get["char_embed"][np.array(characters)]  # [T, 50, 4]
    pooled = []
    for i in range(5):
        kernel, bias = get[f"CNN/W_cnn_{i}"][0], get[f"CNN/b_cnn_{i}"]
        width = len(kernel)
        windows = np.stack([x[:, s : s + width] for s in range(50 - width + 1)], axis=1)
        out = np.einsum("tswd,wdk->tsk", windows, kernel) + bias
        pooled.append(np.maximum(out.max(axis=1), 0))
    x = np.concatenate(pooled, axis=1)
    for k in range(2):
        carry = sigmoid(x @ get[f"CNN_high_{k}/W_carry"] + get[f"CNN_high_{k}/b_carry"])
        new = np.maximum(x @ get[f"CNN_high_{k}/W_transform"] + get[f"CNN_high_{k}/b_transform"], 0)
        x = carry * new + (1 - carry) * x
    x = x @ get["CNN_proj/W_proj"] + get["CNN_proj/b_proj"]
    sides = [lstms(get, 0, x), [y[::-1] for y in lstms(get, 1, x[::-1])]]
    return [np.concatenate(pair, axis=1)[1:-1] for pair in zip(*sides, strict=True)]


def lstms(get: dict[str, Array], direction: int, x: Array) -> list[Array]:
    layers = [x]
    for layer in range(2):
        name = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
        h, c, out = np.zeros(16), np.zeros(64), []
        for word in layers[-1]:
            gates = np.concatenate([word, h]) @ get[f"{name}/W_0"] + get[f"{name}/B"]
            i, j, f, o = np.split(gates, 4)
            c = np.clip(sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j), -3, 3)
            h = np.clip((sigmoid(o) * np.tanh(c)) @ get[f"{name}/W_P_0"], -3, 3)
            out.append(h)
        layers.append(np.array(out))
    return layers


def names(file: Any) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return found


@torch.inference_mode()
def test_the_last_layer_is_that_of_the_released_code(
    model: Elmo, folder: Path, rows: list[list[list[str]]]
) -> None:
    state = None
    for number in range(10):
        sentences = [row[number] for row in rows]
        ids, valid = pad_sentences([sentence_characters(words) for words in sentences])
        layers, state = model.layers(ids, valid, state)
        for row, words in enumerate(sentences):
            with h5py.File(folder / f"lm_embeddings_{row}.hdf5") as file:
                expected = np.concatenate(file[str(number)][()], axis=-1)
            ours = layers[-1][row, 1 : len(words) + 1].numpy()
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)


@torch.inference_mode()
def test_all_three_layers_are_those_of_plain_numpy(
    model: Elmo, folder: Path, rows: list[list[list[str]]]
) -> None:
    with (
        h5py.File(folder / "lm_weights.hdf5") as file,
        h5py.File(folder / "lm_embeddings_0.hdf5") as outputs,
    ):
        first = np.concatenate(outputs["0"][()], axis=-1)
        np.testing.assert_allclose(published(file, rows[0][0])[-1], first, rtol=0, atol=2e-6)
        for words in (*rows[1][:4], ["naïve", "日本語", "x" * 80, "é" * 60]):
            ids = torch.from_numpy(sentence_characters(words))[None]
            layers, _ = model.layers(ids)
            for ours, theirs in zip(layers, published(file, words), strict=True):
                np.testing.assert_allclose(ours[0, 1:-1].numpy(), theirs, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(("bound", "clipped"), [(1e9, False), (0.05, True)])
def test_one_layer_is_torchs_own_lstm_but_for_the_clipping(bound: float, clipped: bool) -> None:
    torch.manual_seed(1)
    ours = ProjectedLstm(5, 7, cell_clip=bound, clip=bound)
    theirs = torch.nn.LSTM(5, 7, proj_size=5, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.w_input)
        theirs.weight_hh_l0.copy_(ours.w_hidden)
        theirs.bias_ih_l0.copy_(ours.bias)
        theirs.bias_hh_l0.zero_()
        theirs.weight_hr_l0.copy_(ours.w_projection)
    x = torch.randn(3, 6, 5)
    out, hidden, cell = ours(x, None, torch.zeros(3, 5), torch.zeros(3, 7))
    expected, (h, c) = theirs(x)
    assert torch.allclose(out, expected, atol=1e-6) is not clipped
    if not clipped:
        assert torch.allclose(hidden, h[0], atol=1e-6)
        assert torch.allclose(cell, c[0], atol=1e-6)
        ours_gradient = torch.autograd.grad(out.square().sum(), ours.w_hidden)[0]
        (theirs_gradient,) = torch.autograd.grad(expected.square().sum(), theirs.weight_hh_l0)
        assert torch.allclose(ours_gradient, theirs_gradient, atol=1e-5)
    else:
        assert float(cell.detach().abs().max()) <= bound + 1e-6
        assert float(out.detach().abs().max()) <= bound + 1e-6
