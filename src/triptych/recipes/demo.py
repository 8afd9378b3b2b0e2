"""The demo's first panel: from nothing to a translator in a few minutes, on a corpus whose answers
are known."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych import checkpoint
from triptych.data.storybook import Split, translation_split
from triptych.evaluation.alignment import AlignmentScore
from triptych.evaluation.senses import SenseScore
from triptych.evaluation.translation import TranslationScores
from triptych.files.atomic import write_file
from triptych.recipes.evaluate_storybook import measure_on_storybook
from triptych.recipes.model_kinds import translation_parts
from triptych.recipes.story_gold import gold_alignment
from triptych.recipes.train_translation import train_translation
from triptych.recipes.translation import Translation
from triptych.recipes.translation_run import (
    TranslationData,
    TranslationLoss,
    TranslationModel,
    TranslationRun,
)
from triptych.recipes.translator import Translator
from triptych.recipes.word_alignment import AlignmentHead, choose_alignment_head
from triptych.training.settings import MuonSettings, TrainingSettings


@dataclass(frozen=True)
class DemoSize:
    """How much the demo does."""

    n_train: int
    n_test: int
    max_updates: int
    warmup: int


FULL = DemoSize(n_train=40_000, n_test=500, max_updates=1500, warmup=150)
QUICK = DemoSize(n_train=10_000, n_test=200, max_updates=350, warmup=80)


@dataclass(frozen=True)
class TranslationDemo:
    """What the first panel found."""

    run: Path
    model: Path
    seconds: float
    split: Split
    translator: Translator
    translations: list[Translation]
    scores: TranslationScores
    senses: SenseScore
    alignment: AlignmentScore
    head: AlignmentHead

    @property
    def wrong_senses(self) -> frozenset[int]:
        """Test sentences with an ambiguous word translated in another sense."""
        return frozenset(line for line, _ in self.senses.wrong)

    def to_json(self) -> dict[str, Any]:
        """The figures with fixed keys."""
        return {
            "seconds": round(self.seconds, 1),
            **self.scores.to_json(),
            "senses": self.senses.to_json(),
            "alignment_error_rate": self.alignment.aer,
            "alignment_head": [self.head.layer, self.head.head, self.head.rows],
        }


def translation_panel(
    out: Path, size: DemoSize, seed: int = 1, device: str = "cpu"
) -> TranslationDemo:
    """Train on storybook, translate sentences that it has never seen, and mark its work."""
    split = translation_split(seed=seed, n_train=size.n_train, n_valid=300, n_test=size.n_test)
    translator, seconds = train_translator(out, split, size, seed, device)
    assert translator.alignment_head is not None
    measured = measure_on_storybook(translator, split.test)
    return TranslationDemo(
        run=out / "run",
        model=out / "model",
        seconds=seconds,
        split=split,
        translator=translator,
        translations=measured.translations,
        scores=measured.scores,
        senses=measured.senses,
        alignment=measured.alignment,
        head=translator.alignment_head,
    )


def train_translator(
    out: Path, split: Split, size: DemoSize, seed: int, device: str
) -> tuple[Translator, float]:
    """A translator, in `out/model` too, whose aligning head is chosen on the validation sentences;
    and the seconds that training took, tokenizer and data included."""
    began = time.monotonic()
    data = out / "data"
    for name, sentences in (("train", split.train), ("valid", split.valid), ("test", split.test)):
        write_file(data / f"{name}.en", "".join(s.english + "\n" for s in sentences))
        write_file(data / f"{name}.de", "".join(s.german + "\n" for s in sentences))
    train_translation(demo_run(data, size, seed), out / "run", device=device)
    seconds = time.monotonic() - began

    best = checkpoint.load_folder(out / "run" / "best")
    model, tokenizer = translation_parts(best)
    head, _ = choose_alignment_head(
        model,
        tokenizer,
        [s.english for s in split.valid],
        [s.german for s in split.valid],
        [gold_alignment(s) for s in split.valid],
    )
    extras = {**best.extras, "alignment_head": vars(head)}
    checkpoint.save_folder(out / "model", model, tokenizer, extras=extras, card=CARD)
    return Translator(model, tokenizer, alignment_head=head), seconds


def demo_run(data: Path, size: DemoSize, seed: int) -> TranslationRun:
    """The run of the first panel: a small model, and a vocabulary in which most words are whole.

    The grammar gives any number of pairs, so there is nothing to overfit: little dropout, no
    label smoothing.
    """
    return TranslationRun(
        data=TranslationData(
            source=(str(data / "train.en"),),
            target=(str(data / "train.de"),),
            valid_source=(str(data / "valid.en"),),
            valid_target=(str(data / "valid.de"),),
            vocab_size=3000,
            batch_tokens=1200,
        ),
        model=TranslationModel(preset="nano", dropout=0.05),
        loss=TranslationLoss(label_smoothing=0.0),
        optimizer=MuonSettings(
            learning_rate=3e-3, warmup=size.warmup, schedule="linear", clip_norm=1.0
        ),
        training=TrainingSettings(
            max_updates=size.max_updates,
            precision="bf16",
            validate_every=max(1, size.max_updates // 5),
            average=1,
            seed=seed,
        ),
    )


CARD = """# A translator of stories

Trained by `triptych demo` on storybook, English to German. It knows the words of storybook's
grammar and no others.
"""
