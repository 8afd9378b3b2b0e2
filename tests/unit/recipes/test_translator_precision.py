"""A translator in each precision, against the module, itself and another batch."""

import pytest

from triptych.models.encoder_decoder import EncoderDecoder
from triptych.recipes.translator import Translator
from triptych.runtime.packed import Precision

LINES = ["abc", "a", "the quick brown fox", "", "zyx w"]
BOUNDS = {"fp32": 1e-4, "bf16": 0.6, "int8": 0.6}
"""Stated: nats of a whole text's score on average, with random weights far from uniform, which
turn a small error into a large one."""
EACH_PRECISION = pytest.mark.parametrize("precision", BOUNDS)


@EACH_PRECISION
def test_scores_are_near_the_modules(letter_model, letters, precision: Precision) -> None:  # type: ignore[no-untyped-def]
    given = LINES, ["cba", "b", "xof", "", "w"]
    expected = Translator(_as_it_is(letter_model), letters).score(*given)
    found = Translator(letter_model, letters, precision=precision).score(*given)
    errors = [abs(a.log_prob - b.log_prob) for a, b in zip(found, expected, strict=True)]
    assert sum(errors) / len(errors) <= BOUNDS[precision]
    assert precision == "fp32" or max(errors) > 1e-4


@EACH_PRECISION
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_translation_has_the_score_that_it_is_given(  # type: ignore[no-untyped-def]
    letter_model, letters, precision: Precision, beam_size: int
) -> None:
    translator = Translator(letter_model, letters, precision=precision)
    found = translator.translate(["abc"], beam_size=beam_size, max_new_tokens=8)[0]
    (scored,) = translator.score(["abc"], [found.text])
    best = found.n_best[0]
    assert best.log_prob == pytest.approx(scored.log_prob, abs=BOUNDS[precision] / 10)


@EACH_PRECISION
def test_company_changes_nothing(letter_model, letters, precision: Precision) -> None:  # type: ignore[no-untyped-def]
    translator = Translator(letter_model, letters, precision=precision)
    together = translator.translate(LINES, beam_size=2, max_new_tokens=8)
    for line, expected in zip(LINES, together, strict=True):
        (alone,) = translator.translate([line], beam_size=2, max_new_tokens=8)
        assert alone.text == expected.text
        assert alone.score == pytest.approx(expected.score, abs=BOUNDS[precision] / 10)


def _as_it_is(model: EncoderDecoder) -> EncoderDecoder:
    """A copy of a class of its own, which has no twin."""

    class Plain(EncoderDecoder):
        pass

    plain = Plain(model.config).eval()
    plain.load_state_dict(model.state_dict())
    return plain
