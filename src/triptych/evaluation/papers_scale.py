"""The scale of the published Multi30k tables: BLEU on lowercased, Moses-tokenized words.

The order is the data set's own: lowercase, normalize the punctuation, tokenize. It matters:
tokenizing first meets an abbreviation in its capitals and gives test_2016_flickr.de 12,102 words;
this order gives 12,103, the reference length printed beside the published scores. Words are not
split at hyphens (Moses' aggressive option, off here; it would give 12,243). Escaping of special
characters is off, which changes no word boundary.

The result cannot be compared with cased, detokenized BLEU; print both.
"""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from triptych.errors import UsageError
from triptych.evaluation.bleu import BleuScore, bleu_with
from triptych.evaluation.parallel import require_parallel


def papers_bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> BleuScore:
    """Corpus BLEU of plain text on the papers' scale; `language` is the target's code ("de").

    Raises DataError for unequal or empty files, UsageError for a language Moses does not know.
    """
    require_parallel(hypotheses, references)
    return bleu_with(
        papers_metric(),
        papers_lines(hypotheses, language),
        papers_lines(references, language),
        papers_signature(language),
    )


def papers_metric() -> Any:
    """sacrebleu's BLEU over words that are already split, without smoothing."""
    from sacrebleu.metrics.bleu import BLEU

    # force: sacrebleu would otherwise suspect a mistake when lines end in " ."
    return BLEU(tokenize="none", smooth_method="none", force=True)


def papers_signature(language: str) -> str:
    """Every choice of the scale in one line, in sacrebleu's manner of writing."""
    return (
        f"nrefs:1|case:lc|eff:no|norm:moses-punct-{language}|tok:moses-{language}|dash-split:no"
        f"|smooth:none|sacremoses:{version('sacremoses')}|sacrebleu:{version('sacrebleu')}"
    )


def papers_lines(lines: Sequence[str], language: str) -> list[str]:
    """Each line lowercased, normalized and tokenized, its words separated by single spaces."""
    normalizer, tokenizer = _moses(language)
    return [
        " ".join(
            tokenizer.tokenize(
                normalizer.normalize(line.lower()), aggressive_dash_splits=False, escape=False
            )
        )
        for line in lines
    ]


@cache
def _moses(language: str) -> tuple[Any, Any]:
    from sacremoses import MosesPunctNormalizer, MosesTokenizer
    from sacremoses.corpus import NonbreakingPrefixes

    # sacremoses would fall back to English rules without a word.
    known = sorted(code for code in NonbreakingPrefixes().available_langs if len(code) <= 3)
    if language not in known:
        raise UsageError(
            f"the Moses tokenizer has no rules for language {language!r};"
            f" give one of {', '.join(known)}."
        )
    return MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)
