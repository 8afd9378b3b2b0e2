"""Documents from text files: a paragraph or a sentence a line, a blank line between documents.

    documents, report = read_documents(["wikipedia.txt.xz", "books.txt.xz"], language="en")
    shards = DocumentShards.build(documents, tokenizer, folder, report=report)
    print(report)

The end of a file ends a document as well. Reading streams: it holds one document.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from triptych.data.sentences import LANGUAGES, split_sentences
from triptych.data.tally import Tally, table
from triptych.data.text import (
    INVALID_UTF8,
    STDIN,
    InvalidLine,
    PathLike,
    as_names,
    open_bytes,
    read_lines,
)
from triptych.errors import DataError, UsageError

LINES = "lines"
"""In place of a language: each line is a sentence already, as in the original BERT's input."""

NO_TOKENS = "sentence without tokens"
EMPTY = "document without text"
REASONS = (INVALID_UTF8, NO_TOKENS, EMPTY)

MAX_DOCUMENT_CHARACTERS = 64 * 2**20
"""No book is a tenth as long: a longer document means that the blank lines are missing."""


@dataclass
class DocumentReport:
    """What was read, and what of it was left out: lines, sentences, whole documents.

    `examples` hold a place, `file:line` where one is known. Lines, documents and sentences are
    complete when the documents have been read to the end; `n_tokens` and what has no tokens are
    added by `DocumentShards.build`.
    """

    n_lines: int = 0
    n_documents: int = 0
    n_sentences: int = 0
    n_tokens: int = 0
    left_out: Tally = field(default_factory=lambda: Tally(REASONS))
    n_documents_of: list[int] = field(default_factory=list)
    """The documents of each file, in the order of the files."""
    files: list[str] = field(default_factory=list)
    """Their names, for messages."""

    def to_dict(self) -> dict[str, object]:
        """The report for JSON."""
        return {
            "n_lines": self.n_lines,
            "n_documents": self.n_documents,
            "n_sentences": self.n_sentences,
            "n_tokens": self.n_tokens,
            "left_out": self.left_out.to_dict(),
        }

    def __str__(self) -> str:
        """A table: what was read, and one row for each reason that occurred."""
        return table(
            [
                ("lines read", self.n_lines, ""),
                ("documents", self.n_documents, ""),
                ("sentences", self.n_sentences, ""),
                ("tokens", self.n_tokens, ""),
                *self.left_out.rows(),
            ]
        )


def read_documents(
    paths: PathLike | Sequence[PathLike], language: str = "en"
) -> tuple[Iterator[list[str]], DocumentReport]:
    """The documents of one or more text files, each a list of its sentences, and a report.

    `language` chooses the rules that split a line into sentences (`data.sentences`); "lines" takes
    each line as one. A line that is not UTF-8 is left out, counted, and divides nothing.

    Raises UsageError for an unknown language and DataError for a file that cannot be read; while
    the documents are read, DataError for a document that does not end, and at their end for a
    corpus that is empty or is a single document.
    """
    if language not in LANGUAGES and language != LINES:
        raise UsageError(
            f"there are no sentence rules for {language!r}; choose one of {', '.join(LANGUAGES)}, "
            f"or {LINES!r} where each line is one sentence"
        )
    names = as_names(paths)
    for name in names:
        if name != STDIN:
            with open_bytes(name):  # a missing file should not be noticed an hour later
                pass
    report = DocumentReport(files=names)
    return _read(names, language, report), report


def _read(names: list[str], language: str, report: DocumentReport) -> Iterator[list[str]]:
    single = ""
    for name in names:
        report.n_documents_of.append(0)
        for document, place in _read_file(name, language, report):
            report.n_documents += 1
            report.n_documents_of[-1] += 1
            report.n_sentences += len(document)
            single = place if report.n_documents == 1 else ""
            yield document
    if not report.n_documents:
        raise DataError(
            f"{', '.join(names)}: {report.n_lines:,} lines and no text in them; pretraining needs "
            f"at least two documents, with a blank line between them"
        )
    if single:
        raise DataError(
            f"{single}: a single document begins here and is the whole corpus, for no blank line "
            f"stands between any two of its {report.n_lines:,} lines, so no random next sentence "
            f"can be drawn from another one; put a blank line between documents, or add a file"
        )


def _read_file(name: str, language: str, report: DocumentReport) -> Iterator[tuple[list[str], str]]:
    """Each document of a file that has text, with the place where it begins."""
    document: list[str] = []
    begin = n_characters = 0
    for number, line in _lines(name, report):
        if line == "":
            if document:
                yield document, f"{name}:{begin}"
            elif begin:
                report.left_out.add(EMPTY, f"{name}:{begin}")
            document, begin, n_characters = [], 0, 0
            continue
        begin = begin or number
        if line is not None:
            n_characters += len(line)
            if n_characters > MAX_DOCUMENT_CHARACTERS:
                raise DataError(
                    f"{name}:{begin}: the document that begins here has more than "
                    f"{MAX_DOCUMENT_CHARACTERS:,} characters; put a blank line between documents"
                )
            document += [line] if language == LINES else split_sentences(line, language)


def _lines(name: str, report: DocumentReport) -> Iterator[tuple[int, str | None]]:
    """Number and text of each line, None where it is not UTF-8; after the last, an empty one."""
    invalid: list[InvalidLine] = []
    number = 0
    for number, line in enumerate(read_lines(name, invalid.append), 1):
        report.n_lines += 1
        if invalid:
            report.left_out.add(INVALID_UTF8, f"{name}:{number}")
            invalid.clear()
            yield number, None
        else:
            yield number, line.strip()
    yield number + 1, ""
