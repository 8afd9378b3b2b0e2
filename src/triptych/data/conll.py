"""Words and their tags, one a line, a blank line between sentences: the CoNLL shared tasks' form.

The word is the first column and the tag the last one, unless told otherwise (CoNLL-U: 2 and 4).
Columns are separated by tabs where a line has one, else by white space. `-DOCSTART-` lines, and in
files with tabs comments (`# ` and no tab), belong to no sentence; nor do CoNLL-U's lines of words
written as one (`1-2`) and of words that are not written (`3.1`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from triptych.data.text import read_lines
from triptych.errors import DataError

DOCUMENT_START = "-DOCSTART-"
CONLL_U_COLUMNS = 10
NO_WORD = re.compile(r"\d+[-.]\d+")
"""In CoNLL-U's first column, of a line that is no word of its sentence."""


@dataclass(frozen=True)
class TaggedSentence:
    """One sentence."""

    words: list[str]
    tags: list[str]
    path: str
    lines: list[int]
    """The line of each word, from 1."""

    def place(self, word: int = 0) -> str:
        """file:line of a word."""
        return f"{self.path}:{self.lines[word]}"


def read_tagged(
    paths: Sequence[str], word_column: int = 1, tag_column: int | None = None
) -> list[TaggedSentence]:
    """The sentences of one or more files; columns count from 1, a tag column of None is the last.

    Raises DataError with file and line: too few columns, another number of columns than in the
    first line, an empty word or tag, a file without a sentence.
    """
    found = []
    for path in paths:
        sentences = [s for s in _sentences(path, word_column, tag_column) if s.words]
        if not sentences:
            raise DataError(
                f"{path} has no sentence; give a file with a word and its tag in each line"
            )
        found += sentences
    return found


def _sentences(path: str, word_column: int, tag_column: int | None) -> Iterator[TaggedSentence]:
    lines = list(read_lines(path))
    has_tabs = any("\t" in line for line in lines)
    sentence = TaggedSentence([], [], path, [])
    first: tuple[int, int] | None = None  # number of columns, and the line that has them
    for number, line in enumerate(lines, 1):
        is_comment = has_tabs and line.startswith("# ") and "\t" not in line
        if is_comment or line.startswith(DOCUMENT_START):
            continue
        if not line.strip():
            yield sentence
            sentence = TaggedSentence([], [], path, [])
            continue
        cells = line.split("\t") if "\t" in line else line.split()
        has_numbers = word_column > 1 and len(cells) == CONLL_U_COLUMNS
        if has_numbers and NO_WORD.fullmatch(cells[0]):
            continue
        first = first or (len(cells), number)
        _check_columns(f"{path}:{number}", cells, first, max(word_column, tag_column or 2))
        sentence.words.append(cells[word_column - 1].strip())
        sentence.tags.append(cells[-1 if tag_column is None else tag_column - 1].strip())
        sentence.lines.append(number)
        if not sentence.words[-1] or not sentence.tags[-1]:
            raise DataError(f"{path}:{number}: the word or its tag is empty; fill it in")
    yield sentence


def _check_columns(place: str, cells: list[str], first: tuple[int, int], least: int) -> None:
    n_columns, line = first
    if len(cells) < least:
        raise DataError(
            f"{place}: columns: {len(cells)}, but at least {least} are needed, a word and its tag "
            "separated by a tab or a space; repair the line, or leave it blank between sentences"
        )
    if len(cells) != n_columns:
        raise DataError(
            f"{place}: columns: {len(cells)}, but {n_columns} in line {line}; give every word the "
            "same columns"
        )
