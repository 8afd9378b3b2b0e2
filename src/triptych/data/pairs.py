"""Sentence pairs from two aligned files, from tables, and from the Hugging Face Hub.

Every reader streams: a corpus larger than memory is read line by line, and each pair remembers
where it stood, for the reports of `cleaning`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from triptych.data.hub import open_hub
from triptych.data.text import (
    INVALID_UTF8,
    InvalidLine,
    PathLike,
    as_names,
    count_lines,
    is_read_once,
    read_lines,
)
from triptych.errors import DataError, UsageError

MISALIGNED = "misaligned"


@dataclass(frozen=True, slots=True)
class SentencePair:
    """A sentence and its translation; unpacks as `source, target`.

    `file` and `line` (from 1) are its place. `fault` names what made the line unreadable when the
    reader was asked to be tolerant; the texts are then empty. Place and fault do not count in a
    comparison.
    """

    source: str
    target: str
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    fault: str = field(default="", compare=False)

    def __iter__(self) -> Iterator[str]:
        yield self.source
        yield self.target

    @property
    def place(self) -> str:
        """`file:line`, or an empty string for a pair that came from no file."""
        return f"{self.file}:{self.line}" if self.file else ""


def read_aligned(
    source_path: PathLike | Sequence[PathLike],
    target_path: PathLike | Sequence[PathLike],
    tolerant: bool = False,
) -> Iterator[SentencePair]:
    """The pairs of two aligned files, or of two lists of them: line n translates line n.

    The lines are counted before the first pair is given. With `tolerant`, a line that is not UTF-8
    becomes a pair with a fault instead of an error. Raises DataError for a file that is missing,
    empty, or as long as its partner is not.
    """
    sources, targets = as_names(source_path), as_names(target_path)
    if len(sources) != len(targets):
        raise UsageError(
            f"{len(sources)} source files and {len(targets)} target files; give them in pairs"
        )
    for source, target in zip(sources, targets, strict=True):
        _check_lengths(source, target)
    return _read_aligned_files(sources, targets, tolerant)


def read_tsv(path: PathLike | Sequence[PathLike], tolerant: bool = False) -> Iterator[SentencePair]:
    """The pairs of one or more tables: source, tab, target; further columns are left alone.

    With `tolerant`, a line with one column or invalid UTF-8 becomes a pair with a fault. Raises
    DataError for a missing or empty file and for such a line.
    """
    paths = as_names(path)
    for name in paths:
        if not is_read_once(name):
            _check_not_empty(name, count_lines(name))
    return _read_tables(paths, tolerant)


def read_hub(name: str) -> Iterator[SentencePair]:
    """The pairs of a data set on the Hub, named `hub:NAME[:CONFIG]:SPLIT:SOURCE:TARGET`.

    SOURCE and TARGET are columns, or keys of a column called `translation` (WMT's form):
    `hub:bentrevett/multi30k:train:en:de`, `hub:wmt14:de-en:train[:1%]:en:de`. Needs the extra
    `hub`. Raises UsageError for a name of another form, DataError for a data set that cannot be
    had or lacks the columns.
    """
    rows, (source, target) = open_hub(
        name, 2, "hub:NAME[:CONFIG]:SPLIT:SOURCE:TARGET", "hub:bentrevett/multi30k:train:en:de"
    )
    return _read_rows(rows, name, source, target)


def _check_not_empty(name: str, n_lines: int) -> None:
    if n_lines == 0:
        raise DataError(f"{name} is empty; it must hold at least one line")


def _check_lengths(source: str, target: str) -> None:
    if is_read_once(source) or is_read_once(target):
        if source == target:
            raise UsageError(f"{source} cannot be both sides of the pairs; name two files")
        return  # cannot be read twice; the reader still notices at the end
    n_source, n_target = count_lines(source), count_lines(target)
    _check_not_empty(source, n_source)
    _check_not_empty(target, n_target)
    if n_source != n_target:
        raise DataError(_unequal(source, n_source, target, n_target))


def _unequal(source: str, n_source: int, target: str, n_target: int) -> str:
    return (
        f"{source} has {n_source:,} lines but {target} has {n_target:,}; line n of one must "
        f"translate line n of the other: restore the missing lines or align the files anew"
    )


def _read_aligned_files(
    sources: list[str], targets: list[str], tolerant: bool
) -> Iterator[SentencePair]:
    for source_name, target_name in zip(sources, targets, strict=True):
        faults: list[InvalidLine] = []
        on_invalid = faults.append if tolerant else None
        source_lines = read_lines(source_name, on_invalid)
        target_lines = read_lines(target_name, on_invalid)
        number = 0
        for number, source in enumerate(source_lines, 1):
            target = next(target_lines, None)
            if target is None:
                n_source = number + sum(1 for _ in source_lines)
                raise DataError(_unequal(source_name, n_source, target_name, number - 1))
            if faults:
                place = faults[0].path
                faults.clear()
                yield SentencePair("", "", place, number, INVALID_UTF8)
            else:
                yield SentencePair(source, target, source_name, number)
        n_left = sum(1 for _ in target_lines)
        if n_left:
            raise DataError(_unequal(source_name, number, target_name, number + n_left))


def _read_tables(paths: list[str], tolerant: bool) -> Iterator[SentencePair]:
    for name in paths:
        faults: list[InvalidLine] = []
        lines = read_lines(name, faults.append if tolerant else None)
        for number, line in enumerate(lines, 1):
            columns = line.split("\t")
            if faults:
                faults.clear()
                yield SentencePair("", "", name, number, INVALID_UTF8)
            elif len(columns) >= 2:
                yield SentencePair(columns[0], columns[1], name, number)
            elif tolerant:
                yield SentencePair("", "", name, number, MISALIGNED)
            else:
                raise DataError(
                    f"{name}:{number}: one column where two are needed; separate source and "
                    f"target by a tab"
                )


def _read_rows(rows: Any, name: str, source: str, target: str) -> Iterator[SentencePair]:
    for number, row in enumerate(rows, 1):
        nested = row.get("translation")
        cells = {**row, **nested} if isinstance(nested, dict) else row
        if source not in cells or target not in cells:
            columns = ", ".join(sorted(cells))
            raise DataError(f"{name} has no columns {source} and {target}; it has {columns}")
        texts = [cells[column] or "" for column in (source, target)]  # None where a cell is empty
        if not all(isinstance(text, str) for text in texts):
            raise DataError(f"{name}, row {number}: {source} and {target} must be columns of text")
        yield SentencePair(texts[0], texts[1], name, number)
