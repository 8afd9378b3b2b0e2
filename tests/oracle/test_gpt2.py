"""Our Gpt against transformers' GPT2LMHeadModel and GPT2Model with random weights.

Every tensor crosses the table of `convert/gpt2.py`. Both libraries sum in another order, so
numbers agree to 1e-5.
"""

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from triptych.checkpoint import load_folder, save_folder
from triptych.convert.gpt2 import from_gpt2, to_gpt2
from triptych.convert.gpt2_config import config_from_json, config_to_json
from triptych.core.attention import attention
from triptych.core.loss import chunked_cross_entropy
from triptych.models.gpt import Gpt, GptConfig
from triptych.models.presets import GPT_PRESETS, gpt_preset
from triptych.tokenizers.bpe import JointBpe

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

VOCABULARY, EOS = 60, 59
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SHAPES = {
    "plain": {},
    "exact": {"n_inner": 40, "activation_function": "gelu", "layer_norm_epsilon": 1e-3},
    "one_head": {"n_head": 1, "activation_function": "relu"},
}


@pytest.fixture(autouse=True)
def _quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        yield


class Both(NamedTuple):
    ours: Gpt
    theirs: Any


def random_gpt2(name: str = "GPT2LMHeadModel", **shape: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **{"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 20, "vocab_size": VOCABULARY,
           "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": EOS,
           "eos_token_id": EOS, "attn_implementation": "eager"} | shape
    )  # fmt: skip
    model = getattr(transformers, name)(config).eval()
    for parameter in model.parameters():  # biases and norms matter too
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def as_ours(theirs: Any, folder: Path) -> Gpt:
    """Saved by them, read by us from the files."""
    theirs.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    config = config_from_json(json.loads((folder / "config.json").read_text()), "config.json")
    ours = Gpt(config).eval()
    ours.load_state_dict(from_gpt2(tensors, config, "theirs"))
    return ours


@pytest.fixture(params=SHAPES)
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Both:
    theirs = random_gpt2(**SHAPES[request.param])
    return Both(as_ours(theirs, tmp_path), theirs)


def text(length: int, rows: int = 3) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(1))


def ragged(side: str) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, which are real, and the positions that transformers must be told."""
    lengths = torch.tensor([[9], [3], [14]])
    valid = torch.arange(14) < lengths
    valid = valid if side == "right" else valid.flip(1)
    return text(14), valid, (valid.cumsum(1) - 1).clamp(min=0)


def test_logits_are_the_same(both: Both) -> None:
    ids = text(17)
    logits = both.ours.project(both.ours(ids))
    torch.testing.assert_close(logits, both.theirs(ids).logits, **CLOSE)
    hidden = both.theirs.transformer(ids).last_hidden_state
    torch.testing.assert_close(both.ours(ids), hidden, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
def test_logits_of_padded_rows_are_the_same(both: Both, side: str) -> None:
    ids, valid, positions = ragged(side)
    theirs = both.theirs(ids, attention_mask=valid.long(), position_ids=positions).logits
    ours = both.ours.project(both.ours(ids, valid=valid))
    torch.testing.assert_close(ours[valid], theirs[valid], **CLOSE)


@pytest.mark.parametrize("side", ["left", "right", None])
def test_loss_and_gradients_are_the_same(both: Both, side: str | None) -> None:
    ids, valid, positions = ragged(side or "right")
    if side is None:
        valid, positions = torch.ones_like(valid), torch.arange(14).expand(3, -1)
    labels = ids.masked_fill(~valid, -100)
    asked = {"attention_mask": valid.long(), "position_ids": positions, "labels": labels}
    expected = both.theirs(ids, **asked).loss
    expected.backward()

    hidden = both.ours(ids, valid=None if side is None else valid)[:, :-1]
    predicted = valid[:, 1:] & valid[:, :-1]
    if side == "left":  # they also predict the first token, from the padding before it
        labels = labels[:, 1:].masked_fill(~predicted, -100)
        logits = both.theirs(ids, **asked | {"labels": None}).logits[:, :-1]
        both.theirs.zero_grad()
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        expected.backward()
    targets = ids[:, 1:][predicted]
    found = chunked_cross_entropy(hidden[predicted], *both.ours.output_projection, targets)
    loss = found.smoothed / found.n_tokens
    loss.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)

    gradients = {name: p.grad for name, p in both.theirs.named_parameters()}
    largest = max(float(g.abs().max()) for g in gradients.values())
    ours = {name: p.grad for name, p in both.ours.named_parameters() if p.grad is not None}
    state = to_gpt2(ours, both.ours.config)
    assert set(state) == set(gradients)
    for name, gradient in state.items():
        assert float((gradient - gradients[name]).abs().max()) <= 1e-5 * largest, name


def test_cached_steps_are_the_same(both: Both) -> None:
    """The first part padded on the left, as transformers wants it; then a token at a time."""
    ids, valid, positions = ragged("left")
    more, cache, theirs_cache = text(5), both.ours.new_cache(3, 19), None
    for t in range(-1, 5):
        step = ids if t < 0 else more[:, t : t + 1]
        all_valid = torch.cat([valid, torch.ones(3, t + 1, dtype=torch.bool)], dim=1)
        places = positions if t < 0 else positions[:, -1:] + t + 1
        found = both.theirs(
            step, attention_mask=all_valid.long(), position_ids=places,
            past_key_values=theirs_cache, use_cache=True,
        )  # fmt: skip
        theirs_cache = found.past_key_values
        ours = both.ours.next_logits(step, cache, valid if t < 0 else None)
        torch.testing.assert_close(ours, found.logits[:, -1], **CLOSE)


@torch.inference_mode()
@pytest.mark.parametrize("side", ["left", "right"])
def test_greedy_tokens_are_those_of_generate(both: Both, side: str) -> None:
    ids, valid, _ = ragged(side)
    cache = both.ours.new_cache(3, 20)
    logits, chosen = both.ours.next_logits(ids, cache, valid), []
    for _ in range(6):
        chosen.append(logits.argmax(dim=-1))
        logits = both.ours.next_logits(chosen[-1][:, None], cache)
    for row in range(3):
        prompt = ids[row][valid[row]][None]
        theirs = both.theirs.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=6,
            eos_token_id=None, pad_token_id=EOS,
        )  # fmt: skip
        assert torch.stack(chosen, dim=1)[row].tolist() == theirs[0, prompt.size(1) :].tolist()


def test_dropout_is_in_the_same_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random draws are replaced by a pattern of shape and rate, the same in both libraries."""
    rates = {"resid_pdrop": 0.1, "embd_pdrop": 0.2, "attn_pdrop": 0.3}
    theirs = random_gpt2(**rates).train()
    ours = as_ours(theirs, tmp_path).train()
    asked: list[tuple[torch.Size, float]] = []

    def pattern(x: Tensor, p: float, *_: Any, **__: Any) -> Tensor:
        asked.append((x.shape, p))
        return x * (torch.arange(x.numel()) % 7 > 10 * p).view(x.shape)

    monkeypatch.setattr(torch.nn.functional, "dropout", pattern)
    for module in ("dropout", "attention"):
        monkeypatch.setattr(f"triptych.core.{module}.dropout", pattern)
    for block in ours.blocks:
        block.self_attention.attend = attention
    ids = text(11)
    logits = ours.project(ours(ids))
    ours_asked, asked = asked, []
    expected = theirs(ids).logits
    assert ours_asked == asked
    assert len(asked) == 1 + 3 * 3  # embeddings; in each layer weights and two sub-layers
    torch.testing.assert_close(logits, expected, **CLOSE)


# -- files ----------------------------------------------------------------------------------------


def test_what_we_write_is_what_they_wrote(both: Both, tmp_path: Path) -> None:
    written = to_gpt2(both.ours.state_dict(), both.ours.config)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(written) == set(stored)
    for name, tensor in stored.items():
        assert torch.equal(written[name], tensor), name
    theirs = json.loads((tmp_path / "config.json").read_text())
    for key, value in config_to_json(both.ours.config).items():
        assert theirs.get(key, value) == value, key


@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "GPT2Model"])
def test_they_load_our_folder_without_a_word(both: Both, tmp_path: Path, name: str) -> None:
    """A whole model folder: saved by us, loaded by them and by us, equal each time."""
    tokenizer = JointBpe.train(["a cat sat", "eine Katze sass"] * 9, 280)
    config = both.ours.config
    ours = Gpt(GptConfig(**vars(config) | {"vocab_size": 288, "eos_id": tokenizer.eos_id})).eval()
    folder = tmp_path / "ours"
    save_folder(folder, ours, tokenizer)
    theirs, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    lost = ("missing_keys", "mismatched_keys", "unexpected_keys")
    assert not any(info[key] for key in lost)
    ids = text(15)
    found = theirs.eval()(ids)
    if name == "GPT2Model":
        torch.testing.assert_close(ours(ids), found.last_hidden_state, **CLOSE)
    else:
        torch.testing.assert_close(ours.project(ours(ids)), found.logits, **CLOSE)
        assert theirs.generation_config.eos_token_id == tokenizer.eos_id
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id) == (tokenizer.eos_id,) * 2
    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs")
    again, state = load_folder(tmp_path / "theirs"), ours.state_dict()
    assert all(torch.equal(again.model.state_dict()[key], state[key]) for key in state)
    assert again.model.config == ours.config


def test_a_bare_model_is_read(tmp_path: Path) -> None:
    """GPT2Model's file has no prefix, as the published files."""
    theirs = random_gpt2("GPT2Model")
    ours = as_ours(theirs, tmp_path)
    assert "wte.weight" in load_file(tmp_path / "model.safetensors")
    ids = text(8)
    torch.testing.assert_close(ours(ids), theirs(ids).last_hidden_state, **CLOSE)


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    theirs = random_gpt2().half()
    ours = as_ours(theirs, tmp_path)
    assert all(p.dtype == torch.float32 for p in ours.parameters())
    ids = text(8)
    torch.testing.assert_close(ours.project(ours(ids)), theirs.float()(ids).logits, **CLOSE)


def test_their_two_names_of_one_tensor_are_one(tmp_path: Path) -> None:
    """`lm_head.weight` is the embedding, whichever of the two a file keeps."""
    theirs = random_gpt2()
    ours = as_ours(theirs, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, tmp_path / "both.safetensors")
    del tensors["transformer.wte.weight"]
    for stored in (load_file(tmp_path / "both.safetensors"), tensors):
        state = from_gpt2(stored, ours.config, "here")
        assert torch.equal(state["token_embedding.weight"], theirs.lm_head.weight)


@pytest.mark.parametrize("name", GPT_PRESETS)
def test_presets_have_as_many_parameters_as_transformers(name: str) -> None:
    config = gpt_preset(name, 50_257, eos_id=50_256)
    with torch.device("meta"):
        ours = Gpt(config)
        theirs = transformers.GPT2LMHeadModel(
            transformers.GPT2Config.from_dict(config_to_json(config))
        )
        theirs.tie_weights()
    count = [sum(p.numel() for p in model.parameters()) for model in (ours, theirs)]
    assert count[0] == count[1]
    if name == "gpt2":  # transformers' own defaults
        ours_json, defaults = config_to_json(config), transformers.GPT2Config().to_dict()
        shared = set(ours_json) & set(defaults) - {"architectures"}
        assert len(shared) > 12
        assert all(ours_json[key] == defaults[key] for key in shared)
