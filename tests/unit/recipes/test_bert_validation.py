"""Validation of pretraining: each length apart, next sentences by file, one forward pass."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from triptych.data.next_sentence import N_SPECIAL
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.recipes.bert_data import BertCorpus
from triptych.recipes.bert_run import SHORTEST, BertData, BertRun, BertShape
from triptych.recipes.bert_validation import BertValidation
from triptych.recipes.train_bert import make_model

PREFIXES = {"": 16, "long_": 40}
HERE, THERE = "abcd", "wxyz"
"""The letters of the two files: any token tells its file."""


def write(path: Path, letters: str, n: int) -> None:
    draw = random.Random(letters)
    documents = []
    for _ in range(n):
        words = ["".join(draw.choices(letters, k=3)) for _ in range(8)]
        documents.append(" ".join(words[:4]) + "\n" + " ".join(words[4:]))
    path.write_text("\n\n".join(documents) + "\n")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> BertCorpus:
    folder = tmp_path_factory.mktemp("bert")
    write(folder / "here.valid.txt", HERE, 60)
    write(folder / "there.valid.txt", THERE, 25)
    files = (str(folder / "here.valid.txt"), str(folder / "there.valid.txt"))
    data = BertData(text=files, valid_text=files, language="lines", vocab_size=60, max_seq_len=16)
    corpus = BertCorpus(data, folder / "run")
    corpus.prepare(None)
    return corpus


def measured(
    corpus: BertCorpus, now: str = "", prefixes: dict[str, int] = PREFIXES
) -> tuple[dict[str, float], list[str], str, int]:
    """Metrics, samples and prefix; and how often the trunk was run."""
    tokenizer = corpus.tokenizer()
    model = make_model(BertRun(data=corpus.data, model=BertShape(preset="nano")), tokenizer).eval()
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))

    def batches(length: int) -> list[tuple[PretrainingBatch, Tensor]]:
        return list(corpus.valid_batches(tokenizer, length))

    inputs = {prefix: lambda n=length: batches(n) for prefix, length in prefixes.items()}
    validation = BertValidation(
        inputs, lambda: now, corpus.valid_files(), tokenizer, torch.device("cpu")
    )
    with torch.no_grad():
        found = validation(model)
    return dict(found.metrics), found.samples, found.prefix, len(calls)


def test_each_length_is_measured_as_if_it_were_alone(corpus: BertCorpus) -> None:
    found, samples, prefix, _ = measured(corpus)
    short, short_samples, _, _ = measured(corpus, prefixes={"": 16})
    long, long_samples, _, _ = measured(corpus, prefixes={"": 40})
    assert found == {**short, **{f"long_{name}": value for name, value in long.items()}}
    assert short["loss"] != long["loss"]
    assert (prefix, samples) == ("", short_samples)
    _, samples, prefix, _ = measured(corpus, now="long_")
    assert (prefix, samples) == ("long_", long_samples)


def test_next_sentences_are_counted_by_the_file_of_the_first_part(corpus: BertCorpus) -> None:
    """By hand: the words of the first part tell its file."""
    assert corpus.valid_files() == ["here", "there"]
    found, _, _, _ = measured(corpus, prefixes={"": 16})
    tokenizer = corpus.tokenizer()
    model = make_model(BertRun(data=corpus.data, model=BertShape(preset="nano")), tokenizer).eval()
    right, n = [0, 0], [0, 0]
    for batch, _ in corpus.valid_batches(tokenizer, 16):
        original = torch.where(batch.labels >= 0, batch.labels, batch.token_ids)
        with torch.no_grad():
            hidden = model(batch.token_ids, batch.valid, batch.segment_ids)
            kinds = model.heads["next_sentence"](model.heads["pooler"](hidden)).argmax(dim=-1)
        for row, (kind, said) in enumerate(zip(batch.is_random, kinds, strict=True)):
            (first,) = tokenizer.tokens([int(original[row, 1])])
            file = int(first.lstrip("#")[0] in THERE)
            n[file] += 1
            right[file] += int(kind == said)
    assert min(n) > 10
    assert found["next_accuracy_here"] == pytest.approx(right[0] / n[0])
    assert found["next_accuracy_there"] == pytest.approx(right[1] / n[1])
    assert found["next_accuracy"] == pytest.approx(sum(right) / sum(n))


def test_one_forward_pass_gives_everything(corpus: BertCorpus) -> None:
    lengths, tokenizer = PREFIXES.values(), corpus.tokenizer()
    n_batches = sum(len(list(corpus.valid_batches(tokenizer, n))) for n in lengths)
    assert measured(corpus)[-1] == n_batches


def test_files_of_one_name_are_numbered(corpus: BertCorpus) -> None:
    same = replace(corpus.data, valid_text=("wiki/valid.txt", "books/valid.txt.xz"))
    assert BertCorpus(same, corpus.folder).valid_files() == ["valid_1", "valid_2"]


def test_the_shortest_input_of_a_run_is_that_of_its_pairs() -> None:
    assert SHORTEST == N_SPECIAL + 2
