"""Lines come out as they are in the file, and what is wrong is said with its place."""

import gzip
import io
import lzma
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from triptych.data import text as text_module
from triptych.data.text import InvalidLine, count_lines, is_read_once, open_text, read_lines
from triptych.errors import DataError, UsageError

BYTES = "Ein Hund\nzwei Straßen\n\nletzte".encode()
LINES = ["Ein Hund", "zwei Straßen", "", "letzte"]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".txt", lambda data: data),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: zstandard.ZstdCompressor().compress(data)),
    ],
)
def test_each_compression_gives_the_same_lines(tmp_path, suffix, compress):
    path = write(tmp_path / f"a{suffix}", compress(BYTES))
    assert list(read_lines(path)) == LINES
    assert count_lines(path) == 4
    with open_text(path) as stream:
        assert stream.read() == BYTES.decode()


def test_several_zst_frames_are_one_file(tmp_path):
    frames = b"".join(zstandard.ZstdCompressor().compress(b"a\n") for _ in range(3))
    assert list(read_lines(write(tmp_path / "a.zst", frames))) == ["a", "a", "a"]


def test_only_a_line_feed_ends_a_line(tmp_path):
    content = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\rh"
    path = write(tmp_path / "a", f"{content}\r\nsecond\n".encode())
    assert list(read_lines(path)) == [content, "second"]
    assert count_lines(path) == 2


def test_one_carriage_return_belongs_to_the_ending_and_no_more(tmp_path):
    assert list(read_lines(write(tmp_path / "a", b"a\r\r\n\r\nb\r"))) == ["a\r", "", "b\r"]


def test_byte_order_mark_is_dropped_at_the_start_only(tmp_path):
    mark = b"\xef\xbb\xbf"
    path = write(tmp_path / "a", mark + b"a\n" + mark + b"b\n")
    assert list(read_lines(path)) == ["a", "\ufeffb"]
    with open_text(path) as stream:
        assert stream.readline() == "a\n"


def test_empty_file_has_no_lines(tmp_path):
    path = write(tmp_path / "a", b"")
    assert list(read_lines(path)) == []
    assert count_lines(path) == 0


def test_standard_input_is_read_and_left_open(monkeypatch):
    stream = SimpleNamespace(buffer=io.BytesIO(BYTES))
    monkeypatch.setattr(sys, "stdin", stream)
    assert list(read_lines("-")) == LINES
    assert not stream.buffer.closed


def test_a_pipe_is_read_once_and_a_file_is_not(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert is_read_once(pipe)
    assert is_read_once("-")
    for name in (write(tmp_path / "a", b"a\n"), tmp_path, tmp_path / "none", "hub:a/b:train:en:de"):
        assert not is_read_once(name)


def test_invalid_utf8_of_standard_input_says_so(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"gut\nStra\xdfe\n")))
    with pytest.raises(DataError, match=r"^standard input:2: byte 4"):
        list(read_lines("-"))


def test_invalid_utf8_names_file_line_and_byte(tmp_path):
    path = write(tmp_path / "a.de", b"gut\nStra\xdfe\n")
    with pytest.raises(DataError, match=rf"{path}:2: byte 4 of the line \(0xdf\) is not UTF-8"):
        list(read_lines(path))


def test_invalid_utf8_can_be_counted_instead(tmp_path):
    path = write(tmp_path / "a.de", b"gut\nStra\xdfe\nbesser\n\xff\n")
    found: list[InvalidLine] = []
    assert list(read_lines(path, found.append)) == ["gut", "", "besser", ""]
    assert [(one.line, one.byte, one.value) for one in found] == [(2, 4, 0xDF), (4, 0, 0xFF)]


def test_a_line_of_100_000_characters_is_a_line(tmp_path):
    long = "ä" * 100_000
    assert list(read_lines(write(tmp_path / "a", f"{long}\nb\n".encode()))) == [long, "b"]


def test_a_line_that_would_fill_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(text_module, "MAX_LINE_BYTES", 10)
    path = write(tmp_path / "a", b"0123456789\n")
    with pytest.raises(DataError, match=rf"{path}:1: the line is longer than 10 bytes"):
        list(read_lines(path))


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".zst"])
def test_missing_file(tmp_path, suffix):
    with pytest.raises(DataError, match=rf"there is no file {tmp_path}/none{suffix}"):
        list(read_lines(tmp_path / f"none{suffix}"))


def test_folder_instead_of_a_file(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} is a folder"):
        list(read_lines(tmp_path))


def _flipped(data: bytes) -> bytes:
    return data[:6] + bytes(byte ^ 0xFF for byte in data[6:])


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], _flipped])
@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data)),
    ],
)
def test_damaged_archive(tmp_path, suffix, compress, damage):
    text = "".join(f"line {i * i}\n" for i in range(3000)).encode()
    path = write(tmp_path / f"a{suffix}", damage(compress(text)))
    with pytest.raises(DataError, match=rf"{path} is damaged or cut short"):
        list(read_lines(path))


def test_zst_without_its_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = write(tmp_path / "a.zst", b"")
    with pytest.raises(UsageError, match=r"triptych\[zstd\]"):
        list(read_lines(path))
