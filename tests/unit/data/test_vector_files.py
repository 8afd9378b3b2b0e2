"""Files of vectors: against gensim's reader and writer, and damage that is named."""

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from triptych.data.vector_files import VectorFormat, read_vectors, write_vectors
from triptych.errors import DataError, UsageError

WORDS = ["the", "naïve", "12", "don't", "漢字"]
FORMATS: list[VectorFormat] = ["word2vec", "word2vec-binary", "glove"]


@pytest.fixture
def matrix() -> np.ndarray:
    random = np.random.default_rng(2)
    matrix = random.normal(size=(5, 7)).astype(np.float32) * 10.0 ** random.integers(
        -20, 20, (5, 1)
    )
    return matrix.astype(np.float32)


@pytest.mark.parametrize("kind", FORMATS)
def test_round_trip_keeps_every_bit(tmp_path: Path, kind: VectorFormat, matrix: np.ndarray) -> None:
    write_vectors(tmp_path / "v", WORDS, matrix, kind)
    words, found = read_vectors(tmp_path / "v")
    assert words == WORDS
    assert found.dtype == np.float32
    assert np.array_equal(found, matrix)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file left open
@pytest.mark.parametrize("kind", FORMATS)
def test_gensim_reads_what_we_write(tmp_path: Path, kind: VectorFormat, matrix: np.ndarray) -> None:
    write_vectors(tmp_path / "v", WORDS, matrix, kind)
    theirs = KeyedVectors.load_word2vec_format(
        str(tmp_path / "v"), binary=kind == "word2vec-binary", no_header=kind == "glove"
    )
    assert theirs.index_to_key == WORDS
    assert np.array_equal(theirs.vectors, matrix)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_we_read_what_gensim_writes(
    tmp_path: Path, binary: bool, header: bool, matrix: np.ndarray
) -> None:
    if binary and not header:
        pytest.skip("a binary file without its sizes cannot be read by anyone")
    theirs = KeyedVectors(7)
    theirs.add_vectors(WORDS, matrix)
    theirs.save_word2vec_format(str(tmp_path / "v"), binary=binary, write_header=header)
    words, found = read_vectors(tmp_path / "v")
    assert words == WORDS
    np.testing.assert_allclose(found, matrix, rtol=1e-6)


@pytest.mark.parametrize("width", [1, 2, 3, 64])
@pytest.mark.parametrize("kind", FORMATS[:2])
def test_any_width(tmp_path: Path, kind: VectorFormat, width: int) -> None:
    matrix = np.random.default_rng(width).normal(size=(2, width)).astype(np.float32)
    write_vectors(tmp_path / "v", ["a", "b"], matrix, kind)
    assert np.array_equal(read_vectors(tmp_path / "v")[1], matrix)


@pytest.mark.parametrize("kind", FORMATS)
def test_reading_holds_the_matrix_once(tmp_path: Path, kind: VectorFormat) -> None:
    matrix = np.random.default_rng(1).normal(size=(500, 512)).astype(np.float32)
    write_vectors(tmp_path / "v", [f"w{i}" for i in range(500)], matrix, kind)
    tracemalloc.start()
    try:
        _, found = read_vectors(tmp_path / "v")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(found, matrix)
    assert peak < 1.6 * matrix.nbytes


def test_compressed(tmp_path: Path) -> None:
    (tmp_path / "v.txt.gz").write_bytes(gzip.compress(b"2 2\na 1 2\nb 3 4\n"))
    words, found = read_vectors(tmp_path / "v.txt.gz")
    assert (words, found.tolist()) == (["a", "b"], [[1, 2], [3, 4]])


def test_words_with_spaces_as_gloves_have(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("the 1 2\n. . . 3 4\n")
    assert read_vectors(tmp_path / "v")[0] == ["the", ". . ."]


def test_the_first_of_equal_words_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "v").write_text("the 1 2\na 3 4\nthe 5 6\n")
    words, found = read_vectors(tmp_path / "v")
    assert (words, found.tolist()) == (["the", "a"], [[1, 2], [3, 4]])
    assert "1 words occur more than once" in caplog.text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "v is empty"),
        (b"the\n", "v:1: 0 numbers after the word, where some are needed"),
        (b"the 1 2 3\na 1 2\n", "v:2: 2 numbers after the word, where 3 are needed"),
        (b"2 3\nthe 1 2 3\na 1 x 3\n", "v:3: 'x' should be a number"),
        (b"2 3\nthe 1 2 3\na 1 nan 3\n", "v:3: the vector holds a value that is no finite"),
        (b"3 3\nthe 1 2 3\na 1 2 3\n", "v:1: 3 words are promised, and 2 lines follow"),
        (b"1 3\nthe 1 2 3\na 1 2 3\n", "v:1: 1 words are promised, and 2 lines follow"),
        (b"the 1 2\na\xff 1 2\n", "v:2: byte 1 of the line"),
        (b"0 3\n", "v:1: 0 words of 3 numbers"),
        (b"1 99999999999\na 1\n", "v:1: 99,999,999,999 numbers a word are too many"),
        (b"a 1 2 3\nb 1 2 3 4\n", "v:2: more than 3 numbers after the word"),
        (b"2 3\na 1 2 3\nb -1e-5 2 3 4\n", "v:3: more than 3 numbers after the word"),
        (b"<html>\n", "v:1: 0 numbers after the word"),
    ],
)
def test_damaged_text_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_vectors(tmp_path / "v")


def test_damaged_binary_is_named(tmp_path: Path, matrix: np.ndarray) -> None:
    path = tmp_path / "v"
    write_vectors(path, WORDS, matrix, "word2vec-binary")
    whole = path.read_bytes()
    for end, expected in ((-6, "word 5 of 5: the file ends"), (-30, "word 5 of 5: the file is cut"),
                          (60, "word 2 of 5")):  # fmt: skip
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=expected):
            read_vectors(path)
    for rest in (b"rest", b"\nrest"):
        path.write_bytes(whole + rest)
        with pytest.raises(DataError, match="more follows its 5 words"):
            read_vectors(path)
    matrix[2, 1] = np.inf
    write_vectors(path, WORDS, matrix, "word2vec-binary")
    with pytest.raises(DataError, match="word 3 of 5: the vector holds"):
        read_vectors(path)


@pytest.mark.parametrize(("word", "kind"), [("", "glove"), ("a\nb", "word2vec"),
                                            ("a b", "word2vec-binary"), ("a b", "glove"),
                                            ("route 66", "word2vec"), ("\ud800", "word2vec"),
                                            ("\ufeffa", "glove")])  # fmt: skip
def test_a_word_that_the_format_cannot_hold(tmp_path: Path, word: str, kind: VectorFormat) -> None:
    with pytest.raises(DataError, match="cannot be written in the format"):
        write_vectors(tmp_path / "v", [word], np.ones((1, 2), dtype=np.float32), kind)
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("kind", FORMATS[:2])
@pytest.mark.parametrize(
    "words", [["<pad>", "é", "b"], ["a", "，", "漢字"], ["rio\u00a0são", "é", "b"]]
)
def test_short_numbers_are_no_binary_file(
    tmp_path: Path, kind: VectorFormat, words: list[str]
) -> None:
    """Words that are not ASCII follow within the bytes that a binary vector would have."""
    matrix = np.arange(9, dtype=np.float32).reshape(3, 3)
    matrix[0] = 0
    write_vectors(tmp_path / "v", words, matrix, kind)
    assert read_vectors(tmp_path / "v")[0] == words
    assert np.array_equal(read_vectors(tmp_path / "v")[1], matrix)


def test_a_word_with_spaces_may_begin_a_text_with_a_header(tmp_path: Path) -> None:
    write_vectors(tmp_path / "v", ["rio são", "b"], np.eye(2, dtype=np.float32))
    assert read_vectors(tmp_path / "v")[0] == ["rio são", "b"]


@pytest.mark.parametrize("content", ["2 2\na 1 2\nb 3 4\n", "a 1 2\nb 3 4\n"])
def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "v").write_text(content, encoding="utf-8-sig")
    words, found = read_vectors(tmp_path / "v")
    assert (words, found.tolist()) == (["a", "b"], [[1, 2], [3, 4]])


def test_a_compressed_name_is_refused(tmp_path: Path, matrix: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"v\.gz is named as if compressed.*leave out \.gz"):
        write_vectors(tmp_path / "v.gz", WORDS, matrix)
