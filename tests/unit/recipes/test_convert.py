"""A model folder written anew for other programs."""

from pathlib import Path

import pytest
import torch

from triptych.checkpoint import load_folder, save_folder
from triptych.errors import ModelFileError, UsageError
from triptych.models.gpt import Gpt, GptConfig
from triptych.recipes.convert import convert_to_gguf, convert_to_huggingface, written_class
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.byte_bpe import ByteBpe


def test_a_gpt_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tokenizer = JointBpe.train(["a cat sat"] * 9, 270)
    model = Gpt(GptConfig(vocab_size=270, d_model=8, d_ff=9, n_heads=2, n_layers=1, eos_id=0))

    def optimizer(new: Path) -> None:
        (new / "optimizer.json").write_text("{}")

    save_folder(tmp_path / "step", model, tokenizer, extras={"a": 1}, also=optimizer)
    count = convert_to_huggingface(tmp_path / "step", tmp_path / "out")
    assert count == sum(p.numel() for p in model.parameters())
    assert written_class(tmp_path / "out") == "GPT2LMHeadModel"
    assert not (tmp_path / "out" / "optimizer.json").exists()
    again = load_folder(tmp_path / "out")
    assert again.extras == {"a": 1}
    state = again.model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    with pytest.raises(UsageError, match="is the model itself"):
        convert_to_huggingface(tmp_path / "out", tmp_path / "out")


def test_a_gpt_becomes_a_gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = pytest.importorskip("gguf", reason="the gguf package (an extra) is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tokenizer = ByteBpe.train(["a cat sat"] * 9, 261)
    config = GptConfig(vocab_size=261, d_model=32, d_ff=32, n_heads=2, n_layers=1, max_seq_len=8)
    model = Gpt(config)
    save_folder(tmp_path / "m", model, tokenizer)
    count, size = convert_to_gguf(tmp_path / "m", tmp_path / "cat.gguf")
    assert count == sum(p.numel() for p in model.parameters())
    assert size == f"{(tmp_path / 'cat.gguf').stat().st_size / 1000:.1f} kB"
    reader = gguf.GGUFReader(tmp_path / "cat.gguf")
    assert reader.fields["general.name"].contents() == "cat"
    (found,) = [t for t in reader.tensors if t.name == "blk.0.ffn_up.weight"]
    wanted = model.state_dict()["blocks.0.feed_forward.w_up.weight"].half().float()
    assert torch.equal(torch.tensor(gguf.dequantize(found.data, found.tensor_type)), wanted)
    with pytest.raises(UsageError, match="'q5_1' is not written"):
        convert_to_gguf(tmp_path / "m", tmp_path / "other.gguf", "q5_1")
    with pytest.raises(ModelFileError, match="no model folder at"):
        convert_to_gguf(tmp_path / "none", tmp_path / "other.gguf")
    assert not (tmp_path / "other.gguf").exists()
