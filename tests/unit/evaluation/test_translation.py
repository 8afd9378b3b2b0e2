"""All scores in one value, with keys that other programs may rely on."""

import json

import pytest

from triptych.errors import DataError
from triptych.evaluation.bleu import bleu, chrf
from triptych.evaluation.papers_scale import papers_bleu
from triptych.evaluation.translation import score_translations

HYPOTHESES = ["Ein Hund läuft am Ufer.", "Die Bank ist heute zu."]
REFERENCES = ["Ein Hund rennt am Ufer.", "Die Bank ist Heute zu."]

KEYS = [
    "bleu",
    "bleu_signature",
    "chrf",
    "chrf_signature",
    "papers_bleu",
    "papers_signature",
    "n",
    "bleu_precisions",
    "brevity_penalty",
    "hypothesis_length",
    "reference_length",
    "papers_bleu_precisions",
    "papers_brevity_penalty",
    "papers_hypothesis_length",
    "papers_reference_length",
]


def test_the_parts_are_the_single_scores():
    found = score_translations(HYPOTHESES, REFERENCES, "de").to_json()
    assert list(found) == KEYS
    assert found["bleu"] == bleu(HYPOTHESES, REFERENCES).bleu
    assert found["chrf"] == chrf(HYPOTHESES, REFERENCES).chrf
    assert found["papers_bleu"] == papers_bleu(HYPOTHESES, REFERENCES, "de").bleu
    assert found["bleu"] < found["papers_bleu"]  # "Heute" counts against the cased score only
    assert found["n"] == 2
    json.dumps(found)


def test_without_a_language_the_keys_stay():
    found = score_translations(HYPOTHESES, REFERENCES).to_json()
    assert list(found) == KEYS
    assert found["papers_bleu"] is None
    assert found["papers_reference_length"] is None
    assert found["reference_length"] == 12


def test_unequal_sets_are_refused():
    with pytest.raises(DataError, match="2 outputs but 1 references"):
        score_translations(HYPOTHESES, REFERENCES[:1])
