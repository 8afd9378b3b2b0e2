"""Gpt <-> transformers' GPT2LMHeadModel: one table, read in both directions.

Theirs holds matrices as [in, out], and queries, keys and values in one. Names are written with the
prefix `transformer.`, as transformers writes them; both are read, as the published files and
GPT2Model have none. What older files hold of masks, and of the tied output, is left.

Shapes: E model width, F feed-forward width, V vocabulary.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.convert.checks import check_no_other, check_tensor, missing_tensor
from triptych.errors import ModelFileError
from triptych.models.gpt import GptConfig

PREFIX = "transformer."
WORDS, OUTPUT = "wte.weight", "lm_head.weight"
MASKS = re.compile(r"h\.\d+\.attn\.(masked_)?bias")
"""Buffers of older files: the causal mask, and what stood for minus infinity."""

MATRICES = (  # ours, side by side in theirs
    (("self_attention.w_q", "self_attention.w_k", "self_attention.w_v"), "attn.c_attn"),
    (("self_attention.w_o",), "attn.c_proj"),
    (("feed_forward.w_up",), "mlp.c_fc"),
    (("feed_forward.w_down",), "mlp.c_proj"),
)
NORMS = (("residual_1.norm", "ln_1"), ("residual_2.norm", "ln_2"))


@dataclass(frozen=True)
class Entry:
    """One tensor in their world, one or three in ours."""

    ours: tuple[str, ...]
    theirs: str
    """Without the prefix."""
    shape: tuple[int, ...]
    """As they store it."""
    is_matrix: bool = False
    """[in, out] there, [out, in] here."""


def table(config: GptConfig) -> list[Entry]:
    """Every tensor of a model of this shape, from the embeddings up."""
    return list(_entries(config))


def _entries(c: GptConfig) -> Iterator[Entry]:
    width = c.d_model
    yield Entry(("token_embedding.weight",), WORDS, (c.vocab_size, width))
    yield Entry(("positions.weight",), "wpe.weight", (c.max_seq_len, width))
    for layer in range(c.n_layers):
        ours, theirs = f"blocks.{layer}", f"h.{layer}"
        for our, their in NORMS:
            yield from _norm(f"{ours}.{our}", f"{theirs}.{their}", width)
        for names, their in MATRICES:
            n_in = c.d_ff if names[0].endswith("w_down") else width
            n_out = c.d_ff if names[0].endswith("w_up") else width * len(names)
            weights = tuple(f"{ours}.{name}.weight" for name in names)
            biases = tuple(f"{ours}.{name}.bias" for name in names)
            yield Entry(weights, f"{theirs}.{their}.weight", (n_in, n_out), is_matrix=True)
            yield Entry(biases, f"{theirs}.{their}.bias", (n_out,))
    yield from _norm("norm", "ln_f", width)


def _norm(ours: str, theirs: str, width: int) -> Iterator[Entry]:
    for part in ("weight", "bias"):
        yield Entry((f"{ours}.{part}",), f"{theirs}.{part}", (width,))


def to_gpt2(state: Mapping[str, Tensor], config: GptConfig) -> dict[str, Tensor]:
    """Our state dict -> GPT2LMHeadModel's names and shapes; the tied embedding stored once."""
    return {PREFIX + entry.theirs: _joined(state, entry) for entry in table(config)}


def _joined(state: Mapping[str, Tensor], entry: Entry) -> Tensor:
    tensor = torch.cat([state[name].detach().cpu() for name in entry.ours])
    return tensor.T.contiguous() if entry.is_matrix else tensor


def from_gpt2(
    tensors: Mapping[str, Tensor], config: GptConfig, place: str, *, copy: bool = True
) -> dict[str, Tensor]:
    """Tensors of a GPT2LMHeadModel or GPT2Model -> our state dict, float32, in its own memory; or,
    without `copy`, views of what is given where that is float32 already.

    Raises ModelFileError, with `place` and the tensor's name, for one that is missing, not known,
    of another shape, not finite, or an output matrix that differs from the embedding.
    """
    prefix = PREFIX if any(name.startswith(PREFIX) for name in tensors) else ""
    state, used = {}, {OUTPUT}
    for entry in table(config):
        name = prefix + entry.theirs
        if entry.theirs == WORDS and name not in tensors and OUTPUT in tensors:
            name = OUTPUT  # of two that are one, a file may keep either
        if name not in tensors:
            raise missing_tensor(name, entry.shape, place)
        tensor = tensors[name]
        check_tensor(name, entry.shape, tensor, place)
        for ours, part in zip(entry.ours, tensor.chunk(len(entry.ours), dim=-1), strict=True):
            part = (part.T if entry.is_matrix else part).to(torch.float32)
            state[ours] = part.clone(memory_format=torch.contiguous_format) if copy else part
        used.add(name)
    _check_output(tensors, prefix + WORDS, place)
    masks = {name for name in tensors if MASKS.fullmatch(name.removeprefix(prefix))}
    check_no_other(tensors, used | masks, place)
    return state


def _check_output(tensors: Mapping[str, Tensor], words: str, place: str) -> None:
    both = words in tensors and OUTPUT in tensors
    if both and not torch.equal(tensors[words], tensors[OUTPUT]):
        raise ModelFileError(
            f"{place}: {OUTPUT} differs from {words}; models with a separate output matrix are "
            "not supported"
        )
