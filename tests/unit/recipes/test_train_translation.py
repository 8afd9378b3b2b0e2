"""What a translation run refuses before it trains, and that it trains without a papers' scale."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from triptych.errors import ConfigError, DataError
from triptych.recipes.train_translation import train_translation
from triptych.recipes.translation_run import TranslationData, TranslationModel, TranslationRun
from triptych.training.settings import TrainingSettings


@pytest.fixture
def run(tmp_path: Path) -> TranslationRun:
    def write(name: str, n_pairs: int) -> str:
        pairs = [f"the reader reads book {i}\tder Leser liest Buch {i}\n" for i in range(n_pairs)]
        (tmp_path / name).write_text("".join(pairs), encoding="utf-8")
        return str(tmp_path / name)

    return TranslationRun(
        data=TranslationData(
            source=(write("train.tsv", 40),),
            valid_source=(write("valid.tsv", 4),),
            vocab_size=300,
            batch_tokens=600,
            max_tokens=100,
        ),
        training=TrainingSettings(max_updates=1),
    )


def test_pairs_longer_than_the_model_takes_are_refused_at_once(
    run: TranslationRun, tmp_path: Path
) -> None:
    long = replace(run, data=replace(run.data, max_tokens=1025, batch_tokens=2000))
    with pytest.raises(ConfigError, match=r"max_tokens is 1025, but this model takes 1024"):
        train_translation(long, tmp_path / "run", quiet=True)


def test_a_validation_pair_longer_than_that_is_named(run: TranslationRun, tmp_path: Path) -> None:
    with (tmp_path / "valid.tsv").open("a", encoding="utf-8") as file:
        file.write("x" * 2000 + "\tein langes Wort\n")
    with pytest.raises(DataError, match=r"valid\.tsv:5: the validation pair has 2,002 tokens"):
        train_translation(run, tmp_path / "run", quiet=True)


def test_a_language_without_moses_rules_has_no_papers_scale(
    run: TranslationRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = replace(run, data=replace(run.data, target_language="xx"))
    train_translation(there, tmp_path / "run", quiet=True)
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    found = json.loads(rows[-1])
    assert "valid_bleu" in found
    assert "valid_papers_bleu" not in found
    assert "no rules for 'xx'" in caplog.text


def test_that_scale_cannot_choose_the_best_model_then(run: TranslationRun, tmp_path: Path) -> None:
    there = replace(
        run,
        data=replace(run.data, target_language="xx"),
        training=replace(run.training, select="papers_bleu"),
    )
    with pytest.raises(ConfigError, match="no rules for target_language 'xx'; select bleu or chrf"):
        train_translation(there, tmp_path / "run", quiet=True)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 5.0])
def test_dropout_is_a_probability(dropout: float) -> None:
    with pytest.raises(ConfigError, match=r"choose it in \[0, 1\)"):
        TranslationModel(dropout=dropout)


def test_a_side_holds_a_word_and_its_end(run: TranslationRun) -> None:
    with pytest.raises(ConfigError, match="max_tokens is 1"):
        replace(run.data, max_tokens=1)
