"""Gpt -> GGUF, the one file that llama.cpp reads, with its tokenizer inside.

It goes by the `gguf` library, llama.cpp's own: its names for the tensors of GPT-2, its writer,
its arithmetic of Q8_0. Matrices are [out, in] there as here, and a table of positions or tokens
is [rows, E]; queries, keys and values are in one, as in `gpt2.py`'s table. The output is tied:
it is stored once, as `token_embd`, which llama.cpp takes where there is no `output`.

Biases, norms and positions stay float32, as llama.cpp's own converter leaves them. Shapes: E model
width, F feed-forward width, V vocabulary.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych.convert import gpt2
from triptych.errors import ModelFileError, UsageError
from triptych.files.atomic import fill_file
from triptych.models.gpt import Gpt, GptConfig
from triptych.tokenizers.byte_bpe import ByteBpe

ARCHITECTURE = "gpt2"
TYPES = ("f32", "f16", "q8_0")
"""How matrices may be stored: whole, in half precision, in 8 bits with a scale for 32."""
TOKENIZER_MODEL, PRE_TOKENIZER = "gpt2", "gpt-2"
"""llama.cpp's names for byte-level BPE, and for GPT-2's pattern within it."""
MAGIC = b"GGUF"
POSITIONS = "wpe.weight"
FLOAT = np.dtype(np.float32)
NEVER = "!! !"
"""A merge that never applies, as nothing makes its left side: a list must not be empty there."""


@dataclass(frozen=True)
class Stored:
    """One tensor of the file."""

    name: str
    ours: tuple[str, ...]
    """What is joined, along the first axis."""
    shape: tuple[int, ...]
    type: Any
    """A GGMLQuantizationType."""
    n_bytes: int


def write_gguf(path: Path, model: Gpt, tokenizer: object, *, kind: str, place: str) -> int:
    """Put the model and its tokenizer into one file, whole or not at all; returns its bytes.

    `kind` is one of TYPES, `place` where the model is from. What the file is called, without its
    ending, becomes the model's name.

    Raises UsageError for another kind, for rows that Q8_0 cannot cut, for a place where something
    else lies and where `gguf` is not installed; ModelFileError for what llama.cpp does not have:
    another tokenizer than GPT-2's kind, another activation, values too large for half precision.
    """
    check_request(path, kind)
    checked = _check_tokenizer(tokenizer, place)
    if model.config.activation != "gelu_tanh":
        raise ModelFileError(
            f"{place}: its activation is {model.config.activation!r}, but llama.cpp computes "
            "gelu_tanh in every GPT-2; train with activation gelu_tanh to run it there"
        )
    gguf = _library()
    table = _table(gguf, model.config, kind)
    state = model.state_dict()
    _check_range(table, state, place)

    def fill(new: Path) -> None:
        writer = gguf.GGUFWriter(new, ARCHITECTURE)
        _describe(writer, gguf, model.config, kind, path.stem)
        _add_tokenizer(writer, gguf, checked, model.config.vocab_size)
        for stored in table:
            writer.add_tensor_info(stored.name, stored.shape, FLOAT, stored.n_bytes, stored.type)
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            for stored in table:  # one at a time: a joined or cut copy is never kept
                writer.write_tensor_data(gguf.quantize(_array(stored, state), stored.type))
        except OSError as error:
            if error.errno is None:  # numpy's, of which a part was written
                raise OSError(errno.ENOSPC, str(error)) from error
            raise
        finally:
            writer.close()

    fill_file(path, fill, needs=sum(stored.n_bytes for stored in table))
    return path.stat().st_size


def check_request(path: Path, kind: str) -> None:
    """Raises UsageError, before a model is read, for a type that is not written, where `gguf` is
    not installed, and where the file cannot be put without losing something else."""
    if kind not in TYPES:
        raise UsageError(
            f"the GGUF type {kind!r} is not written here; choose one of {', '.join(TYPES)}"
        )
    _library()
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder; a GGUF is one file: name it, such as {path / 'model.gguf'}"
        )
    if path.exists():
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise UsageError(
                    f"{path} is there and is no GGUF file, so it would be lost; name another file"
                )


def _library() -> Any:
    try:
        import gguf
    except ImportError as error:
        raise UsageError(
            "--to gguf needs the gguf package: pip install 'triptych[gguf]'"
        ) from error
    return gguf


def _check_tokenizer(tokenizer: object, place: str) -> ByteBpe:
    if not isinstance(tokenizer, ByteBpe):
        raise ModelFileError(
            f"{place}: its tokenizer is {type(tokenizer).__name__}, but a GGUF of GPT-2 carries a "
            "byte-level BPE; train a model with a tokenizer of kind byte-bpe"
        )
    if not tokenizer.cuts_as_gpt2:
        raise ModelFileError(
            f"{place}: its tokenizer cuts texts by another pattern than GPT-2's, so that llama.cpp "
            "would give other tokens; use a model whose tokenizer.json has a plain ByteLevel step"
        )
    return tokenizer


# -- tensors ------------------------------------------------------------------------------------


def _table(gguf: Any, config: GptConfig, kind: str) -> list[Stored]:
    """Every tensor of the file. Raises UsageError for rows that Q8_0 cannot cut."""
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, config.n_layers)
    table = []
    for entry in gpt2.table(config):
        shape = entry.shape[::-1] if entry.is_matrix else entry.shape
        whole = len(shape) == 1 or entry.theirs == POSITIONS
        stored_as = gguf.GGMLQuantizationType["F32" if whole else kind.upper()]
        n_values, n_bytes = gguf.GGML_QUANT_SIZES[stored_as]  # of a block
        if shape[-1] % n_values:
            which = "d_model" if shape[-1] == config.d_model else "d_ff"
            raise UsageError(
                f"type {kind} cuts rows into blocks of {n_values}, but this model's {which} is "
                f"{shape[-1]}, which is no multiple of it; choose f16 or f32"
            )
        name = names.get_name(gpt2.PREFIX + entry.theirs, (".weight", ".bias"))
        size = torch.Size(shape).numel() // n_values * n_bytes
        table.append(Stored(name, entry.ours, shape, stored_as, size))
    return table


def _array(stored: Stored, state: Mapping[str, Tensor]) -> Any:
    """The tensor as it is here, joined, in numpy's float32."""
    return torch.cat([state[name] for name in stored.ours]).float().cpu().numpy()


def _check_range(table: list[Stored], state: Mapping[str, Tensor], place: str) -> None:
    """Half precision ends at 65,504; the scale of a block of Q8_0 is such a number, too."""
    largest = {"F16": 65_504.0, "Q8_0": 65_504.0 * 127}
    for stored in table:
        limit = largest.get(stored.type.name)
        for ours in stored.ours:
            found = float(state[ours].abs().max())
            if limit is not None and found > limit:
                raise ModelFileError(
                    f"{place}: {ours} holds {found:g}, which is beyond {stored.type.name} "
                    f"({limit:g} at most); choose f32"
                )


# -- what is said of the model ------------------------------------------------------------------


def _describe(writer: Any, gguf: Any, config: GptConfig, kind: str, name: str) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_context_length(config.max_seq_len)
    writer.add_embedding_length(config.d_model)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.n_heads)
    writer.add_layer_norm_eps(config.norm_eps)
    mostly = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}
    writer.add_file_type(gguf.LlamaFileType[mostly[kind]])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: Any, gguf: Any, tokenizer: ByteBpe, n_rows: int) -> None:
    """Vocabulary, merges and special tokens. llama.cpp counts the rows of the embedding, so those
    without a token get a name, with a space, which no token spelled in bytes has."""
    ids = range(tokenizer.vocab_size)
    types = [_type(gguf.TokenType, i, tokenizer) for i in ids]
    unused = range(tokenizer.vocab_size, n_rows)
    writer.add_tokenizer_model(TOKENIZER_MODEL)
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list([*tokenizer.tokens(ids), *(f"[unused {i}]" for i in unused)])
    writer.add_token_types([*types, *(gguf.TokenType.UNUSED for _ in unused)])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer.merges] or [NEVER])
    writer.add_bos_token_id(tokenizer.eos_id)  # one token ends a text and begins the next
    writer.add_eos_token_id(tokenizer.eos_id)
    writer.add_pad_token_id(tokenizer.pad_id)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)


def _type(kinds: Any, token_id: int, tokenizer: ByteBpe) -> Any:
    if token_id in tokenizer.special_ids:
        return kinds.CONTROL
    return kinds.USER_DEFINED if token_id in tokenizer.added_ids else kinds.NORMAL
