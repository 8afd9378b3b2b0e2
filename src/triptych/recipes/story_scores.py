"""How far a generator is from the best possible on stories, whose probability is known exactly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triptych.data.storybook import Story, StorySplit, tokenize
from triptych.data.storybook.ngrams import KneserNey
from triptych.data.storybook.recognition import story_log_prob
from triptych.errors import DataError
from triptych.recipes.generate_options import GenerateOptions
from triptych.recipes.generator import Generator
from triptych.recipes.score_texts import score_ids

N_GIVEN = 2
"""Sentences of a story that are given: its opening and the encounter."""


@dataclass(frozen=True)
class StoryScore:
    """Σ −log p over the same whole stories, from beginning to end token, in nats."""

    n: int
    n_tokens: int
    """The model's own tokens, the end of each story included."""
    nats: float
    """By the model, which reads each story in its one canonical tokenisation."""
    limit: float
    """By the grammar that wrote the stories: no model can be lower in expectation."""
    five_gram: float
    """By a 5-gram model of words, of the same training stories."""
    n_unseen: int
    """Stories of which no sentence is in the training stories."""
    unseen_ratio: float
    """The model's nats over the limit, on those."""

    @property
    def ratio(self) -> float:
        """The model's nats over the limit; 1 is the best possible."""
        return self.nats / self.limit

    @property
    def five_gram_ratio(self) -> float:
        """The same for the 5-gram model."""
        return self.five_gram / self.limit

    def to_json(self) -> dict[str, Any]:
        """Fixed keys."""
        found = {**vars(self), "ratio": self.ratio, "five_gram_ratio": self.five_gram_ratio}
        found["nats_per_token"] = self.nats / self.n_tokens
        found["limit_per_token"] = self.limit / self.n_tokens
        return found


def score_stories(generator: Generator, split: StorySplit) -> StoryScore:
    """Score the test stories of a split. Raises DataError where there are none."""
    if not split.test:
        raise DataError("there is no test story to score; give a split with some")
    ids, spent = story_nats(generator, split.test)
    limits = [-story.log_prob for story in split.test]
    unseen = [all(flags) for flags in split.unseen(split.test)]
    words = KneserNey([tokenize(story.text) for story in split.train])
    return StoryScore(
        n=len(split.test),
        n_tokens=sum(map(len, ids)),
        nats=math.fsum(spent),
        limit=math.fsum(limits),
        five_gram=-float(words.log_probs(tokenize(s.text) for s in split.test).sum()),
        n_unseen=sum(unseen),
        unseen_ratio=_kept(spent, unseen) / _kept(limits, unseen) if any(unseen) else math.nan,
    )


def story_nats(
    generator: Generator, stories: Sequence[Story]
) -> tuple[list[list[int]], list[float]]:
    """The ids of each story with its end token, and −log p of all of them together."""
    tokenizer = generator.tokenizer
    ids = [[*found, tokenizer.eos_id] for found in tokenizer.encode([s.text for s in stories])]
    bounds = generator.bounds(GenerateOptions())
    with generator.reading() as reader:
        found = score_ids(reader, [((), story) for story in ids], bounds, "story {}".format)
    return ids, [-math.fsum(values) for values in found]


@dataclass(frozen=True)
class Continued:
    """A held-out story's beginning, how the model went on, and how the story did."""

    given: str
    told: str
    own: str
    is_story: bool
    """Whether the grammar could have written the whole, told by its own recognizer."""


def continue_stories(generator: Generator, stories: Sequence[Story], seed: int) -> list[Continued]:
    """Give the first two sentences of each story, and draw the rest at temperature 1."""
    cut = [[sentence.english for sentence in story.sentences] for story in stories]
    given = [" ".join(sentences[:N_GIVEN]) for sentences in cut]
    options = GenerateOptions(max_new_tokens=generator.module.config.max_seq_len // 2, seed=seed)
    return [
        Continued(
            text,
            completion.text.strip(),
            " ".join(sentences[N_GIVEN:]),
            completion.stopped_by == "end" and story_log_prob(text + completion.text) > -math.inf,
        )
        for text, sentences, completion in zip(
            given, cut, generator.generate(given, options=options), strict=True
        )
    ]


def _kept(values: Sequence[float], keep: Sequence[bool]) -> float:
    return math.fsum(value for value, kept in zip(values, keep, strict=True) if kept)
