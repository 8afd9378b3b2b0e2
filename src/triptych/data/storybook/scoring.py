"""Scoring a translation by what the grammar knows."""

from functools import cache

from triptych.data.storybook.grammar import SENSES
from triptych.data.storybook.records import StorySentence, tokenize


def sense_correct(sentence: StorySentence, hypothesis: str) -> list[bool]:
    """For each ambiguous word: has the output a form of its sense and none of its other senses?"""
    words = frozenset(tokenize(hypothesis))
    return [
        not words.isdisjoint(sense_forms(sense.word, sense.sense))
        and words.isdisjoint(sense.alternatives)
        for sense in sentence.senses
    ]


@cache
def sense_forms(word: str, sense: str) -> frozenset[str]:
    """The German forms of one sense of an English word."""
    return next(noun.forms for noun in SENSES[word] if noun.german == sense)
