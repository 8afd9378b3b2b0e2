"""Vectors of words as other programs write and read them.

word2vec, text     "V E", then a line a word: the word, a space, E numbers with spaces between them
word2vec, binary   "V E", then for each word: the word, a space, E floats of 4 bytes (little-endian)
                   and, as the original program has it but gensim has not, a line feed
GloVe              as word2vec's text, without the first line

Files that are read may be compressed (.gz, .xz, .zst). A word may hold spaces, as some of GloVe's
do: the numbers are counted from the end of the line. Its last part must be no number, or a line
with a number too many would be a word.
"""

import re
import string
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from triptych.data.text import PathLike, open_bytes, read_lines
from triptych.errors import DataError, UsageError
from triptych.files.atomic import write_stream
from triptych.files.notices import notice

Floats = npt.NDArray[np.float32]
VectorFormat = Literal["word2vec", "word2vec-binary", "glove"]

LONGEST_WORD = 1 << 16
"""Bytes; what is longer is no word, so the file is no file of vectors."""
LARGEST_WIDTH = 1 << 20
PRINTABLE = frozenset(string.printable.encode())
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
COMPRESSED = {".gz", ".xz", ".zst"}
MARK = "\ufeff"
"""A byte order mark, which some programs put before a text."""


def write_vectors(
    path: Path, words: Sequence[str], vectors: Floats, format: VectorFormat = "word2vec"
) -> None:
    """Write words and vectors [V, E] to a file, whole or not at all; text has 9 digits, so that
    reading gives the same floats.

    Raises UsageError for a path of a compressed file, DataError for a word that the format cannot
    hold, and what `files.atomic` raises.
    """
    if path.suffix in COMPRESSED:
        raise UsageError(
            f"{path} is named as if compressed, and vectors are written plain; leave out "
            f"{path.suffix}, and compress it afterwards"
        )
    for row, word in enumerate(words):
        if not _can_hold(format, word, is_first=row == 0):
            raise DataError(f"the word {word!r} cannot be written in the format {format}")

    def fill(file: BinaryIO) -> None:
        if format != "glove":
            file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
        for word, vector in zip(words, vectors, strict=True):
            if format == "word2vec-binary":
                file.write(word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n")
            else:
                numbers = " ".join(f"{x:.9g}" for x in vector.tolist())
                file.write(f"{word} {numbers}\n".encode())

    write_stream(path, fill)


def _can_hold(format: VectorFormat, word: str, *, is_first: bool) -> bool:
    """Whether a word comes back as it is: not all do from files without quotes."""
    try:
        word.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates
        return False
    if not word or "\n" in word or word != word.strip("\r\n"):
        return False
    if format == "word2vec-binary":
        return " " not in word
    *before, last = word.split(" ")
    if before and NUMBER.fullmatch(last):
        return False
    # GloVe's first line tells the width, so its word must be one, and begin the file.
    return format != "glove" or not is_first or not (before or word.startswith(MARK))


def read_vectors(path: PathLike) -> tuple[list[str], Floats]:
    """The words and vectors [V, E] of a file in any of the three formats, found by its content.

    Of a word that occurs twice the first one counts, which is said. Memory: the words and their
    matrix, which is there twice only where words occur more than once. Raises DataError with file
    and line (or, in a binary file, word) for what is damaged.
    """
    n_words, width = _header(path)
    if width and _is_binary(path, width):
        words, vectors = _read_binary(path, n_words, width)
    else:
        words, vectors = _read_text(path, n_words, width)
    first: dict[str, int] = {}
    for row, word in enumerate(words):
        first.setdefault(word, row)
    if len(first) < len(words):
        notice(f"{path}: {len(words) - len(first):,} words occur more than once; the first counts")
        rows = list(first.values())
        words, vectors = [words[row] for row in rows], vectors[rows]
    return words, vectors


def _header(path: PathLike) -> tuple[int, int]:
    """V and E of the first line, or zeros where there is no such line."""
    with open_bytes(path) as file:
        fields = file.readline(LONGEST_WORD).removeprefix(MARK.encode()).split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        return 0, 0
    n_words, width = map(int, fields)
    if not n_words or not width:
        raise DataError(f"{path}:1: {n_words} words of {width} numbers are none; give another file")
    if width > LARGEST_WIDTH:
        raise DataError(f"{path}:1: {width:,} numbers a word are too many; the line was changed")
    return n_words, width


def _is_binary(path: PathLike, width: int) -> bool:
    """Whether the first word's line does not end in numbers, and bytes that no number is written
    with stand behind the word."""
    with open_bytes(path) as file:
        file.readline()
        begin = file.read(LONGEST_WORD + 32 * width)
    fields = begin.partition(b"\n")[0].decode("utf-8", "replace").split()
    if len(fields) > width and all(NUMBER.fullmatch(field) for field in fields[-width:]):
        return False
    floats = begin.partition(b" ")[2]
    return any(byte not in PRINTABLE for byte in floats[: 4 * width])


def _read_text(path: PathLike, n_words: int, width: int) -> tuple[list[str], Floats]:
    words: list[str] = []
    rows = array("f")  # grows in place, where a list of rows would be there beside the matrix
    for number, line in enumerate(read_lines(path), 1):
        if number == 1 and width:
            continue
        fields = line.rstrip().split(" ")
        width = width or len(fields) - 1
        if len(fields) <= width or width < 1:
            raise DataError(
                f"{path}:{number}: {len(fields) - 1} numbers after the word, where "
                f"{width or 'some'} are needed; the line is cut short, or the file holds no vectors"
            )
        if len(fields) > width + 1 and NUMBER.fullmatch(fields[-width - 1]):
            raise DataError(
                f"{path}:{number}: more than {width} numbers after the word; the line was changed"
            )
        words.append(" ".join(fields[:-width]))
        rows.frombytes(_numbers(fields[-width:], f"{path}:{number}").tobytes())
    if n_words and len(words) != n_words:
        raise DataError(
            f"{path}:1: {n_words:,} words are promised, and {len(words):,} lines follow; the file "
            "is cut short or was changed"
        )
    if not words:
        raise DataError(f"{path} is empty; give a file of vectors")
    return words, np.frombuffer(rows, dtype=np.float32).reshape(-1, width)


def _numbers(fields: Sequence[str], place: str) -> Floats:
    try:
        vector = np.array(fields, dtype=np.float32)
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field))
        raise DataError(
            f"{place}: {wrong[:40]!r} should be a number; a line is a word and {len(fields)}"
        ) from None
    if not np.isfinite(vector).all():
        raise DataError(f"{place}: the vector holds a value that is no finite number")
    return vector


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _read_binary(path: PathLike, n_words: int, width: int) -> tuple[list[str], Floats]:
    words: list[str] = []
    rows = array("f")
    with open_bytes(path) as file:
        file.readline()
        for number in range(1, n_words + 1):
            place = f"{path}, word {number:,} of {n_words:,}"
            words.append(_binary_word(file, place))
            raw = file.read(4 * width)
            if len(raw) < 4 * width:
                raise DataError(f"{place}: the file ends within its vector; fetch it again")
            vector = np.frombuffer(raw, dtype="<f4").astype(np.float32)
            if not np.isfinite(vector).all():
                raise DataError(f"{place}: the vector holds a value that is no finite number")
            rows.frombytes(vector.tobytes())
        if file.read(2) not in (b"", b"\n"):
            raise DataError(f"{path}: more follows its {n_words:,} words; the file was changed")
    return words, np.frombuffer(rows, dtype=np.float32).reshape(-1, width)


def _binary_word(file: BinaryIO, place: str) -> str:
    """Up to a space; the line feed of the word before is passed over."""
    raw = b"".join(_until_space(file))
    if not raw.endswith(b" "):
        raise DataError(f"{place}: the file is cut short, or this is no word; fetch it again")
    try:
        return raw[:-1].lstrip(b"\n").decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{place}: {raw[:40]!r} is not UTF-8; the file is damaged") from None


def _until_space(file: BinaryIO) -> Iterator[bytes]:
    for _ in range(LONGEST_WORD):
        byte = file.read(1)
        yield byte
        if byte in (b" ", b""):
            return
