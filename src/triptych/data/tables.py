"""Rows of cells from the tables that labelled texts come in, each with the line it begins on.

.csv          commas, and quotes as RFC 4180 has them; a cell may hold line breaks, and a line
              without anything is no row
.tsv, others  tabs; a quote is a character, but a cell that a CSV writer has quoted ("a ""b"" c",
              quotes around it and every quote within it doubled) is read as it was meant
TREC          `LABEL:detail text` in each line (Li and Roth 2002), given as [text, label]
"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from triptych.data.text import MAX_LINE_BYTES, STDIN, open_bytes, open_text, read_lines
from triptych.errors import DataError, UsageError
from triptych.files.notices import notice

COMPRESSED = (".gz", ".xz", ".zst")
TREC_LINE = re.compile(r"([A-Z]+):\w+\s+(.*\S)")
QUOTED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')


class Row(NamedTuple):
    """The cells of a row, and the line that it begins on, from 1."""

    line: int
    cells: list[str]


def read_rows(path: str) -> list[Row]:
    """All rows of a table, of one length; the file's name and first line say of which kind it is.

    Raises DataError with file and line: an empty file, a row of another length, what is not
    UTF-8 (TREC's own Latin-1 is read, which is said) or not CSV; UsageError for standard input.
    """
    if path == STDIN:
        raise UsageError("a table is read from a file, not from '-'; save it first")
    rows = list(_rows(path))
    if not rows:
        raise DataError(f"{path} is empty; give a table with a row a line")
    first = rows[0]
    for row in rows:
        if len(row.cells) != len(first.cells):
            raise DataError(
                f"{path}:{row.line}: columns: {len(row.cells)}, but {len(first.cells)} in line "
                f"{first.line}; every row needs the same number, separated by "
                f"{'commas' if _is_csv(path) else 'tabs'}"
            )
    return rows


def _rows(path: str) -> Iterator[Row]:
    if _is_csv(path):
        yield from _csv_rows(path)
        return
    with open_bytes(path) as stream:
        first = stream.readline(10_000).decode("latin-1").rstrip("\r\n")
    if "\t" not in first and TREC_LINE.fullmatch(first):
        yield from _trec_rows(path)
        return
    for number, line in enumerate(read_lines(path), 1):
        yield Row(number, [_unquoted(cell, path) for cell in line.split("\t")])


def _csv_rows(path: str) -> Iterator[Row]:
    with open_text(path) as text, _long_cells():
        reader = csv.reader(text, strict=True)
        line = 1
        try:
            for cells in reader:
                if cells:
                    yield Row(line, cells)
                line = reader.line_num + 1
        except csv.Error as error:
            remedy = "put quotes around a cell with commas, double each quote in it, or give a .tsv"
            if "field limit" in str(error):
                remedy = f"a cell holds at most {MAX_LINE_BYTES:,} characters; is a quote unclosed?"
            raise DataError(f"{path}:{line}: this row is not CSV ({error}); {remedy}") from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}:{line}: byte 0x{error.object[error.start]:02x} at or after this row is "
                "not UTF-8; convert the file, for instance with iconv -f latin1 -t utf-8"
            ) from error


@contextmanager
def _long_cells() -> Iterator[None]:
    """csv's own limit is 131,072 characters a cell, for the whole process."""
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _trec_rows(path: str) -> Iterator[Row]:
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, 1):
            try:
                line = raw.decode("utf-8").strip()
            except UnicodeDecodeError:
                line = raw.decode("latin-1").strip()
                notice(f"{path}: not UTF-8, read as Latin-1, the encoding of TREC's files")
            found = TREC_LINE.fullmatch(line)
            if found is None:
                raise DataError(
                    f"{path}:{number}: {line[:60]!r} is not of the form LABEL:detail text, as line "
                    "1 is; repair the line, or separate text and label by a tab everywhere"
                )
            yield Row(number, [found[2], found[1]])


def _is_csv(path: str) -> bool:
    name = Path(path)
    while name.suffix in COMPRESSED:
        name = name.with_suffix("")
    return name.suffix == ".csv"


def _unquoted(cell: str, path: str) -> str:
    """A cell as it was before a CSV writer quoted it; a text that merely is in quotes stays so."""
    if not cell.startswith('"') or not QUOTED.fullmatch(cell):
        return cell
    notice(f"{path}: cells in quotes with doubled quotes within are read as CSV writers mean them")
    return cell[1:-1].replace('""', '"')
