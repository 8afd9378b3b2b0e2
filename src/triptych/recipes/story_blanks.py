"""How well an encoder fills blanks in stories, beside what is possible and what is simple."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from triptych.data.storybook import Story, tokenize
from triptych.data.storybook.blanks import SIGNS, Blank, blank_probabilities
from triptych.data.storybook.ngrams import KneserNey
from triptych.errors import DataError
from triptych.recipes.encoder import Encoder
from triptych.recipes.encoding import EncoderBatch, EncoderInput, encode

MASK = "[MASK]"


@dataclass(frozen=True)
class BlankScore:
    """Shares of the same `n` blanks filled with the very word that stood there."""

    n: int
    in_story: float
    """By the encoder, which sees the whole story in two parts, as in training."""
    alone: float
    """By the encoder, which sees the sentence alone."""
    limit: float
    """What the best guess possible reaches on average, given the story: the grammar's own."""
    five_gram: float
    """By the word with which a 5-gram model finds the story most probable."""
    commonest: float
    """By always saying the commonest word of the training stories."""

    def to_json(self) -> dict[str, Any]:
        """Fixed keys."""
        return vars(self)


def score_blanks(encoder: Encoder, blanks: Sequence[Blank], train: Sequence[Story]) -> BlankScore:
    """Fill every blank in each way. Raises DataError where there is no blank."""
    if not blanks:
        raise DataError("there is no blank to fill: no held-out story has a sentence that is new")
    tokenizer = encoder.tokenizer
    answers = [tokenizer.encode([blank.answer])[0] for blank in blanks]
    stories = [tokenizer.with_specials(*masked_story(encoder, blank)) for blank in blanks]
    alone = tokenizer.encode([blank.filled(MASK) for blank in blanks])
    common = commonest_word(train)
    model = KneserNey([tokenize(story.text) for story in train])
    said = [model.best_filling(tokenize(b.story.text), b.text_place) for b in blanks]
    words = [blank.answer.lower() for blank in blanks]
    return BlankScore(
        n=len(blanks),
        in_story=_share(guesses(encoder, stories), answers),
        alone=_share(guesses(encoder, [tokenizer.with_specials(ids) for ids in alone]), answers),
        limit=math.fsum(max(blank_probabilities(b).values()) for b in blanks) / len(blanks),
        five_gram=_share([word.lower() for word in said], words),
        commonest=_share([common] * len(words), words),
    )


def masked_story(encoder: Encoder, blank: Blank) -> tuple[list[int], list[int]]:
    """The ids of both halves of a story, sentence by sentence, with `[MASK]` in the blank."""
    sentences = [sentence.english for sentence in blank.story.sentences]
    sentences[blank.sentence] = blank.filled(MASK)
    half = (len(sentences) + 1) // 2
    first, second = encoder.tokenizer.encode(
        [" ".join(sentences[:half]), " ".join(sentences[half:])]
    )
    return first, second


def guesses(encoder: Encoder, inputs: Sequence[tuple[list[int], list[int]]]) -> list[list[int]]:
    """The most probable id at the one `[MASK]` of each input (ids, segments), no special token."""
    tokenizer = encoder.tokenizer

    def read(hidden: Tensor, batch: EncoderBatch) -> Tensor:
        logits = encoder.model.word_logits(hidden[batch.token_ids == tokenizer.mask_id])
        logits[:, sorted(tokenizer.special_ids)] = float("-inf")
        return logits.argmax(dim=-1)  # [B]

    found = torch.empty(len(inputs), dtype=torch.int64)
    given = [EncoderInput(*ids_and_segments) for ids_and_segments in inputs]
    for rows, best in encode(encoder.twin, given, encoder.batch_tokens, read):
        found[rows] = best.cpu()
    return [[int(i)] for i in found]


def commonest_word(stories: Sequence[Story]) -> str:
    """The commonest word, signs not counted, in lower case."""
    counts = Counter(
        word.lower()
        for story in stories
        for sentence in story.sentences
        for word in sentence.english_words
    )
    return max(counts.keys() - SIGNS, key=lambda word: (counts[word], word))


def showpieces(blanks: Sequence[Blank], train: Sequence[Story], n: int) -> list[Blank]:
    """The first blanks whose words are not among the commonest: what stands there says more.

    Nothing about how well they are filled enters the choice.
    """
    counts = Counter(w.lower() for story in train for w in tokenize(story.text))
    dull = {word for word, _ in counts.most_common(N_DULL)}
    return [blank for blank in blanks if blank.answer.lower() not in dull][:n]


N_DULL = 60


def _share(found: Sequence[object], wanted: Sequence[object]) -> float:
    return sum(a == b for a, b in zip(found, wanted, strict=True)) / len(wanted)
