"""The model that a translation run starts from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from triptych.checkpoint import load_folder, save_folder
from triptych.core.dropout import Dropout
from triptych.errors import ConfigError, UsageError
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.recipes.train_translation import make_model
from triptych.recipes.translation_data import TranslationCorpus
from triptych.recipes.translation_run import TranslationData, TranslationModel, TranslationRun
from triptych.tokenizers.bpe import JointBpe


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A small model without dropout."""
    tokenizer = JointBpe.train(["a cat sat", "eine Katze sass"] * 9, 280)
    torch.manual_seed(0)
    model = EncoderDecoder(
        EncoderDecoderConfig(
            vocab_size=280, d_model=8, d_ff=12, n_heads=2, n_encoder_layers=1, n_decoder_layers=1,
            dropout=0.0, pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, start_id=279,
        )
    )  # fmt: skip
    save_folder(tmp_path / "model", model, tokenizer)
    return tmp_path / "model"


def run_of(folder: Path, **model: object) -> TranslationRun:
    for name, line in (("a.en", "a cat sat\n"), ("a.de", "eine Katze sass\n")):
        (folder / name).write_text(line, encoding="utf-8")
    sides = {"source": (str(folder / "a.en"),), "target": (str(folder / "a.de"),)}
    data = TranslationData(
        **sides, **{f"valid_{side}": files for side, files in sides.items()}, vocab_size=280
    )
    return TranslationRun(data=data, model=TranslationModel(**model))  # type: ignore[arg-type]


def drops(model: EncoderDecoder) -> set[float]:
    return {module.probability for module in model.modules() if isinstance(module, Dropout)}


@pytest.mark.parametrize(("asked", "p"), [(None, 0.0), (0.25, 0.25)])
def test_a_given_model_keeps_its_weights(given: Path, asked: float | None, p: float) -> None:
    """And its dropout, unless another is asked for."""
    run = run_of(given.parent, start_from=str(given), dropout=asked)
    found = load_folder(given)
    model = make_model(run, found.tokenizer)  # type: ignore[arg-type]
    assert drops(model) == {p}
    for name, weight in found.model.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=0)


def test_a_preset_s_feed_forward_can_be_widened(given: Path) -> None:
    tokenizer = load_folder(given).tokenizer
    narrow, wide = (
        make_model(run_of(given.parent, preset="nano", d_ff=d_ff), tokenizer)  # type: ignore[arg-type]
        for d_ff in (None, 480)
    )
    assert (narrow.config.d_ff, wide.config.d_ff) == (256, 480)
    assert replace(narrow.config, d_ff=480) == wide.config


def test_a_given_model_has_its_width(given: Path) -> None:
    with pytest.raises(ConfigError, match=r"d_ff is 480, but the weights of .*model"):
        run_of(given.parent, start_from=str(given), d_ff=480)


def test_a_given_model_has_its_vocabulary(given: Path) -> None:
    """Another tokenizer beside it is refused; its own is not."""
    run = run_of(given.parent, start_from=str(given))
    JointBpe.train(["other words " * 20], 270).save(given.parent / "other")
    for name in ("other", "model"):
        data = replace(run.data, tokenizer=str(given.parent / name))
        corpus = TranslationCorpus(data, given.parent / "run")
        if name == "other":
            with pytest.raises(UsageError, match=r"has another vocabulary \(270 entries\) than"):
                corpus.check(given)
        else:
            corpus.check(given)
