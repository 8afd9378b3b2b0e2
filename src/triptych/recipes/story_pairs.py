"""Does a second part follow a first, or is it from another story? Half and half, held out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class PairScore:
    """Shares of pairs told rightly, of which half follow: chance is exactly one half."""

    n: int
    anywhere: float
    """Where the other end begins anywhere in its story, as in pretraining."""
    same_place: float
    """Where it begins where the own end does: only what the story is about tells them apart."""

    def to_json(self) -> dict[str, Any]:
        """Fixed keys."""
        return vars(self)


def story_pairs(stories: Sequence[Story], seed: int, *, same_place: bool) -> list[StoryPair]:
    """Each story cut between two sentences, once with its own end and once with another's.

    The other story is one with the same cut. Its end begins at any of its sentences, as the random
    text of pretraining does; with `same_place`, at the cut, so that both kinds of pairs have the
    same ends, and only names, homes, pronouns and the things told of tell them apart.

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
            start = cut if same_place else choose.randrange(len(other.sentences))
            first = _text(story, 0, cut)
            pairs.append(StoryPair(first, _text(story, cut), follows=True))
            pairs.append(StoryPair(first, _text(other, start), follows=False))
    if not pairs:
        raise DataError(f"{len(stories)} stories make no pair; give more")
    return pairs


def score_pairs(encoder: Encoder, stories: Sequence[Story], seed: int) -> PairScore:
    """Both kinds of pairs from the same stories. Raises DataError as `story_pairs`."""
    anywhere = story_pairs(stories, seed, same_place=False)
    same_place = story_pairs(stories, seed, same_place=True)
    return PairScore(
        n=len(anywhere),
        anywhere=next_sentence_accuracy(encoder, anywhere),
        same_place=next_sentence_accuracy(encoder, same_place),
    )


def next_sentence_accuracy(encoder: Encoder, pairs: Sequence[StoryPair]) -> float:
    """The share of pairs of which the head of the next sentence says the right thing."""
    right = [
        pair.follows == said for pair, said in zip(pairs, follows(encoder, pairs), strict=True)
    ]
    return sum(right) / len(right)


def follows(encoder: Encoder, pairs: Sequence[StoryPair]) -> list[bool]:
    """What the head of the next sentence says of each pair."""
    heads = encoder.model.heads

    def read(hidden: Tensor, batch: EncoderBatch) -> Tensor:
        kinds: Tensor = heads["next_sentence"](heads["pooler"](hidden))  # [B, 2], 0 = follows
        return kinds.argmax(dim=-1)

    firsts, seconds = [pair.first for pair in pairs], [pair.second for pair in pairs]
    inputs = pair_inputs(firsts, seconds, encoder.tokenizer, encoder.max_seq_len)
    is_random = torch.empty(len(pairs), dtype=torch.int64)
    for rows, said in encode(encoder.twin, inputs, encoder.batch_tokens, read):
        is_random[rows] = said.cpu()
    return [not said for said in is_random.tolist()]


def _text(story: Story, begin: int, end: int | None = None) -> str:
    return " ".join(sentence.english for sentence in story.sentences[begin:end])
