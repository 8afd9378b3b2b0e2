"""Questions in SQuAD's format: answers in their places, and broken files."""

import json
from pathlib import Path
from typing import Any

import pytest

from triptych.data.questions import Answer, read_questions
from triptych.errors import DataError, UsageError

CONTEXT = "The river rose in May. Nobody saw it."


def squad(*qas: dict[str, Any], context: str = CONTEXT) -> dict[str, Any]:
    return {"data": [{"paragraphs": [{"context": context, "qas": list(qas)}]}]}


def question(text: str, start: object, **more: Any) -> dict[str, Any]:
    answers = [{"text": text, "answer_start": start}]
    return {"id": "q7", "question": "When?", "answers": answers, **more}


def write(folder: Path, content: object, indent: int | None = 1) -> str:
    path = folder / "q.json"
    path.write_text(json.dumps(content, indent=indent), encoding="utf-8")
    return str(path)


def test_questions_and_their_places(tmp_path: Path) -> None:
    none = {"id": "q8", "question": "Who?", "answers": [], "is_impossible": True}
    path = write(tmp_path, squad(question("May", 18), none))
    first, second = read_questions([path])
    assert first.answers == (Answer("May", 18),)
    assert (second.answers, second.context) == ((), CONTEXT)
    for asked, name in ((first, "q7"), (second, "q8")):
        line = next(i for i, x in enumerate(Path(path).read_text().splitlines(), 1) if name in x)
        assert asked.place == f"{path}:{line}: question {name}"


def test_paragraphs_are_numbered_over_files(tmp_path: Path) -> None:
    path = write(tmp_path, squad(question("May", 18)))
    assert [q.paragraph for q in read_questions([path, path])] == [0, 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (squad(question("May", 17)), r"q.json:\d+: question q7: the answer 'May' is not .* at 18"),
        (squad(question("June", 18)), "it does not occur in it at all"),
        (squad(question("May", -19)), "is not in its context"),
        (squad(question("", 3)), "is not in its context"),
        (squad(question("May", "18")), "answer_start is '18'"),
        (squad({"id": "q7", "question": "?", "answers": []}), '"is_impossible": true'),
        (squad({"id": "q7", "answers": []}), r"qas\[0\] has no text 'question'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, r"paragraphs\[0\] has no text 'context'"),
        ({"data": []}, "has no question"),
        ({"dat": []}, "has no list 'data'"),
        ([1], "has no list 'data'"),
    ],
)
def test_broken_files(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_questions([write(tmp_path, content)])


def test_no_json(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text('{"data":\n [1,]}')
    with pytest.raises(DataError, match=r"q.json:2: not JSON"):
        read_questions([str(path)])
    path.write_bytes(b'{"a":\n"\xff"}')
    with pytest.raises(DataError, match=r"q.json:2: byte 7 of the file is not UTF-8"):
        read_questions([str(path)])
    with pytest.raises(UsageError):
        read_questions(["-"])


def test_real_questions(data_dir: Path) -> None:
    found = read_questions([str(data_dir / "xquad" / "xquad.en.json")])
    assert (len(found), found[-1].paragraph) == (1190, 239)
