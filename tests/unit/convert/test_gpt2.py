"""GPT-2's folders: a configuration and weights come back equal, what is odd is named."""

import json
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from triptych.convert.gpt2 import from_gpt2, table, to_gpt2
from triptych.convert.gpt2_config import config_from_json, config_to_json, generation_to_json
from triptych.errors import ModelFileError
from triptych.models.gpt import Gpt, GptConfig

CONFIG = GptConfig(
    vocab_size=50, d_model=12, d_ff=20, n_heads=3, n_layers=2, dropout=0.2, attention_dropout=0.0,
    embedding_dropout=0.3, activation="gelu", max_seq_len=16, norm_eps=1e-6, eos_id=7,
)  # fmt: skip


@pytest.mark.parametrize("eos_id", [None, 0, 49])
@pytest.mark.parametrize("d_ff", [48, 20])
@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu", "relu", "silu"])
def test_a_configuration_comes_back_equal(activation: str, d_ff: int, eos_id: int | None) -> None:
    config = replace(CONFIG, activation=activation, d_ff=d_ff, eos_id=eos_id)
    written = config_to_json(config)
    assert written["n_inner"] == {48: None, 20: 20}[d_ff]
    assert config_from_json(json.loads(json.dumps(written)), "here") == config


def test_the_published_file_is_read() -> None:
    """The keys of the smallest model's config.json as its authors' weights are distributed."""
    published = {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
        "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
        "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
        "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
        "vocab_size": 50257,
    }  # fmt: skip
    config = config_from_json(published, "here")
    assert config == GptConfig(vocab_size=50_257, eos_id=50_256)
    written = config_to_json(config)
    assert all(written[key] == published[key] for key in set(written) & set(published))


def test_dropouts_are_not_mixed_up() -> None:
    written = config_to_json(CONFIG)
    assert (written["resid_pdrop"], written["attn_pdrop"], written["embd_pdrop"]) == (0.2, 0.0, 0.3)


@pytest.mark.parametrize(
    ("stored", "read"), [(None, None), ([7, 3], 7), ([], None), (50, None), (50_256, None), (0, 0)]
)
def test_the_end_of_a_text(stored: object, read: int | None) -> None:
    """An id beyond the vocabulary, transformers' default in small models, ends nothing."""
    assert config_from_json(config_to_json(CONFIG) | {"eos_token_id": stored}, "").eos_id == read


def test_what_generates_is_told_the_end() -> None:
    ids = {"bos_token_id": 7, "eos_token_id": 7, "pad_token_id": 7}
    assert generation_to_json(CONFIG) == ids
    assert generation_to_json(replace(CONFIG, eos_id=None)) == {}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("activation_function", "mish", "activation_function is 'mish', not supported; gelu_new, "),
        ("activation_function", None, "no key 'activation_function', which a GPT-2 model needs"),
        ("scale_attn_weights", False, "scale_attn_weights is false, not supported; only true is"),
        ("scale_attn_by_inverse_layer_idx", True, "only false is"),
        ("add_cross_attention", True, "add_cross_attention is true"),
        ("tie_word_embeddings", False, "tie_word_embeddings is false"),
        ("architectures", ["GPT2ForTokenClassification"], "GPT2ForTokenClassification.*GPT2Model"),
        ("n_embd", 13, r"d_model \(13\) must be a multiple of n_heads \(3\)"),
        ("n_layer", 10**9, "n_layer is 1000000000, not a whole number"),
        ("n_head", None, "no key 'n_head'"),
        ("n_inner", 0, "n_inner is 0; a model needs at least 1"),
        ("n_inner", "20", "n_inner is '20', not a whole number"),
        ("layer_norm_epsilon", 0, r"layer_norm_epsilon is 0, not a number in \(0, 1\)"),
        ("embd_pdrop", 1.5, r"embd_pdrop is 1.5, not a number in \[0, 1\)"),
        ("eos_token_id", -1, "eos_token_id is -1, not a whole number"),
        ("eos_token_id", "end", "eos_token_id is 'end', not a whole number"),
    ],
)
def test_what_is_not_supported_is_named(key: str, value: object, expected: str) -> None:
    config = config_to_json(CONFIG) | {key: value}
    if value is None:
        del config[key]
    with pytest.raises(ModelFileError, match=f"here.*{expected}"):
        config_from_json(config, "here")


# -- weights --------------------------------------------------------------------------------------


def model() -> Gpt:
    torch.manual_seed(0)
    gpt = Gpt(CONFIG)
    for parameter in gpt.parameters():
        parameter.data += torch.randn_like(parameter)
    return gpt


def stored(prefix: str = "transformer.") -> dict[str, Tensor]:
    tensors = to_gpt2(model().state_dict(), CONFIG)
    return {prefix + name.removeprefix("transformer."): t for name, t in tensors.items()}


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_weights_come_back_bit_for_bit(prefix: str) -> None:
    state = model().state_dict()
    assert {name for entry in table(CONFIG) for name in entry.ours} == set(state)
    back = from_gpt2(stored(prefix), CONFIG, "here")
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())


def test_matrices_stand_as_theirs() -> None:
    """[in, out]; queries, keys and values side by side, in this order."""
    state, tensors = model().state_dict(), stored()
    joined = tensors["transformer.h.1.attn.c_attn.weight"]
    assert joined.shape == (12, 36)
    for i, name in enumerate("qkv"):
        part = state[f"blocks.1.self_attention.w_{name}.weight"]
        assert torch.equal(joined[:, 12 * i : 12 * (i + 1)], part.T)
    assert tensors["transformer.h.0.mlp.c_fc.weight"].shape == (12, 20)
    assert tensors["transformer.h.0.mlp.c_proj.weight"].shape == (20, 12)
    assert all(tensor.is_contiguous() for tensor in tensors.values())


def test_what_is_read_is_our_own_memory() -> None:
    tensors = stored()
    state = from_gpt2(tensors, CONFIG, "here")
    for tensor in tensors.values():
        tensor.fill_(0)
    assert all(tensor.any() and tensor.is_contiguous() for tensor in state.values())


def test_it_may_be_views_of_what_is_given() -> None:
    tensors = stored()
    state = from_gpt2(tensors, CONFIG, "here", copy=False)
    expected = model().state_dict()
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    for tensor in tensors.values():
        tensor.fill_(0)
    assert not any(tensor.any() for tensor in state.values())


@pytest.mark.parametrize("prefix", ["transformer.", ""])
def test_masks_of_older_files_are_left(prefix: str) -> None:
    tensors = stored(prefix)
    for layer in range(2):
        tensors[f"{prefix}h.{layer}.attn.bias"] = torch.ones(1, 1, 16, 16).tril().byte()
        tensors[f"{prefix}h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors["lm_head.weight"] = tensors[f"{prefix}wte.weight"].clone()
    state = from_gpt2(tensors, CONFIG, "here")
    assert all(torch.equal(state[name], value) for name, value in model().state_dict().items())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop("transformer.h.1.mlp.c_proj.bias"),
         r"no tensor transformer.h.1.mlp.c_proj.bias; .* \(12,\)"),
        (lambda t: t.pop("transformer.wte.weight"), "no tensor transformer.wte.weight"),
        (lambda t: t.update({"transformer.extra": torch.zeros(3)}), "a tensor transformer.extra"),
        (lambda t: t.update({"transformer.h.1.attn.other_bias": torch.zeros(3)}), "no use"),
        (lambda t: t.update({"transformer.h.1.attn.biases": torch.zeros(3)}), "no use"),
        (lambda t: t["transformer.ln_f.bias"].fill_(float("nan")), "12 values that are not finite"),
        (lambda t: t.update({"transformer.h.0.attn.c_attn.weight": torch.zeros(36, 12)}),
         r"c_attn.weight should be \(12, 36\) .* is \(36, 12\)"),
        (lambda t: t.update({"lm_head.weight": torch.zeros(50, 12)}), "lm_head.weight differs"),
        (lambda t: t.update({"transformer.wpe.weight": torch.zeros(16, 12, dtype=torch.int64)}),
         "wpe.weight is torch.int64, not floating point"),
    ],
)  # fmt: skip
def test_damaged_weights_are_named(change, expected: str) -> None:  # type: ignore[no-untyped-def]
    tensors = stored()
    change(tensors)
    with pytest.raises(ModelFileError, match=f"here.*{expected}"):
        from_gpt2(tensors, CONFIG, "here")
