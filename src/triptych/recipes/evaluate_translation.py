"""How well a model translates a test set: BLEU on two scales, chrF, and against another output."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from triptych.data.text import PathLike, read_lines
from triptych.errors import UsageError
from triptych.evaluation.bootstrap import PairedComparison, paired_bootstrap
from triptych.evaluation.papers_scale import papers_lines
from triptych.evaluation.parallel import require_parallel
from triptych.evaluation.translation import TranslationScores, score_translations
from triptych.files.atomic import write_file
from triptych.files.notices import notice
from triptych.recipes.translate_file import BLOCK, counted
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation_data import read_pairs
from triptych.recipes.translator import Translator
from triptych.runtime.packed import Precision


@dataclass(frozen=True)
class PairFiles:
    """Where the pairs are; without `target`, `source` are TSV files or one Hub name."""

    source: tuple[str, ...]
    target: tuple[str, ...] = ()


@dataclass(frozen=True)
class TranslationReport:
    """Scores of one model on one test set, and how they came about."""

    scores: TranslationScores
    against: PairedComparison | None
    options: TranslateOptions
    precision: Precision
    seconds: float
    """Of translating alone."""
    n_at_limit: int
    """Translations that used all the tokens they were allowed."""

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            **self.scores.to_json(),
            "beam_size": self.options.beam_size,
            "length_penalty": self.options.length_penalty,
            "alpha": self.options.alpha,
            "precision": self.precision,
            "n_at_limit": self.n_at_limit,
            "seconds": round(self.seconds, 3),
            "against": self.against.to_json() if self.against else None,
        }


def evaluate_translation(
    translator: Translator,
    test: PairFiles,
    options: TranslateOptions,
    *,
    language: str | None = None,
    against: PathLike | None = None,
    output: Path | None = None,
    seed: int = 12345,
    quiet: bool = False,
) -> TranslationReport:
    """Translate the sources of `test` and score them against its targets.

    `language`, the target's code, adds the papers' scale; `against` names a file with another
    output, for a paired bootstrap with `seed`; `output` is where the translations are written.
    Raises DataError for data that cannot be used.
    """
    pairs = list(read_pairs(test.source, test.target))
    references = [pair.target for pair in pairs]
    baseline = list(read_lines(against)) if against is not None else None
    if baseline is not None:
        require_parallel(baseline, references, (f"lines in {against}", "references"))
    options = replace(options, n_best=1, alignments=False)
    began = time.monotonic()
    found = translator.stream(
        (pair.source for pair in pairs), options=options, name=test.source[0], at_once=BLOCK
    )
    translations = list(counted(found, len(pairs), "translate", quiet))
    seconds = time.monotonic() - began
    texts = [translation.text for translation in translations]
    if output is not None:
        write_file(output, "".join(text + "\n" for text in texts))
    return TranslationReport(
        scores=score_translations(texts, references, language),
        against=None
        if baseline is None
        else paired_bootstrap(texts, baseline, references, language, seed=seed),
        options=options,
        precision=translator.twin.precision,
        seconds=seconds,
        n_at_limit=sum(translation.reached_limit for translation in translations),
    )


def papers_language(given: str | None, of_model: object) -> str | None:
    """The language of the papers' scale: as given, else the model's own if Moses knows it.

    Raises UsageError for a given one that Moses does not know.
    """
    if given is not None:
        papers_lines([], given)
        return given
    if not isinstance(of_model, str):
        return None
    try:
        papers_lines([], of_model)
    except UsageError:
        notice(f"no papers' scale: the Moses tokenizer has no rules for {of_model!r}")
        return None
    return of_model


def pair_files(
    data: tuple[str, ...], source: tuple[str, ...], target: tuple[str, ...]
) -> PairFiles:
    """The files of `--data`, or of `--source` and `--target`. Raises UsageError for a mixture."""
    if data and not source and not target:
        return PairFiles(data)
    if source and target and not data:
        return PairFiles(source, target)
    raise UsageError(
        "name the test set once: either --data with TSV files, or both --source and --target"
    )


def report_lines(report: TranslationReport) -> str:
    """The report for a person: one figure a line, its signature after it."""
    s = report.scores
    lines = [f"BLEU   {s.bleu.bleu:6.2f}   {s.bleu.signature}"]
    if s.papers is not None:
        lines.append(f"papers {s.papers.bleu:6.2f}   {s.papers.signature}")
    lines.append(f"chrF   {s.chrf.chrf:6.2f}   {s.chrf.signature}")
    for score in report.against.scores if report.against else ():
        lines.append(
            f"{score.metric}: {score.difference:+.2f} against {score.baseline:.2f}, 95 % between "
            f"{score.low:+.2f} and {score.high:+.2f}, p = {score.p_value:.3f}"
        )
    at_limit = f", {report.n_at_limit:,} at the token limit" if report.n_at_limit else ""
    lines.append(
        f"{s.n:,} lines, beam {report.options.beam_size}, {report.seconds:.1f} s{at_limit}"
    )
    return "\n".join(lines)
