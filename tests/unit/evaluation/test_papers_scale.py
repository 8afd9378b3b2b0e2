"""The papers' scale: its order of steps, its options, its refusals."""

import pytest

from triptych.errors import DataError, UsageError
from triptych.evaluation.papers_scale import papers_bleu, papers_lines, papers_signature


def test_lines_are_lowercased_normalized_and_tokenized():
    assert papers_lines(["Ein „Mann“, im T-Shirt & Hut."], "de") == [
        'ein " mann " , im t-shirt & hut .'
    ]


def test_lowercasing_comes_before_tokenizing():
    # "Dr." is an abbreviation to Moses, "dr." at the end of a line is not
    assert papers_lines(["Der Mann ist Dr."], "de") == ["der mann ist dr ."]


def test_hyphens_stay_inside_words():
    assert papers_lines(["schwarz-weißer Hund"], "de") == ["schwarz-weißer hund"]


def test_case_does_not_count():
    lines = ["Ein Hund läuft am Ufer."]
    assert papers_bleu([lines[0].upper()], lines, "de").bleu == pytest.approx(100)


def test_signature_names_every_choice():
    signature = papers_bleu(["a b"], ["a b"], "de").signature
    assert signature == papers_signature("de")
    for part in ("case:lc", "tok:moses-de", "dash-split:no", "smooth:none", "sacremoses:0."):
        assert part in signature


def test_no_smoothing():
    assert papers_bleu(["a b c x"], ["a b c d"], "en").bleu == 0


def test_refusals():
    with pytest.raises(UsageError, match=r"'xx'.*one of .*de"):
        papers_bleu(["a"], ["a"], "xx")
    with pytest.raises(DataError, match="1 outputs but 2 references"):
        papers_bleu(["a"], ["a", "b"], "de")
