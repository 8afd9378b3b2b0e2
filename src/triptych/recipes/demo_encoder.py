"""The demo's second panel: a small BERT that has read stories, and what it has learned of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.data.storybook import Story, StorySentence, StorySplit, story_split
from triptych.data.storybook.blanks import Blank, draw_blanks
from triptych.files.atomic import write_file
from triptych.recipes.bert_run import BertData, BertOptimizer, BertRun, BertShape, BertTraining
from triptych.recipes.encoder import Encoder
from triptych.recipes.fill import Filling
from triptych.recipes.load import load_encoder
from triptych.recipes.story_blanks import MASK, BlankScore, score_blanks, showpieces
from triptych.recipes.story_pairs import PairScore, score_pairs
from triptych.recipes.story_senses import SenseVectors, Uses, collect_uses, sense_vectors
from triptych.recipes.train_bert import train_bert

N_SHOWN = 6
"""Blanks that are shown with the five best words."""


@dataclass(frozen=True)
class EncoderSize:
    """How much the second panel does."""

    n_train: int
    n_valid: int
    n_test: int
    max_updates: int
    warmup: int
    n_labelled: int
    """Training sentences of each sense whose vectors are compared with."""


FULL = EncoderSize(
    n_train=40_000, n_valid=500, n_test=1000, max_updates=3000, warmup=300, n_labelled=40
)
QUICK = EncoderSize(n_train=4000, n_valid=100, n_test=200, max_updates=240, warmup=60, n_labelled=8)


@dataclass(frozen=True)
class FilledBlank:
    """A held-out sentence on its own with a blank, and the five most probable words."""

    blank: Blank
    fillings: tuple[Filling, ...]

    @property
    def text(self) -> str:
        """The sentence with `[MASK]`."""
        return self.blank.filled(MASK)


@dataclass(frozen=True)
class EncoderDemo:
    """What the second panel found."""

    run: Path
    seconds: float
    split: StorySplit
    encoder: Encoder
    blanks: BlankScore
    filled: list[FilledBlank]
    pairs: PairScore
    senses: SenseVectors
    uses: dict[str, Uses]
    """The held-out uses of each ambiguous word."""

    @property
    def model(self) -> Path:
        """The folder that every command takes."""
        return self.run / "best"

    def to_json(self) -> dict[str, Any]:
        """The figures with fixed keys."""
        return {
            "seconds": round(self.seconds, 1),
            "masked_words": self.blanks.to_json(),
            "next_sentence": self.pairs.to_json(),
            "senses": self.senses.to_json(),
        }


def encoder_panel(out: Path, size: EncoderSize, seed: int = 1, device: str = "cpu") -> EncoderDemo:
    """Pretrain on stories; fill blanks, tell what follows and tell senses in stories held out."""
    began = time.monotonic()
    split = story_split(seed, size.n_train, size.n_valid, size.n_test)
    data, run = out / "data", out / "encoder"
    write_file(data / "stories.train.txt", documents(split.train))
    write_file(data / "stories.valid.txt", documents(split.valid))
    train_bert(encoder_run(data, size, seed), run, device=device)
    seconds = time.monotonic() - began

    encoder = load_encoder(run / "best", device=device)
    blanks = draw_blanks(split.test, split.unseen(split.test), seed)
    labelled = collect_uses([s for t in split.train for s in t.sentences], size.n_labelled)
    uses = collect_uses(new_sentences(split, split.test))
    return EncoderDemo(
        run=run,
        seconds=seconds,
        split=split,
        encoder=encoder,
        blanks=score_blanks(encoder, blanks, split.train),
        filled=[
            FilledBlank(blank, tuple(encoder.fill(blank.filled(MASK), top_k=5)))
            for blank in showpieces(blanks, split.train, N_SHOWN)
        ],
        pairs=score_pairs(encoder, split.test, seed),
        senses=sense_vectors(
            encoder, labelled, collect_uses(new_sentences(split, split.valid)), uses
        ),
        uses=uses,
    )


def encoder_run(data: Path, size: EncoderSize, seed: int) -> BertRun:
    """The run of the second panel: a small model, all words whole, small batches, many masks.

    The grammar gives any number of stories, so there is nothing to overfit: no dropout. Twice the
    paper's share of masks gives twice the targets in the same time. All of it was chosen on
    validation stories of other seeds than the demo's (docs/log.md, 2026-11-26).
    """
    return BertRun(
        data=BertData(
            text=(str(data / "stories.train.txt"),),
            valid_text=(str(data / "stories.valid.txt"),),
            language="lines",
            vocab_size=1500,
            batch_size=32,
            max_seq_len=80,
            mask_prob=0.3,
        ),
        model=BertShape(preset="nano", dropout=0.0, initial_std=0.04, sinusoidal_start=True),
        optimizer=BertOptimizer(learning_rate=3e-3, warmup=size.warmup, beta_2=0.98),
        training=BertTraining(
            max_updates=size.max_updates,
            precision="bf16",
            validate_every=max(1, size.max_updates // 5),
            seed=seed,
        ),
    )


def documents(stories: Sequence[Story]) -> str:
    """A sentence a line, a blank line between stories."""
    texts = ("".join(s.english + "\n" for s in story.sentences) for story in stories)
    return "\n".join(texts)


def new_sentences(split: StorySplit, held_out: Sequence[Story]) -> list[StorySentence]:
    """The sentences of held-out stories that no training story contains."""
    seen = split.train_sentences
    return [s for story in held_out for s in story.sentences if s.english not in seen]
