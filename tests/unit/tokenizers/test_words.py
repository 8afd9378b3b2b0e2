"""Words, and their characters."""

from pathlib import Path

import pytest

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.tokenizers.words import (
    MARKS,
    WORDS_FILE,
    Words,
    count_words,
    sentence_characters,
    split_with_spans,
    split_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The bank's river-bank.", "The bank 's river - bank ."),
        ("'Hello', she said: don’t!", "' Hello ' , she said : don ’t !"),
        ("naïve 日本 2,000", "naïve 日本 2 , 000"),
        ("  \t ", ""),
    ],
)
def test_words_of_a_text(text: str, words: str) -> None:
    assert split_words(text) == words.split()
    found, spans = split_with_spans(text)
    assert found == [text[start:end] for start, end in spans] == words.split()


def test_characters_are_bytes_between_marks() -> None:
    rows = sentence_characters(["aé", "x" * 60], longest=8)
    assert rows.tolist() == [
        [259, 257, 260, 261, 261, 261, 261, 261],
        [259, 98, 196, 170, 260, 261, 261, 261],
        [259, *[121] * 6, 260],
        [259, 258, 260, 261, 261, 261, 261, 261],
    ]


def test_common_words_come_first_and_others_behind() -> None:
    words = Words.commonest(count_words(["b a b", "c b a <UNK>"]), 5)
    assert words.tokens(range(words.vocab_size)) == [*MARKS, "b", "a"]
    assert words.encode(["a b c"]) == [[4, 3, words.unk_id]]
    more = words.extended(["d", "a", "z", "b", "d"])
    assert more.tokens(range(3, more.vocab_size)) == ["b", "a", "d", "z"]
    with pytest.raises(UsageError, match="a vocabulary of 3 has no room"):
        Words.commonest({"a": 1, "b": 1}, 3)


def test_saved_and_loaded(tmp_path: Path) -> None:
    words = Words.commonest(count_words(["b a b ü"]), 9)
    words.save(tmp_path)
    again = Words.load(tmp_path)
    assert again.tokens(range(again.vocab_size)) == words.tokens(range(words.vocab_size))


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 distinct words"):
        Words.commonest({"a": 3}, 9)
    with pytest.raises(ModelFileError, match=WORDS_FILE):
        Words.load(tmp_path)
    (tmp_path / WORDS_FILE).write_text("<S>\n</S>\n<UNK>\na\na\n")
    with pytest.raises(ModelFileError, match="each word once"):
        Words.load(tmp_path)
    (tmp_path / WORDS_FILE).write_bytes(b"\xff")
    with pytest.raises(ModelFileError, match="not UTF-8"):
        Words.load(tmp_path)
