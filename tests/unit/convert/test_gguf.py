"""A GGUF file read back by llama.cpp's own reader: what it says, and what its tensors compute."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, pre_tokenizers
from torch import Tensor

from triptych.convert.gguf import TYPES, write_gguf
from triptych.errors import DiskFullError, MachineError, ModelFileError, UsageError
from triptych.models.gpt import Gpt, GptConfig
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.byte_bpe_files import SpecialNames
from triptych.tokenizers.characters import Characters

gguf = pytest.importorskip("gguf", reason="the gguf package (an extra) is not installed")

TEXT = "the man saw the bank\n\nthe bank of the river, the river\n" * 9
N_TOKENS, N_ROWS = 270, 273  # three rows that are no tokens
SHAPE: dict[str, Any] = {
    "vocab_size": N_ROWS, "d_model": 64, "d_ff": 96, "n_heads": 4, "n_layers": 2,
    "max_seq_len": 12, "eos_id": N_TOKENS - 1, "norm_eps": 1e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> ByteBpe:
    return ByteBpe.train([TEXT], N_TOKENS)


def random_gpt(**shape: Any) -> Gpt:
    torch.manual_seed(3)
    model = Gpt(GptConfig(**SHAPE | shape)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms matter too
            parameter += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def model() -> Gpt:
    return random_gpt()


@pytest.fixture(scope="module", params=TYPES)
def written(
    request: pytest.FixtureRequest, model: Gpt, tokenizer: ByteBpe, tmp_path_factory: Any
) -> tuple[str, Any]:
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    size = write_gguf(path, model, tokenizer, kind=request.param, place="m")
    assert size == path.stat().st_size
    return request.param, gguf.GGUFReader(path)


def arrays(reader: Any) -> dict[str, Tensor]:
    """Name -> values, in float32, in the shape that a matrix times a vector asks for."""
    return {t.name: torch.tensor(gguf.dequantize(t.data, t.tensor_type)) for t in reader.tensors}


def test_its_tensors_compute_the_model(written: tuple[str, Any], model: Gpt) -> None:
    """GPT-2 written out once more, with llama.cpp's names: y = W x + b, the output tied."""
    kind, reader = written
    w = arrays(reader)
    ids = torch.tensor([0, 5, 269, 77, 130, 272, 31])
    length, heads, width = len(ids), model.config.n_heads, model.config.d_model

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-3)

    def product(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["token_embd.weight"][ids] + w["position_embd.weight"][:length]
    future = torch.full((length, length), -math.inf).triu(1)
    for layer in range(2):
        of = f"blk.{layer}."
        q, k, v = (
            part.view(length, heads, -1).transpose(0, 1)
            for part in product(norm(x, of + "attn_norm"), of + "attn_qkv").split(width, dim=1)
        )
        weights = (q @ k.transpose(1, 2) / math.sqrt(width // heads) + future).softmax(-1)
        x = x + product((weights @ v).transpose(0, 1).reshape(length, width), of + "attn_output")
        up = F.gelu(product(norm(x, of + "ffn_norm"), of + "ffn_up"), approximate="tanh")
        x = x + product(up, of + "ffn_down")
    logits = norm(x, "output_norm") @ w["token_embd.weight"].T
    ours = model.project(model(ids[None]))[0]
    bound = {"f32": 1e-5, "f16": 5e-3, "q8_0": 0.1}[kind]
    assert logits.shape == (7, N_ROWS)
    assert float((logits - ours).detach().abs().max()) < bound


def test_its_values_are_as_near_as_its_type_allows(written: tuple[str, Any], model: Gpt) -> None:
    kind, reader = written
    found, ours = arrays(reader), model.state_dict()
    assert len(found) == 2 + 12 * 2 + 2
    types = {t.name: t.tensor_type.name for t in reader.tensors}
    whole = {name for name, its in types.items() if its == "F32"}
    table = {name for name, tensor in found.items() if tensor.dim() == 1} | {"position_embd.weight"}
    assert whole == (set(found) if kind == "f32" else table)
    assert set(types.values()) == {"F32", kind.upper()}

    for layer in range(2):
        attention = f"blocks.{layer}.self_attention"
        parts = [ours[f"{attention}.{name}.weight"] for name in ("w_q", "w_k", "w_v")]
        near(found[f"blk.{layer}.attn_qkv.weight"], torch.cat(parts), kind)
        near(
            found[f"blk.{layer}.ffn_down.weight"],
            ours[f"blocks.{layer}.feed_forward.w_down.weight"],
            kind,
        )
    near(found["token_embd.weight"], ours["token_embedding.weight"], kind)
    assert torch.equal(found["position_embd.weight"], ours["positions.weight"])
    assert torch.equal(found["blk.1.ffn_norm.bias"], ours["blocks.1.residual_2.norm.bias"])
    assert torch.equal(found["output_norm.weight"], ours["norm.weight"])


def near(found: Tensor, ours: Tensor, kind: str) -> None:
    """Exactly; rounded to half precision; to one of 255 steps, whose size is a half as well."""
    if kind == "f32":
        assert torch.equal(found, ours)
    elif kind == "f16":
        assert torch.equal(found, ours.half().float())
    else:
        blocks = ours.view(-1, 32)
        step = blocks.abs().amax(dim=1, keepdim=True) / 127
        off = (found.view(-1, 32) - blocks).abs()
        assert bool((off <= step * 0.5 + blocks.abs() * 2**-11 + 1e-7).all())
        assert float(off.max()) > 0


def value(reader: Any, key: str) -> Any:
    return reader.fields[key].contents()


def test_what_it_says_of_the_model(written: tuple[str, Any]) -> None:
    kind, reader = written
    assert value(reader, "general.architecture") == "gpt2"
    assert value(reader, "general.name") == "small"
    assert value(reader, "general.file_type") == {"f32": 0, "f16": 1, "q8_0": 7}[kind]
    sizes = {"context_length": 12, "embedding_length": 64, "block_count": 2,
             "feed_forward_length": 96, "attention.head_count": 4}  # fmt: skip
    assert {name: value(reader, f"gpt2.{name}") for name in sizes} == sizes
    assert value(reader, "gpt2.attention.layer_norm_epsilon") == pytest.approx(1e-3)


def test_its_tokenizer(written: tuple[str, Any], tokenizer: ByteBpe) -> None:
    _, reader = written

    def said(name: str) -> Any:
        return value(reader, f"tokenizer.ggml.{name}")

    assert (said("model"), said("pre")) == ("gpt2", "gpt-2")
    assert said("tokens")[:N_TOKENS] == tokenizer.tokens(range(N_TOKENS))
    assert len(set(said("tokens"))) == N_ROWS
    normal, control, unused = 1, 3, 5
    assert said("token_type") == [normal] * (N_TOKENS - 1) + [control] + [unused] * 3
    assert said("merges")[0] == "h e"
    joined = [merge.replace(" ", "") for merge in said("merges")]
    assert joined == tokenizer.tokens(range(256, N_TOKENS - 1))  # in the order they were learned
    assert said("bos_token_id") == said("eos_token_id") == said("padding_token_id") == 269
    added = ("add_bos_token", "add_eos_token", "add_space_prefix")
    assert [said(name) for name in added] == [False] * 3


def test_added_tokens_and_a_vocabulary_without_merges(tmp_path: Path) -> None:
    library = ByteBpe.train([TEXT], 257)._tokenizer
    library.add_special_tokens(["<pad>"])
    library.add_tokens(["<name>"])
    tokenizer = ByteBpe(library, SpecialNames(pad="<pad>"))
    model = random_gpt(vocab_size=259, eos_id=256)
    write_gguf(tmp_path / "bytes.gguf", model, tokenizer, kind="f32", place="m")
    reader = gguf.GGUFReader(tmp_path / "bytes.gguf")
    assert value(reader, "tokenizer.ggml.tokens")[256:] == ["<|endoftext|>", "<pad>", "<name>"]
    control, added = 3, 4
    assert value(reader, "tokenizer.ggml.token_type")[256:] == [control, control, added]
    assert value(reader, "tokenizer.ggml.padding_token_id") == 257
    (merge,) = value(reader, "tokenizer.ggml.merges")  # a list must not be empty
    assert len(merge.split()[0]) > 1  # two letters that nothing joins: it never applies


# -- what is refused ----------------------------------------------------------------------------


class Refused:
    """`write_gguf` as it should fail: one sentence, and nothing written."""

    def __init__(self, folder: Path, tokenizer: object) -> None:
        self.folder, self.tokenizer, self.path = folder, tokenizer, folder / "out.gguf"

    def __call__(
        self, error: type[Exception], match: str, model: Gpt | None = None, kind: str = "f32"
    ) -> None:
        before = sorted(self.folder.iterdir())
        with pytest.raises(error, match=match) as caught:
            write_gguf(self.path, model or random_gpt(), self.tokenizer, kind=kind, place="runs/m")
        assert "\n" not in str(caught.value)
        assert sorted(self.folder.iterdir()) == before


@pytest.fixture
def refused(tmp_path: Path, tokenizer: ByteBpe) -> Refused:
    return Refused(tmp_path, tokenizer)


@pytest.mark.parametrize("width", ["d_model", "d_ff"])
def test_rows_that_q8_0_cannot_cut(refused: Refused, width: str) -> None:
    model = random_gpt(**{width: 40})
    match = rf"q8_0 cuts rows into blocks of 32, .* {width} is 40, .* f16 or f32"
    refused(UsageError, match, model, "q8_0")
    write_gguf(refused.path, model, refused.tokenizer, kind="f16", place="m")


def test_unknown_type(refused: Refused) -> None:
    refused(UsageError, r"'q4_k' is not .* one of f32, f16, q8_0", kind="q4_k")


def test_another_activation(refused: Refused) -> None:
    match = r"runs/m: its activation is 'gelu', but llama\.cpp computes gelu_tanh"
    refused(ModelFileError, match, random_gpt(activation="gelu"))


def test_another_tokenizer(refused: Refused) -> None:
    refused.tokenizer = Characters.train(["abc"])
    refused(ModelFileError, "runs/m: its tokenizer is Characters")


@pytest.mark.parametrize("step", ["digits", "no pattern", "whole words"])
def test_a_tokenizer_that_cuts_otherwise(refused: Refused, tokenizer: ByteBpe, step: str) -> None:
    library = Tokenizer.from_str(tokenizer._tokenizer.to_str())
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if step == "digits":
        library.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), plain])
    elif step == "no pattern":
        library.pre_tokenizer = bare
    else:
        library.model.ignore_merges = True
    refused.tokenizer = ByteBpe(library)
    refused(ModelFileError, "cuts texts by another pattern")


def test_values_beyond_half_precision(refused: Refused) -> None:
    model = random_gpt()
    weight = model.state_dict()["blocks.1.feed_forward.w_up.weight"]
    weight[3, 4] = -70_000.0
    match = r"runs/m: blocks\.1\.feed_forward\.w_up\.weight holds 70000, .*F16 .*choose f32"
    refused(ModelFileError, match, model, "f16")
    weight[3, 4] = 1e7
    refused(ModelFileError, "Q8_0 .*choose f32", model, "q8_0")
    weight[3, 4] = 70_000.0
    write_gguf(refused.path, model, refused.tokenizer, kind="q8_0", place="m")


def test_places_that_would_lose_something(refused: Refused) -> None:
    refused.path = refused.folder
    refused(UsageError, r"is a folder; .*model\.gguf")
    refused.path = refused.folder / "notes.txt"
    refused.path.write_text("mine")
    refused(UsageError, "is no GGUF file")
    assert refused.path.read_text() == "mine"


def test_without_the_library(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    refused(UsageError, r"pip install 'triptych\[gguf\]'")


# -- whole or not at all ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "error", "match"),
    [
        (OSError(5, "Input/output error"), MachineError, r"out\.gguf: Input/output error"),
        (
            OSError("64 requested and 3 written"),
            DiskFullError,
            r"no room for .*out\.gguf: it needs",
        ),
    ],
)
def test_a_failure_leaves_what_was_there(
    refused: Refused, failure: OSError, error: type[Exception], match: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The disk gives up at the tenth tensor."""
    seen: list[int] = []
    whole = gguf.GGUFWriter.write_tensor_data

    def write(self: Any, array: np.ndarray, *rest: Any) -> None:
        seen.append(array.nbytes)
        if len(seen) == 10:
            raise failure
        whole(self, array, *rest)

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensor_data", write)
    refused.path.write_bytes(b"GGUF before")
    refused(error, match, kind="f16")
    assert len(seen) == 10
    assert refused.path.read_bytes() == b"GGUF before"


def test_the_same_model_gives_the_same_file(tmp_path: Path, model: Gpt, tokenizer: ByteBpe) -> None:
    for folder in ("one", "two"):
        write_gguf(tmp_path / folder / "a.gguf", model, tokenizer, kind="q8_0", place="m")
    one, two = ((tmp_path / folder / "a.gguf").read_bytes() for folder in ("one", "two"))
    assert one == two
