"""Word vectors as a person makes and asks them, from text to tables of scores."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from triptych.cli.main import main
from triptych.recipes.vectors_folder import load_vectors

KINDS = {
    "animal": (["frog", "toad", "lizard", "snake"], ["hops", "sleeps", "swims"]),
    "city": (["paris", "rome", "berlin", "madrid"], ["grows", "votes", "builds"]),
}


def story(path: Path, n_lines: int, seed: int = 0) -> None:
    """The words of a kind do the same things; nothing else tells them apart."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(n_lines):
        nouns, verbs = KINDS[str(random.choice(list(KINDS)))]
        lines.append(
            f"The {random.choice(nouns)} {random.choice(verbs)} and {random.choice(verbs)}."
        )
    path.write_text("\n".join(lines) + "\n")


WORD2VEC = ["train", "word2vec", "--d-model", "10", "--epochs", "20", "--subsample", "0"]
CBOW = [*WORD2VEC, "--architecture", "cbow", "--epochs", "60"]
GLOVE = ["train", "glove", "--d-model", "10", "--epochs", "40", "--x-max", "20", "--window", "4"]
WAYS = {"skip-gram": WORD2VEC, "cbow": CBOW, "glove": GLOVE}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    story(folder / "text.txt", 1500)
    for name, words in WAYS.items():
        text = ["--text", str(folder / "text.txt"), "--out", str(folder / name), "--quiet"]
        assert main([*words, *text]) == 0
    return folder


def said(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> tuple[str, str]:
    assert main([str(word) for word in words]) == status
    found = capsys.readouterr()
    return found.out, found.err


@pytest.mark.parametrize("way", WAYS)
def test_words_of_a_kind_are_nearest(
    folder: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nouns = {word for words, _ in KINDS.values() for word in words}
    for words, _ in KINDS.values():
        for word in words:
            out, _ = said(capsys, "neighbors", folder / way, word, "--top-k", "20", "--json")
            found = [json.loads(line) for line in out.splitlines()]
            assert [n["cosine"] for n in found] == sorted(
                (n["cosine"] for n in found), reverse=True
            )
            near = [n["word"] for n in found if n["word"] in nouns]
            assert set(near[:3]) == set(words) - {word}


def test_by_distance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "neighbors", folder / "glove", "frog", "--by", "euclidean")
    rows = [line.split() for line in out.splitlines()]
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)
    assert len(rows) == 10


@pytest.mark.parametrize("way", WAYS)
def test_the_same_command_gives_the_same_vectors(folder: Path, tmp_path: Path, way: str) -> None:
    """From the recipe in the model card alone, read in parts of a small memory."""
    card = (folder / way / "README.md").read_text()
    recipe = card.split("```toml\n")[1].split("```")[0]
    tomllib.loads(recipe)
    (tmp_path / "run.toml").write_text(recipe)
    words = ["train", "glove" if way == "glove" else "word2vec", "--quiet"]
    small = ["--memory", "0.001"] if way == "glove" else []
    assert main([*words, *small, "--config", str(tmp_path / "run.toml"), "--out",
                 str(tmp_path / "again")]) == 0  # fmt: skip
    first, again = load_vectors(folder / way), load_vectors(tmp_path / "again")
    assert first.words == again.words
    if way != "glove":
        assert np.array_equal(first.vectors, again.vectors)
    else:  # a smaller memory divides the counts otherwise, so that they come in another order
        assert first.notes["report"]["n_cells"] == again.notes["report"]["n_cells"]


def test_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story(tmp_path / "text.txt", 200)
    out, err = said(
        capsys, *GLOVE, "--text", tmp_path / "text.txt", "--out", tmp_path / "v", "--workers", "2",
        "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert set(report) == {
        "out", "kind", "n_words", "n_distinct", "vocab_size", "d_model", "epochs", "seconds",
        "cpu_seconds", "costs", "n_cells", "peak_bytes", "words_per_second",
    }  # fmt: skip
    assert (report["n_words"], report["vocab_size"]) == (1000, 16)
    assert len(report["costs"]) == 40
    assert "with several workers the vectors differ a little from run to run" in err
    assert "pairs of words" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt", "v"]


def test_evaluation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = folder / "pairs.tsv"
    pairs.write_text("frog\ttoad\t9\nfrog\trome\t1\nParis\tBerlin\t9\nsnake\tmadrid\t2\nx\ty\t1\n")
    out, _ = said(
        capsys, "evaluate", "word-similarity", folder / "glove", "--data", pairs, "--json"
    )
    scores = json.loads(out)
    assert set(scores) == {"by", "sets"}
    (found,) = scores["sets"]
    assert set(found) == {"data", "spearman", "pearson", "n", "n_pairs", "coverage", "unknown"}
    assert (found["n"], found["n_pairs"], found["coverage"]) == (4, 5, 0.8)
    assert found["unknown"] == ["x", "y"]
    assert found["spearman"] > 0.7
    out, _ = said(capsys, "evaluate", "word-similarity", folder / "glove", "--data", pairs)
    assert "4 of 5 (80.0%)" in out
    questions = folder / "questions.txt"
    questions.write_text(": kin\nfrog toad rome paris\nx toad rome paris\n: gram1\na b c d\n")
    out, _ = said(capsys, "evaluate", "analogies", folder / "glove", "--data", questions, "--json")
    scores = json.loads(out)
    assert set(scores) == {
        "accuracy", "accuracy_of_all", "n_correct", "n", "n_all", "semantic", "syntactic",
        "sections", "vocab_size", "method", "seconds",
    }  # fmt: skip
    assert (scores["n"], scores["n_all"]) == (1, 3)
    assert scores["sections"]["kin"]["n_all"] == 2
    assert scores["syntactic"]["n_all"] == 1
    out, _ = said(capsys, "evaluate", "analogies", folder / "glove", "--data", questions)
    assert "1 of 2" in out


def test_analogy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(
        capsys, "analogy", folder / "skip-gram", "frog", "toad", "rome", "--top-k", "3", "--json"
    )
    found = [json.loads(line)["word"] for line in out.splitlines()]
    assert len(found) == 3
    assert set(found) & {"paris", "berlin", "madrid"}


def test_conversion_changes_no_answer(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = said(capsys, "neighbors", folder / "glove", "frog")
    for to in ("word2vec", "word2vec-binary", "glove"):
        out, _ = said(capsys, "convert", folder / "glove", tmp_path / to, "--to", to)
        assert "words, 10 wide" in out
        assert said(capsys, "neighbors", tmp_path / to, "frog")[0] == expected
    said(capsys, "convert", tmp_path / "glove", tmp_path / "back", "--to", "vectors")
    assert said(capsys, "neighbors", tmp_path / "back", "frog")[0] == expected


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["neighbors", "FOLDER/glove", "forg"], 3, "'forg' is not among the 16 words; did you"),
        (["neighbors", "FOLDER/glove", "frog", "--by", "taxi"], 2, "one of 'cosine', 'euclidean'"),
        (["neighbors", "nowhere", "frog"], 3, "no word vectors at nowhere"),
        (["neighbors", "broken.txt", "frog"], 3, "broken.txt:2: 1 numbers after the word"),
        (["analogy", "FOLDER/glove", "frog", "toad", "xx"], 3, "'xx' is not among"),
        (["evaluate", "analogies", "FOLDER/glove", "--data", "broken.txt"], 3, "broken.txt:1:"),
        (["evaluate", "word-similarity", "FOLDER/glove", "--data", "pairs.txt"], 3,
         "pairs.txt: of 2 pairs 0 have both words"),
        ([*GLOVE, "--text", "one.txt", "--out", "v"], 3, "a single distinct word, 'frog'"),
        ([*WORD2VEC, "--text", "one.txt", "--out", "v"], 3, "a single distinct word, 'frog'"),
        ([*GLOVE, "--text", "broken.txt", "--out", "v"], 3, "lower min_count"),
        ([*GLOVE, "--text", "lines.txt", "--out", "v"], 3, "no two words stand in one line"),
        ([*GLOVE, "--text", "broken.txt", "--out", "v", "--window", "21"], 2, "at most 20"),
        ([*GLOVE, "--text", "broken.txt", "--out", "FOLDER/glove"], 2, "glove exists"),
        ([*GLOVE, "--text", "nowhere.txt", "--out", "v"], 3, "there is no file nowhere.txt"),
        (["similarity", "FOLDER/glove", "a", "b"], 3, "is word vectors; this needs an encoder"),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence(
    words: list[str], status: int, expected: str, folder: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("broken.txt").write_text("frog 1 2\ntoad 1\n")
    Path("lines.txt").write_text("frog\ntoad\n" * 9)
    Path("one.txt").write_text("frog frog frog\nFrog, frog!\n")
    Path("pairs.txt").write_text("xx yy 1\nyy xx 2\n")
    given = [word.replace("FOLDER", str(folder)) for word in words]
    _, err = said(capsys, *given, status=status)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert "Traceback" not in err
    assert not Path("v").exists()
