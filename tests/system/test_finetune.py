"""Fine-tuning, end to end: tiny encoders learn toy tasks, runs go on, models are used."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetuning_toy import make_start, run_toy, toy_run, write_texts

import triptych
from triptych import checkpoint
from triptych.cli.main import main
from triptych.errors import ConfigError, DataError, DivergedError, ModelFileError, UsageError
from triptych.files.tensors import load_tensors
from triptych.models.heads import BertWithHeads
from triptych.recipes.finetune import finetune
from triptych.recipes.finetune_run import FinetuneModel, FinetuneRun
from triptych.recipes.finetune_weights import load_start, make_model
from triptych.training.run_folder import RunFolder

SCRIPT = Path(__file__).parent / "finetuning_toy.py"
MEASURED = ("tokens_per_second", "peak_share", "peak_memory", "seconds")
KINDS = {"classification": 4, "regression": 8, "tagging": 6, "qa": 4}
"""Each kind, and the epochs it takes."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in the child processes: sums are the same bit for bit with as many threads only."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of each kind."""
    folder = tmp_path_factory.mktemp("finetune")
    for kind, epochs in KINDS.items():
        select = "loss" if kind == "regression" else None
        run_toy(kind, folder, folder / kind, epochs=epochs, select=select)
    return folder


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize(
    ("kind", "select", "metric", "least"),
    [("classification", "accuracy", "accuracy", 0.95), ("regression", "loss", "spearman", 0.9),
     ("tagging", "f1", "f1", 0.95), ("qa", "f1", "f1", 0.9)],
)  # fmt: skip
def test_it_is_learned(folder: Path, kind: str, select: str, metric: str, least: float) -> None:
    found = summary(folder / kind)
    assert (found["kind"], found["select"], found["stopped_by"]) == (kind, select, "max_updates")
    values = [seed["metrics"][metric] for seed in found["seeds"]]
    assert len(values) == 2
    assert min(values) > least
    spread = found["metrics"][metric]
    assert spread["median"] == pytest.approx(np.median(values))
    assert (spread["minimum"], spread["maximum"]) == (min(values), max(values))
    first, third = np.percentile(values, [25, 75])
    assert spread["interquartile_range"] == pytest.approx(third - first)
    sign = -1 if select == "loss" else 1
    best = found["seeds"][np.argmax([sign * seed["metrics"][select] for seed in found["seeds"]])]
    assert found["best"] == {"seed": best["seed"], "model": "best"}
    assert (folder / kind / "best").resolve() == (folder / kind / best["model"]).resolve()
    assert not any(seed["collapsed"] for seed in found["seeds"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_what_was_measured(folder: Path, kind: str) -> None:
    """The metrics of a seed are those of its best validation, and of no other update."""
    for seed in summary(folder / kind)["seeds"]:
        rows = RunFolder(folder / kind / f"seed-{seed['seed']}").rows()
        rows = [row for row in rows if "valid_loss" in row]
        assert len(rows) == KINDS[kind]
        select = f"valid_{summary(folder / kind)['select']}"
        sign = -1 if kind == "regression" else 1
        best = max(rows, key=lambda row: (sign * row[select], -row["update"]))
        assert best["update"] == seed["best_update"]
        assert {f"valid_{name}": x for name, x in seed["metrics"].items()}.items() <= best.items()


# -- use ----------------------------------------------------------------------------------------


def test_classify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = triptych.load(folder / "classification" / "best")
    good, bad = model.classify(["it was a great film", "it was so dull"])
    assert (good.label, bad.label) == ("yes", "no")
    assert sum(good.probabilities.values()) == pytest.approx(1)
    assert good.probability == good.probabilities["yes"] > 0.5
    alone = model.classify(["it was so dull"])[0]
    assert alone.probability == pytest.approx(bad.probability, abs=1e-5)
    with pytest.raises(ModelFileError, match="no tags for words"):
        model.tag([["it"]])
    with pytest.raises(ModelFileError, match="triptych finetune regression"):
        model.values(["it"])
    with pytest.raises(ModelFileError, match="triptych finetune qa"):
        model.answer("how", "it")
    with pytest.raises(UsageError, match="2 texts beside 1"):
        model.classify(["it", "a"], ["so"])

    words = f"evaluate classification {folder / 'classification' / 'best'} --json --data"
    assert main([*words.split(), str(folder / "texts2.tsv")]) == 0
    found = json.loads(capsys.readouterr().out)
    best = summary(folder / "classification")
    expected = best["seeds"][best["best"]["seed"] - 1]["metrics"]
    for name in ("accuracy", "f1", "macro_f1", "matthews"):
        assert found[name] == pytest.approx(expected[name])
    assert (found["n"], found["positive"]) == (60, "yes")
    (folder / "empty.tsv").write_text("it was dull\tno\n\tyes\n")
    assert main([*words.split(), str(folder / "empty.tsv")]) == 3
    assert "empty.tsv:2: the text has no tokens" in capsys.readouterr().err


def test_values_of_pairs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = triptych.load(folder / "regression" / "best")
    high, low = model.values(["good great it", "bad dull it"], ["fine good a", "poor bad a"])
    assert high > low + 1
    with pytest.raises(ModelFileError, match="gives values instead"):
        model.classify(["it"])
    words = f"evaluate sts {folder / 'regression' / 'best'} --json --data"
    assert main([*words.split(), str(folder / "values2.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    best = summary(folder / "regression")
    expected = best["seeds"][best["best"]["seed"] - 1]["metrics"]
    assert found["spearman"] == pytest.approx(expected["spearman"], abs=1e-4)
    assert found["pearson"] == pytest.approx(expected["pearson"], abs=1e-4)
    assert (found["n"], found["by"]) == (60, "value")


def test_cosines_of_an_encoder_without_values(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    path = folder / "values2.csv"
    assert main(["evaluate", "sts", str(folder / "start"), "--data", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    model = triptych.load(folder / "start")
    cosines = model.similarity([row[0] for row in rows], [row[1] for row in rows])
    gold = [float(row[2]) for row in rows]
    assert found["by"] == "cosine"
    assert found["spearman"] == pytest.approx(scipy_stats.spearmanr(cosines, gold).statistic)
    assert main(["evaluate", "sts", str(folder / "start"), "--data", str(path), "--text-column",
                 "1", "--label-column", "3"]) == 3  # fmt: skip
    assert "no cosine; name the second column" in capsys.readouterr().err
    (folder / "empty.tsv").write_text("it was dull\ta day\t1.5\n \ta day\t2\n")
    assert main(["evaluate", "sts", str(folder / "start"), "--data", f"{folder}/empty.tsv"]) == 3
    assert "empty.tsv:2: the first text has no tokens (' ')" in capsys.readouterr().err


def test_tags_of_words_also_beyond_the_length(folder: Path) -> None:
    model = triptych.load(folder / "tagging" / "best")
    assert model.max_seq_len == 24
    words = ["anna", "saw", "new", "york", "and", "bernhard"] * 5
    expected = ["B-name", "O", "B-place", "I-place", "O", "B-name"] * 5
    short, long = model.tag([words[:6], words])
    assert short == expected[:6]
    assert len(long) == 30
    assert sum(a == b for a, b in zip(long, expected, strict=True)) >= 28
    with pytest.raises(UsageError, match="use split"):
        model.tag(["anna saw"])
    with pytest.raises(ModelFileError, match="no labels for texts"):
        model.classify(["anna"])


def test_answers_of_long_contexts(folder: Path) -> None:
    model = triptych.load(folder / "qa" / "best")
    assert model.answer_rules.stride == 12
    context = "the film was long and it was so " * 6 + "Seven  a short play is fine"
    best, second = model.answer("how many", context, n_best=2)
    assert (best.text, context[best.start : best.end]) == ("Seven", "Seven")
    assert best.score >= second.score
    with pytest.raises(DataError, match="no tokens"):
        model.answer("how many", " ")


# -- runs ---------------------------------------------------------------------------------------


def final(run: Path) -> dict[str, torch.Tensor]:
    newest = RunFolder(run).newest_checkpoint()
    assert newest is not None
    return load_tensors(newest / "model.safetensors") | load_tensors(
        newest / "training.safetensors"
    )


def rows(run: Path) -> list[dict[str, object]]:
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in RunFolder(run).rows()]


@pytest.mark.parametrize(("kind", "stop"), [
    ("classification", "kill_at=20"), ("classification", "term_at=37"),
    ("classification", "term_at=75"), ("qa", "kill_at=70"),
])  # fmt: skip
def test_stopped_anywhere_it_goes_on_as_if_never_stopped(
    folder: Path, tmp_path: Path, kind: str, stop: str
) -> None:
    """In the first seed and in the second, mid-epoch, killed and asked to stop."""
    straight = folder / f"straight-{kind}"
    if not straight.exists():
        run_toy(kind, folder, straight)
    out = tmp_path / "stopped"
    child = subprocess.run(
        [sys.executable, str(SCRIPT), kind, str(folder), str(out), stop],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if stop.startswith("kill"):
        assert child.returncode == -signal.SIGKILL
    else:
        assert child.stdout.split() == ["SIGTERM"], child.stderr
    assert summary(out)["stopped_by"] == "SIGTERM" if (out / "summary.json").exists() else True
    run_toy(kind, folder, out)
    assert summary(out) == summary(straight)
    for seed in ("seed-1", "seed-2"):
        assert rows(out / seed) == rows(straight / seed)
        one, other = final(out / seed), final(straight / seed)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_finished_run_is_not_trained_again_and_another_is_refused(folder: Path) -> None:
    out = folder / "classification"
    before = (out / "seed-1" / "metrics.jsonl").read_bytes()
    run_toy("classification", folder, out)
    assert (out / "seed-1" / "metrics.jsonl").read_bytes() == before
    with pytest.raises(ConfigError, match=r"training.learning_rate: 0.002 there, 0.003 here"):
        run_toy("classification", folder, out, learning_rate=3e-3)
    other = toy_run("classification", folder, learning_rate=3e-3, epochs=1, seeds=1)
    finetune(other, folder / "fresh", quiet=True)
    finetune(toy_run("classification", folder, epochs=1, seeds=1), folder / "fresh", fresh=True,
             quiet=True)  # fmt: skip
    assert (folder / "fresh.1" / "summary.json").exists()


def test_a_seed_that_diverges_is_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [1]

    def broken(run: FinetuneRun, *given: Any) -> BertWithHeads:
        model = make_model(run, *given)
        if run.training.seed in bad:
            torch.nn.init.constant_(model.heads.classifier.linear.weight, float("inf"))
        return model

    monkeypatch.setattr("triptych.recipes.finetune.make_model", broken)
    summary = run_toy("classification", folder, tmp_path / "run", seeds=2, epochs=1)
    assert summary.diverged == (1,)
    assert [seed.seed for seed in summary.seeds] == [2]
    assert "seed 1 is left out: " in caplog.text
    told = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (told["diverged"], told["n_seeds"], told["best"]["seed"]) == ([1], 2, 2)
    bad.append(2)
    with pytest.raises(DivergedError):
        run_toy("classification", folder, tmp_path / "all", seeds=2, epochs=1)


def test_one_seed_is_repeated_by_its_own_run_toml(folder: Path, tmp_path: Path) -> None:
    """The seed of a run says everything: seed 2 alone is seed 2 among several."""
    run_toy("classification", folder, tmp_path / "two", seeds=1, seed=2)
    one, other = final(tmp_path / "two" / "seed-2"), final(folder / "classification" / "seed-2")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_where_weights_come_from(folder: Path, tmp_path: Path) -> None:
    run = toy_run("classification", folder)
    start, _ = load_start(run)
    heads, labels = ("pooler", "classifier"), ("no", "yes")
    model = make_model(run, start, heads, labels)
    state, base = model.state_dict(), start.state_dict()
    kept = [name for name in state if name in base]
    assert sum(name.startswith("heads.pooler") for name in kept) == 2
    assert all(torch.equal(state[name], base[name]) for name in kept)
    again = make_model(run, start, heads, labels).state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    other = toy_run("classification", folder, seed=2)
    drawn = make_model(other, start, heads, labels).state_dict()
    assert not torch.equal(state["heads.classifier.linear.weight"],
                           drawn["heads.classifier.linear.weight"])  # fmt: skip
    scratch = toy_run("classification", folder, weights=FinetuneModel(from_scratch=True))
    fresh = make_model(scratch, start, heads, labels)
    assert fresh.config.trunk == start.config.trunk
    weight = "bert.blocks.0.feed_forward.w_up.weight"
    assert not torch.equal(fresh.state_dict()[weight], base[weight])
    dropping = toy_run("classification", folder, weights=FinetuneModel(dropout=0.4))
    trunk = make_model(dropping, start, heads, labels).config.trunk
    assert (trunk.dropout, trunk.attention_dropout) == (0.4, 0.4)


def test_frozen_layers_and_slower_ones(folder: Path, tmp_path: Path) -> None:
    weights = FinetuneModel(freeze_layers=1, layer_decay=0.5)
    out = tmp_path / "frozen"
    run_toy("classification", folder, out, weights=weights, epochs=1, seeds=1)
    start = checkpoint.load_folder(folder / "start").model.state_dict()
    end = checkpoint.load_folder(out / "best").model.state_dict()
    moved = {name for name in start if name in end and not torch.equal(start[name], end[name])}
    # A key's bias changes no score, but rounding moves it all the same.
    assert {name for name in moved if not name.startswith(("bert.blocks.1", "heads."))} == set()
    assert "bert.blocks.1.feed_forward.w_up.weight" in moved
    run = toy_run("classification", folder, weights=FinetuneModel(freeze_layers=3))
    with pytest.raises(ConfigError, match="freeze_layers is 3, and the model has 2 layers"):
        load_start(run)


def test_a_collapse_is_said_and_named(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a rate at which nothing is learned, every answer is the same."""
    caplog.set_level(logging.WARNING)
    found = run_toy("classification", folder, tmp_path / "run", learning_rate=1e-9, seeds=1)
    (seed,) = found.seeds
    assert seed.collapsed
    assert seed.warning is not None
    assert caplog.text.count("seed 1 seems to have collapsed: after") == 1
    assert summary(tmp_path / "run")["seeds"][0]["collapsed"] is True


def test_a_model_without_pooler(folder: Path, tmp_path: Path) -> None:
    start = make_start(tmp_path / "bare", heads=())
    run = toy_run("classification", folder)
    model, _ = load_start(type(run)(**{**vars(run), "model": str(start)}))
    assert "pooler" not in model.heads
    assert "pooler" in make_model(run, model, ("pooler", "classifier"), ("a", "b")).heads


# -- the command --------------------------------------------------------------------------------


def test_by_command_with_lines_held_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_texts(tmp_path, 100, 5)
    line = (
        f"finetune classification {folder / 'start'} --train {data} --holdout-every 5 "
        f"--out {tmp_path / 'run'} --seeds 2 --epochs 2 --learning-rate 2e-3 --batch-size 8 "
        "--max-seq-len 40 --quiet --device cpu --threads 1"
    )
    assert main(line.split()) == 0
    out, err = capsys.readouterr()
    assert "80 inputs to learn from, 20 to validate" in out
    assert "every 5th example is held out, 20 of 100" in err
    assert [row.split()[0] for row in out.splitlines()[1:7]] == [
        "seed", "1", "2", "median", "quartiles", "range"
    ]  # fmt: skip
    assert f"best model: {tmp_path / 'run' / 'best'}" in out
    assert main([*line.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {**found, "out": None} == {**summary(tmp_path / "run"), "out": None}
    config = tmp_path / "run" / "seed-2" / "run.toml"
    again = f"finetune classification {folder / 'start'} --config {config} --out {tmp_path / 'b'}"
    assert main([*again.split(), "--quiet", "--device", "cpu"]) == 0
    assert summary(tmp_path / "b")["seeds"][0]["metrics"] == found["seeds"][1]["metrics"]


@pytest.mark.parametrize(
    ("kind", "content", "more", "status", "words"),
    [
        ("classification", "a film\tyes\nx\tno\n", "--label-column kind", 3, "no column 'kind'"),
        ("classification", "a film\tyes\nx\tmaybe\n", "", 3, "d:2: the label 'maybe' does not"),
        ("classification", "a film\tyes\n\tno\n", "", 3, "d:2: the text has no tokens ('')"),
        ("classification", "", "", 3, "d is empty"),
        ("classification", "a\tyes\n", "--select bleu", 2, "select is 'bleu'; there are accuracy"),
        ("classification", "a\tyes\n", "--max-seq-len 999", 2, "the model's limit of 64"),
        ("classification", "a\tyes\n", "--layer-decay 2", 2, "--layer-decay is 2.0; it must be"),
        ("classification", "a\tyes\n", "--learning-rate 3", 2, "learning_rate is 3"),
        ("classification", "a\tyes\n", "--valid -", 2, "give a file instead of '-'"),
        ("regression", "a film\t1\nx\tmany\n", "", 3, "d:2: the label 'many' is not a number"),
        ("tagging", "anna\tB-name\nsaw\n", "", 3, "d:2: columns: 1, but at least 2"),
        ("tagging", "anna\tB-name\nsaw\tB-x\n", "", 3, "d:2: the label 'B-x' does not occur"),
        ("qa", "{}", "", 3, "d has no list 'data'"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    kind: str, content: str, more: str, status: int, words: str,
) -> None:  # fmt: skip
    (tmp_path / "d").write_text(content)
    names = {"regression": "values1.csv", "tagging": "tags1.conll", "qa": "questions1.json"}
    train = folder / names.get(kind, "texts1.tsv")
    line = (
        f"finetune {kind} {folder / 'start'} --train {train} --valid {tmp_path / 'd'} --quiet "
        f"--max-seq-len 48 --out {tmp_path / 'run'} {more}"
    )
    assert main(line.split()) == status
    errors = [row for row in capsys.readouterr().err.splitlines() if row.startswith("error: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert not (tmp_path / "run").exists()


def test_a_text_of_ten_megabytes_is_cut(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path = tmp_path / "long.tsv"
    path.write_text("a film\tyes\nso dull\tno\n" * 4 + "the film was " * 800_000 + "\tno\n")
    run = toy_run("classification", folder, epochs=1, seeds=1)
    data = type(run.data)(train=(str(path),), valid=(str(path),), max_seq_len=16)
    finetune(type(run)(**{**vars(run), "data": data}), tmp_path / "run", quiet=True)
    assert f"longer than 16 tokens and were cut there, the first of them {path}:9" in caplog.text
