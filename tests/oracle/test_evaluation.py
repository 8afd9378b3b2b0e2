"""Our numbers against sacrebleu's own significance test, and against published counts."""

import pytest

from triptych.evaluation.bootstrap import paired_bootstrap
from triptych.evaluation.papers_scale import papers_bleu


def read(path):
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def german(data_dir):
    return read(data_dir / "multi30k" / "test_2016_flickr.de")


def test_the_reference_has_the_published_number_of_tokens(german):
    # "reflen: 12103", beside the published 41.02 BLEU of Multi30k's text-only tiny Transformer
    score = papers_bleu(german, german, "de")
    assert (len(german), score.reference_length) == (1000, 12_103)
    assert score.bleu == pytest.approx(100)


def test_p_values_are_sacrebleus(german, monkeypatch):
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.significance import PairedTest

    monkeypatch.setenv("SACREBLEU_SEED", "7")
    references = german[:151]
    ours = [" ".join(line.split()[: -1 - i % 2]) for i, line in enumerate(references)]
    theirs = [" ".join(line.split()[: -1 - i % 3]) for i, line in enumerate(references)]
    mixed = [a if i % 5 else b for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    systems = [("baseline", ours), ("system", mixed)]
    _, expected = PairedTest(
        systems, {"BLEU": BLEU(), "chrF2": CHRF()}, [references], test_type="bs", n_samples=300
    )()
    found = paired_bootstrap(mixed, ours, references, n_samples=300, seed=7)
    for name, score in zip(("BLEU", "chrF2"), found.scores, strict=True):
        baseline, system = expected[name]
        assert score.baseline == pytest.approx(baseline.score)
        assert score.score == pytest.approx(system.score)
        assert score.p_value == pytest.approx(system.p_value)
        assert score.p_value < 0.9
