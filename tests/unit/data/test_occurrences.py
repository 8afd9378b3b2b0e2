"""A word in each line of a file."""

from pathlib import Path

import pytest

from triptych.data.occurrences import read_occurrences
from triptych.errors import DataError, UsageError


def test_the_word_is_found_in_each_line(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("The Bank.\nembankment or bank\n")
    found = read_occurrences(path, "bank")
    assert [o.text[o.start : o.end] for o in found] == ["Bank", "bank"]
    assert [o.place for o in found] == [f"{path}:1", f"{path}:2"]
    assert [o.sense for o in found] == [None, None]
    path.write_text("a bank\tmoney\na bank\t river \n")
    assert [o.sense for o in read_occurrences(path, "bank")] == ["money", "river"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a bank\nan embankment\n", r"s\.txt:2 does not hold the word 'bank': 'an embankment'"),
        ("a bank\n\n", r"s\.txt:2 does not hold"),
        ("", "has no lines"),
        ("a bank\tx\ty\n", r"s\.txt:1 has 2 tabs"),
        ("a bank\tx\na bank\n", r"s\.txt:2 names no sense and .*s\.txt:1 does"),
        ("a bank\na bank\tx\n", r"s\.txt:1 names no sense and .*s\.txt:2 does"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s.txt").write_text(text)
    with pytest.raises(DataError, match=words):
        read_occurrences(tmp_path / "s.txt", "bank")


def test_an_empty_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        read_occurrences(tmp_path / "s.txt", " ")
