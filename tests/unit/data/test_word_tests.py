"""Rated pairs and analogies, as their authors give them."""

from pathlib import Path

import pytest

from triptych.data.word_tests import Analogy, RatedPair, read_analogies, read_rated_pairs
from triptych.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "sun\tday\t9.5\ncat\tcar\t1\n",
        "Word 1,Word 2,Human (mean)\nsun,day,9.5\ncat,car,1\n",
        "word1\tword2\tPOS\tSimLex999\tconc(w1)\nsun\tday\tN\t9.5\t2\ncat\tcar\tN\t1\t2\n",
        "sun-n day-n 9.5\ncat-n car-n 1\n",
        "# a remark\nsun;day;9.5\r\n\ncat;car;1\n",
    ],
)
def test_the_usual_forms(tmp_path: Path, text: str) -> None:
    (tmp_path / "t").write_text(text, newline="")
    assert read_rated_pairs(tmp_path / "t") == [
        RatedPair("sun", "day", 9.5),
        RatedPair("cat", "car", 1.0),
    ]


def test_hyphens_within_words_stay(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("sun-n day 9.5\ncat car 1\n")
    assert read_rated_pairs(tmp_path / "t")[0].one == "sun-n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", "has 0 rated pairs"), ("a b 1\n", "has 1 rated pairs"), ("a b 1\na b\n", "t:2: 'a b'"),
     ("a b 1\na b c\n", "t:2: 'a b c' is not"), ("a b\na b 1\n", "t:1: 'a b' is not"),
     ("a b 1\na c nan\na d 2\n", "t:2: the rating of 'a' and 'c' is nan"),
     ("a,b,-inf\na,c,1\n", "t:1: the rating of 'a' and 'b' is -inf")],
)  # fmt: skip
def test_broken_pairs_are_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(DataError, match=expected):
        read_rated_pairs(tmp_path / "t")


def test_analogies_by_section(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a b c d\n: family\nboy girl king queen\n\n")
    assert read_analogies(tmp_path / "t") == [
        Analogy("", "a", "b", "c", "d"),
        Analogy("family", "boy", "girl", "king", "queen"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(": s\n", "holds no analogy"), (": s\na b c\n", "t:2: 'a b c' has 3 words")],
)
def test_broken_analogies_are_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(DataError, match=expected):
        read_analogies(tmp_path / "t")


def test_the_real_files(data_dir: Path) -> None:
    folder = data_dir / "word_similarity"
    sizes = {"EN-WS-353-ALL.txt": 353, "EN-SIMLEX-999.txt": 999, "EN-MEN-TR-3k.txt": 3000}
    assert {name: len(read_rated_pairs(folder / name)) for name in sizes} == sizes
    analogies = read_analogies(folder / "questions-words.txt")
    assert len(analogies) == 19_544
    assert len({analogy.section for analogy in analogies}) == 14
