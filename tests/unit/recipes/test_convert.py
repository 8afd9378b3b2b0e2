"""A model folder written anew for other programs."""

from pathlib import Path

import pytest
import torch

from triptych.checkpoint import load_folder, save_folder
from triptych.errors import UsageError
from triptych.models.gpt import Gpt, GptConfig
from triptych.recipes.convert import convert_to_huggingface, written_class
from triptych.tokenizers.bpe import JointBpe


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
