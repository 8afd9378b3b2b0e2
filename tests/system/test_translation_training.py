"""A translator is trained by its real recipe: stopped and gone on with, from an OPUS-MT folder, in
two processes."""

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from interruptions import assert_same, interrupt_at

from triptych.checkpoint import average_weights, load_folder, save_folder
from triptych.data.resampling import ResampledPairs
from triptych.errors import DiskFullError, UsageError
from triptych.files.tensors import load_tensors
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.recipes.load import load_translator
from triptych.recipes.train_translation import train_translation
from triptych.recipes.translation_data import ShardBatches
from triptych.recipes.translation_run import (
    TranslationData,
    TranslationLoss,
    TranslationModel,
    TranslationRun,
)
from triptych.tokenizers.sentencepiece import MarianTokenizer
from triptych.training.run_folder import RunFolder
from triptych.training.settings import MuonSettings, TrainingSettings

WORDS = {
    "the": "die",
    "cat": "katze",
    "dog": "hündin",
    "sees": "sieht",
    "hears": "hört",
    "a": "eine",
}


def write_pairs(folder: Path) -> None:
    """Aligned files of a few words each, ragged."""
    english = [f"the {a} {v} a {b}" + " the cat" * (i % 4)
               for i in range(12) for a in ("cat", "dog") for v in ("sees", "hears")
               for b in ("dog", "cat")]  # fmt: skip
    for name, lines in (("train", english), ("valid", english[:6])):
        german = [" ".join(WORDS[word] for word in line.split()) for line in lines]
        numbers = [str(i) for i in range(len(lines))]  # so that no pair is there twice
        for ending, side in (("en", lines), ("de", german)):
            text = "".join(f"{line} {n}\n" for line, n in zip(side, numbers, strict=True))
            (folder / f"{name}.{ending}").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pairs")
    write_pairs(made)
    return made


def run_of(folder: Path, updates: int = 12, **changed: Any) -> TranslationRun:
    run = TranslationRun(
        data=TranslationData(
            source=(str(folder / "train.en"),), target=(str(folder / "train.de"),),
            valid_source=(str(folder / "valid.en"),), valid_target=(str(folder / "valid.de"),),
            vocab_size=320, batch_tokens=120, max_tokens=40,
        ),
        model=TranslationModel(preset="nano"),
        optimizer=MuonSettings(learning_rate=1e-3, warmup=4, clip_norm=1.0),
        training=TrainingSettings(
            max_updates=updates, validate_every=4, accumulate=2, average=2, patience=100,
            select="loss",
        ),
    )  # fmt: skip
    return replace(run, **changed)


RECIPES: dict[str, Any] = {
    "plain": (lambda run: run, ShardBatches),
    "BPE-dropout, R-Drop, Muon, bf16": (
        lambda run: replace(
            run,
            data=replace(run.data, bpe_dropout=0.2),
            loss=TranslationLoss(r_drop=4.0),
            optimizer=replace(run.optimizer, optimizer="muon", muon_learning_rate=2e-3),
            training=replace(run.training, precision="bf16"),
        ),
        ResampledPairs,
    ),
}


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stopped_run_is_the_run_that_was_not(
    folder: Path, tmp_path: Path, recipe: str, kind: signal.Signals
) -> None:
    """To the bit: stopped at the first of an update's two batches, and at the second."""
    changed, batches = RECIPES[recipe]
    run = changed(run_of(folder))
    assert train_translation(run, tmp_path / "whole", device="cpu", quiet=True).updates == 12
    for stop, done in ((5, 3), (10, 8)):
        with pytest.MonkeyPatch.context() as patch:
            interrupt_at(patch, batches, stop, kind)
            outcome = train_translation(run, tmp_path / "stopped", device="cpu", quiet=True)
        assert outcome.stopped_by == kind.name
        assert outcome.updates == done
    assert train_translation(run, tmp_path / "stopped", device="cpu", quiet=True).updates == 12
    assert_same(tmp_path / "whole", tmp_path / "stopped", 12)


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("finished") / "run"
    train_translation(run_of(folder), out, device="cpu", quiet=True)
    return out


def test_the_best_model_is_the_mean_of_the_last_checkpoints(finished: Path) -> None:
    """Of those that were validated, as many as `average` says."""
    best = load_tensors(finished / "best" / "model.safetensors")
    run = RunFolder(finished)
    found = min((row for row in run.rows() if "valid_loss" in row), key=lambda r: r["valid_loss"])
    steps = [step for step in (found["update"] - 4, found["update"]) if step]
    mean = average_weights([run.checkpoint(step) for step in steps])
    expected = load_folder(finished / "best").model.state_dict()
    assert len(steps) == 2
    assert best
    for name, value in mean.items():
        torch.testing.assert_close(expected[name], value, rtol=0, atol=0)


def test_a_run_holds_what_it_promises(finished: Path) -> None:
    found = json.loads((finished / "cleaning.json").read_text(encoding="utf-8"))
    assert found["n_more_than_max_tokens"] == 0
    assert 0 <= found["padding"] < 0.5
    assert (finished / "curves.png").read_bytes()[1:4] == b"PNG"
    samples = (finished / "samples.md").read_text(encoding="utf-8")
    assert samples.count("- source: ") >= 3 * 5  # the same five at each validation


def test_a_full_disk_stops_a_run_and_loses_nothing(folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, updates=8)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(patch, ShardBatches, 9)
        train_translation(run, tmp_path / "run", device="cpu", quiet=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DiskFullError, match=r"no room for .* is untouched"):
            train_translation(run, tmp_path / "run", device="cpu", quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    train_translation(run, tmp_path / "whole", device="cpu", quiet=True)
    assert train_translation(run, tmp_path / "run", device="cpu", quiet=True).updates == 8
    assert_same(tmp_path / "whole", tmp_path / "run", 8)


@pytest.fixture(scope="module")
def opus(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A small model with SentencePiece files, as OPUS-MT's are."""
    sentencepiece = pytest.importorskip("sentencepiece")
    out: Path = tmp_path_factory.mktemp("opus")
    pieces: set[str] = set()
    for side, ending in (("source", "en"), ("target", "de")):
        sentencepiece.SentencePieceTrainer.train(
            input=str(folder / f"train.{ending}"), model_prefix=str(out / side), vocab_size=40,
            bos_id=-1, minloglevel=2, hard_vocab_limit=False,
        )  # fmt: skip
        (out / f"{side}.model").rename(out / f"{side}.spm")
        model = sentencepiece.SentencePieceProcessor(model_file=str(out / f"{side}.spm"))
        pieces |= {model.id_to_piece(i) for i in range(model.get_piece_size())}
    tokens = ["</s>", "<unk>", ">>deu<<", *sorted(pieces - {"</s>", "<unk>"}), "<pad>"]
    vocab = {token: number for number, token in enumerate(tokens)}
    (out / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    (out / "tokenizer_config.json").write_text(
        json.dumps({"source_lang": "eng", "target_lang": "deu", "model_max_length": 64})
    )
    tokenizer = MarianTokenizer.load(out)
    torch.manual_seed(0)
    config = EncoderDecoderConfig(
        vocab_size=tokenizer.vocab_size, d_model=16, d_ff=24, n_heads=2, n_encoder_layers=1,
        n_decoder_layers=1, dropout=0.0, activation="silu", max_seq_len=64,
        pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, start_id=tokenizer.pad_id,
    )  # fmt: skip
    save_folder(out / "model", EncoderDecoder(config), tokenizer)
    return out / "model"


def test_an_opus_mt_model_is_fine_tuned(opus: Path, folder: Path, tmp_path: Path) -> None:
    """It begins with its weights and keeps its tokenizer, and transformers reads what comes."""
    transformers = pytest.importorskip("transformers")
    run = run_of(folder, updates=4, model=TranslationModel(start_from=str(opus)))
    assert train_translation(run, tmp_path / "run", device="cpu", quiet=True).updates == 4
    best = tmp_path / "run" / "best"
    for name in ("source.spm", "target.spm", "vocab.json"):
        assert (best / name).read_bytes() == (opus / name).read_bytes()
    first = next(row for row in RunFolder(tmp_path / "run").rows() if "loss" in row)
    given = load_translator(opus, device="cpu")
    lines = [
        (folder / f"train.{ending}").read_text("utf-8").splitlines() for ending in ("en", "de")
    ]
    scores = given.score(*lines)
    n_tokens = sum(len(score.token_log_probs) for score in scores)
    mean = -sum(score.log_prob for score in scores) / n_tokens
    assert first["nll"] == pytest.approx(mean, abs=0.15)  # of one batch, and of all
    assert load_translator(best, device="cpu").translate(["the cat"], max_new_tokens=5)[0].tokens
    _, report = transformers.AutoModelForSeq2SeqLM.from_pretrained(best, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys"))
    cut = replace(run, data=replace(run.data, bpe_dropout=0.1))
    with pytest.raises(UsageError, match="bpe_dropout needs a joint BPE"):
        train_translation(cut, tmp_path / "cut", device="cpu", quiet=True)


def test_two_processes_through_torchrun(folder: Path, tmp_path: Path) -> None:
    """The losses of one process, to rounding: the same batches, of which each has every other."""
    words = [
        "train", "translation", "--source", str(folder / "train.en"), "--target",
        str(folder / "train.de"), "--valid-source", str(folder / "valid.en"), "--valid-target",
        str(folder / "valid.de"), "--vocab-size", "320", "--batch-tokens", "120", "--max-tokens",
        "40", "--preset", "nano", "--dropout", "0", "--learning-rate", "1e-3", "--warmup", "4",
        "--max-updates", "6", "--validate-every", "3", "--accumulate", "3", "--device", "cpu",
    ]  # fmt: skip
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    losses = {}
    for name, start in (("one", []), ("two", launch)):
        out = tmp_path / name
        done = subprocess.run(
            [sys.executable, *start, "-m", "triptych.cli.main", *words, "--out", str(out)],
            capture_output=True, text=True, timeout=400, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        rows = RunFolder(out).rows()
        losses[name] = [row[key] for row in rows for key in ("loss", "valid_loss") if key in row]
    assert len(losses["one"]) == 8
    assert losses["two"] == pytest.approx(losses["one"], rel=1e-4)
