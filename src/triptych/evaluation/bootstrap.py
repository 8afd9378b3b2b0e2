"""Is one output better than another, or was the test set kind to it? Paired bootstrap.

Koehn 2004: draw test sets of the same size from the lines with replacement, score both outputs on
each, and look at the differences. The p-value is the share of draws whose difference, centered on
its mean, reaches the one observed (the convention of Moses and of sacrebleu, whose own test gives
the same p for the same seed, but for two identical outputs: p is 1 here, and 1 / (samples + 1)
there); the interval holds the middle 95 % of the differences.

sacrebleu's test takes its seed from the environment and reports no interval of the difference,
hence this one, over sacrebleu's own sufficient statistics of each line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triptych.errors import UsageError
from triptych.evaluation.bleu import bleu_metric, chrf_metric
from triptych.evaluation.papers_scale import papers_lines, papers_metric, papers_signature
from triptych.evaluation.parallel import require_parallel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PairedScore:
    """Output against baseline by one metric; `low` and `high` bound the difference, 95 %."""

    metric: str
    score: float
    baseline: float
    low: float
    high: float
    p_value: float
    signature: str

    @property
    def difference(self) -> float:
        """Positive when the output is better than the baseline."""
        return self.score - self.baseline

    def to_json(self) -> dict[str, Any]:
        """The fields and the difference, ready for `json.dumps`."""
        return {
            "metric": self.metric,
            "score": self.score,
            "baseline": self.baseline,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "p_value": self.p_value,
            "signature": self.signature,
        }


@dataclass(frozen=True)
class PairedComparison:
    """The paired scores of `n` lines, from `n_samples` draws with `seed`."""

    n: int
    n_samples: int
    seed: int
    scores: tuple[PairedScore, ...]

    def to_json(self) -> dict[str, Any]:
        """`n`, `n_samples`, `seed`, and under each metric's name its paired score."""
        by_metric = {score.metric: score.to_json() for score in self.scores}
        return {"n": self.n, "n_samples": self.n_samples, "seed": self.seed, **by_metric}


def paired_bootstrap(
    hypotheses: Sequence[str],
    baseline: Sequence[str],
    references: Sequence[str],
    language: str | None = None,
    n_samples: int = 1000,
    seed: int = 12345,
) -> PairedComparison:
    """Compare two outputs for the same references, by `bleu` and `chrf`.

    With a target `language` also by `papers_bleu`. The same seed gives the same answer. Raises
    DataError for unequal or empty sets, UsageError for n_samples below 1 or an unknown language.
    """
    if n_samples < 1:
        raise UsageError(f"n_samples is {n_samples}; draw at least 1 sample (1,000 is usual).")
    n = require_parallel(hypotheses, references)
    require_parallel(baseline, references, ("baseline outputs", "references"))
    scores = []
    for name, metric in (("bleu", bleu_metric()), ("chrf", chrf_metric())):
        texts = (hypotheses, baseline, references)
        scores.append(_compare(name, metric, texts, n_samples, seed))
    if language is not None:
        signature = papers_signature(language)
        texts = (
            papers_lines(hypotheses, language),
            papers_lines(baseline, language),
            papers_lines(references, language),
        )
        score = _compare("papers_bleu", papers_metric(), texts, n_samples, seed, signature)
        scores.append(score)
    return PairedComparison(n, n_samples, seed, tuple(scores))


def _compare(
    name: str,
    metric: Any,
    texts: tuple[Sequence[str], Sequence[str], Sequence[str]],
    n_samples: int,
    seed: int,
    signature: str | None = None,
) -> PairedScore:
    hypotheses, baseline, references = texts
    statistics = [_line_statistics(metric, lines, references) for lines in (hypotheses, baseline)]
    score, base = (_score(metric, rows.sum(axis=0)) for rows in statistics)
    generator = np.random.default_rng(seed)
    differences = np.empty(n_samples)
    for sample in range(n_samples):
        drawn = generator.integers(len(references), size=len(references))
        ours, theirs = (_score(metric, rows[drawn].sum(axis=0)) for rows in statistics)
        differences[sample] = ours - theirs
    low, high = np.quantile(differences, [0.025, 0.975])
    return PairedScore(
        metric=name,
        score=score,
        baseline=base,
        low=float(low),
        high=float(high),
        p_value=_p_value(differences, abs(score - base)),
        signature=f"{signature or metric.get_signature()}|bs:{n_samples}|seed:{seed}",
    )


def _line_statistics(metric: Any, lines: Sequence[str], references: Sequence[str]) -> FloatArray:
    """[n, statistics]: what sacrebleu adds up over the lines to score a corpus."""
    rows = metric._extract_corpus_statistics(list(lines), [list(references)])
    return np.array(rows, dtype=np.float64)


def _score(metric: Any, totals: FloatArray) -> float:
    # Whole numbers, as sacrebleu counts them: an n-gram total of 0.0 and 0 take the same branch.
    return float(metric._compute_score_from_stats([int(total) for total in totals]).score)


def _p_value(differences: FloatArray, observed: float) -> float:
    sizes = np.abs(differences)
    beyond = int((sizes - sizes.mean() >= observed).sum())
    return (beyond + 1) / (len(differences) + 1)
