"""A translator on the built-in corpus, where the senses and the alignments are known too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.data.storybook import StorySentence, stories
from triptych.evaluation.alignment import AlignmentScore, alignment_error_rate
from triptych.evaluation.senses import SenseScore, sense_accuracy
from triptych.evaluation.translation import TranslationScores, score_translations
from triptych.recipes.story_gold import gold_alignment, sense_cases
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation import Translation
from triptych.recipes.translator import Translator
from triptych.recipes.word_alignment import align_pairs

NAME = "storybook"
N_SENTENCES = 500


@dataclass(frozen=True)
class StorybookScores:
    """A translator's work on some sentences, marked."""

    translations: list[Translation]
    scores: TranslationScores
    senses: SenseScore
    alignment: AlignmentScore

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            **self.scores.to_json(),
            "senses": self.senses.to_json(),
            "alignment_error_rate": self.alignment.aer,
        }

    def __str__(self) -> str:
        s = self.senses
        return "\n".join(
            [
                f"BLEU   {self.scores.bleu.bleu:6.2f}   {self.scores.bleu.signature}",
                f"chrF   {self.scores.chrf.chrf:6.2f}   {self.scores.chrf.signature}",
                f"senses {s.accuracy:6.1%}   {s.n_correct} of {s.n} ambiguous words",
                f"AER    {self.alignment.aer:6.1%}   attention against the grammar's links",
            ]
        )


def storybook_sentences(seed: int, n: int = N_SENTENCES) -> list[StorySentence]:
    """The first n different sentences of a seed's stories."""
    found: dict[str, StorySentence] = {}
    for story in stories(seed):
        for sentence in story.sentences:
            found.setdefault(sentence.english, sentence)
        if len(found) >= n:
            break
    return list(found.values())[:n]


def measure_on_storybook(
    translator: Translator,
    sentences: Sequence[StorySentence],
    options: TranslateOptions | None = None,
) -> StorybookScores:
    """Translate the sentences, and align them with their references."""
    english, german = [s.english for s in sentences], [s.german for s in sentences]
    translations = translator.translate(english, options=options, alignments=True)
    texts = [t.text for t in translations]
    aligned = align_pairs(
        translator.module, translator.tokenizer, english, german, translator.alignment_head
    )
    links = [frozenset(alignment.links) for alignment in aligned]
    return StorybookScores(
        translations,
        score_translations(texts, german, "de"),
        sense_accuracy([sense_cases(s) for s in sentences], texts),
        alignment_error_rate(links, [gold_alignment(s) for s in sentences]),
    )
