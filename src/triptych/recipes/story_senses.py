"""One word, several senses: does the vector of the word in its sentence tell which is meant?

Shapes: N sentences, M further sentences, E model width.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.data.storybook import StorySentence
from triptych.errors import DataError
from triptych.recipes.encoder import Encoder
from triptych.recipes.word_vectors import layered_word_vectors

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Uses:
    """Sentences that use one word, and the sense that the grammar gives it in each."""

    sentences: tuple[str, ...]
    senses: tuple[str, ...]


@dataclass(frozen=True)
class LayerSenses:
    """What the vectors of one layer say of all ambiguous words."""

    layer: int
    within: float
    """Mean cosine of two uses of a word in one sense; each word counts alike."""
    across: float
    """Mean cosine of two uses of a word in different senses; each word counts alike."""
    accuracy: float
    """Share of uses whose nearest labelled use has the right sense."""


@dataclass(frozen=True)
class SenseVectors:
    """Senses read off vectors, layer by layer; `chosen` was picked on other sentences."""

    layers: tuple[LayerSenses, ...]
    chosen: int
    n: int
    by_word: Mapping[str, tuple[int, int]]
    """(right, all) of each word at the chosen layer."""
    commonest: float
    """Share of uses in the sense that is commonest among the labelled ones."""

    @property
    def accuracy(self) -> float:
        """At the chosen layer."""
        return self.layers[self.chosen].accuracy

    def to_json(self) -> dict[str, Any]:
        """Fixed keys; layer 0 is the embeddings."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "layer": self.chosen,
            "most_frequent_sense": self.commonest,
            "layers": [vars(layer) for layer in self.layers],
            "by_word": {
                word: {"accuracy": right / n, "n": n, "n_correct": right}
                for word, (right, n) in self.by_word.items()
            },
        }


def collect_uses(sentences: Sequence[StorySentence], most: int | None = None) -> dict[str, Uses]:
    """The uses of every ambiguous word, sorted by word; of each sense the first `most`.

    A sentence that occurs again is left out.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for sentence in {s.english: s for s in sentences}.values():
        for sense in sentence.senses:
            key = sense.word, sense.sense
            if most is None or counts[key] < most:
                counts[key] += 1
                found.setdefault(sense.word, []).append((sentence.english, sense.sense))
    return {word: Uses(*zip(*uses, strict=True)) for word, uses in sorted(found.items())}


def sense_vectors(
    encoder: Encoder,
    labelled: Mapping[str, Uses],
    choosing: Mapping[str, Uses],
    held_out: Mapping[str, Uses],
) -> SenseVectors:
    """The sense of each held-out use is that of the nearest labelled use of the word, by cosine.

    The layer is the one that does best on the uses of `choosing`. Words that are not labelled are
    left out. Raises DataError where nothing is left.
    """
    known = {word: all_layers(encoder, word, uses) for word, uses in labelled.items()}
    shares = decisions_and_cosines(encoder, labelled, known, choosing)[0]
    chosen = int(np.concatenate(list(shares.values()), axis=1).mean(axis=1).argmax())
    right, cosines = decisions_and_cosines(encoder, labelled, known, held_out)
    accuracy = np.concatenate(list(right.values()), axis=1).mean(axis=1)
    layers = [
        LayerSenses(layer, float(within), float(across), float(share))
        for layer, ((within, across), share) in enumerate(zip(cosines, accuracy, strict=True))
    ]
    common = {word: Counter(labelled[word].senses).most_common(1)[0][0] for word in right}
    guessed = [sense == common[word] for word in right for sense in held_out[word].senses]
    return SenseVectors(
        layers=tuple(layers),
        chosen=chosen,
        n=len(guessed),
        by_word={word: (int(found[chosen].sum()), found.shape[1]) for word, found in right.items()},
        commonest=sum(guessed) / len(guessed),
    )


def all_layers(encoder: Encoder, word: str, uses: Uses) -> Vectors:
    """[layers, N, E], the embeddings first."""
    layers = range(encoder.module.config.n_layers + 1)
    return layered_word_vectors(encoder.model, encoder.tokenizer, uses.sentences, word, layers)


def decisions_and_cosines(
    encoder: Encoder,
    labelled: Mapping[str, Uses],
    known: Mapping[str, Vectors],
    asked: Mapping[str, Uses],
) -> tuple[dict[str, npt.NDArray[np.bool_]], npt.NDArray[np.float64]]:
    """For each word whether each use is decided rightly [layers, N]; the mean cosines within a
    sense and across senses, over the words that have both [layers, 2]."""
    right: dict[str, npt.NDArray[np.bool_]] = {}
    cosines: list[list[tuple[float, float]]] = []
    for word in sorted(asked.keys() & labelled.keys()):
        senses, vectors = asked[word].senses, all_layers(encoder, word, asked[word])
        right[word] = np.array(
            [
                [found == sense for found, sense in zip(said, senses, strict=True)]
                for near, far in zip(known[word], vectors, strict=True)
                for said in [nearest(near, labelled[word].senses, far)]
            ]
        )
        measured = [mean_cosines(layer, senses) for layer in vectors]
        if not np.isnan(measured).any():
            cosines.append(measured)
    if not cosines:
        raise DataError("no labelled word has two uses in one sense and one in another to compare")
    return right, np.mean(cosines, axis=0)


def nearest(known: Vectors, labels: Sequence[str], asked: Vectors) -> list[str]:
    """The label of the nearest of the known vectors [N, E], by cosine, for each asked [M, E]."""
    closest = (_unit(asked) @ _unit(known).T).argmax(axis=1)
    return [labels[i] for i in closest]


def mean_cosines(vectors: Vectors, labels: Sequence[str]) -> tuple[float, float]:
    """Of pairs with one label, and of pairs with two: not a number where there is no such pair."""
    unit = _unit(vectors).astype(np.float64)
    cosines, (rows, columns) = unit @ unit.T, np.triu_indices(len(labels), k=1)
    names = np.array(labels)
    same = names[rows] == names[columns]
    found = cosines[rows, columns]
    within, across = (
        float(found[kind].mean()) if kind.any() else math.nan for kind in (same, ~same)
    )
    return within, across


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
