"""The translator: lines in, as many lines out, each scored and found again."""

import random
import re
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from triptych.core.attention import fused_attention
from triptych.errors import DataError, ModelFileError, UsageError
from triptych.recipes.translate_options import (
    TranslateOptions,
    banned_from_generation,
    options_from_generation,
)
from triptych.recipes.translator import Translator
from triptych.recipes.word_alignment import AlignmentHead

LINES = ["ab cd e", "", "fgh", "   ", "ij klm nop q", "r", "ab cd e", "stuv wxyz"]


@pytest.fixture
def translator(letter_model, letters) -> Translator:
    return Translator(letter_model, letters)


@contextmanager
def biased(model, token_id: int, value: float):
    """A token made as good as certain, or as good as impossible."""
    before = model.final_logits_bias[token_id].item()
    model.final_logits_bias[token_id] = value
    try:
        yield
    finally:
        model.final_logits_bias[token_id] = before


def close(found, expected) -> bool:
    return found.text == expected.text and found.score == pytest.approx(expected.score, abs=1e-5)


@pytest.mark.parametrize("beam_size", [1, 4])
def test_lines_keep_their_number_and_order(translator, beam_size):
    found = translator.translate(LINES, beam_size=beam_size, max_new_tokens=12)
    assert len(found) == len(LINES)
    for line, translation in zip(LINES, found, strict=True):
        (alone,) = translator.translate([line], beam_size=beam_size, max_new_tokens=12)
        assert close(translation, alone)
    assert len({translation.text for translation in found}) > 4
    assert close(found[0], found[6])


def test_blank_lines_are_blank_and_score_nothing(translator):
    for options in (TranslateOptions(), TranslateOptions(split_sentences="en", alignments=True)):
        for translation in translator.translate(["", " \t ", "\u00ad"], options=options):
            assert translation.text == ""
            assert translation.score == 0.0
            assert translation.tokens == ()
            assert len(translation.n_best) == 1
            assert not translation.reached_limit
            if options.alignments:
                assert translation.alignment.links == ()
    assert translator.translate([]) == []


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_the_budget_changes_nothing(translator, batch_tokens):
    random.seed(0)
    lines = ["".join(random.choices("abcdefgh ", k=random.randint(1, 20))) for _ in range(25)]
    expected = translator.translate(lines, max_new_tokens=15)
    options = TranslateOptions(batch_tokens=batch_tokens, max_new_tokens=15)
    found = translator.translate(lines, options=options)
    assert all(close(f, e) for f, e in zip(found, expected, strict=True))


def test_stream_is_translate_in_small_pieces(translator):
    options = TranslateOptions(max_new_tokens=9)
    stream = translator.stream(iter(LINES), options=options, at_once=3)
    expected = translator.translate(LINES, options=options)
    assert all(close(f, e) for f, e in zip(stream, expected, strict=True))
    with pytest.raises(DataError, match=r"^lines\.en:5: 61 tokens, more than .* limit of 48"):
        list(translator.stream(["a"] * 4 + ["a" * 60], name="lines.en", at_once=2))


def test_the_translation_scores_what_it_says(translator, letter_model):
    """Scored by tokens, as a text may be cut into tokens in another way."""
    for length_penalty in ("gnmt", "length", "none"):
        options = TranslateOptions(length_penalty=length_penalty, alpha=0.6, max_new_tokens=9)
        found = translator.translate(["ab cd e", "fgh"], options=options)
        scores = translator.score(["ab cd e", "fgh"], [t.text for t in found], options=options)
        for translation, score in zip(found, scores, strict=True):
            assert translation.tokens == score.tokens  # letters can be cut in one way only
            assert translation.score == pytest.approx(score.score, abs=1e-5)
            assert sum(score.token_log_probs) == pytest.approx(score.log_prob)


def test_scores_keep_their_order_and_blank_pairs_score_nothing(translator):
    sources, targets = ["abc", "", "d e f g", "h"], ["x y z", " ", "w", "a long target indeed"]
    scores = translator.score(sources, targets)
    assert (scores[1].score, scores[1].tokens) == (0.0, ())
    for i in (0, 2, 3):
        (alone,) = translator.score([sources[i]], [targets[i]])
        assert scores[i].score == pytest.approx(alone.score, abs=1e-5)
        assert len(scores[i].tokens) == len(targets[i]) + 1
    assert len({round(score.score, 4) for score in scores}) == 4


def test_dropout_is_off_and_the_mode_is_left_as_it_was(translator, letter_model):
    letter_model.train()
    try:
        first = translator.translate(LINES, max_new_tokens=9)
        assert first == translator.translate(LINES, max_new_tokens=9)
        assert letter_model.training
        translator.score(["a"], ["b"])
        assert letter_model.training
    finally:
        letter_model.eval()


def test_n_best_has_different_texts_in_order(translator):
    found = translator.translate(LINES, n_best=4, beam_size=6, max_new_tokens=8)
    for translation in found:
        texts = [candidate.text for candidate in translation.n_best]
        scores = [candidate.score for candidate in translation.n_best]
        assert len(set(texts)) == len(texts) <= 4
        assert scores == sorted(scores, reverse=True)
        assert (texts[0], scores[0]) == (translation.text, translation.score)
    assert max(len(translation.n_best) for translation in found) == 4


def test_two_spellings_of_one_text_count_once(letter_model, letters):
    class Deaf(type(letters)):
        """Tells only T from other letters, so that many ids make one text."""

        def decode_target(self, token_ids):
            return re.sub("[^T]", "-", super().decode_target(token_ids))

    all_of_them = {"n_best": 16, "beam_size": 16, "max_new_tokens": 4}
    plain = Translator(letter_model, letters).translate(["ab"], **all_of_them)[0].n_best
    found = Translator(letter_model, Deaf()).translate(["ab"], **all_of_them)[0].n_best
    expected = {
        re.sub("[^T]", "-", c.text): c.score for c in reversed(plain)
    }  # the best of each text
    assert len(expected) < len(plain)
    assert {c.text: c.score for c in found} == expected
    assert [c.score for c in found] == sorted(expected.values(), reverse=True)


def test_a_prefix_begins_the_translation(translator):
    found = translator.translate(["abc", "", "def"], prefixes=["xy", "xy", ""], max_new_tokens=9)
    free = translator.translate(["abc", "", "def"], max_new_tokens=9)
    assert found[0].text.startswith("xy")
    assert not free[0].text.startswith("xy")
    assert found[1].text == ""
    assert close(found[2], free[2])
    with pytest.raises(DataError, match=r"line 2: the prefix has 4 tokens, .* may have 4"):
        translator.translate(["a", "b"], prefixes=["", "xxxx"], max_new_tokens=4)
    with pytest.raises(UsageError, match="1 prefixes for 2 lines"):
        translator.translate(["a", "b"], prefixes=["x"])


def test_so_do_those_of_a_stream(translator):
    lines, prefixes = ["abc", "", "def"], ["xy", "xy", ""]
    expected = translator.translate(lines, prefixes=prefixes)
    for at_once in (1, 2, 3):
        found = list(translator.stream(lines, prefixes=prefixes, at_once=at_once))
        assert [each.text for each in found] == [each.text for each in expected]
    with pytest.raises(DataError, match="input:3 has no prefix"):
        list(translator.stream(lines, prefixes=prefixes[:2], at_once=2))
    with pytest.raises(DataError, match="more prefixes than the 2 lines of input"):
        list(translator.stream(lines[:2], prefixes=prefixes))


def test_the_unknown_token_and_padding_never_occur(letter_model, letters):
    with biased(letter_model, 1, 50.0):
        translation = Translator(letter_model, letters).translate(["abc"], max_new_tokens=5)[0]
    assert "<unk>" not in translation.tokens
    assert "<pad>" not in translation.tokens
    assert translation.tokens[-1] == "</s>"
    assert translation.score < -10  # nearly all of the probability was the unknown token's


def test_the_limit_is_the_source_twice_and_ten(letter_model, letters):
    with biased(letter_model, 0, -100.0):  # never ends by itself
        translator = Translator(letter_model, letters)
        lengths = [len(t.tokens) for t in translator.translate(["abc", "a" * 30], beam_size=1)]
        marked = [t.reached_limit for t in translator.translate(["abc"], beam_size=2)]
    assert lengths == [2 * 4 + 10, 48]
    assert marked == [True]


def test_too_long_is_refused_or_split_but_never_cut(translator, letters):
    with pytest.raises(DataError, match=r"line 2: 61 tokens, more than this model's limit of 48"):
        translator.translate(["ab", "c" * 60])
    long = "ab cd ef gh. " * 9 + "x" * 70
    options = TranslateOptions(on_too_long="split", max_new_tokens=6, alignments=True)
    found = translator.translate([long, "ab"], options=options)
    (alone,) = translator.translate(["ab"], max_new_tokens=6)
    assert close(found[1], alone)
    assert found[0].tokens.count("</s>") >= 4
    assert found[0].score == pytest.approx(
        sum(found[0].n_best[0].token_log_probs) / len(found[0].tokens)
    )
    with pytest.raises(DataError, match="the target has 61 tokens"):
        translator.score(["a"], ["b" * 60])


def test_split_sentences_are_translated_one_by_one(translator, letter_model):
    options = TranslateOptions(split_sentences="en", max_new_tokens=7, alignments=True)
    with biased(letter_model, 0, -100.0):  # no empty translations
        (both,) = translator.translate(["Ab cd. Ef gh ij."], options=options)
        parts = translator.translate(["Ab cd.", "Ef gh ij."], options=options)
    assert all(part.text for part in parts)
    assert both.text == " ".join(part.text for part in parts)
    assert both.tokens == parts[0].tokens + parts[1].tokens
    height, width = parts[0].alignment.weights.shape
    shifted = [(s + width, t + height) for s, t in parts[1].alignment.links]
    assert both.alignment.links == tuple(sorted([*parts[0].alignment.links, *shifted]))
    assert (both.alignment.weights[height:, :width] == 0).all()
    assert np.allclose(both.alignment.weights[height:, width:], parts[1].alignment.weights)


def test_line_breaks_in_a_translation_become_spaces(letter_model, letters):
    newline = letters.encode_target(["\n"])[0][0]
    with biased(letter_model, newline, 20.0):
        (found,) = Translator(letter_model, letters).translate(["ab"], max_new_tokens=5)
    assert "\n" in found.tokens
    assert "\n" not in found.text


def test_alignments_leave_the_model_as_it_was(translator, letter_model):
    before = [m.attend for m in letter_model.modules() if hasattr(m, "attend")]
    assert set(before) == {fused_attention}
    for head in (None, AlignmentHead(1, 2), AlignmentHead(0, 0, "predicted")):
        translator.alignment_head = head
        plain = translator.translate(LINES, max_new_tokens=9)
        aligned = translator.translate(LINES, max_new_tokens=9, alignments=True)
        for a, b, line in zip(plain, aligned, LINES, strict=True):
            assert a.text == b.text
            assert b.alignment.weights.sum(axis=1).max(initial=0) <= 1 + 1e-5
            assert all(s < max(1, len(line.split(" "))) for s, _ in b.alignment.links)
    assert [m.attend for m in letter_model.modules() if hasattr(m, "attend")] == before
    translator.alignment_head = AlignmentHead(2, 0)
    with pytest.raises(UsageError, match="layer 2, head 0 is to align, but the model has 2 layers"):
        translator.translate(["a"], alignments=True)
    assert [m.attend for m in letter_model.modules() if hasattr(m, "attend")] == before


def test_one_text_is_not_a_list_of_letters(translator):
    with pytest.raises(UsageError, match=r"write \[text\]"):
        translator.translate("abc")


def test_options_of_a_folder():
    options = options_from_generation({"num_beams": 6, "length_penalty": 0.8, "x": 1}, "here")
    assert (options.beam_size, options.length_penalty, options.alpha) == (6, "length", 0.8)
    assert options_from_generation({}, "here") == TranslateOptions()
    for wrong in ({"num_beams": "six"}, {"num_beams": 0}, {"length_penalty": -1}):
        with pytest.raises(ModelFileError, match="here: "):
            options_from_generation(wrong, "here")
    assert banned_from_generation({"bad_words_ids": [[5], [7]]}, "here") == (5, 7)
    assert banned_from_generation({}, "here") == ()
    with pytest.raises(ModelFileError, match="only single tokens"):
        banned_from_generation({"bad_words_ids": [[5, 7]]}, "here")
    with pytest.raises(ModelFileError, match="not understood"):
        AlignmentHead.from_json({"layer": 1}, "here")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_best": 5}, "n_best is 5"),
        ({"on_too_long": "cut"}, "on_too_long is 'cut'"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"beam_size": 0}, "beam_size is 0"),
    ],
)
def test_wrong_options_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        TranslateOptions(**wrong)


def test_the_device_is_the_module_s(letter_model, letters):
    assert Translator(letter_model, letters, device="cpu").device == torch.device("cpu")
