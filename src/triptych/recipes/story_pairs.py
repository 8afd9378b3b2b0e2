"""Does a second part follow a first, or is it from another story? Half and half, held out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.data.storybook import Story
from triptych.errors import DataError
from triptych.recipes.encoder import Encoder
from triptych.recipes.encoding import EncoderBatch, encode, pair_inputs


@dataclass(frozen=True)
class StoryPair:
    """The beginning of a story and an end: its own, or that of another story."""

    first: str
    second: str
    follows: bool


def story_pairs(stories: Sequence[Story], seed: int) -> list[StoryPair]:
    """Each story cut between two sentences, once with its own end and once with another's.

    The other end comes from a story cut at the same place, so that its place in a story gives
    nothing away: what is left to go by are names, homes, pronouns and what the story is about.
    Chance is exactly one half.

    Raises DataError where no two stories can lend each other an end.
    """
    choose = random.Random(seed)
    at: dict[int, list[Story]] = {}
    for story in stories:
        at.setdefault(choose.randrange(1, len(story.sentences)), []).append(story)
    pairs = []
    for cut, same in sorted(at.items()):
        for story, other in zip(same, same[1:] + same[:1], strict=True):
            if story is other:
                continue  # the only one cut here
            first = _text(story, 0, cut)
            pairs.append(StoryPair(first, _text(story, cut), follows=True))
            pairs.append(StoryPair(first, _text(other, cut), follows=False))
    if not pairs:
        raise DataError(f"{len(stories)} stories make no pair; give more")
    return pairs


def next_sentence_accuracy(encoder: Encoder, pairs: Sequence[StoryPair]) -> float:
    """The share of pairs of which the head of the next sentence says the right thing."""
    heads = encoder.model.heads

    def read(hidden: Tensor, batch: EncoderBatch) -> Tensor:
        return heads["next_sentence"](heads["pooler"](hidden)).argmax(dim=-1)  # type: ignore[no-any-return]

    firsts, seconds = [pair.first for pair in pairs], [pair.second for pair in pairs]
    inputs = pair_inputs(firsts, seconds, encoder.tokenizer, encoder.max_seq_len)
    is_random = torch.empty(len(pairs), dtype=torch.int64)
    for rows, said in encode(encoder.module, inputs, encoder.batch_tokens, read):
        is_random[rows] = said.cpu()
    right = [pair.follows != bool(said) for pair, said in zip(pairs, is_random, strict=True)]
    return sum(right) / len(right)


def _text(story: Story, begin: int, end: int | None = None) -> str:
    return " ".join(sentence.english for sentence in story.sentences[begin:end])
