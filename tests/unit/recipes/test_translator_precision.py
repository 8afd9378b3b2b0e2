"""A translator in each precision, against the module, itself and another batch."""

import copy

import pytest
import torch

from triptych.core.attention import attention
from triptych.errors import UsageError
from triptych.inspection.record import record
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.recipes.translator import Translator
from triptych.runtime.encoder_decoder import FastEncoderDecoder
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


def test_who_looks_in_sees_the_module_itself(letter_model, letters) -> None:  # type: ignore[no-untyped-def]
    """A tape fills, a hook is called, another attention counts; afterwards the twin is back."""
    translator = Translator(letter_model, letters)
    assert isinstance(translator.twin(), FastEncoderDecoder)
    with record(letter_model) as tape:
        assert translator.twin() is letter_model
        translator.translate(["abc"], max_new_tokens=3)
    assert tape.weights
    handle = letter_model.decoder[0].register_forward_hook(lambda *_: None)
    assert translator.twin() is letter_model
    handle.remove()
    own = letter_model.decoder[0].self_attention
    kept, own.attend = own.attend, lambda *given: attention(*given)
    assert translator.twin() is letter_model
    own.attend = kept
    assert isinstance(translator.twin(), FastEncoderDecoder)


def test_that_smaller_weights_are_not_used_then_is_said(  # type: ignore[no-untyped-def]
    letter_model, letters, caplog: pytest.LogCaptureFixture
) -> None:
    translator = Translator(letter_model, letters, precision="int8")
    with record(letter_model):
        assert translator.twin() is letter_model
    assert "its int8 twin does not know, so it decodes itself" in caplog.text
    assert isinstance(translator.twin(), FastEncoderDecoder)


def test_a_changed_bias_makes_a_new_twin(letter_model, letters) -> None:  # type: ignore[no-untyped-def]
    """It is a buffer, not a parameter."""
    model = copy.deepcopy(letter_model)
    translator = Translator(model, letters, precision="bf16")
    first = translator.twin()
    assert translator.twin() is first
    model.final_logits_bias[5] = -1e9
    assert translator.twin() is not first
    second = translator.twin()
    model.final_logits_bias = torch.zeros_like(model.final_logits_bias)
    assert translator.twin() is not second


def test_a_class_without_a_twin_has_no_int8(letter_model, letters) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="int8 is not there for a Plain; choose fp32"):
        Translator(_as_it_is(letter_model), letters, precision="int8")


def _as_it_is(model: EncoderDecoder) -> EncoderDecoder:
    """A copy of a class of its own, which has no twin."""

    class Plain(EncoderDecoder):
        pass

    plain = Plain(model.config).eval()
    plain.load_state_dict(model.state_dict())
    return plain
