"""All scores of a translated test set in one value, with fixed keys for `--json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.evaluation.bleu import BleuScore, ChrfScore, bleu, chrf
from triptych.evaluation.papers_scale import papers_bleu
from triptych.evaluation.parallel import require_parallel


@dataclass(frozen=True)
class TranslationScores:
    """BLEU and chrF of `n` lines; `papers` is None when no target language was given."""

    n: int
    bleu: BleuScore
    chrf: ChrfScore
    papers: BleuScore | None

    def to_json(self) -> dict[str, Any]:
        """Flat, always with the same keys; those of the papers' scale may be None."""
        cased = _flat(self.bleu, "bleu", "")
        papers = _flat(self.papers, "papers_bleu", "papers_")
        return {
            "bleu": self.bleu.bleu,
            "bleu_signature": self.bleu.signature,
            "chrf": self.chrf.chrf,
            "chrf_signature": self.chrf.signature,
            "papers_bleu": self.papers.bleu if self.papers else None,
            "papers_signature": self.papers.signature if self.papers else None,
            "n": self.n,
            **cased,
            **papers,
        }


def score_translations(
    hypotheses: Sequence[str], references: Sequence[str], language: str | None = None
) -> TranslationScores:
    """Score plain text against plain text, line by line, on both scales.

    `language` is the target's code for the Moses tokenizer ("de"); without one the papers' scale
    is left out. Raises DataError for unequal or empty sets, UsageError for an unknown language.
    """
    return TranslationScores(
        n=require_parallel(hypotheses, references),
        bleu=bleu(hypotheses, references),
        chrf=chrf(hypotheses, references),
        papers=papers_bleu(hypotheses, references, language) if language is not None else None,
    )


def _flat(score: BleuScore | None, name: str, prefix: str) -> dict[str, Any]:
    return {
        f"{name}_precisions": list(score.precisions) if score else None,
        f"{prefix}brevity_penalty": score.brevity_penalty if score else None,
        f"{prefix}hypothesis_length": score.hypothesis_length if score else None,
        f"{prefix}reference_length": score.reference_length if score else None,
    }
