"""The encoder's commands as a person types them, from documents to vectors and blanks filled in."""

import json
from pathlib import Path

import numpy as np
import pytest

from triptych.cli.main import main
from triptych.recipes.encoder import Encoder

STORY = "the {0} sat by the river .\nthe {0} saw a boat on the bank .\nit was a good day ."


def write_documents(path: Path, n: int) -> None:
    animals = ["cat", "dog", "bird", "seal", "mole", "crane"]
    path.write_text("\n\n".join(STORY.format(animals[i % 6]) for i in range(n)) + "\n")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    write_documents(folder / "train.txt", 60)
    write_documents(folder / "valid.txt", 12)
    status = main([*train(folder), "--out", str(folder / "run"), "--quiet"])
    assert status == 0
    return folder / "run" / "best"


def train(folder: Path) -> list[str]:
    return [
        "train", "bert", "--text", str(folder / "train.txt"), "--valid-text",
        str(folder / "valid.txt"), "--language", "lines", "--vocab-size", "90", "--preset", "tiny",
        "--batch-size", "16", "--max-updates", "8", "--warmup", "2", "--validate-every", "4",
        "--device", "cpu",
    ]  # fmt: skip


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    assert main(list(words)) == status
    found = capsys.readouterr()
    return found.out, found.err


def test_fill(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "fill", str(model), "the [MASK] sat by the [MASK] .", "--top-k", "3")
    assert len(out.splitlines()) == 3
    out, _ = said(
        capsys, "fill", str(model), "the [MASK] sat .", "--candidates", "cat", "dogs", "--json"
    )
    found = [json.loads(line) for line in out.splitlines()]
    assert sorted(filling["words"][0] for filling in found) == ["cat", "dogs"]


def test_embed_and_search(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("the cat sat .\n\na boat\n")
    vectors = tmp_path / "vectors.npy"
    out, _ = said(
        capsys, "embed", str(model), "--input", str(texts), "--out", str(vectors), "--normalize"
    )
    assert out == f"{vectors}: 3 vectors of 128\n"
    matrix = np.load(vectors, allow_pickle=False)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)
    out, _ = said(
        capsys, "search", str(model), "--corpus", str(texts), "--query", "a boat", "--top-k", "1",
        "--json",
    )  # fmt: skip
    assert json.loads(out) | {"cosine": 0} == {"line": 3, "cosine": 0, "text": "a boat"}
    assert json.loads(out)["cosine"] == pytest.approx(1, abs=1e-5)


def test_embed_makes_the_folder_of_its_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or says that it cannot before the first text is embedded."""
    (tmp_path / "texts.txt").write_text("a boat\n")
    words = ["embed", str(model), "--input", str(tmp_path / "texts.txt"), "--out"]
    said(capsys, *words, str(tmp_path / "new" / "deep" / "x.npy"))
    assert [path.name for path in (tmp_path / "new" / "deep").iterdir()] == ["x.npy"]
    monkeypatch.delattr(Encoder, "embed")
    wrong = tmp_path / "texts.txt" / "x.npy"
    assert f"cannot write {wrong}: " in said(capsys, *words, str(wrong), status=5)[1]


def test_search_of_vectors(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as of their texts, with and without these."""
    texts, vectors = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    texts.write_text("the cat sat .\na boat\nthe river\n")
    said(capsys, "embed", str(model), "--input", str(texts), "--out", str(vectors))
    search = ["search", str(model), "--query", "a boat", "--top-k", "2"]
    expected, _ = said(capsys, *search, "--corpus", str(texts))
    both = said(capsys, *search, "--corpus", str(texts), "--vectors", str(vectors))[0]
    assert both == expected
    assert both.splitlines()[0].split() == ["1.0000", "2", "a", "boat"]
    alone = said(capsys, *search, "--vectors", str(vectors))[0]
    assert alone.splitlines()[0].split() == ["1.0000", "2"]
    out, _ = said(capsys, *search, "--vectors", str(vectors), "--json")
    assert json.loads(out.splitlines()[0])["text"] is None


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.zeros((2, 128), np.float32), "has 3 lines and vectors.npy 2 rows"),
        (np.zeros((3, 7), np.float32), "both must come from one model"),
        (np.full((3, 128), np.nan, np.float32), "vectors.npy, row 0 (from 0), has the length nan"),
        (np.zeros((0, 128), np.float32), "holds no matrix of floats"),
        (np.zeros(128, np.float32), "holds no matrix of floats"),
        (np.zeros((3, 128), np.int64), "holds no matrix of floats"),
        (None, "there is no file vectors.npy"),
    ],
)
def test_vectors_that_cannot_be_searched(
    matrix: np.ndarray | None, expected: str, model: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("one\ntwo\nthree\n")
    if matrix is not None:
        np.save("vectors.npy", matrix)
    words = ["--corpus", "texts.txt", "--vectors", "vectors.npy", "--query", "a boat"]
    assert expected in said(capsys, "search", str(model), *words, status=3)[1]


def test_a_damaged_matrix_is_said(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "vectors.npy"
    np.save(path, np.zeros((3, 128), np.float32))
    for content in (b"", b"text\n", path.read_bytes()[:300]):
        path.write_bytes(content)
        words = ["search", str(model), "--vectors", str(path), "--query", "a boat"]
        assert f"{path} is no .npy file" in said(capsys, *words, status=3)[1]


def test_similarity(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "similarity", str(model), "the cat", "the cat")
    assert float(out) == pytest.approx(1, abs=1e-5)
    assert json.loads(said(capsys, "similarity", str(model), "a", "b", "--json")[0])["cosine"] <= 1


def test_the_keys_of_json_are_documented(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").write_text("a boat\n")
    page = (Path(__file__).parents[2] / "docs" / "encoder.md").read_text()
    for verb, *words in (
        ["fill", "the [MASK] sat ."],
        ["search", "--corpus", str(tmp_path / "texts.txt"), "--query", "a"],
        ["similarity", "a", "b"],
    ):
        out, _ = said(capsys, verb, str(model), *words, "--json")
        for key in json.loads(out.splitlines()[0]):
            assert f"`{key}`" in page, key


def test_tokens_are_shown(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "tokenizer", "show", str(model), "The river")
    assert "[CLS]" in out
    assert "river" in out


def test_converted_it_is_the_same(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = said(capsys, "convert", str(model), str(tmp_path / "out"), "--to", "huggingface")
    assert "BertForPreTraining with" in out
    first = said(capsys, "fill", str(model), "the [MASK] sat .")[0]
    assert said(capsys, "fill", str(tmp_path / "out"), "the [MASK] sat .")[0] == first


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("", 3, "0 lines and no text in them"),
        ("one\ntwo\nthree\n", 3, "train.txt:1: a single document begins here"),
        (None, 3, "there is no file"),
    ],
)
def test_a_corpus_that_cannot_be_is_refused(
    text: str | None, status: int, expected: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_documents(tmp_path / "valid.txt", 4)
    if text is not None:
        (tmp_path / "train.txt").write_text(text)
    _, err = said(capsys, *train(tmp_path), "--out", str(tmp_path / "run"), status=status)
    assert expected in err
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "tokenizer").exists()


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["fill", "MODEL", "no blank here"], 3, "there is no [MASK]"),
        (["fill", "MODEL", "a [MASK]", "--top-k", "0"], 2, "at least 1"),
        (["search", "MODEL", "--corpus", "LONG", "--query", "a", "--top-k", "-1"], 2, "at least 1"),
        (["search", "MODEL", "--query", "a"], 2, "needs --corpus, a text file, or --vectors"),
        (["search", "MODEL", "--corpus", "EMPTY", "--query", "cat"], 3, "empty.txt has no lines"),
        (["embed", "MODEL", "--input", "nowhere.txt", "--out", "x.npy"], 3, "there is no file"),
        (["embed", "MODEL", "--input", "LONG", "--out", "x.npy", "--on-too-long", "refuse"], 3,
         "long.txt:2: 702 tokens, more than this model's limit of 512"),
        (["translate", "MODEL", "--input", "LONG"], 3, "is an encoder; this needs a translation"),
        (["search", "MODEL", "--corpus", "LONG", "--query", " "], 3, "the query has no tokens"),
        (["similarity", "MODEL", "", ""], 3, "pair 1: the first text has no tokens"),
        (["similarity", "nowhere", "a", "b"], 3, "there is no model folder at nowhere"),
    ],
)  # fmt: skip
def test_mistakes_get_one_sentence(
    words: list[str], status: int, expected: str, model: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.txt").write_text("short\n" + "cat " * 700 + "\n")
    (tmp_path / "empty.txt").touch()
    places = {"MODEL": str(model), "LONG": "long.txt", "EMPTY": "empty.txt"}
    _, err = said(capsys, *(places.get(word, word) for word in words), status=status)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert not (tmp_path / "x.npy").exists()


def test_ten_megabytes_in_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "huge.txt").write_text("the cat sat by the river " * 420_000 + "\n")
    _, err = said(
        capsys, "embed", str(model), "--input", str(tmp_path / "huge.txt"), "--out",
        str(tmp_path / "x.npy"), "--quiet",
    )  # fmt: skip
    assert "1 of 1 texts are longer than 512 tokens and were cut there" in err
    assert np.load(tmp_path / "x.npy", allow_pickle=False).shape == (1, 128)
