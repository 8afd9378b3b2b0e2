"""Corpus BLEU and chrF of plain, cased, detokenized text, computed by sacrebleu.

BLEU is Papineni et al. 2002 on the tokens of mteval-v13a; chrF is Popović 2015 (character
6-grams, β = 2). The signature that goes with each number names every choice that it rests on, so
that two numbers can be compared, or seen not to be comparable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.evaluation.parallel import require_parallel


@dataclass(frozen=True)
class BleuScore:
    """One BLEU figure (0 to 100) and what it is made of; lengths are in the scale's own tokens."""

    bleu: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int
    signature: str

    def to_json(self) -> dict[str, Any]:
        """The same fields, ready for `json.dumps`."""
        return {
            "bleu": self.bleu,
            "precisions": list(self.precisions),
            "brevity_penalty": self.brevity_penalty,
            "hypothesis_length": self.hypothesis_length,
            "reference_length": self.reference_length,
            "signature": self.signature,
        }


@dataclass(frozen=True)
class ChrfScore:
    """One chrF figure (0 to 100) with its signature."""

    chrf: float
    signature: str

    def to_json(self) -> dict[str, Any]:
        """The same fields, ready for `json.dumps`."""
        return {"chrf": self.chrf, "signature": self.signature}


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> BleuScore:
    """Corpus BLEU, cased, 13a tokens, one reference a line.

    Raises DataError when the two have different numbers of lines, or none.
    """
    require_parallel(hypotheses, references)
    return bleu_with(bleu_metric(), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> ChrfScore:
    """Corpus chrF, one reference a line; raises DataError as `bleu` does."""
    require_parallel(hypotheses, references)
    metric = chrf_metric()
    score = metric.corpus_score(list(hypotheses), [list(references)])
    return ChrfScore(float(score.score), str(metric.get_signature()))


def bleu_metric() -> Any:
    """sacrebleu's BLEU as `bleu` uses it."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU()


def chrf_metric() -> Any:
    """sacrebleu's chrF as `chrf` uses it."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def bleu_with(
    metric: Any, hypotheses: Sequence[str], references: Sequence[str], signature: str | None = None
) -> BleuScore:
    """Score with a given sacrebleu BLEU object; `signature` replaces sacrebleu's own."""
    score = metric.corpus_score(list(hypotheses), [list(references)])
    return BleuScore(
        bleu=float(score.score),
        precisions=tuple(float(precision) for precision in score.precisions),
        brevity_penalty=float(score.bp),
        hypothesis_length=int(score.sys_len),
        reference_length=int(score.ref_len),
        signature=signature or str(metric.get_signature()),
    )
