"""A small encoder is pretrained: it learns, it goes on bit for bit, and split work is the same."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from interruptions import assert_same, interrupt_at

from triptych.checkpoint import load_folder
from triptych.cli.main import main
from triptych.data.pretraining_batches import PretrainingBatches
from triptych.errors import ConfigError, UsageError
from triptych.predecessors.vectors import WordVectors
from triptych.recipes.bert_data import BertCorpus
from triptych.recipes.bert_run import (
    BertData,
    BertOptimizer,
    BertRun,
    BertShape,
    BertTraining,
    LongInputs,
)
from triptych.recipes.bert_validation import BertValidation
from triptych.recipes.encoder import Encoder
from triptych.recipes.load import load_encoder
from triptych.recipes.train_bert import make_model, train_bert
from triptych.recipes.vectors_folder import load_vectors, save_vectors
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.distributed import Processes
from triptych.training.objectives import PretrainingObjective
from triptych.training.step import Stepper
from triptych.training.task import Validation

COLOURS = ["red", "green", "blue", "white", "black", "brown"]
THINGS = ["cat", "dog", "bird", "fish", "horse", "mouse"]


def write_documents(path: Path, n: int, start: int) -> None:
    """A document tells of one thing of one colour, so that both tasks can be learned."""
    documents = []
    for i in range(start, start + n):
        thing, colour = THINGS[i % 6], COLOURS[i % 6]
        lines = [
            f"the {thing} is {colour} .",
            f"i saw a {colour} {thing} .",
            f"my {thing} was so {colour} today .",
            f"a {colour} {thing} came home .",
        ]
        documents.append("\n".join(lines[(i // 6 + j) % 4] for j in range(4)))
    path.write_text("\n\n".join(documents) + "\n")


def run_of(folder: Path, updates: int, **training: object) -> BertRun:
    settings = {"validate_every": 10, "precision": "fp32", **training}
    return BertRun(
        data=BertData(
            text=(str(folder / "train.txt"),), valid_text=(str(folder / "valid.txt"),),
            language="lines", vocab_size=100, batch_size=16, max_seq_len=24,
        ),
        long=LongInputs(long_updates=6, long_seq_len=32, long_batch_size=8),
        model=BertShape(preset="tiny", dropout=0.1),
        optimizer=BertOptimizer(learning_rate=2e-3, warmup=5),
        training=BertTraining(max_updates=updates, **settings),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    write_documents(made / "train.txt", 120, 0)
    write_documents(made / "valid.txt", 240, 1000)
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> Path:
    outcome = train_bert(run_of(folder, 600, validate_every=300), folder / "run", quiet=True)
    assert outcome.stopped_by == "max_updates"
    return folder / "run"


def rows(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_both_tasks_are_learned_and_reported_apart(learned: Path) -> None:
    last = [row for row in rows(learned) if "valid_loss" in row][-1]
    print({name: value for name, value in last.items() if name.startswith("valid_")})
    assert last["valid_masked_accuracy"] > 0.8
    assert last["valid_next_accuracy"] > 0.6
    assert last["valid_loss"] == pytest.approx(last["valid_masked_nll"] + last["valid_next_nll"])
    training = [row for row in rows(learned) if "masked_nll" in row]
    assert all(r["loss"] == pytest.approx(r["masked_nll"] + r["next_nll"]) for r in training)
    assert "masked:" in (learned / "samples.md").read_text()
    assert (learned / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--max-seq-len 4", "--max-seq-len: max_seq_len is 4, .* it must be at least 5"),
        ("--max-seq-len 600", "inputs of 600 tokens are longer than the model's limit of 512"),
        ("--long-updates 1 --long-seq-len 513", "inputs of 513 tokens are longer"),
        ("--long-seq-len 3", "--long-seq-len: long_seq_len is 3, .* it must be at least 5"),
        ("--long-batch-size 0", "--long-batch-size: long_batch_size is 0; it must be at least 1"),
        ("--batch-size 0", "--batch-size: batch_size is 0; it must be at least 1"),
        ("--mask-prob 0", r"--mask-prob: mask_prob is 0.0; choose it in \(0, 1\]"),
        ("--short-seq-prob 2", r"--short-seq-prob: short_seq_prob is 2.0; choose it in \[0, 1\]"),
    ],
)
def test_a_wrong_setting_is_told_before_any_text_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], options: str, words: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(BertCorpus, "prepare", lambda *_: pytest.fail("the text was read"))
    line = f"train bert --text {folder}/train.txt --valid-text {folder}/valid.txt --preset tiny"
    assert main([*line.split(), "--out", str(tmp_path / "run"), *options.split()]) == 2
    assert re.search(f"^error: {words}", capsys.readouterr().err, re.MULTILINE)


def test_both_lengths_are_measured_and_the_one_in_training_chooses(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last six updates have long inputs; what is measured after the 14th is still the first
    phase's."""
    prefixes = []
    measure = BertValidation.__call__

    def noted(self: BertValidation, model: torch.nn.Module) -> Validation:
        found = measure(self, model)
        prefixes.append(found.prefix)
        return found

    monkeypatch.setattr(BertValidation, "__call__", noted)
    outcome = train_bert(run_of(folder, 20, validate_every=7), tmp_path / "run", quiet=True)
    assert prefixes == ["", "", "long_"]
    *_, last = (row for row in rows(tmp_path / "run") if "valid_loss" in row)
    short = {name for name in last if name.startswith("valid_") and "_long_" not in name}
    assert {n.replace("_long_", "_") for n in last if "_long_" in n} == short
    assert (outcome.best_update, outcome.prefix) == (20, "long_")
    assert outcome.best == last["valid_long_loss"] != last["valid_loss"]


def test_the_model_fills_in_what_it_has_learned(learned: Path) -> None:
    encoder: Encoder = load_encoder(learned / "best", device="cpu")
    found = encoder.fill("the dog is green . a [MASK] dog came home .", top_k=3)
    assert found[0].words == ("green",)
    assert "BertForPreTraining" in (learned / "best" / "config.json").read_text()
    assert "masked_accuracy" in (learned / "best" / "README.md").read_text()


def test_stopped_in_either_phase_it_goes_on_bit_for_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(folder, 20, accumulate=2)
    train_bert(run, tmp_path / "straight", quiet=True)
    for stops in ([7], [17], [12, 20]):  # batches drawn; the second phase begins after 28
        name = tmp_path / f"stopped-{len(stops)}-{stops[0]}"
        for stop in [*stops, None]:
            with monkeypatch.context() as patch:
                if stop is not None:
                    interrupt_at(patch, PretrainingBatches, stop)
                outcome = train_bert(run, name, quiet=True)
            assert outcome.stopped_by == ("SIGTERM" if stop is not None else "max_updates")
        assert_same(tmp_path / "straight", name, 20)


def test_split_batches_have_the_gradient_of_the_whole(learned: Path, folder: Path) -> None:
    """Both terms have their own denominators, over all batches of an update."""
    run = run_of(folder, 20)
    run = replace(run, model=replace(run.model, dropout=0.0))
    corpus = BertCorpus(run.data, learned)
    source = corpus.source(run)
    batches = [source.load(next(source)) for _ in range(3)]
    found = []
    for n_parts in (1, 3, 100):
        model = make_model(run, corpus.tokenizer())
        stepper = Stepper(
            model, PretrainingObjective(), Processes(), "fp32", 0.0, n_parts,
            terms=PretrainingObjective.terms,
        )  # fmt: skip
        means = stepper.gradients(batches)
        found.append((means, {name: p.grad for name, p in model.named_parameters()}))
    (means, whole), *others = found
    largest = max(float(g.abs().max()) for g in whole.values() if g is not None)
    for other, gradients in others:
        assert other.loss == pytest.approx(means.loss, rel=1e-6)
        assert other.terms == pytest.approx(means.terms, rel=1e-6)
        assert other.n_tokens == means.n_tokens
        for name, gradient in gradients.items():
            assert gradient is not None
            assert float((gradient - whole[name]).abs().max()) <= 1e-5 * largest, name


def test_training_goes_on_from_a_model(learned: Path, folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, 6, validate_every=6)
    run = replace(run, model=BertShape(start_from=str(learned / "best")))
    train_bert(run, tmp_path / "more", quiet=True)
    first = rows(tmp_path / "more")[0]
    assert first["masked_nll"] < 2  # a fresh model begins at the logarithm of its vocabulary
    assert load_folder(tmp_path / "more" / "best").model.training is False


def test_a_vocabulary_that_is_not_the_model_s(learned: Path, folder: Path, tmp_path: Path) -> None:
    WordPiece.train(["another text of other words"] * 20, 40).save(tmp_path / "other")
    run = run_of(folder, 6)
    run = replace(
        run,
        data=replace(run.data, tokenizer=str(tmp_path / "other")),
        model=BertShape(start_from=str(learned / "best")),
    )
    with pytest.raises(UsageError, match=r"other has another vocabulary .* than the model in"):
        train_bert(run, tmp_path / "refused", quiet=True)


def test_a_tokenizer_that_was_half_written_is_written_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(tokenizer: WordPiece, place: Path) -> None:
        (place / "vocab.txt").write_text("[PAD]")
        raise KeyboardInterrupt

    corpus = BertCorpus(run_of(folder, 10).data, tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(WordPiece, "save", broken)
        with pytest.raises(KeyboardInterrupt):
            corpus.prepare(None)
    corpus.prepare(None)
    assert "[CLS]" in corpus.tokenizer().tokens(range(10))


def test_patience_ends_the_second_phase_and_not_the_first(folder: Path, tmp_path: Path) -> None:
    """With a rate of next to nothing no validation is better than the first of its phase."""
    run = run_of(folder, 12, validate_every=2, patience=1)
    run = replace(run, optimizer=BertOptimizer(learning_rate=1e-30, warmup=5))
    outcome = train_bert(run, tmp_path / "run", quiet=True)
    assert (outcome.stopped_by, outcome.updates, outcome.prefix) == ("patience", 10, "long_")


@pytest.fixture
def vectors(folder: Path, tmp_path: Path) -> Path:
    """Of five words, one of which no token is, 128 wide; far from zero, and long."""
    words = ["cat", "dog", "red", "green", "zebra"]
    drawn = 7 + 3 * np.random.default_rng(0).normal(size=(5, 128))
    save_vectors(tmp_path / "vectors", WordVectors(words, drawn.astype(np.float32)))
    return tmp_path / "vectors"


def test_embeddings_begin_from_word_vectors(learned: Path, folder: Path, vectors: Path) -> None:
    run = run_of(folder, 600)
    tokenizer = BertCorpus(run.data, learned).tokenizer()
    shape = replace(run.model, initial_std=0.05)
    drawn = make_model(replace(run, model=shape), tokenizer).bert.token_embedding.weight
    shape = replace(shape, word_vectors=str(vectors))
    weight = make_model(replace(run, model=shape), tokenizer).bert.token_embedding.weight

    ids = [tokenizer.token_id(word) for word in ("cat", "dog", "red", "green")]
    given = load_vectors(vectors).vectors[:4]
    centered = torch.from_numpy(given - given.mean(axis=0))
    torch.testing.assert_close(weight[ids], centered / centered.std(correction=0) * 0.05)
    others = [i for i in range(tokenizer.vocab_size) if i not in ids]
    assert torch.equal(weight[others], drawn[others])


def test_the_width_of_word_vectors_is_told_before_any_text_is_read(
    folder: Path, vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BertCorpus, "prepare", lambda *_: pytest.fail("the text was read"))
    run = run_of(folder, 10)
    run = replace(run, model=BertShape(preset="mini", word_vectors=str(vectors)))
    with pytest.raises(ConfigError, match="are 128 wide and the model 256; train them with"):
        train_bert(run, tmp_path / "run", quiet=True)


def test_word_vectors_of_another_width_or_language(
    learned: Path, folder: Path, tmp_path: Path
) -> None:
    run = run_of(folder, 600)
    tokenizer = BertCorpus(run.data, learned).tokenizer()

    def begin(words: list[str], width: int) -> None:
        path = tmp_path / f"{words[0]}{width}"
        save_vectors(path, WordVectors(words, np.ones((1, width), np.float32)))
        make_model(replace(run, model=replace(run.model, word_vectors=str(path))), tokenizer)

    with pytest.raises(ConfigError, match="100 wide and the model 128; train them with --d-model"):
        begin(["cat"], 100)
    with pytest.raises(ConfigError, match="no token has a word vector"):
        begin(["Katze"], 128)
    with pytest.raises(ConfigError, match="of all 1 tokens are alike"):
        begin(["dog"], 128)
