"""Documents of plain text as a stream, for language models: nothing is cut into sentences.

    parts, report = read_texts(["wikipedia.txt.xz", "stories/", "web.jsonl.zst"])
    shards = TokenShards.build(parts, tokenizer, folder, report=report)
    print(report)

Inputs are files, plain or compressed, folders (every text file below them, in the order of their
names), "-" for standard input, and `hub:NAME[:CONFIG]:SPLIT:COLUMN`. In a `.jsonl`, `.ndjson` or
`.json` file each line is a JSON object and a document. Everything else is text, divided into
documents by blank lines, by files or by lines.

A document may be larger than memory: it comes in parts (`text_parts.py`).
"""

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from triptych.data.hub import is_hub_name, open_hub
from triptych.data.tally import Tally, table
from triptych.data.text import (
    INVALID_UTF8,
    InvalidLine,
    PathLike,
    as_names,
    is_read_once,
    open_bytes,
    read_lines,
)
from triptych.data.text_parts import TextPart, regroup
from triptych.errors import DataError, UsageError

Division = Literal["blank", "file", "line"]
"""What ends a document of plain text: a blank line, the end of its file, the end of its line."""

BLOCK = 1 << 20
"""Bytes of a whole file that are read at once."""

EMPTY = "document without text"
OTHER_FILE = "file in a folder that is not text by its name"
REASONS = (INVALID_UTF8, EMPTY, OTHER_FILE)

COMPRESSED = (".gz", ".xz", ".zst")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TEXT_SUFFIXES = (".txt", ".text", ".md", *JSON_SUFFIXES)


@dataclass
class TextReport:
    """What was read, and what of it was left out.

    Complete when the parts have been read to the end; `n_bytes`, the size of the documents in UTF-8
    without what divides them, and `n_tokens` are added by `TokenShards.build`.
    """

    n_files: int = 0
    n_documents: int = 0
    n_bytes: int = 0
    n_tokens: int = 0
    left_out: Tally = field(default_factory=lambda: Tally(REASONS))

    def to_dict(self) -> dict[str, object]:
        """The report for JSON."""
        return {
            "n_files": self.n_files,
            "n_documents": self.n_documents,
            "n_bytes": self.n_bytes,
            "n_tokens": self.n_tokens,
            "left_out": self.left_out.to_dict(),
        }

    def __str__(self) -> str:
        """A table: what was read, and one row for each reason that occurred."""
        return table(
            [
                ("files read", self.n_files, ""),
                ("documents", self.n_documents, ""),
                ("bytes of text", self.n_bytes, ""),
                ("tokens", self.n_tokens, ""),
                *self.left_out.rows(),
            ]
        )


def read_texts(
    inputs: PathLike | Sequence[PathLike], documents: Division = "blank", text_field: str = "text"
) -> tuple[Iterator[TextPart], TextReport]:
    """The documents of one or more inputs, in parts, and a report.

    `documents` says what ends a document of plain text, `text_field` which field of a JSON object
    is one. With "blank", a document is its lines joined by line feeds; with "file", every character
    of the file counts. A line that is not UTF-8 is left out and counted; within a whole file, and
    in a file of JSON, it is an error.

    Raises UsageError for an unknown division, DataError for a file that cannot be read or a folder
    without text; while the parts are read, DataError for a line of JSON that is none or has no text
    and for a data set that cannot be had, and at their end for inputs without any text.
    """
    if documents not in get_args(Division):
        raise UsageError(
            f"documents cannot be divided by {documents!r}; choose one of "
            f"{', '.join(get_args(Division))}"
        )
    report = TextReport()
    names = list_files(inputs, report)
    for name in names:
        if not is_read_once(name) and not is_hub_name(name):
            with open_bytes(name):  # a missing file should not be noticed an hour later
                pass
    return _read(names, documents, text_field, report), report


def list_files(
    inputs: PathLike | Sequence[PathLike], report: TextReport | None = None
) -> list[str]:
    """The inputs with each folder replaced by the text files below it, by the order of names.

    Hidden files are passed over, others that are no text by their name are counted in `report`.
    Raises DataError for a folder without a text file.
    """
    names: list[str] = []
    for name in as_names(inputs):
        if is_hub_name(name) or not Path(name).is_dir():
            names.append(name)
            continue
        found = sorted(path for path in Path(name).rglob("*") if path.is_file())
        shown = [p for p in found if not any(x.startswith(".") for x in p.relative_to(name).parts)]
        texts = [path for path in shown if _suffix(path) in TEXT_SUFFIXES]
        if not texts:
            raise DataError(
                f"the folder {name} holds no text file (its name ending in "
                f"{', '.join(TEXT_SUFFIXES)}, compressed or not); name the files themselves"
            )
        names += map(str, texts)
        if report is not None:
            for path in sorted({*shown} - {*texts}):
                report.left_out.add(OTHER_FILE, str(path))
    return names


def _suffix(path: Path) -> str:
    """The ending that says what a file holds, under any compression."""
    return Path(path.stem if path.suffix in COMPRESSED else path.name).suffix.lower()


def _read(
    names: list[str], documents: Division, text_field: str, report: TextReport
) -> Iterator[TextPart]:
    """All documents, counted; those without text are left out."""
    for name in names:
        report.n_files += 1
        begins = True
        for part in regroup(_fragments(name, documents, text_field, report)):
            if begins and part.ends and not part.text.strip():
                report.left_out.add(EMPTY, name)
                continue
            report.n_documents += begins
            begins = part.ends
            yield part
    if not report.n_documents:
        raise DataError(f"{', '.join(names)}: there is no text in it; give files that hold some")


def _fragments(
    name: str, documents: Division, text_field: str, report: TextReport
) -> Iterator[TextPart]:
    """The documents of one input in pieces as they are read, of any size."""
    if is_hub_name(name):
        return _hub_column(name)
    if _suffix(Path(name)) in JSON_SUFFIXES:
        return _json_lines(name, text_field)
    if documents == "file":
        return _whole_file(name)
    return _divided(name, documents == "line", report)


def _divided(name: str, by_lines: bool, report: TextReport) -> Iterator[TextPart]:
    """Lines as documents, or runs of lines that are not blank."""
    invalid: list[InvalidLine] = []
    within = False
    for number, line in enumerate(read_lines(name, invalid.append), 1):
        if invalid:
            report.left_out.add(INVALID_UTF8, f"{name}:{number}")
            invalid.clear()
        elif line.strip():
            yield TextPart("\n" + line if within else line, by_lines)
            within = not by_lines
        elif within:
            yield TextPart("", True)
            within = False
    if within:
        yield TextPart("", True)


def _whole_file(name: str) -> Iterator[TextPart]:
    """Every character of a file, but for a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    n_lines = n_line_bytes = 0  # lines that have ended, and what there is of the present one
    with open_bytes(name) as stream:
        while True:
            block = stream.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                *ended, last = error.object[: error.start].split(b"\n")
                n_before = len(last) if ended else n_line_bytes + len(last)
                value = error.object[error.start]
                place = InvalidLine(name, n_lines + len(ended) + 1, n_before, value)
                raise DataError(str(place)) from error
            yield TextPart(text, not block)
            if not block:
                return
            begin = text.rfind("\n") + 1
            n_lines += text.count("\n")
            n_line_bytes = len(text[begin:].encode()) + (0 if begin else n_line_bytes)


def read_json_lines(name: str, text_field: str = "text") -> Iterator[tuple[str, str]]:
    """The text of each line's JSON object, and where it stands, `file:line`; blank lines are none.

    Raises DataError for a line that is not JSON, or has no text under that name.
    """
    for number, line in enumerate(read_lines(name), 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name}:{number}: the line is not JSON ({error}); write one object a line, or "
                f"give the file another ending if it is plain text"
            ) from None
        place = f"{name}:{number}"
        yield _text_of(content, text_field, place), place


def _json_lines(name: str, text_field: str) -> Iterator[TextPart]:
    return (TextPart(text, True) for text, _ in read_json_lines(name, text_field))


def _hub_column(name: str) -> Iterator[TextPart]:
    rows, (column,) = open_hub(
        name, 1, "hub:NAME[:CONFIG]:SPLIT:COLUMN", "hub:roneneldan/TinyStories:train:text"
    )
    for number, row in enumerate(rows, 1):
        yield TextPart(_text_of(row, column, f"{name}, row {number}"), True)


def _text_of(row: Any, column: str, place: str) -> str:
    """The text of an object. Raises DataError where there is none."""
    if not isinstance(row, dict):
        raise DataError(f"{place}: {str(row)[:40]!r} is not an object with a field {column!r}")
    if column not in row:
        raise DataError(
            f"{place}: there is no field {column!r} among {', '.join(sorted(row)) or 'none'}; name "
            f"the field of the text"
        )
    if not isinstance(row[column], str):
        raise DataError(f"{place}: {column!r} is {str(row[column])[:40]!r}; it should be a text")
    return str(row[column])
