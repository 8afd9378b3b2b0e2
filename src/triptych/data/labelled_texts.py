"""Texts, or pairs of texts, each with its label: the rows of TSV and CSV tables.

Columns are named by the header or numbered from 1. What is not named is found where it is safe,
and said: known names in a header, two columns as text and label, three as text, pair and label.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from triptych.data.tables import Row, read_rows
from triptych.errors import DataError, UsageError
from triptych.files.notices import notice

TEXTS = ("sentence", "sentence1", "text", "text1", "question", "question1", "premise", "#1 string")
PAIRS = ("sentence2", "text2", "question2", "hypothesis", "#2 string")
LABELS = ("label", "labels", "gold_label", "quality", "score", "similarity", "is_duplicate")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where text, pair and label stand: names of a header, numbers from 1, or to be found."""

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    header: Literal["auto", "yes", "no"] = "auto"

    @property
    def named(self) -> list[str]:
        """The columns given by their names."""
        given = (self.text, self.pair, self.label)
        return [column for column in given if column is not None and not column.isdecimal()]


@dataclass(frozen=True)
class LabelledText:
    """One example."""

    text: str
    pair: str | None
    label: str
    place: str
    """file:line"""

    @property
    def value(self) -> float:
        """The label as a number. Raises DataError where it is none."""
        value = _number(self.label)
        if value is None:
            raise DataError(
                f"{self.place}: the label {self.label[:60]!r} is not a number; name the column of "
                "the values with --label-column, or use classification"
            )
        return value


class Chosen(NamedTuple):
    """Indices of the columns, from 0."""

    text: int
    pair: int | None
    label: int


def read_labelled_texts(
    paths: Sequence[str], columns: Columns, *, numeric: bool = False
) -> list[LabelledText]:
    """The examples of one or more tables; `numeric`: labels are numbers (regression).

    Raises DataError with file and line for a table that cannot be used: columns that are not
    there or cannot be told apart, a label that is empty or no number, pairs beside single texts.
    """
    tables = [_read(path, columns, numeric) for path in paths]
    for first, *_ in tables:
        if (first.pair is None) != (tables[0][0].pair is None):
            one, other = ("single texts", "pairs") if first.pair is None else ("pairs", "not")
            raise DataError(
                f"{first.place}: this table has {one} and {paths[0]} {other}; name the columns "
                "with --text-column and --pair-column, or leave one of the files out"
            )
    return [example for table in tables for example in table]


def known_label(label: str, known: Sequence[str], place: str) -> int:
    """The number of a label among those of training. Raises DataError for another one."""
    if label not in known:
        shown = ", ".join(known[:10]) + (" …" if len(known) > 10 else "")
        raise DataError(
            f"{place}: the label {label[:60]!r} does not occur in training, which has {shown}; "
            "correct it, or add training examples of it"
        )
    return known.index(label)


def ordered_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels: numbers by their value, others by the alphabet."""
    different = set(labels)
    if all(_number(label) is not None for label in different):
        return tuple(sorted(different, key=lambda label: (float(label), label)))
    return tuple(sorted(different))


def _read(path: str, columns: Columns, numeric: bool) -> list[LabelledText]:
    rows = read_rows(path)
    has_header = _has_header(rows, columns, numeric)
    header = rows[0].cells if has_header else None
    chosen = _choose(path, columns, header, len(rows[0].cells))
    if has_header or columns.text is None or columns.label is None:
        notice(f"{path}: {_described(chosen, header)}")
    rows = rows[1:] if has_header else rows
    if not rows:
        raise DataError(f"{path}:1: a header and no row below it; give a table with examples")
    examples = [_example(row, chosen, path) for row in rows]
    if numeric:
        for example in examples:
            _ = example.value
    else:
        _check_labels(examples, chosen.label, path)
    return examples


def _example(row: Row, chosen: Chosen, path: str) -> LabelledText:
    place, label = f"{path}:{row.line}", row.cells[chosen.label].strip()
    if not label:
        raise DataError(
            f"{place}: the label (column {chosen.label + 1}) is empty; fill it in, remove the row, "
            "or name another column with --label-column"
        )
    pair = None if chosen.pair is None else row.cells[chosen.pair]
    return LabelledText(row.cells[chosen.text], pair, label, place)


def _has_header(rows: list[Row], columns: Columns, numeric: bool) -> bool:
    """As told; else where columns are named, a first row of known names, or no number on top."""
    if columns.header != "auto":
        return columns.header == "yes"
    cells = [cell.strip().casefold() for cell in rows[0].cells]
    if columns.named or (set(cells) & set(LABELS) and set(cells) & set(TEXTS)):
        return True
    label = int(columns.label) - 1 if columns.label is not None else len(cells) - 1
    if not numeric or len(rows) < 2 or not 0 <= label < len(cells):
        return False
    return _number(cells[label]) is None and _number(rows[1].cells[label]) is not None


def _choose(path: str, columns: Columns, header: list[str] | None, n: int) -> Chosen:
    text = _find(path, "text", columns.text, header, n)
    label = _find(path, "label", columns.label, header, n)
    pair = _find(path, "pair", columns.pair, header, n)
    if text is None and label is None and pair is None:
        if header is not None:
            text, label = _known(header, TEXTS), _known(header, LABELS)
            pair = _known(header, PAIRS)
        if text is None and label is None and n in (2, 3):
            text, pair, label = 0, (1 if n == 3 else None), n - 1
    if text is None or label is None:
        missing = "label" if label is None else "text"
        there = f"the columns {', '.join(header)}" if header else f"{n} columns"
        raise DataError(
            f"{path}:1: {there}, and it cannot be told which one is the {missing}; name it with "
            f"--{missing}-column, by its name in a header or its number from 1"
        )
    return Chosen(text, pair, label)


def _find(path: str, what: str, column: str | None, header: list[str] | None, n: int) -> int | None:
    """The index of a column that was asked for; none where none was."""
    if column is None:
        return None
    option = f"--{what}-column"
    if column.isdecimal() and not (header and column in header):
        if not 1 <= int(column) <= n:
            raise DataError(
                f"{path}:1: there is no column {column} for the {what}, only {n}; give {option} "
                "another number, from 1"
            )
        return int(column) - 1
    if header is None:
        raise UsageError(f"{option} is {column!r}, a name, and --header no says there are none")
    found = _known(header, (column.casefold(),))
    if found is None:
        raise DataError(
            f"{path}:1: there is no column {column!r} for the {what}; the header has "
            f"{', '.join(cell.strip()[:40] for cell in header[:12])}; give {option} one of them, "
            "or a number from 1"
        )
    return found


def _known(header: list[str], names: Sequence[str]) -> int | None:
    cells = [cell.strip().casefold() for cell in header]
    return next((cells.index(name) for name in names if name in cells), None)


def _check_labels(examples: list[LabelledText], column: int, path: str) -> None:
    """A column of sentences, taken for labels, is told from its values; a header perhaps is."""
    counts = Counter(example.label for example in examples)
    if len(counts) > max(20, len(examples) // 2):
        raise DataError(
            f"{examples[0].place}: column {column + 1} has {len(counts):,} different values in "
            f"{len(examples):,} rows, so it holds no labels; name their column with --label-column"
        )
    first = examples[0]
    if len(examples) >= 20 and first.place == f"{path}:1" and counts[first.label] == 1:
        notice(
            f"{path}:1: no other row has the label {first.label[:60]!r}; if this line is a header, "
            "give --header yes"
        )


def _described(chosen: Chosen, header: list[str] | None) -> str:
    def column(index: int) -> str:
        return f"column {index + 1}" + (f" ({header[index].strip()})" if header else "")

    pair = "" if chosen.pair is None else f", its pair from {column(chosen.pair)}"
    top = "line 1 is a header" if header else "no header"
    return f"{top}; text from {column(chosen.text)}{pair}, label from {column(chosen.label)}"


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
