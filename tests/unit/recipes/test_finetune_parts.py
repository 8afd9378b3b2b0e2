"""The parts of a fine-tuning: pairs that are cut, what is held out, rates by layer, the summary."""

import json
import logging
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from triptych.data.finetuning_batches import LabelledInput, collate_inputs
from triptych.errors import ConfigError, DataError, UsageError
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes.encoding import pair_inputs
from triptych.recipes.finetune_answers import answer_task
from triptych.recipes.finetune_run import (
    AnswerRun,
    ClassificationRun,
    Examples,
    FinetuneTraining,
    TaggingRun,
    Windows,
)
from triptych.recipes.finetune_summary import (
    FinetuneSummary,
    SeedResult,
    Spread,
    summary_json,
    summary_text,
)
from triptych.recipes.finetune_tagging import tagging_task
from triptych.recipes.finetune_task import entropy, held_out
from triptych.recipes.finetune_texts import classification_task
from triptych.recipes.finetune_weights import rate_factor
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.objectives import HeadObjective, span_loss

WORDS = ["the", "river", "bank", "is", "steep", "old"]


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece.train([" ".join(WORDS)] * 3, 60)


# -- inputs -------------------------------------------------------------------------------------


def cut(a: list[int], b: list[int], room: int) -> tuple[list[int], list[int]]:
    """The loop of the paper's code: the longer side loses its last piece until both fit."""
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return a, b


def test_pairs_are_cut_as_in_the_papers_code(
    tokenizer: WordPiece, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    draw = random.Random(2)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(0, 12))) for _ in range(120)]
    first, second = texts[:60], texts[60:]
    n_cut = 0
    for limit in (8, 9, 15):
        inputs = pair_inputs(first, second, tokenizer, limit, place=lambda i: f"row {i}")
        for a, b, given in zip(
            tokenizer.encode(first), tokenizer.encode(second), inputs, strict=True
        ):
            expected = tokenizer.with_specials(*cut(a, b, limit - 3))
            assert (given.token_ids, given.segment_ids) == expected
            n_cut += len(a) + len(b) + 3 > limit
    assert n_cut > 60
    assert "of 60 pairs are longer than 8 tokens and were cut there, the first of them row" in (
        caplog.text
    )
    with pytest.raises(UsageError, match="60 texts beside 59"):
        pair_inputs(first, second[:-1], tokenizer, 9)


def test_every_nth_is_held_out() -> None:
    train, valid = held_out(25, 10, "f")
    assert valid == [9, 19]
    assert sorted(train + valid) == list(range(25))
    with pytest.raises(DataError, match="f: 9 examples, of which every 10th cannot be held out"):
        held_out(9, 10, "f")


def test_entropy_by_hand() -> None:
    assert entropy([5, 5]) == pytest.approx(math.log(2))
    assert entropy([1, 3, 0]) == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


# -- tasks --------------------------------------------------------------------------------------


def written(path: Path, content: str) -> tuple[str]:
    path.write_text(content, encoding="utf-8")
    return (str(path),)


def test_labels_of_training_alone_count(tokenizer: WordPiece, tmp_path: Path) -> None:
    rows = "".join(f"{WORDS[i % 6]}\t{'abc'[i % 3]}\n" for i in range(30))
    data = Examples(train=written(tmp_path / "a.tsv", rows + "old\tz\n"), holdout_every=31)
    with pytest.raises(DataError, match=r"a.tsv:31: the label 'z' does not occur in training"):
        classification_task(ClassificationRun(model="m", data=data), tokenizer)
    data = Examples(train=written(tmp_path / "b.tsv", rows), holdout_every=3)
    with pytest.raises(DataError, match=r"b.tsv:3: the label 'c' does not occur"):
        classification_task(ClassificationRun(model="m", data=data), tokenizer)
    data = Examples(train=written(tmp_path / "c.tsv", rows), holdout_every=5)
    task = classification_task(ClassificationRun(model="m", data=data), tokenizer)
    assert (task.labels, len(task.train), len(task.valid)) == (("a", "b", "c"), 24, 6)
    assert task.guess_loss == pytest.approx(math.log(3))
    f1 = FinetuneTraining(select="f1")
    with pytest.raises(ConfigError, match="needs two labels, and there are 3"):
        classification_task(ClassificationRun(model="m", data=data, training=f1), tokenizer)
    one = Examples(train=written(tmp_path / "d.tsv", "old\ta\n" * 20))
    with pytest.raises(DataError, match=r"d.tsv:1: 'a' is the label of every training example"):
        classification_task(ClassificationRun(model="m", data=one), tokenizer)
    pairs = Examples(train=data.train, valid=written(tmp_path / "e.tsv", "old\tbank\ta\n"))
    with pytest.raises(DataError, match=r"e.tsv:1: training and validation do not both have"):
        classification_task(ClassificationRun(model="m", data=pairs), tokenizer)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("\tbank\tb\n", r"a.tsv:25: the text has no tokens \(''\); .* with --text-column"),
        ("old\t \tb\n", r"a.tsv:25: the second text has no tokens \(' '\); .* with --pair-column"),
        ("\t\tb\n", "a.tsv:25: the text has no tokens"),
    ],
)
def test_a_pair_needs_both_of_its_texts(
    tokenizer: WordPiece, tmp_path: Path, row: str, words: str
) -> None:
    rows = "old\tbank\ta\nriver\tsteep\tb\n" * 12
    (tmp_path / "v.tsv").write_text("old\tbank\ta\n")
    valid = (str(tmp_path / "v.tsv"),)
    data = Examples(train=written(tmp_path / "a.tsv", rows + row), valid=valid, max_seq_len=8)
    with pytest.raises(DataError, match=words):
        classification_task(ClassificationRun(model="m", data=data), tokenizer)


def test_tags_that_are_no_entities(tokenizer: WordPiece, tmp_path: Path) -> None:
    rows = "the\tDET\nriver\tNOUN\n\nold\tADJ\nbank\tNOUN\n\n" * 10
    data = Examples(train=written(tmp_path / "a.conll", rows))
    task = tagging_task(TaggingRun(model="m", data=data), tokenizer)
    assert (task.select, task.labels) == ("accuracy", ("ADJ", "DET", "NOUN"))
    f1 = FinetuneTraining(select="f1")
    with pytest.raises(ConfigError, match="'f1', which is for entities"):
        tagging_task(TaggingRun(model="m", data=data, training=f1), tokenizer)
    perfect = [np.eye(3, dtype=np.float32)[np.maximum(x.label, 0)] for x in task.valid]
    assert task.measure(perfect).metrics == {"accuracy": 1.0, "distinct_predictions": 2}


def test_words_in_later_parts_are_counted_and_said(
    tokenizer: WordPiece, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    rows = "the\tO\nriver\tB-x\n\n" * 8 + "river\tB-x\n" * 20 + "\n" + "old\tO\n\n"
    data = Examples(train=written(tmp_path / "long.conll", rows), max_seq_len=10)
    task = tagging_task(TaggingRun(model="m", data=data), tokenizer)
    n_first = (10 - 2) // len(tokenizer.encode(["river"])[0])
    assert f"{20 - n_first:,} words in 1 sentences come in later parts" in caplog.text
    assert f"long.conll:{25 + n_first}" in caplog.text
    n_labels = sum(x != -100 for given in task.train for x in given.label)  # type: ignore[union-attr]
    assert n_labels == 8 * 2 + 20


def squad(folder: Path, questions: list[tuple[str, str | None]], n: int) -> tuple[str]:
    paragraphs = []
    for i in range(n):
        qas = []
        for j, (context, text) in enumerate(questions):
            answers = [{"text": text, "answer_start": context.index(text)}] if text else []
            item = {"id": f"{i}-{j}", "question": "the river", "answers": answers}
            qas.append(item if text else {**item, "is_impossible": True})
        paragraphs.append({"context": questions[0][0], "qas": qas})
    return written(folder / "q.json", json.dumps({"data": [{"paragraphs": paragraphs}]}))


def test_contexts_are_held_out_whole(tokenizer: WordPiece, tmp_path: Path) -> None:
    context = "the old river is steep"
    files = squad(tmp_path, [(context, "old"), (context, " steep"), (context, None)], 6)
    data = Windows(train=files, holdout_every=3, max_seq_len=40)
    task = answer_task(AnswerRun(model="m", data=data), tokenizer)
    assert (len(task.train), len(task.valid)) == (4 * 3, 2 * 3)
    assert task.extras["may_be_empty"] is True
    _, spans = tokenizer.encode_with_spans(context)
    first = len(tokenizer.encode(["the river"])[0]) + 2
    old, steep, none = (given.label for given in task.valid[:3])
    assert none == (0, 0)
    for label, (start, end) in ((old, (4, 7)), (steep, (17, 22))):
        assert isinstance(label, tuple)
        assert spans[label[0] - first][0] == start
        assert spans[label[1] - first][1] == end


def test_answers_that_no_window_holds_are_said(
    tokenizer: WordPiece, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    context = "the old river is steep and the bank is old"
    files = squad(tmp_path, [(context, context), (context, "old")], 2)
    data = Windows(train=files, valid=files, max_seq_len=12, stride=4)
    answer_task(AnswerRun(model="m", data=data), tokenizer)
    assert "no window holds the whole answer of 2 of 4 questions" in caplog.text


def test_padding_is_no_place_for_an_answer(tokenizer: WordPiece) -> None:
    """The loss of answers is the same alone and beside a longer input."""
    torch.manual_seed(0)
    trunk = bert_preset("tiny", tokenizer.vocab_size, tokenizer.pad_id)
    model = BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=("spans",))).eval()
    objective = HeadObjective(lambda model, hidden, valid: model.spans(hidden, valid), span_loss)
    rows = [LabelledInput([7] * n, [0] * n, (1, 2)) for n in (4, 11)]
    (together,) = objective(model, collate_inputs(rows, [0, 1], trunk.pad_id))
    alone = [objective(model, collate_inputs([row], [0], trunk.pad_id))[0] for row in rows]
    assert float(together.nll) == pytest.approx(sum(float(one.nll) for one in alone), rel=1e-5)


# -- rates --------------------------------------------------------------------------------------


def test_rates_fall_from_the_heads_to_the_embeddings() -> None:
    factor = rate_factor(bert_preset("tiny", 100, 0), 0.5)
    names = {
        "heads.classifier.linear.weight": 1.0,
        "heads.pooler.dense.bias": 1.0,
        "bert.blocks.1.self_attention.w_q.weight": 0.5,
        "bert.blocks.0.residual_2.norm.bias": 0.25,
        "bert.token_embedding.weight": 0.125,
        "bert.positions.weight": 0.125,
        "bert.norm.weight": 0.125,
    }
    assert {name: factor(name) for name in names} == names


def test_updates_of_the_warm_up_and_between_validations() -> None:
    training = FinetuneTraining(epochs=3, warmup_share=0.1)
    assert training.optimizer(300).warmup == 30
    assert training.optimizer(3).warmup == 1
    settings = training.settings(300, "f1")
    assert (settings.max_updates, settings.validate_every, settings.select) == (300, 100, "f1")
    with pytest.raises(ConfigError, match="learning_rate is 2"):
        FinetuneTraining(learning_rate=2)


# -- summary ------------------------------------------------------------------------------------


def made(*values: float, select: str = "accuracy", **changes: object) -> FinetuneSummary:
    seeds = tuple(
        SeedResult(number, {select: value}, 10, 30, None, False)
        for number, value in enumerate(values, 1)
    )
    fields = {
        "kind": "classification", "model": "m", "select": select, "n_train": 80, "n_valid": 20,
        "guess_loss": 0.69, "seeds": seeds, "n_seeds": len(seeds), "stopped_by": "max_updates",
    } | changes  # fmt: skip
    return FinetuneSummary(**fields)  # type: ignore[arg-type]


def test_median_and_spread_by_hand() -> None:
    spread = Spread.of([0.5, 0.9, 0.6, 0.7, 0.8])
    assert (spread.median, spread.minimum, spread.maximum) == (0.7, 0.5, 0.9)
    assert spread.to_json()["interquartile_range"] == pytest.approx(0.2)


def test_the_best_seed_is_that_of_the_best_validation() -> None:
    assert made(0.5, 0.9, 0.9).best.seed == 2
    assert made(0.5, 0.2, 0.3, select="loss").best.seed == 2


def test_the_table_and_its_remarks() -> None:
    summary = made(0.5, 0.75)
    lines = summary_text(summary, Path("out dir")).splitlines()
    assert lines[0] == "80 inputs to learn from, 20 to validate"
    assert [line.split() for line in lines[1:4]] == [
        ["seed", "accuracy"], ["1", "0.5000"], ["2", "0.7500", "best"]
    ]  # fmt: skip
    assert lines[4].split() == ["median", "0.6250"]
    assert "best model: 'out dir/best' (seed 2, by accuracy)" in lines[-1]
    seeds = (SeedResult(1, {"accuracy": 0.5}, 10, 30, "why", True),)
    text = summary_text(made(seeds=seeds, stopped_by="SIGTERM"), Path("o"))
    assert "0.5000  collapsed: why" in text
    assert "stopped by SIGTERM, and saved; the same command goes on from here" in text
    none = summary_text(made(stopped_by="SIGINT"), Path("o"))
    assert (
        none == "interrupted, and saved, before any validation; the same command goes on from here"
    )
    assert json.loads(summary_json(made(), Path("o")))["best"] is None
