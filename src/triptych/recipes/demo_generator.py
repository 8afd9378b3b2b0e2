"""The demo's third panel: a small GPT that has read stories, and how near it comes to the grammar
that wrote them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.data.storybook import StorySplit
from triptych.files.atomic import write_file
from triptych.recipes.generator import Generator
from triptych.recipes.gpt_run import GptData, GptOptimizer, GptRun, GptShape
from triptych.recipes.language_model_run import LanguageModelTraining
from triptych.recipes.load import load_generator
from triptych.recipes.story_scores import Continued, StoryScore, continue_stories, score_stories
from triptych.recipes.train_gpt import train_gpt


@dataclass(frozen=True)
class GeneratorSize:
    """How much the third panel does."""

    max_updates: int
    warmup: int
    n_continued: int
    """Held-out stories whose beginning is given and whose rest is drawn."""


FULL = GeneratorSize(max_updates=700, warmup=80, n_continued=200)
QUICK = GeneratorSize(max_updates=120, warmup=30, n_continued=40)


@dataclass(frozen=True)
class GeneratorDemo:
    """What the third panel found."""

    run: Path
    seconds: float
    split: StorySplit
    generator: Generator
    score: StoryScore
    continued: list[Continued]

    @property
    def model(self) -> Path:
        """The folder that every command takes."""
        return self.run / "best"

    @property
    def share_of_stories(self) -> float:
        """Of the continued stories, those that the grammar could have written."""
        return sum(story.is_story for story in self.continued) / len(self.continued)

    def to_json(self) -> dict[str, Any]:
        """The figures with fixed keys."""
        continued = {"n": len(self.continued), "grammatical": self.share_of_stories}
        return {
            "seconds": round(self.seconds, 1),
            "stories": self.score.to_json(),
            "continued": continued,
        }


def generator_panel(
    out: Path, split: StorySplit, size: GeneratorSize, seed: int = 1, device: str = "cpu"
) -> GeneratorDemo:
    """Train on the stories of a split; score those held out, and go on with their beginnings."""
    began = time.monotonic()
    data, run = out / "data", out / "generator"
    for name, stories in (("train", split.train), ("valid", split.valid)):
        text = "".join(story.text + "\n" for story in stories)
        write_file(data / f"whole_stories.{name}.txt", text)
    train_gpt(generator_run(data, size, seed), run, device=device)
    seconds = time.monotonic() - began

    generator = load_generator(run / "best", device=device)
    return GeneratorDemo(
        run=run,
        seconds=seconds,
        split=split,
        generator=generator,
        score=score_stories(generator, split),
        continued=continue_stories(generator, split.test[: size.n_continued], seed),
    )


def generator_run(data: Path, size: GeneratorSize, seed: int) -> GptRun:
    """The run of the third panel: a small model, words mostly whole, each story for itself.

    The grammar gives any number of stories, so there is nothing to overfit: no dropout. Muon needs
    fewer updates than AdamW here (docs/log.md, 2026-11-26). GPT-2's first weights, 0.02, are for a
    width of 768; of 128 they are too small, and some runs never find what others do.
    """
    return GptRun(
        data=GptData(
            text=(str(data / "whole_stories.train.txt"),),
            valid_text=(str(data / "whole_stories.valid.txt"),),
            documents="line",
            vocab_size=1500,
            max_seq_len=128,
            batch_size=32,
            whole_documents=True,
            attend_across=False,
            reset_positions=True,
        ),
        model=GptShape(preset="nano", dropout=0.0, initial_std=0.05),
        optimizer=GptOptimizer(
            learning_rate=5e-3,
            warmup=size.warmup,
            schedule="linear",
            optimizer="muon",
            muon_learning_rate=1e-2,
        ),
        training=LanguageModelTraining(
            max_updates=size.max_updates,
            precision="bf16",
            validate_every=max(1, size.max_updates // 5),
            seed=seed,
        ),
    )
