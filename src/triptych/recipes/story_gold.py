"""Storybook's gold answers in the terms that evaluation speaks.

Storybook counts punctuation as words of its own; alignments of models are between words as
white space divides them. Here each word goes to the one it is printed in, and links of
punctuation are left out.
"""

from collections.abc import Sequence

from triptych.data.storybook import StorySentence
from triptych.data.storybook.scoring import sense_forms
from triptych.evaluation.alignment import GoldAlignment, Link
from triptych.evaluation.senses import SenseCase

SIGNS = frozenset('.,?!;:"')


def gold_alignment(sentence: StorySentence) -> GoldAlignment:
    """Sure and possible links between the words that white space divides."""
    english = printed_words(sentence.english_words)
    german = printed_words(sentence.german_words)

    def moved(links: Sequence[Link]) -> frozenset[Link]:
        return frozenset(
            (english[i], german[j])
            for i, j in links
            if sentence.english_words[i] not in SIGNS and sentence.german_words[j] not in SIGNS
        )

    sure = moved(sentence.alignment)
    return GoldAlignment(sure=sure, possible=sure | moved(sentence.possible))


def printed_words(words: Sequence[str]) -> list[int]:
    """For each word, signs counted singly, the number of the printed word that holds it."""
    numbers, number = [], -1
    for word in words:
        number += word not in SIGNS
        numbers.append(max(number, 0))
    return numbers


def sense_cases(sentence: StorySentence) -> list[SenseCase]:
    """The ambiguous words of a sentence with the German forms of the sense meant and of others."""
    return [
        SenseCase(
            sense.word, tuple(sorted(sense_forms(sense.word, sense.sense))), sense.alternatives
        )
        for sense in sentence.senses
    ]
