"""Storybook: little stories in English and German of which everything is known.

A grammar draws them, so each sentence comes with its translation, the gold word alignment, the
sense of each ambiguous word and its exact log-probability. See docs/storybook.md.
"""

from triptych.data.storybook.records import Story, StorySentence, WordSense, tokenize
from triptych.data.storybook.sampling import stories
from triptych.data.storybook.scoring import sense_correct
from triptych.data.storybook.splits import Split, StorySplit, story_split, translation_split

__all__ = [
    "Split",
    "Story",
    "StorySentence",
    "StorySplit",
    "WordSense",
    "sense_correct",
    "stories",
    "story_split",
    "tokenize",
    "translation_split",
]
