"""Questions with the answers that their contexts hold: JSON in the format of SQuAD 1.1 and 2.0.

{"data": [{"paragraphs": [{"context": …, "qas": [{"id", "question", "answers": [
    {"text", "answer_start"}], "is_impossible"}]}]}]}
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from triptych.data.text import STDIN, open_bytes
from triptych.errors import DataError, UsageError


@dataclass(frozen=True)
class Answer:
    """A stretch of the context, from character `start`."""

    text: str
    start: int


@dataclass(frozen=True)
class Question:
    """A question, its context, and every answer that counts as right; none: unanswerable."""

    question: str
    context: str
    answers: tuple[Answer, ...]
    place: str
    """file:line: question id"""
    paragraph: int
    """The number of the context among those of all files."""


def read_questions(paths: Sequence[str]) -> list[Question]:
    """The questions of one or more files.

    Raises DataError with the place: no JSON of this format, a file without questions, an answer
    that is not in its context at its offset; UsageError for standard input.
    """
    found: list[Question] = []
    for path in paths:
        first = found[-1].paragraph + 1 if found else 0
        questions = list(_read(path, first))
        if not questions:
            raise DataError(f"{path} has no question; give a file in the format of SQuAD")
        found += questions
    return found


def _read(path: str, paragraph: int) -> Iterator[Question]:
    text, content = _load(path)
    places = _Places(path, text)
    for i, article in enumerate(_list(content, "data", path)):
        paragraphs = _list(article, "paragraphs", f"{path}: data[{i}]")
        for j, each in enumerate(paragraphs):
            place = f"{path}: data[{i}].paragraphs[{j}]"
            context = _text(each, "context", place)
            for k, item in enumerate(_list(each, "qas", place)):
                name = f"{place}.qas[{k}]"
                yield _question(item, context, name, places.of(item, name), paragraph)
            paragraph += 1


def _question(item: Any, context: str, name: str, place: str, paragraph: int) -> Question:
    question = _text(item, "question", name)
    given = [] if item.get("is_impossible") is True else _list(item, "answers", name)
    if not given and item.get("is_impossible") is not True:
        raise DataError(
            f'{place} has no answer; give it one, or "is_impossible": true if there is none'
        )
    answers = []
    for each in given:
        answer = Answer(_text(each, "text", f"{name}.answers"), _start(each, name))
        stands = context[max(0, answer.start) : max(0, answer.start) + len(answer.text)]
        if stands != answer.text or answer.start < 0 or not answer.text:
            raise DataError(
                f"{place}: the answer {answer.text[:60]!r} is not in its context at answer_start "
                f"{answer.start}, where {stands[:60]!r} stands{_elsewhere(answer.text, context)}"
            )
        answers.append(answer)
    return Question(question, context, tuple(answers), place, paragraph)


def _elsewhere(text: str, context: str) -> str:
    at = context.find(text) if text else -1
    found = f"it begins at {at}" if at >= 0 else "it does not occur in it at all"
    return f"; {found}; correct the offset (in characters) or the text"


class _Places:
    """The line on which the id of each question stands, asked in the order of the file: so the
    text is gone through once, and not once a question."""

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self.at, self.line = 0, 1

    def of(self, item: Any, name: str) -> str:
        """The line and the id; `name`, where the text does not show the id as it is."""
        given = item.get("id") if isinstance(item, dict) else None
        at = self.text.find(json.dumps(given), self.at) if isinstance(given, str) else -1
        if at < 0:
            return name
        self.line += self.text.count("\n", self.at, at)
        self.at = at
        return f"{self.path}:{self.line}: question {given}"


def _load(path: str) -> tuple[str, Any]:
    if path == STDIN:
        raise UsageError("questions are read from a file, not from '-'; save them first")
    with open_bytes(path) as stream:
        raw = stream.read()
    try:
        text = raw.decode("utf-8-sig")
        return text, json.loads(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: byte {error.start} of the file is not UTF-8; convert the file"
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not JSON ({error.msg}); give a file in the format of SQuAD"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON that can be used ({error})") from error


def _list(item: Any, key: str, place: str) -> list[Any]:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, list):
        raise DataError(
            f"{place} has no list {key!r}; give a file in the format of SQuAD: data, paragraphs, "
            "context, qas, question, answers"
        )
    return value


def _text(item: Any, key: str, place: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str):
        raise DataError(f"{place} has no text {key!r}; give a file in the format of SQuAD")
    return value


def _start(item: Any, place: str) -> int:
    value = item.get("answer_start")
    if type(value) is not int:
        raise DataError(
            f"{place}: answer_start is {value!r}; it must be a whole number, in characters"
        )
    return value
