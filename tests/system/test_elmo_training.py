"""A small ELMo is trained: it learns, goes on bit for bit, and its folder is used."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from interruptions import assert_same, interrupt_at

import triptych
from triptych import checkpoint
from triptych.data.storybook import story_split
from triptych.data.text_parts import TextPart, whole_texts
from triptych.data.token_shards import TokenShards
from triptych.data.word_batches import WordBatches, sentence_parts
from triptych.errors import ConfigError, DataError, UsageError
from triptych.predecessors.elmo import Elmo
from triptych.predecessors.presets import ELMO_PRESETS
from triptych.recipes.elmo_data import ElmoCorpus
from triptych.recipes.elmo_run import (
    PRESETS,
    ElmoData,
    ElmoOptimizer,
    ElmoRun,
    ElmoShape,
)
from triptych.recipes.language_model_run import LanguageModelTraining
from triptych.recipes.train_elmo import train_elmo
from triptych.recipes.word_encoder import WordEncoder
from triptych.tokenizers.words import Words, sentence_characters, split_words
from triptych.training.task import Outcome


def run_of(folder: Path, updates: int, dropout: float = 0.1, n_samples: int = 20) -> ElmoRun:
    return ElmoRun(
        data=ElmoData(
            text=(str(folder / "train.txt"),), valid_text=(str(folder / "valid.txt"),),
            vocab_size=200, batch_words=200, max_seq_len=30,
        ),
        model=ElmoShape(preset="nano", dropout=dropout, n_samples=n_samples),
        optimizer=ElmoOptimizer(learning_rate=3e-3, warmup=5),
        training=LanguageModelTraining(max_updates=updates, validate_every=10),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("texts")
    split = story_split(2, 150, 10, 0)
    for name, stories in (("train", split.train), ("valid", split.valid)):
        lines = [story.text for story in stories]
        (made / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return made


@pytest.fixture(scope="module")
def learned(folder: Path) -> Path:
    run = run_of(folder, 60, dropout=0.0)
    assert train_elmo(run, folder / "run", quiet=True).stopped_by == "max_updates"
    return folder / "run"


def rows_of(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "valid_loss" in row]


def test_it_learns_and_its_folder_is_used(learned: Path) -> None:
    rows = rows_of(learned)
    assert rows[-1]["valid_perplexity"] < 0.6 * rows[0]["valid_perplexity"]
    model = triptych.load(learned / "best", device="cpu")
    assert isinstance(model, WordEncoder)
    vectors = model.word_vectors(["The bank lends.", "A muddy bank."], "bank")
    assert vectors.shape == (2, 128)
    config = json.loads((learned / "best" / "config.json").read_text())
    assert config["model_type"] == "triptych-elmo"
    assert "from the right:" in (learned / "samples.md").read_text()
    assert "triptych train elmo" in (learned / "best" / "README.md").read_text()


def test_the_metrics_are_those_of_the_whole_validation_text(learned: Path, folder: Path) -> None:
    """By hand: every sentence on its own, over all words, from both sides."""
    found = rows_of(learned)[-1]
    loaded = checkpoint.load_folder(learned / "last")
    model, words = loaded.model, loaded.tokenizer
    assert isinstance(model, Elmo)
    assert isinstance(words, Words)
    nll, n = np.zeros(2), 0
    lines = (folder / "valid.txt").read_text().splitlines()
    for part in sentence_parts(whole_texts(lines), "en", 30):
        sentence = split_words(part.text)
        ids = torch.tensor([0, *words.encode_words(sentence), 1])
        with torch.no_grad():
            hidden = model(torch.from_numpy(sentence_characters(sentence))[None])[0]
            assert model.word_scores is not None
            left = model.word_scores(hidden[:-1, :64])
            right = model.word_scores(hidden[1:, 64:])
        nll[0] += F.cross_entropy(left, ids[1:], reduction="sum").item()
        nll[1] += F.cross_entropy(right, ids[:-1], reduction="sum").item()
        n += len(ids) - 1
    assert found["valid_forward_nll"] == pytest.approx(nll[0] / n, rel=1e-4)
    assert found["valid_backward_nll"] == pytest.approx(nll[1] / n, rel=1e-4)
    assert found["valid_loss"] == pytest.approx(nll.sum() / n, rel=1e-4)
    assert found["valid_perplexity"] == pytest.approx(math.exp(nll.sum() / n / 2), rel=1e-4)


def test_stopped_anywhere_it_goes_on_bit_for_bit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(folder, 12)
    run = replace(run, training=replace(run.training, accumulate=2))
    train_elmo(run, tmp_path / "straight", quiet=True)
    for stop in (5, 16):
        with monkeypatch.context() as patch:
            interrupt_at(patch, WordBatches, stop)
            stopped = train_elmo(run, tmp_path / f"stopped-{stop}", quiet=True)
        assert stopped.stopped_by == "SIGTERM"
        assert train_elmo(run, tmp_path / f"stopped-{stop}", quiet=True).stopped_by == "max_updates"
        assert_same(tmp_path / "straight", tmp_path / f"stopped-{stop}", 12)


def test_batches_hold_every_sentence_once_an_epoch(learned: Path, folder: Path) -> None:
    corpus = ElmoCorpus(run_of(folder, 1).data, learned)
    source = corpus.source(run_of(folder, 1))
    words, vocabulary = source.words, corpus.vocabulary()
    seen = []
    for choice in source.batches.epoch(0):
        batch = source.load(choice)
        assert batch.valid.numel() <= 200
        for row, number in enumerate(batch.indices.tolist()):
            begin, end = source.corpus.document_offsets[number : number + 2]
            text = words.tokens(source.corpus.tokens[begin : end - 1].tolist())
            length = int(batch.valid[row].sum())
            expected = sentence_characters(text)
            assert (batch.character_ids[row, :length].numpy() == expected).all()
            assert batch.targets[row, :length].tolist() == [0, *vocabulary.encode_words(text), 1]
            assert (batch.targets[row, length:] == -100).all()
            seen.append(number)
    assert sorted(seen) == list(range(len(TokenShards.load(learned / "data"))))


def test_training_goes_on_from_a_model(learned: Path, folder: Path, tmp_path: Path) -> None:
    run = run_of(folder, 3)
    run = replace(run, model=ElmoShape(start_from=str(learned / "best"), n_samples=0))
    outcome = train_elmo(run, tmp_path / "more", quiet=True)
    assert isinstance(outcome, Outcome)
    first, again = (rows_of(path)[0] for path in (learned, tmp_path / "more"))
    assert (first["update"], again["update"]) == (10, 3)
    assert again["valid_loss"] < 0.95 * first["valid_loss"]
    one, two = (Words.load(path) for path in (learned / "best", tmp_path / "more" / "best"))
    assert one.tokens(range(one.vocab_size)) == two.tokens(range(two.vocab_size))


def test_long_sentences_are_cut_and_lines_may_be_kept() -> None:
    text = "One two three four five. Six seven."
    cut = [part.text.split() for part in sentence_parts(whole_texts([text]), "en", 4)]
    assert cut == [["One", "two", "three", "four"], ["five."], ["Six", "seven."]]
    kept = [part.text for part in sentence_parts(whole_texts([text]), "lines", 60)]
    assert kept == [text]
    parts = [TextPart(" " * 99, False), TextPart(text, True)]  # as of a line with a long gap
    assert list(sentence_parts(parts, "lines", 60)) == [TextPart(text, True)]


def test_presets_are_those_there_are_and_of_the_published_size() -> None:
    assert tuple(ELMO_PRESETS) == PRESETS
    with torch.device("meta"):
        counts = {
            name: sum(p.numel() for p in Elmo(ELMO_PRESETS[name](0)).parameters())
            for name in PRESETS
        }
    millions = {name: round(n / 1e6, 1) for name, n in counts.items()}
    assert millions["original"] == 93.6
    assert millions["medium"] == 28.0
    assert millions["small"] == 13.6


def test_bad_input(folder: Path, learned: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("word word\nword\n")
    run = run_of(folder, 3)
    one = replace(run, data=replace(run.data, text=(str(tmp_path / "one.txt"),)))
    with pytest.raises(DataError, match="1 distinct words; a language model needs at least 2"):
        train_elmo(one, tmp_path / "run", quiet=True)
    with pytest.raises(ConfigError, match="another configuration"):
        train_elmo(run_of(folder, 61, dropout=0.0), learned, quiet=True)
    stdin = replace(run, data=replace(run.data, text=("-",)))
    with pytest.raises(UsageError, match="more than once"):
        train_elmo(stdin, tmp_path / "stdin", quiet=True)
    with pytest.raises(ConfigError, match="batch_words is 31"):
        replace(run, data=replace(run.data, batch_words=31))
    with pytest.raises(ConfigError, match="ELMo has none"):
        replace(run, training=replace(run.training, activation_checkpointing=True))
