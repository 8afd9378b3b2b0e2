"""Toy fine-tunings for the tests: an encoder of random weights, and tasks learned in seconds.

As a script: `python finetuning_toy.py KIND FOLDER OUT [kill_at=N | term_at=N]` trains in OUT with
the files of FOLDER, and stops itself at the N-th batch loaded.
"""

import json
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from triptych import checkpoint
from triptych.data.finetuning_batches import FinetuningBatches
from triptych.models.bert import BertConfig
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.recipes.finetune import finetune
from triptych.recipes.finetune_run import (
    AnswerRun,
    ClassificationRun,
    Examples,
    FinetuneModel,
    FinetuneRun,
    FinetuneTraining,
    RegressionRun,
    TaggingRun,
    Windows,
)
from triptych.recipes.finetune_summary import FinetuneSummary
from triptych.tokenizers.wordpiece import WordPiece

FILLERS = ["the", "a", "film", "play", "was", "is", "very", "so", "and", "it", "we", "saw", "long"]
GOOD, BAD = ["good", "great", "fine"], ["bad", "poor", "dull"]
NAMES, PLACES = ["anna", "bernhard", "clara"], ["paris", "rome"]
NUMBERS = ["two", "seven", "nine", "eleven"]


def make_start(folder: Path, heads: tuple[str, ...] = ("pooler", "masked_words")) -> Path:
    """A tiny encoder; `bernhard` has several pieces."""
    words = [*FILLERS, *GOOD, *BAD, *NAMES, *PLACES, *NUMBERS, "york", "new", "how", "many"]
    words.remove("bernhard")
    tokenizer = WordPiece.train([" ".join(words)] * 4 + ["bernhard"], 200)
    torch.manual_seed(3)
    trunk = BertConfig(
        vocab_size=tokenizer.vocab_size, d_model=32, d_ff=64, n_heads=2, n_layers=2, dropout=0.1,
        max_seq_len=64, pad_id=tokenizer.pad_id,
    )  # fmt: skip
    if heads == ("pooler", "masked_words"):
        heads = ("pooler", "masked_words", "next_sentence")
    model = BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=heads))
    checkpoint.save_folder(folder, model, tokenizer)
    return folder


def _words(draw: random.Random, low: int = 2, high: int = 7) -> list[str]:
    return draw.choices(FILLERS, k=draw.randint(low, high))


def write_texts(folder: Path, n: int, seed: int) -> Path:
    """Text, tab, label: what kind of word is in it."""
    draw = random.Random(seed)
    lines = []
    for i in range(n):
        label = i % 2
        words = [*_words(draw), draw.choice(GOOD if label else BAD), *_words(draw)]
        lines.append(f"{' '.join(words)}\t{'yes' if label else 'no'}\n")
    return _written(folder / f"texts{seed}.tsv", "".join(lines))


def write_values(folder: Path, n: int, seed: int) -> Path:
    """Two texts and a value: how many more good words are in both than two."""
    draw = random.Random(seed)
    rows = ["sentence1,sentence2,score\n"]
    for _ in range(n):
        kinds = [draw.randint(0, 1) for _ in range(4)]
        words = [draw.choice(GOOD if kind else BAD) for kind in kinds]
        rows.append(f"{' '.join(words[:2])} it,{' '.join(words[2:])} a,{sum(kinds) - 2}\n")
    return _written(folder / f"values{seed}.csv", "".join(rows))


def write_tags(folder: Path, n: int, seed: int) -> Path:
    """Names of one word, and places of one or two."""
    draw = random.Random(seed)
    lines = []
    for _ in range(n):
        for _ in range(draw.randint(2, 5)):
            kind = draw.randint(0, 3)
            if kind == 0:
                lines.append(f"{draw.choice(NAMES)}\tB-name\n")
            elif kind == 1:
                lines.append(f"{draw.choice(PLACES)}\tB-place\n")
            elif kind == 2:
                lines.append("new\tB-place\nyork\tI-place\n")
            lines += [f"{word}\tO\n" for word in _words(draw, 1, 3)]
        lines.append("\n")
    return _written(folder / f"tags{seed}.conll", "".join(lines))


def write_questions(folder: Path, n: int, seed: int) -> Path:
    """The answer is the one number of a context that is longer than an input."""
    draw = random.Random(seed)
    paragraphs = []
    for i in range(n):
        before, number = " ".join(_words(draw, 3, 25)), draw.choice(NUMBERS)
        context = f"{before} {number} {' '.join(_words(draw, 3, 25))}"
        answer = {"text": number, "answer_start": len(before) + 1}
        item = {"id": f"q{seed}-{i}", "question": "how many", "answers": [answer]}
        paragraphs.append({"context": context, "qas": [item]})
    content = json.dumps({"data": [{"paragraphs": paragraphs}]}, indent=1)
    return _written(folder / f"questions{seed}.json", content)


def _written(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def toy_run(kind: str, folder: Path, **training: Any) -> FinetuneRun:
    """A run on files written into `folder`, started from `folder/start`."""
    if not (folder / "start").exists():
        make_start(folder / "start")
    settings: dict[str, Any] = {"learning_rate": 2e-3, "epochs": 4, "seeds": 2, **training}
    common: dict[str, Any] = {
        "model": str(folder / "start"),
        "weights": settings.pop("weights", FinetuneModel()),
        "training": FinetuneTraining(**settings),
    }
    write = {
        "classification": write_texts, "regression": write_values, "tagging": write_tags,
        "qa": write_questions,
    }[kind]  # fmt: skip
    files = [(str(write(folder, n, seed)),) for n, seed in ((240, 1), (60, 2))]
    examples = Examples(train=files[0], valid=files[1], batch_size=16, max_seq_len=48)
    if kind == "classification":
        return ClassificationRun(data=examples, **common)
    if kind == "regression":
        return RegressionRun(data=examples, **common)
    if kind == "tagging":
        return TaggingRun(data=replace(examples, max_seq_len=24), **common)
    windows = Windows(
        train=files[0], valid=files[1], batch_size=16, max_seq_len=32, stride=12,
        max_answer_tokens=4,
    )  # fmt: skip
    return AnswerRun(data=windows, **common)


def run_toy(kind: str, folder: Path, out: Path, **training: Any) -> FinetuneSummary:
    return finetune(toy_run(kind, folder, **training), out, quiet=True)


def main() -> None:
    torch.set_num_threads(1)
    kind, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    stops = {name: int(n) for name, n in (word.split("=") for word in sys.argv[4:])}
    honest, n_loaded = FinetuningBatches.load, 0

    def load(self: FinetuningBatches, indices: Any) -> Any:
        nonlocal n_loaded
        n_loaded += 1
        for name, number in (("kill_at", signal.SIGKILL), ("term_at", signal.SIGTERM)):
            if stops.get(name) == n_loaded:
                os.kill(os.getpid(), number)
        return honest(self, indices)

    FinetuningBatches.load = load  # type: ignore[method-assign]
    print(run_toy(kind, folder, out).stopped_by)


if __name__ == "__main__":
    main()
