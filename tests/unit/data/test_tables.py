"""Tables of labelled texts: their forms, what is found by itself, and what is refused."""

import csv
import logging
from collections import Counter
from pathlib import Path

import pytest

from triptych.data import tables
from triptych.data.labelled_texts import (
    Columns,
    known_label,
    ordered_labels,
    read_labelled_texts,
)
from triptych.data.tables import Row, read_rows
from triptych.errors import DataError, UsageError


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(folder: Path, name: str, content: str | bytes, numeric: bool = False, **columns: str):  # type: ignore[no-untyped-def]
    path = write(folder, name, content)
    found = read_labelled_texts([path], Columns(**columns), numeric=numeric)  # type: ignore[arg-type]
    return [(e.text, e.pair, e.label) for e in found]


# -- forms --------------------------------------------------------------------------------------


def test_two_columns_are_text_and_label(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert read(tmp_path, "a.tsv", "good film\t1\r\nbad\t0\n") == [
        ("good film", None, "1"), ("bad", None, "0")
    ]  # fmt: skip
    assert "a.tsv: no header; text from column 1, label from column 2" in caplog.text


def test_three_columns_are_a_pair_and_its_label(tmp_path: Path) -> None:
    found = read(tmp_path, "a.csv", '"a, b",c,5.0\r\n"said ""x""","two\nlines",3\r\n', True)
    assert found == [("a, b", "c", "5.0"), ('said "x"', "two\nlines", "3")]


def test_a_header_of_known_names_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    mrpc = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tx y\tz\n0\t7\t8\tu\tv\n"
    assert read(tmp_path, "a.txt", mrpc) == [("x y", "z", "1"), ("u", "v", "0")]
    assert "line 1 is a header; text from column 4 (#1 String)" in caplog.text


def test_columns_by_name_or_number(tmp_path: Path) -> None:
    table = "id\tkind\tbody\n1\tx\tone\n2\ty\ttwo\n"
    expected = [("one", None, "x"), ("two", None, "y")]
    assert read(tmp_path, "a.tsv", table, text="Body", label="KIND") == expected
    assert read(tmp_path, "a.tsv", table, text="3", label="2", header="yes") == expected
    no_header = read(tmp_path, "a.tsv", table, text="3", label="2")
    assert no_header == [("body", None, "kind"), *expected]


def test_a_regression_finds_a_header_above_numbers(tmp_path: Path) -> None:
    table = "first\tsecond\tstars\na\tb\t1.5\nc\td\t2\n"
    assert read(tmp_path, "a.tsv", table, numeric=True) == [("a", "b", "1.5"), ("c", "d", "2")]


def test_trec_in_its_own_encoding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    lines = "DESC:manner How ?\nLOC:city Where is Orléans ?\n".encode("latin-1")
    assert read(tmp_path, "TREC.train", lines) == [
        ("How ?", None, "DESC"), ("Where is Orléans ?", None, "LOC")
    ]  # fmt: skip
    assert "read as Latin-1" in caplog.text


def test_quotes_in_tsv_are_characters_unless_doubled_within(tmp_path: Path) -> None:
    table = '"all of it"\t1\n"a ""b"" c"\t0\n"x" and "y"\t1\n""\t0\n'
    texts = [text for text, _, _ in read(tmp_path, "a.tsv", table)]
    assert texts == ['"all of it"', 'a "b" c', '"x" and "y"', '""']


def test_places_name_the_line_a_row_begins_on(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"two\nlines",1\nthree,0\n')
    assert [e.place for e in read_labelled_texts([path], Columns())] == [f"{path}:2", f"{path}:4"]


# -- refusals -----------------------------------------------------------------------------------

BAD = [
    ("a.tsv", "", {}, "a.tsv is empty"),
    ("a.tsv", "x\t1\ny\n", {}, r"a.tsv:2: columns: 1, but 2 in line 1"),
    ("a.csv", 'x,1\n"y"z,2\n', {}, r"a.csv:2: this row is not CSV"),
    ("a.csv", b"x,1\n\xff,2\n", {}, "is not UTF-8"),
    ("a.tsv", b"x\t1\n\xff\t2\n", {}, r"a.tsv:2: byte 0"),
    ("a.txt", "DESC:x a\nno label\n", {}, r"a.txt:2: 'no label' is not of the form"),
    ("a.tsv", "a\tb\tc\td\n", {}, "a.tsv:1: 4 columns, and it cannot be told which one is the"),
    ("a.tsv", "review\tlabel\n", {"header": "yes"}, "it cannot be told which one is the text"),
    ("a.tsv", "a\tb\n", {"text": "1"}, "the label; name it with --label-column"),
    ("a.tsv", "a\tb\n", {"text": "1", "label": "3"}, "no column 3 for the label, only 2"),
    ("a.tsv", "a\tb\n", {"text": "a", "label": "c"}, r"a.tsv:1: there is no column 'c' for the"),
    ("a.tsv", "text\tlabel\n", {}, "a header and no row below it"),
    ("a.tsv", "a\t1\nb\t \n", {}, r"a.tsv:2: the label \(column 2\) is empty"),
    ("a.tsv", "".join(f"text\tsentence {i}\n" for i in range(60)), {}, "60 different values"),
]


@pytest.mark.parametrize(("name", "content", "columns", "words"), BAD, ids=[row[3] for row in BAD])
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, name: str, content: str | bytes, columns: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, name, content, **columns)


def test_pairs_beside_single_texts_are_refused(tmp_path: Path) -> None:
    single = write(tmp_path, "single.tsv", "x\t1\ny\t0\n")
    pairs = write(tmp_path, "pairs.csv", "x,y,1\n")
    with pytest.raises(DataError, match=r"pairs.csv:1: this table has pairs and .*single.tsv not;"):
        read_labelled_texts([single, single, pairs], Columns())
    with pytest.raises(DataError, match=r"single.tsv:1: .* single texts and .*pairs.csv pairs;"):
        read_labelled_texts([pairs, single], Columns())


def test_no_numbers_for_a_regression(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.tsv:2: the label 'good' is not a number"):
        read(tmp_path, "a.tsv", "x\t1\ny\tgood\n", numeric=True)
    with pytest.raises(DataError, match=r"a.tsv:2: the label 'nan' is not a number"):
        read(tmp_path, "a.tsv", "x\t1\ny\tnan\n", numeric=True)


def test_names_without_a_header_and_standard_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--header no says"):
        read(tmp_path, "a.tsv", "x\t1\n", text="x", label="2", header="no")
    with pytest.raises(UsageError, match="not from '-'"):
        read_rows("-")


def test_a_first_row_that_may_be_a_header_is_pointed_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    read(tmp_path, "odd.tsv", "review\tclass\n" + "x\tgood\ny\tbad\n" * 20)
    assert "odd.tsv:1: no other row has the label 'class'" in caplog.text


def test_labels_in_order() -> None:
    assert ordered_labels(["10", "2", "1", "2"]) == ("1", "2", "10")
    assert ordered_labels(["yes", "no"]) == ("no", "yes")
    assert known_label("b", ("a", "b"), "f:1") == 1
    with pytest.raises(DataError, match=r"^f:1: the label 'c' does not occur in training"):
        known_label("c", ("a", "b"), "f:1")


# -- real files ---------------------------------------------------------------------------------

REAL = [
    ("sst2/train.tsv", {}, 6920, {"0", "1"}),
    ("cola/in_domain_train.tsv", {"text": "4", "label": "2"}, 8551, {"0", "1"}),
    ("mrpc/msr_paraphrase_train.txt", {}, 4076, {"0", "1"}),
    ("rte/train.tsv", {}, 2490, {"0", "1"}),
    ("trec/TREC.train", {}, 5452, {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}),
]


@pytest.mark.parametrize(("name", "columns", "n", "labels"), REAL, ids=[row[0] for row in REAL])
def test_real_sets(
    data_dir: Path, name: str, columns: dict[str, str], n: int, labels: set[str]
) -> None:
    found = read_labelled_texts([str(data_dir / name)], Columns(**columns))  # type: ignore[arg-type]
    assert len(found) == n
    assert set(Counter(example.label for example in found)) == labels
    assert (found[0].pair is not None) == name.startswith(("mrpc", "rte"))


def test_real_values(data_dir: Path) -> None:
    path = str(data_dir / "stsb" / "stsb-en-train.csv")
    found = read_labelled_texts([path], Columns(), numeric=True)
    assert len(found) == 5749
    assert (min(e.value for e in found), max(e.value for e in found)) == (0, 5)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_cell_of_ten_megabytes_is_one_cell(tmp_path: Path, name: str) -> None:
    before = csv.field_size_limit()
    long, mark = "word " * 2_000_000, "," if name == "a.csv" else "\t"
    rows = read_rows(write(tmp_path, name, f'"{long}"{mark}yes\nshort{mark}no\n'))
    assert [row.cells[0].strip('"') for row in rows] == [long, "short"]
    assert csv.field_size_limit() == before


def test_a_quote_that_is_not_closed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_LINE_BYTES", 67_000)
    path = write(tmp_path, "a.csv", 'x,1\n"y,2\n' + "more and more\n" * 5_000)
    with pytest.raises(DataError, match=r"a\.csv:2: .* 67,000 characters; is a quote unclosed"):
        read_rows(path)


def test_an_empty_line_of_a_csv_is_no_row(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, "a.csv", "x,1\n\ny,2\n\n"))
    assert rows == [Row(1, ["x", "1"]), Row(3, ["y", "2"])]
