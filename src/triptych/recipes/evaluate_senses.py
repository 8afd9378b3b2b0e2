"""How well the vectors of a word tell its senses, layer by layer (CoarseWSD-20, storybook)."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from triptych.data.sense_sets import SenseSet
from triptych.data.sense_sets import read_sense_sets as read_sense_sets
from triptych.errors import DataError
from triptych.evaluation.word_senses import (
    SenseScores,
    left_out_senses,
    nearest_sense,
    score_senses,
)
from triptych.recipes.words_in_context import WordModel
from triptych.training.progress import ProgressLine


@dataclass(frozen=True)
class LayerSenseScores:
    """One layer over all words, each counting alike."""

    layer: str
    accuracy: float
    macro_f1: float
    train_macro_f1: float
    """On the labelled sentences, each told by the others."""


@dataclass(frozen=True)
class WordSenseScores:
    """One word at all layers."""

    n: int
    n_train: int
    n_senses: int
    most_frequent_sense: float
    """Accuracy of always telling the sense that is commonest among the labelled ones."""
    layers: tuple[SenseScores, ...]
    train_macro_f1: tuple[float, ...]


@dataclass(frozen=True)
class SenseReport:
    """Every layer; `chosen` did best on the labelled sentences, so not on those it is scored on."""

    kind: str
    layers: tuple[LayerSenseScores, ...]
    words: dict[str, WordSenseScores]
    chosen: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        best, words = self.layers[self.chosen], self.words.values()
        return {
            "macro_f1": best.macro_f1,
            "accuracy": best.accuracy,
            "layer": best.layer,
            "most_frequent_sense": float(np.mean([word.most_frequent_sense for word in words])),
            "n": sum(word.n for word in words),
            "n_words": len(self.words),
            "kind": self.kind,
            "layers": [asdict(layer) for layer in self.layers],
            "by_word": {name: self._word(word) for name, word in self.words.items()},
            "seconds": round(self.seconds, 3),
        }

    def _word(self, word: WordSenseScores) -> dict[str, Any]:
        best = word.layers[self.chosen]
        return {
            "macro_f1": best.macro_f1,
            "accuracy": best.accuracy,
            "most_frequent_sense": word.most_frequent_sense,
            "n": word.n,
            "n_train": word.n_train,
            "n_senses": word.n_senses,
            "layers": {
                layer.layer: scores.macro_f1
                for layer, scores in zip(self.layers, word.layers, strict=True)
            },
        }

    def __str__(self) -> str:
        width = max(len("most frequent sense"), *(len(layer.layer) for layer in self.layers))
        lines = [f"{'layer':<{width}}  macro-F1  accuracy"]
        for number, layer in enumerate(self.layers):
            mark = "  chosen on the labelled sentences" if number == self.chosen else ""
            lines.append(
                f"{layer.layer:<{width}}  {layer.macro_f1:8.3f}  {layer.accuracy:8.3f}{mark}"
            )
        found = self.to_json()
        commonest = found["most_frequent_sense"]
        lines.append(f"{'most frequent sense':<{width}}  {'':8}  {commonest:8.3f}")
        lines += ["", f"{'word':<{width}}  macro-F1  accuracy  at layer {found['layer']}"]
        lines += [
            f"{name:<{width}}  {one['macro_f1']:8.3f}  {one['accuracy']:8.3f}"
            for name, one in found["by_word"].items()
        ]
        total = f"{found['n']:,} occurrences of {found['n_words']} words, {self.seconds:.1f} s"
        return "\n".join([*lines, total])


def evaluate_senses(
    model: WordModel, sets: Sequence[SenseSet], *, quiet: bool = False
) -> SenseReport:
    """Tell the sense of every test occurrence by the nearest mean of its word's labelled ones.

    Raises DataError where there is no word, or an occurrence has no vector.
    """
    if not sets:
        raise DataError("there is no word whose senses could be told; give data that has some")
    began, words = time.monotonic(), {}
    with ProgressLine("senses", len(sets), quiet=quiet) as line:
        for number, one in enumerate(sets):
            line.show(number, one.word)
            words[one.word] = _score_word(model, one)
    layers = tuple(
        LayerSenseScores(
            layer=name,
            accuracy=float(np.mean([word.layers[i].accuracy for word in words.values()])),
            macro_f1=float(np.mean([word.layers[i].macro_f1 for word in words.values()])),
            train_macro_f1=float(np.mean([word.train_macro_f1[i] for word in words.values()])),
        )
        for i, name in enumerate(model.layers)
    )
    chosen = int(np.argmax([layer.train_macro_f1 for layer in layers]))
    return SenseReport(model.kind, layers, words, chosen, time.monotonic() - began)


def _score_word(model: WordModel, one: SenseSet) -> WordSenseScores:
    known, asked = model.vectors(one.train), model.vectors(one.test)
    labels, gold = ([str(use.sense) for use in side] for side in (one.train, one.test))
    senses = sorted(set(labels))
    every = sorted(set(labels) | set(gold))
    layers = [
        score_senses(nearest_sense(near, labels, far, senses), gold, every)
        for near, far in zip(known, asked, strict=True)
    ]
    learned = [
        score_senses(left_out_senses(near, labels, senses), labels, senses).macro_f1
        for near in known
    ]
    commonest = Counter(labels).most_common(1)[0][0]
    return WordSenseScores(
        n=len(gold),
        n_train=len(labels),
        n_senses=len(senses),
        most_frequent_sense=gold.count(commonest) / len(gold),
        layers=tuple(layers),
        train_macro_f1=tuple(learned),
    )
