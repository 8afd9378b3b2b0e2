"""Lines become pieces that fit, and nothing gets lost on the way."""

import pytest

from triptych.errors import DataError
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation_pieces import cut_into_pieces

SPLIT = TranslateOptions(on_too_long="split")


def cut(letters, lines, options, limit=20):
    return cut_into_pieces(lines, None, letters, options, limit, lambda i: f"x:{i + 1}")


@pytest.mark.parametrize(
    "line",
    ["ab cd ef gh ij kl mn op qr st uv", "a" * 100, "ab " * 50 + "c" * 45, "a, b, c. d e f. " * 6],
)
def test_what_is_split_fits_and_is_complete(letters, line):
    pieces = cut(letters, ["z", line], SPLIT)
    assert pieces[0].text == "z"
    parts = [piece.text for piece in pieces[1:]]
    assert "".join("".join(parts).split()) == "".join(line.split())
    assert all(len(piece.source_ids) <= 20 for piece in pieces)
    assert all(piece.line == 1 for piece in pieces[1:])
    assert [piece.source_ids for piece in pieces] == letters.encode_source(["z", *parts])


def test_it_is_split_after_a_sentence_or_a_comma_when_there_is_one(letters):
    texts = [piece.text for piece in cut(letters, ["ab cd ef. gh ij kl mn"], SPLIT)]
    assert texts == ["ab cd ef.", "gh ij kl mn"]
    texts = [piece.text for piece in cut(letters, ["ab cd ef gh, ij kl mn"], SPLIT)]
    assert texts == ["ab cd ef gh,", "ij kl mn"]


def test_a_letter_of_many_tokens_is_refused(letters):
    with pytest.raises(DataError, match="x:1: 2 tokens, more than this model's limit of 1"):
        cut(letters, ["a"], SPLIT, limit=1)
