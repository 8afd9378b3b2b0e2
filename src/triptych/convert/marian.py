"""EncoderDecoder <-> transformers' MarianMTModel: one table, read in both directions.

Inside, positions follow the paper (sine and cosine interleaved); Marian's have the sines in the
first half of the width and the cosines in the second. So every axis that counts the model width
is put in the other order on the way in and on the way out; what counts heads, feed-forward
units or vocabulary stays. Weights come back bit for bit; logits agree up to the order in which
LayerNorm sums.

Shapes: E model width, F feed-forward width, V vocabulary.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.convert.checks import check_no_other, check_tensor, missing_tensor
from triptych.core.positions import sinusoidal_table
from triptych.errors import ModelFileError
from triptych.models.encoder_decoder import EncoderDecoderConfig

# Ours, theirs, and which axis of the weight and of the bias counts the model width.
ATTENTION = (
    ("w_q", "q_proj", 1, None),
    ("w_k", "k_proj", 1, None),
    ("w_v", "v_proj", 1, None),
    ("w_o", "out_proj", 0, 0),
)
FEED_FORWARD = (
    ("feed_forward.w_up", "fc1", 1, None),
    ("feed_forward.w_down", "fc2", 0, 0),
)
ENCODER_NORMS = (
    ("residual_1.norm", "self_attn_layer_norm", 0, 0),
    ("residual_2.norm", "final_layer_norm", 0, 0),
)
DECODER_NORMS = (
    ("residual_1.norm", "self_attn_layer_norm", 0, 0),
    ("residual_2.norm", "encoder_attn_layer_norm", 0, 0),
    ("residual_3.norm", "final_layer_norm", 0, 0),
)
SHARED, LOGITS_BIAS = "model.shared.weight", "final_logits_bias"
COPIES = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
OUTPUT_COPY = "lm_head.weight"
POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")


@dataclass(frozen=True)
class Entry:
    """One tensor in both worlds."""

    ours: str
    theirs: str
    shape: tuple[int, ...]
    """As Marian stores it."""
    width_axis: int | None
    """The axis to put in the other order."""


def table(config: EncoderDecoderConfig) -> list[Entry]:
    """Every tensor of a model of this shape, in the order of Figure 1."""
    return list(_entries(config))


def _entries(c: EncoderDecoderConfig) -> Iterator[Entry]:
    yield Entry("embedding.weight", SHARED, (c.vocab_size, c.d_model), 1)
    for side, n_layers in (("encoder", c.n_encoder_layers), ("decoder", c.n_decoder_layers)):
        rows = [(f"self_attention.{our}", f"self_attn.{their}", *axes)
                for our, their, *axes in ATTENTION]  # fmt: skip
        if side == "decoder":
            rows += [(f"cross_attention.{our}", f"encoder_attn.{their}", *axes)
                     for our, their, *axes in ATTENTION]  # fmt: skip
        rows += [*FEED_FORWARD, *(ENCODER_NORMS if side == "encoder" else DECODER_NORMS)]
        for layer in range(n_layers):
            for our, their, weight_axis, bias_axis in rows:
                ours, theirs = f"{side}.{layer}.{our}", f"model.{side}.layers.{layer}.{their}"
                weight, bias = _shapes(their, c)
                yield Entry(f"{ours}.weight", f"{theirs}.weight", weight, weight_axis)
                yield Entry(f"{ours}.bias", f"{theirs}.bias", bias, bias_axis)
    yield Entry("final_logits_bias", LOGITS_BIAS, (1, c.vocab_size), None)


def _shapes(theirs: str, c: EncoderDecoderConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if theirs.endswith("layer_norm"):
        return (c.d_model,), (c.d_model,)
    n_out = c.d_ff if theirs == "fc1" else c.d_model
    n_in = c.d_ff if theirs == "fc2" else c.d_model
    return (n_out, n_in), (n_out,)


def halves_order(d_model: int) -> Tensor:
    """[E]: for each place in Marian's order (sines, then cosines), its place in the paper's."""
    return torch.cat([torch.arange(0, d_model, 2), torch.arange(1, d_model, 2)])


def to_marian(state: Mapping[str, Tensor], config: EncoderDecoderConfig) -> dict[str, Tensor]:
    """Our state dict -> MarianMTModel's names, shapes and order; the embedding stored once."""
    order = halves_order(config.d_model)
    return {
        entry.theirs: _reordered(state[entry.ours].detach().cpu(), entry, order).reshape(
            entry.shape
        )
        for entry in table(config)
    }


def from_marian(
    tensors: Mapping[str, Tensor], config: EncoderDecoderConfig, place: str
) -> dict[str, Tensor]:
    """MarianMTModel's tensors -> our state dict, in float32 and in memory of its own.

    Raises ModelFileError, with `place` and the tensor's name, for one that is missing, not
    known, of another shape, not finite, or a copy that differs from what it copies.
    """
    order = halves_order(config.d_model).argsort()
    _check_names(tensors, config, place)
    state = {}
    for entry in table(config):
        if entry.theirs == LOGITS_BIAS and LOGITS_BIAS not in tensors:
            state[entry.ours] = torch.zeros(config.vocab_size)
            continue
        found = tensors[_stored_name(entry.theirs, tensors)]
        check_tensor(entry.theirs, entry.shape, found, place)
        ours = _reordered(found.to(torch.float32, copy=True), entry, order)
        state[entry.ours] = ours.flatten() if entry.theirs == LOGITS_BIAS else ours
    _check_copies(tensors, place)
    _check_positions(tensors, config, place)
    return state


def _reordered(tensor: Tensor, entry: Entry, order: Tensor) -> Tensor:
    if entry.width_axis is None:
        return tensor.contiguous()
    return tensor.index_select(entry.width_axis, order)


def _stored_name(theirs: str, tensors: Mapping[str, Tensor]) -> str:
    """The one embedding may be stored under the name of any of its copies."""
    if theirs == SHARED:
        return next((name for name in (SHARED, *COPIES, OUTPUT_COPY) if name in tensors), SHARED)
    return theirs


def _check_names(tensors: Mapping[str, Tensor], config: EncoderDecoderConfig, place: str) -> None:
    expected = {entry.theirs: entry for entry in table(config)}
    for name, entry in expected.items():
        if _stored_name(name, tensors) not in tensors and name != LOGITS_BIAS:
            raise missing_tensor(name, entry.shape, place)
    check_no_other(tensors, {*expected, *COPIES, OUTPUT_COPY, *POSITIONS}, place)


def _check_copies(tensors: Mapping[str, Tensor], place: str) -> None:
    stored = _stored_name(SHARED, tensors)
    for name in (*COPIES, OUTPUT_COPY):
        if name in tensors and not torch.equal(tensors[name], tensors[stored]):
            raise ModelFileError(
                f"{place}: {name} differs from {stored}; models with separate embeddings "
                "are not supported"
            )


def _check_positions(
    tensors: Mapping[str, Tensor], config: EncoderDecoderConfig, place: str
) -> None:
    for name in POSITIONS:
        if name not in tensors:
            continue
        found = tensors[name]
        table = sinusoidal_table(found.size(0), config.d_model)
        expected = table.index_select(1, halves_order(config.d_model))
        rounding = 1e-6 if found.dtype == torch.float32 else 4e-3  # half a step of bfloat16 at 1
        if found.shape != expected.shape or not torch.allclose(
            found.float(), expected, rtol=0, atol=rounding
        ):
            raise ModelFileError(
                f"{place}: {name} is not the sinusoidal table; learned positions are not supported"
            )
