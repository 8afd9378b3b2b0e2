"""The commands as a person types them, from two text files to a model that translates."""

import json
import os
import random
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOUNS = {"man": "Mann", "dog": "Hund", "boy": "Junge", "bird": "Vogel", "king": "König"}
VERBS = {"sees": "sieht", "likes": "mag", "hears": "hört", "finds": "findet"}
ADJECTIVES = {"big": "große", "small": "kleine", "old": "alte", "red": "rote"}

SETTINGS = """
[data]
source = ["train.en"]
target = ["train.de"]
valid_source = ["valid.en"]
valid_target = ["valid.de"]
vocab_size = 320
batch_tokens = 256
[optimizer]
learning_rate = 2e-3
warmup = 8
[training]
max_updates = 24
validate_every = 12
"""
TRAIN = ("train", "translation", "--config", "small.toml", "--preset", "tiny", "--dropout", "0",
         "--device", "cpu", "--seed", "3", "--out", "run")  # fmt: skip


def triptych(folder: Path, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "triptych.cli.main", *words], cwd=folder, input=stdin,
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def metrics(folder: Path) -> list[dict[str, float]]:
    text = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def write_pairs(folder: Path, name: str, n_pairs: int, seed: int) -> None:
    draw = random.Random(seed)
    english, german = [], []
    for _ in range(n_pairs):
        (a, a_de), (b, b_de) = draw.choices(list(ADJECTIVES.items()), k=2)
        (s, s_de), (o, o_de) = draw.choices(list(NOUNS.items()), k=2)
        verb, verb_de = draw.choice(list(VERBS.items()))
        english.append(f"The {a} {s} {verb} the {b} {o}.\n")
        german.append(f"Der {a_de} {s_de} {verb_de} den {b_de}n {o_de}.\n")
    (folder / f"{name}.en").write_text("".join(english), encoding="utf-8")
    (folder / f"{name}.de").write_text("".join(german), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was stopped by SIGTERM and went on when the command was repeated."""
    folder = tmp_path_factory.mktemp("commands")
    write_pairs(folder, "train", 300, 1)
    write_pairs(folder, "valid", 10, 2)
    (folder / "small.toml").write_text(SETTINGS)
    stop_after_some_updates(folder)
    done = triptych(folder, *TRAIN, "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["updates"] == 24
    assert outcome["model"] == "run/best"
    return folder


def stop_after_some_updates(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "triptych.cli.main", *TRAIN], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        file = folder / "run" / "metrics.jsonl"
        until = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < until:
            if file.exists() and file.read_text().count("\n") >= 3:
                process.terminate()
                break
            time.sleep(0.02)
        text, _ = process.communicate(timeout=200)
    assert process.returncode == 75
    assert "stopped by SIGTERM, and saved" in text
    assert "the same command goes on" in text


@pytest.mark.slow
def test_stopped_run_went_on_without_a_gap(folder: Path) -> None:
    rows = metrics(folder)
    assert [row["update"] for row in rows if "learning_rate" in row] == list(range(1, 25))
    assert {row["update"] for row in rows if "valid_bleu" in row} == {12, 24}


@pytest.mark.slow
def test_finished_run_says_where_the_model_is(folder: Path) -> None:
    done = triptych(folder, *TRAIN)
    assert done.returncode == 0
    assert "best model: run/best (bleu " in done.stdout
    assert "triptych translate run/best" in done.stdout


@pytest.mark.slow
def test_translate_keeps_the_lines(folder: Path) -> None:
    text = "The big dog sees the old man.\n\nThe red bird likes the small boy.\n"
    (folder / "in.txt").write_text(text)
    from_file = triptych(folder, "translate", "run/best", "--input", "in.txt", "--beam-size", "2")
    assert from_file.returncode == 0, from_file.stderr
    lines = from_file.stdout.split("\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == ""
    assert lines[0]
    piped = triptych(folder, "translate", "run/best", "--beam-size", "2", stdin=text)
    assert piped.stdout == from_file.stdout


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["translate", "score", "evaluate translation", "tokenizer train"])
def test_a_pipe_gives_what_its_file_gives(folder: Path, verb: str) -> None:
    """As bash's `<(zcat file.gz)`: what was counted beforehand would not be there to read."""
    files = [folder / f"valid.{language}" for language in ("en", "de")]
    pipes = [folder / f"pipe.{language}" for language in ("en", "de")]

    def words(one: Path, other: Path, out: str) -> list[str]:
        given = {
            "translate": ["run/best", "--input", str(one)],
            "tokenizer train": f"--text {one} {other} --vocab-size 300 --out {out}".split(),
        }.get(verb, ["run/best", "--source", str(one), "--target", str(other)])
        return [*verb.split(), *given, *(["--json"] if "evaluate" in verb else [])]

    expected = triptych(folder, *words(*files, "tok"))
    for pipe in pipes:
        os.mkfifo(pipe)
    writers = [
        subprocess.Popen(["sh", "-c", f'cat "{file}" > "{pipe}"'])
        for file, pipe in zip(files, pipes, strict=True)
    ]
    try:
        found = triptych(folder, *words(*pipes, "tok-piped"))
    finally:
        for writer, pipe in zip(writers, pipes, strict=True):
            writer.kill()
            writer.wait()
            pipe.unlink()
    assert found.returncode == expected.returncode == 0, found.stderr
    if verb == "tokenizer train":
        names = ("tok/tokenizer.json", "tok-piped/tokenizer.json")
        assert len({(folder / name).read_text() for name in names}) == 1
    elif verb == "evaluate translation":
        one, other = json.loads(expected.stdout), json.loads(found.stdout)
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    else:
        assert found.stdout == expected.stdout
        assert len(found.stdout.splitlines()) == len(files[0].read_text().splitlines())


@pytest.mark.slow
def test_score_prefers_the_translation_of_the_same_sentence(folder: Path) -> None:
    score = ("score", "run/best", "--source", "valid.en", "--target")
    own = triptych(folder, *score, "valid.de").stdout.split()
    (folder / "other.de").write_text("This is no German at all, not a word.\n" * 10)
    other = triptych(folder, *score, "other.de").stdout.split()
    assert len(own) == len(other) == 10
    assert sum(map(float, own)) > sum(map(float, other))


@pytest.mark.slow
def test_evaluate_agrees_with_what_training_found(folder: Path) -> None:
    words = ["--source", "valid.en", "--target", "valid.de", "--beam-size", "1", "--json"]
    done = triptych(folder, "evaluate", "translation", "run/best", *words)
    found = json.loads(done.stdout)
    rows = metrics(folder)
    best = max(row["valid_bleu"] for row in rows if "valid_bleu" in row)
    assert found["n"] == 10
    assert found["bleu"] == pytest.approx(best)
    assert "case:mixed" in found["bleu_signature"]


@pytest.mark.slow
def test_converted_folder_translates_the_same(folder: Path) -> None:
    done = triptych(folder, "convert", "run/checkpoints/step-000024", "hf", "--to", "huggingface")
    assert done.returncode == 0, done.stderr
    assert "MarianMTModel" in done.stdout
    assert not list((folder / "hf").glob("*optim*"))
    text = (folder / "valid.en").read_text()
    outputs = [
        triptych(folder, "translate", name, "--beam-size", "1", stdin=text).stdout
        for name in ("hf", "run/last")
    ]
    assert outputs[0] == outputs[1] != ""


@pytest.mark.slow
def test_quick_demo_shows_three_panels(tmp_path: Path) -> None:
    done = triptych(tmp_path, "demo", "--quick", "--out", "demo", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "demo" / "results.json").read_text())
    assert found["translation"]["bleu"] > 20
    assert found["encoder"]["masked_words"]["limit"] > 0.75
    assert 1 < found["generator"]["stories"]["ratio"] < 4
    for name in ("alignment.png", "senses.png"):
        assert (tmp_path / "demo" / name).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "Translator: alignment" in page
    assert "Encoder: one word, two vectors" in page
    assert "Generator: how near to the grammar" in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    words = next(line for line in done.stdout.splitlines() if "triptych fill " in line)
    filled = triptych(tmp_path, *shlex.split(words)[1:])
    assert filled.returncode == 0, filled.stderr
    assert len(filled.stdout.splitlines()) == 5
    words = next(line for line in done.stdout.splitlines() if "triptych generate " in line)
    told = triptych(tmp_path, *shlex.split(words)[1:])
    assert told.returncode == 0, told.stderr
