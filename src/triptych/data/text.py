"""Lines of text from plain, .gz, .xz and .zst files, and from standard input.

Two promises that the standard library's text mode does not make:

- only a line feed ends a line. A carriage return just before it belongs to the line ending
  (files from Windows); U+2028, U+0085, a form feed and a lone carriage return are content, so two
  aligned files never drift apart because one side holds such a character;
- a byte that is not UTF-8 is reported with its file, line and offset.
"""

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from triptych.errors import DataError, UsageError

PathLike = str | Path

STDIN = "-"
INVALID_UTF8 = "invalid UTF-8"
"""The name in reports of what a tolerant reader has left out."""
MAX_LINE_BYTES = 64 * 2**20
"""A longer line means that the file is not text, one item a line; reading it would fill memory."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class InvalidLine:
    """Where a line stopped being UTF-8: file, line from 1, byte offset in the line from 0."""

    path: str
    line: int
    byte: int
    value: int

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: byte {self.byte} of the line (0x{self.value:02x}) is not "
            f"UTF-8; convert the file, for instance with iconv -f latin1 -t utf-8"
        )


def as_names(path: PathLike | Sequence[PathLike]) -> list[str]:
    """One path, or several, as a list of strings."""
    if isinstance(path, Sequence) and not isinstance(path, str):
        return [str(one) for one in path]
    return [str(path)]


def is_read_once(path: PathLike) -> bool:
    """Whether what is read from `path` is gone: standard input, or a pipe (`<(zcat …)`).

    Counting its lines beforehand would leave none.
    """
    place = Path(path)
    return str(path) == STDIN or (place.exists() and not place.is_file() and not place.is_dir())


@contextmanager
def open_bytes(path: PathLike) -> Iterator[BinaryIO]:
    """The decompressed bytes of `path`, by its suffix; "-" is standard input, left open.

    Raises DataError where there is no such file, where it is a folder or may not be read, and,
    while it is read, where the compressed data is damaged.
    """
    name = str(path)
    stream = _open(name)
    try:
        yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{name} is damaged or cut short ({error}); fetch it again") from error
    except _zstd_errors() as error:
        raise DataError(f"{name} is damaged or cut short ({error}); fetch it again") from error
    finally:
        if name != STDIN:
            stream.close()


@contextmanager
def open_text(path: PathLike) -> Iterator[TextIO]:
    """`path` as a stream of text without the byte order mark; a line keeps its ending.

    `read_lines` is the better choice for data of others: it says where a byte is not UTF-8.
    """
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n")
        try:
            yield text
        finally:
            text.detach()


def read_lines(
    path: PathLike, on_invalid: Callable[[InvalidLine], None] | None = None
) -> Iterator[str]:
    """The lines of `path` without their endings; a file without any gives none.

    A line that is not UTF-8 raises DataError, or, with `on_invalid`, is told to that function and
    given as an empty line, so that line numbers and alignment stay as they are.
    """
    name = "standard input" if str(path) == STDIN else str(path)
    with open_bytes(path) as stream:
        for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(raw) > MAX_LINE_BYTES:
                raise DataError(
                    f"{name}:{number}: the line is longer than {MAX_LINE_BYTES:,} bytes; is this "
                    f"a text file with one item a line?"
                )
            content = raw.removeprefix(_BOM) if number == 1 else raw
            if content.endswith(b"\n"):
                content = content[:-2] if content.endswith(b"\r\n") else content[:-1]
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError as error:
                invalid = InvalidLine(name, number, error.start, content[error.start])
                if on_invalid is None:
                    raise DataError(str(invalid)) from error
                on_invalid(invalid)
                text = ""
            yield text


def count_lines(path: PathLike) -> int:
    """How many lines `read_lines` gives: line feeds, and one more for an unended last line."""
    count, last = 0, b"\n"
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")


def _open(name: str) -> BinaryIO:
    if name == STDIN:
        return sys.stdin.buffer
    path = Path(name)
    if path.is_dir():
        raise DataError(f"{name} is a folder; name the text file in it")
    try:
        if path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        if path.suffix == ".xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        if path.suffix == ".zst":
            return _open_zstd(path)
        return path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"there is no file {name}; check the path") from error
    except PermissionError as error:
        raise DataError(f"{name} may not be read; change its permissions") from error


def _open_zstd(path: Path) -> BinaryIO:
    try:
        import zstandard
    except ImportError as error:
        raise UsageError(
            f"{path} needs the package zstandard; install it with pip install 'triptych[zstd]'"
        ) from error
    frames = zstandard.ZstdDecompressor().decompressobj
    return io.BufferedReader(_ZstdReader(path.open("rb"), frames), buffer_size=1 << 17)


class _ZstdReader(io.RawIOBase):
    """All frames of a .zst file as one stream.

    zstandard's own reader ends in silence where a file is cut short; this one raises EOFError.
    """

    def __init__(self, stream: BinaryIO, new_frame: Callable[[], Any]) -> None:
        self._stream = stream
        self._new_frame = new_frame
        self._frame: Any = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._compressed = self._compressed or self._stream.read(1 << 17)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("the last frame does not end")
                return 0
            if self._frame is None:
                self._frame = self._new_frame()
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        n_bytes = min(len(buffer), len(self._ready))
        buffer[:n_bytes] = self._ready[:n_bytes]
        self._ready = self._ready[n_bytes:]
        return n_bytes

    def close(self) -> None:
        self._stream.close()
        super().close()


def _zstd_errors() -> tuple[type[Exception], ...]:
    """zstandard's error class, only if something has opened a .zst file and so imported it."""
    module = sys.modules.get("zstandard")
    return (module.ZstdError,) if module is not None else ()
