"""Documents as they stand, from every kind of input; what cannot be read is named."""

import gzip
import io
import json
import lzma
import os
import random
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from triptych.data import text_parts, text_stream
from triptych.data.text_parts import TextPart, regroup, whole_texts
from triptych.data.text_stream import EMPTY, OTHER_FILE, TextReport, list_files, read_texts
from triptych.errors import DataError, UsageError
from triptych.tokenizers.byte_bpe import ByteBpe


def documents(parts: Iterable[TextPart]) -> list[str]:
    joined, current = [], ""
    for text, ends in parts:
        current += text
        if ends:
            joined.append(current)
            current = ""
    assert current == "", "the last document does not end"
    return joined


def read(*names: Path | str, **options: str) -> list[str]:
    return documents(read_texts([str(name) for name in names], **options)[0])


TEXT = "\n \none\n  two\r\n\n\nthree\u2028x\f\n\t\nfour"


@pytest.mark.parametrize(
    ("division", "expected"),
    [
        ("blank", ["one\n  two", "three\u2028x\f", "four"]),
        ("line", ["one", "  two", "three\u2028x\f", "four"]),
        ("file", [TEXT]),
    ],
)
def test_what_ends_a_document(tmp_path: Path, division: str, expected: list[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    parts, report = read_texts(path, division)
    assert documents(parts) == expected
    assert (report.n_files, report.n_documents) == (1, len(expected))
    # the end of a file ends a document too
    assert read(path, path, documents=division) == expected * 2


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_compressed(tmp_path: Path, suffix: str) -> None:
    def compress(data: bytes) -> bytes:
        if suffix == ".zst":
            return pytest.importorskip("zstandard").ZstdCompressor().compress(data)
        return {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix](data)

    plain, lines = tmp_path / f"a.txt{suffix}", tmp_path / f"b.jsonl{suffix}"
    plain.write_bytes(compress(b"one\n\ntwo\n"))
    lines.write_bytes(compress(b'{"text": "three\\n\\nfour"}\n\n{"text": "five"}'))
    assert read(plain, lines) == ["one", "two", "three\n\nfour", "five"]
    if suffix:
        plain.write_bytes(plain.read_bytes()[:-5])
        for division in ("blank", "file"):
            with pytest.raises(DataError, match=r"a\.txt.* is damaged or cut short"):
                read(plain, documents=division)


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "b" / "c" / "2.TXT").write_text("two")
    (tmp_path / "b" / "1.md").write_text("one")
    (tmp_path / "z.ndjson").write_text('{"text": "three"}')
    for name in ("b/picture.png", ".hidden.txt", ".git/x.txt"):
        (tmp_path / name).write_text("no")
    parts, report = read_texts(tmp_path)
    assert documents(parts) == ["one", "two", "three"]
    assert report.left_out.counts[OTHER_FILE] == 1
    assert report.left_out.examples[OTHER_FILE] == [str(tmp_path / "b" / "picture.png")]
    assert [Path(name).name for name in list_files(tmp_path)] == ["1.md", "2.TXT", "z.ndjson"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty holds no text file .*\.txt"):
        read_texts(tmp_path / "empty")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"one\n\ntwo")))
    assert read("-") == ["one", "two"]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("one\n\ntwo"))
    writer.start()
    assert read(pipe) == ["one", "two"]
    writer.join()


def test_a_column_of_a_data_set_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str | None, split: str) -> list[dict[str, object]]:
        asked.append((name, config, split))
        return [{"story": "one\n\ntwo", "n": 1}, {"story": "", "n": 2}, {"story": "three", "n": 3}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert read("hub:owner/tales:train[:1%]:story") == ["one\n\ntwo", "three"]
    assert read("hub:owner/tales:de:train:story") == ["one\n\ntwo", "three"]
    assert asked == [("owner/tales", None, "train[:1%]"), ("owner/tales", "de", "train")]
    with pytest.raises(DataError, match="row 1: there is no field 'text' among n, story"):
        read("hub:owner/tales:train:text")
    with pytest.raises(DataError, match="row 1: 'n' is '1'; it should be a text"):
        read("hub:owner/tales:train:n")
    with pytest.raises(UsageError, match=r"write hub:NAME\[:CONFIG\]:SPLIT:COLUMN"):
        read("hub:tales")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match=r"triptych\[hub\]"):
        read("hub:owner/tales:train:story")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path, empty = tmp_path / "a.txt", tmp_path / "b.jsonl"
    path.write_bytes(b"one\nb\xffd\ntwo\n\n\xff\n\nthree\n")
    empty.write_text('{"text": ""}\n{"text": " \\n"}\n{"text": "four"}\n')
    parts, report = read_texts([path, empty])
    assert documents(parts) == ["one\ntwo", "three", "four"]
    assert report.left_out.examples["invalid UTF-8"] == [f"{path}:2", f"{path}:5"]
    assert report.left_out.counts[EMPTY] == 2
    assert report.to_dict()["n_documents"] == 3
    assert "document without text" in str(report)


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_a_whole_file_that_is_no_utf8_is_refused_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(text_stream, "BLOCK", block)
    path = tmp_path / "a.txt"
    path.write_bytes("é\n漢\nab".encode() + b"\xff\n")
    with pytest.raises(DataError, match=r"a\.txt:3: byte 2 of the line \(0xff\) is not UTF-8"):
        read(path, documents="file")
    path.write_bytes("é\n漢\n".encode() + b"\xe6\xbc")
    with pytest.raises(DataError, match=r"a\.txt:3: byte 0 of the line \(0xe6\) is not UTF-8"):
        read(path, documents="file")
    path.write_bytes("é\n漢\n".encode())
    assert read(path, documents="file") == ["é\n漢\n"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "cut', r"b\.jsonl:2: the line is not JSON"),
        ("[1, 2]", r"b\.jsonl:2: '\[1, 2\]' is not an object with a field 'text'"),
        ("{}", r"b\.jsonl:2: there is no field 'text' among none"),
        ('{"body": "x", "id": 1}', r"b\.jsonl:2: there is no field 'text' among body, id"),
        ('{"text": null}', r"b\.jsonl:2: 'text' is 'None'; it should be a text"),
        ("[" * 100_000, r"b\.jsonl:2: the line is not JSON"),
    ],
)
def test_a_line_of_json_that_cannot_be_read(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "b.jsonl"
    path.write_text('{"text": "one"}\n' + line + "\n")
    with pytest.raises(DataError, match=message):
        read(path)


def test_the_field_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps({"body": "one \ud800", "text": "no"}) + "\n")
    assert read(path, text_field="body") == ["one \ud800"]


def test_inputs_without_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in ("", "\n \n\n"):
        path.write_text(content)
        for division in ("blank", "line", "file"):
            with pytest.raises(DataError, match=r"a\.txt: there is no text in it"):
                read(path, documents=division)
    with pytest.raises(DataError, match="there is no file"):
        read_texts(tmp_path / "nowhere.txt")
    with pytest.raises(UsageError, match="divided by 'page'; choose one of blank, file, line"):
        read_texts(path, "page")  # type: ignore[arg-type]


# -- parts --------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_parts, "PART_CHARACTERS", 40)
    monkeypatch.setattr(text_parts, "LONGEST_PART", 200)


def odd_text(draw: random.Random) -> str:
    pieces = [" ", "  ", "\n", " \n", "\t", "\r\n", "\xa0", "\u3000", "\x1c", "!", "!!", "'s", "1",
              "23", "é", "word", "Two", "漢", "\u0301", "👩", "\u2028"]  # fmt: skip
    return "".join(draw.choice(pieces) for _ in range(draw.randint(0, 600)))


@pytest.mark.usefixtures("small_parts")
def test_the_parts_have_the_tokens_of_the_whole(data_dir: Path) -> None:
    """GPT-2's own cuts, on real text and on what its pattern makes hard."""
    tokenizer = ByteBpe.load(data_dir / "tokenizers" / "gpt2")
    draw = random.Random(1)
    real = (data_dir / "wikitext-2" / "wiki.valid.raw").read_text(encoding="utf-8")
    texts = [real[i : i + 700] for i in range(0, 200_000, 700)]
    texts += [odd_text(draw) for _ in range(400)]
    n_parts = 0
    for text in texts:
        parts = list(whole_texts([text]))
        n_parts += len(parts)
        assert "".join(part.text for part in parts) == text
        assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
        joined = [i for ids in tokenizer.encode([p.text for p in parts]) for i in ids]
        assert joined == tokenizer.encode([text])[0], text
    assert n_parts > 5 * len(texts)


@pytest.mark.usefixtures("small_parts")
def test_parts_do_not_depend_on_how_the_text_was_read() -> None:
    draw = random.Random(2)
    for _ in range(200):
        text, fragments, place = odd_text(draw), [], 0
        while place < len(text):
            step = draw.randint(1, 90)
            fragments.append(TextPart(text[place : place + step], False))
            place += step
        fragments.append(TextPart("", True))
        found = list(regroup(fragments))
        assert "".join(part.text for part in found) == text
        assert all(len(part.text) <= 200 for part in found)
        assert documents(found) == [text]


@pytest.mark.usefixtures("small_parts")
def test_a_run_without_white_space_is_cut_all_the_same() -> None:
    parts = list(whole_texts(["x" * 1000, "  " * 300]))
    assert [len(part.text) for part in parts] == [200] * 5 + [200] * 3
    assert documents(parts) == ["x" * 1000, "  " * 300]


def test_a_large_document_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    with gzip.open(path, "wt") as stream:
        for _ in range(40):
            stream.write("some words and more\n" * 10_000)
    for division in ("blank", "file"):
        lengths = [len(part.text) for part in read_texts(path, division)[0]]
        assert sum(lengths) == 8_000_000 - (division == "blank")
        assert max(lengths) <= text_parts.PART_CHARACTERS


def test_reports_begin_empty() -> None:
    assert TextReport().to_dict() != {}
    assert TextReport().left_out is not TextReport().left_out
