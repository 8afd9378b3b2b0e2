"""Files of documents: what divides them, what is left out, what is refused."""

import gzip
import json
import lzma
from itertools import count, islice

import pytest
import zstandard

from triptych.data import documents
from triptych.data.documents import EMPTY, LINES, NO_TOKENS, read_documents
from triptych.data.text import INVALID_UTF8
from triptych.errors import DataError, UsageError

TEXT = "One is. Two is.\nThree is.\n\nA book. It ends.\n"
SENTENCES = [["One is.", "Two is.", "Three is."], ["A book.", "It ends."]]


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def read(paths, language="en"):
    stream, report = read_documents(paths, language)
    return list(stream), report


def test_paragraphs_become_sentences_and_blank_lines_divide(write):
    found, report = read(write(TEXT))
    assert found == SENTENCES
    assert (report.n_lines, report.n_documents, report.n_sentences) == (4, 2, 5)
    assert not any(report.left_out.counts.values())


def test_lines_stay_as_they_are(write):
    found, _ = read(write(TEXT), LINES)
    assert found == [["One is. Two is.", "Three is."], ["A book. It ends."]]


def test_the_language_is_that_of_the_rules(write):
    path = write("Sie kam am 3. Mai. Er ging.\n\nEnde.\n")
    assert read(path, "de")[0][0] == ["Sie kam am 3. Mai.", "Er ging."]
    assert read(path, "en")[0][0] != read(path, "de")[0][0]


@pytest.mark.parametrize(
    "text",
    [
        "\n\n" + TEXT + "\n\n\n",
        TEXT.replace("\n\n", "\n \t\u00a0\n\n"),
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.removesuffix("\n"),
        TEXT.replace("Three is.", "  Three is. "),
    ],
)
def test_other_ways_to_write_the_same(write, text):
    assert read(write(text))[0] == SENTENCES


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("gz", gzip.compress),
        ("xz", lzma.compress),
        ("zst", zstandard.ZstdCompressor().compress),
    ],
)
def test_compressed_files(write, suffix, compress):
    assert read(write(compress(TEXT.encode()), f"a.txt.{suffix}"))[0] == SENTENCES


def test_the_end_of_a_file_ends_a_document(write):
    one, two = write("One is.\n", "1.txt"), write("Two is.\nThree is.", "2.txt")
    found, report = read([one, two])
    assert found == [["One is."], ["Two is.", "Three is."]]
    assert (report.n_lines, report.n_documents) == (3, 2)


def test_an_invalid_line_is_left_out_and_divides_nothing(write):
    path = write(b"One is.\n\xff\xfe bad\nTwo is.\n\n\xff\n\nA book.\n")
    found, report = read(path)
    assert found == [["One is.", "Two is."], ["A book."]]
    assert report.left_out.counts == {INVALID_UTF8: 2, NO_TOKENS: 0, EMPTY: 1}
    assert report.left_out.examples[INVALID_UTF8] == [f"{path}:2", f"{path}:5"]
    assert report.left_out.examples[EMPTY] == [f"{path}:5"]


def test_the_report_can_be_read_and_stored(write):
    _, report = read(write(b"One is.\n\xff\n\nA book. It ends.\n"))
    report.n_tokens = 1234
    assert str(report).splitlines() == [
        "lines read                   4",
        "documents                    2",
        "sentences                    3",
        "tokens                   1,234",
        f"  invalid UTF-8              1  {report.left_out.examples[INVALID_UTF8][0]}",
    ]
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["n_sentences"] == 3
    assert stored["left_out"][INVALID_UTF8]["count"] == 1


@pytest.mark.parametrize("text", ["", "\n", "\n \n\t\n"])
def test_an_empty_corpus(write, text):
    path = write(text)
    n_lines = text.count("\n")
    with pytest.raises(DataError, match=rf"a\.txt: {n_lines} lines and no text in them; .* two"):
        read(path)


@pytest.mark.parametrize(("text", "line"), [("One is.\nTwo is.\n", 1), ("\n\nOne is. So.\n\n", 3)])
def test_a_corpus_without_boundary_is_a_single_document(write, text, line):
    path = write(text)
    with pytest.raises(
        DataError,
        match=rf"a\.txt:{line}: a single document .* no blank line .* put a blank line between",
    ):
        read([path, write("\n", "empty.txt")])


def test_a_document_without_end_is_refused_before_it_fills_memory(write, monkeypatch):
    monkeypatch.setattr(documents, "MAX_DOCUMENT_CHARACTERS", 20)
    assert read(write("x" * 20 + "\n\n" + "y" * 20), LINES)[0] == [["x" * 20], ["y" * 20]]
    path = write("short\n\n" + "x" * 11 + "\n" + "x" * 10 + "\n")
    with pytest.raises(DataError, match=r"a\.txt:3: .* more than 20 characters; put a blank line"):
        read(path)


def test_what_cannot_be_read_is_told_before_anything_is(write, tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*missing\.txt"):
        read_documents([write(TEXT), tmp_path / "missing.txt"])
    with pytest.raises(UsageError, match="no sentence rules for 'fr'; choose one of en, de, or"):
        read_documents(write(TEXT), "fr")


def test_reading_streams(write, monkeypatch):
    endless = (f"Line {i}." if i % 3 else "" for i in count())
    monkeypatch.setattr(documents, "read_lines", lambda name, on_invalid: endless)
    stream, report = read_documents(write(TEXT))
    assert list(islice(stream, 2)) == [["Line 1.", "Line 2."], ["Line 4.", "Line 5."]]
    assert report.n_lines < 10


@pytest.mark.parametrize("name", ["wikipedia", "books"])
def test_real_text_is_all_there(data_dir, name):
    path = data_dir / "pretrain" / f"{name}.valid.txt.xz"
    text = lzma.decompress(path.read_bytes()).decode("utf-8")
    found, report = read(path)
    expected = [part for part in text.split("\n\n") if part.strip()]
    assert len(found) == report.n_documents == len(expected)
    for document, part in zip(found, expected, strict=True):
        assert "".join("".join(document).split()) == "".join(part.split())
    assert report.n_sentences > 2 * len(found)
