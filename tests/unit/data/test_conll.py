"""Tagged sentences: forms, places, and broken files."""

from pathlib import Path

import pytest

from triptych.data.conll import read_tagged
from triptych.errors import DataError


def write(folder: Path, content: str) -> str:
    path = folder / "t.conll"
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_tabs_with_comments_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "# text = a b\n\n\nNew York\tB-loc\n#tag\tO\n\n \nx\tO\n\n")
    first, second = read_tagged([path])
    assert (first.words, first.tags) == (["New York", "#tag"], ["B-loc", "O"])
    assert [first.place(i) for i in range(2)] == [f"{path}:4", f"{path}:5"]
    assert (second.words, second.place()) == (["x"], f"{path}:8")


def test_spaces_and_document_starts(tmp_path: Path) -> None:
    path = write(tmp_path, "-DOCSTART- -X- -X- O\n\nEU NNP I-NP B-ORG\n# # # O\n")
    (sentence,) = read_tagged([path])
    assert (sentence.words, sentence.tags) == (["EU", "#"], ["B-ORG", "O"])


def test_chosen_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "1\tdogs\tdog\tNOUN\t_\n2\tbark\tbark\tVERB\t_\n")
    (sentence,) = read_tagged([path], 2, 4)
    assert (sentence.words, sentence.tags) == (["dogs", "bark"], ["NOUN", "VERB"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no sentence"),
        ("\n\n", "has no sentence"),
        ("a\tO\nb\n", r"t.conll:2: columns: 1, but at least 2"),
        ("a\tO\n#b\n", r"t.conll:2: columns: 1"),
        ("a\tO\nb\tx\tO\n", r"t.conll:2: columns: 3, but 2 in line 1"),
        ("a\tO\nb\t \n", r"t.conll:2: the word or its tag is empty"),
        ("a\tO\n\tO\n", r"t.conll:2: the word or its tag is empty"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_tagged([write(tmp_path, content)])


def test_real_sentences(data_dir: Path) -> None:
    found = read_tagged([str(data_dir / "wnut17" / "wnut17train.conll")])
    assert len(found) == 3394
    assert sum(len(sentence.words) for sentence in found) == 62730


def test_lines_of_conll_u_that_are_no_words(tmp_path: Path) -> None:
    begun = ["1-2 don't _ _", "1 do do AUX", "2 n't not PART", "2.1 go go VERB", "3 10-12 _ NUM"]
    lines = ["\t".join([*line.split(), *"______"]) + "\n" for line in begun]
    (sentence,) = read_tagged([write(tmp_path, "".join(lines))], 2, 4)
    assert (sentence.words, sentence.tags) == (["do", "n't", "10-12"], ["AUX", "PART", "NUM"])
    assert sentence.lines == [2, 3, 5]
    first, *_ = read_tagged([write(tmp_path, "".join(lines))])
    assert first.words == ["1-2", "1", "2", "2.1", "3"]  # here the first column is the word
