"""The occurrences of one word: in clusters, on a plane, static vectors beside contextual ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.data.occurrences import Occurrence
from triptych.data.occurrences import read_occurrences as read_occurrences
from triptych.errors import DataError, UsageError
from triptych.evaluation.clustering import adjusted_rand, k_means
from triptych.files.atomic import write_file
from triptych.inspection.canvas import SERIES
from triptych.inspection.vector_map import principal_axes, vector_maps
from triptych.recipes.words_in_context import WordModel

FEWEST = 3
OTHERS = "others"
N_EXAMPLES = 2

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """One model's vectors of all occurrences, each divided by its length: angles count."""

    kind: str
    layer: str
    vectors: Vectors
    """[N, E]"""
    clusters: tuple[int, ...]
    agreement: float | None
    """Adjusted Rand index of clusters and gold senses; None where there are none, or all one."""

    @property
    def title(self) -> str:
        return f"{self.kind}, layer {self.layer}"


@dataclass(frozen=True)
class WordSenses:
    """All occurrences in the views of one model or two, the contextual one last."""

    word: str
    occurrences: tuple[Occurrence, ...]
    views: tuple[View, ...]

    @property
    def labels(self) -> list[str]:
        """What a point is colored by: its sense where known, else its cluster in the last view.

        Beyond four, the rarest are one.
        """
        clusters = self.views[-1].clusters
        names = [
            f"cluster {cluster + 1}" if occurrence.sense is None else occurrence.sense
            for occurrence, cluster in zip(self.occurrences, clusters, strict=True)
        ]
        kept = [name for name, _ in Counter(names).most_common()]
        if len(kept) > len(SERIES):
            kept = kept[: len(SERIES) - 1]
        return [name if name in kept else OTHERS for name in names]

    def draw(self, path: Path) -> None:
        """Write a PNG with a panel a view."""
        panels = [(view.title, view.vectors) for view in self.views]
        write_file(path, vector_maps(panels, self.labels, "png"))

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/senses.md`."""
        return {
            "word": self.word,
            "n": len(self.occurrences),
            "views": [self._view(view) for view in self.views],
        }

    def _view(self, view: View) -> dict[str, Any]:
        points = principal_axes(view.vectors)[0]
        return {
            "kind": view.kind,
            "layer": view.layer,
            "agreement": view.agreement,
            "clusters": [
                {"n": len(rows), "senses": self._senses(rows)} for rows in _rows(view.clusters)
            ],
            "occurrences": [
                {"place": use.place, "sense": use.sense, "cluster": cluster, "x": x, "y": y}
                for use, cluster, (x, y) in zip(
                    self.occurrences, view.clusters, points.tolist(), strict=True
                )
            ],
        }

    def _senses(self, rows: Sequence[int]) -> dict[str, int] | None:
        counts = Counter(self.occurrences[row].sense for row in rows)
        if None in counts:
            return None
        return {str(sense): n for sense, n in counts.most_common()}

    def __str__(self) -> str:
        lines = []
        for view in self.views:
            agrees = "" if view.agreement is None else f", agreement {view.agreement:.3f}"
            lines.append(f"{view.title}: {len(set(view.clusters))} clusters{agrees}")
            for number, rows in enumerate(_rows(view.clusters), 1):
                senses = self._senses(rows) or {}
                told = "".join(f"  {sense} {n}" for sense, n in senses.items())
                lines.append(f"  cluster {number}: {len(rows)} occurrences{told}")
                center = view.vectors[rows].mean(axis=0)
                near = sorted(rows, key=lambda row: -float(view.vectors[row] @ center))
                lines += [f"    {self.occurrences[row].text[:90]}" for row in near[:N_EXAMPLES]]
        return "\n".join(lines)


def word_senses(
    models: Sequence[WordModel],
    word: str,
    occurrences: Sequence[Occurrence],
    *,
    layer: str | None = None,
    n_clusters: int | None = None,
    seed: int = 1,
) -> WordSenses:
    """Cluster the occurrences in the view of each model; `layer` is of the last one.

    As many clusters as there are gold senses if not said, or two. Raises DataError for fewer than
    three occurrences or vectors that are all alike, UsageError for a layer that is not there.
    """
    if len(occurrences) < FEWEST:
        raise DataError(
            f"{word!r} occurs {len(occurrences)} times; give at least {FEWEST} sentences"
        )
    gold = [occurrence.sense for occurrence in occurrences]
    n_clusters = n_clusters or max(2, len(set(gold)))
    views = [
        _view(model, occurrences, layer if model is models[-1] else None, n_clusters, seed)
        for model in models
    ]
    return WordSenses(word, tuple(occurrences), tuple(views))


def _view(
    model: WordModel,
    occurrences: Sequence[Occurrence],
    layer: str | None,
    n_clusters: int,
    seed: int,
) -> View:
    name = model.layers[-1] if layer is None else layer
    if name not in model.layers:
        raise UsageError(f"there is no layer {name!r}; there are {', '.join(model.layers)}")
    vectors = model.vectors(occurrences)[model.layers.index(name)]
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if np.ptp(unit, axis=0).max() < 1e-6:
        raise DataError(
            f"at layer {name} of the {model.kind} model all {len(unit)} occurrences have one "
            "vector; choose a layer that reads the sentence"
        )
    clusters = k_means(unit, n_clusters, seed)
    gold = [occurrence.sense for occurrence in occurrences]
    known = None not in gold and len(set(gold)) > 1
    agreement = adjusted_rand(clusters.tolist(), gold) if known else None
    return View(model.kind, name, unit, tuple(clusters.tolist()), agreement)


def _rows(clusters: Sequence[int]) -> list[list[int]]:
    """The occurrences of each cluster."""
    return [
        [row for row, own in enumerate(clusters) if own == cluster]
        for cluster in range(max(clusters) + 1)
    ]
