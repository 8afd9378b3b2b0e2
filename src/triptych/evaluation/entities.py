"""Precision, recall and F1 of whole entities, as conlleval counts them (Tjong Kim Sang 2000).

Tags are O, or B-TYPE, I-TYPE, E-TYPE and S-TYPE. An entity is right if its type and both its ends
are. An I- that follows another type, or nothing, begins an entity, as in that script.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from triptych.evaluation.parallel import require_parallel

OUTSIDE = "O"


class Entity(NamedTuple):
    """Words `start` to `end` - 1 of a sentence."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class EntityScores:
    """Entities over all sentences; 0 where nothing is predicted or there is nothing to find."""

    n: int
    """Entities to be found."""
    precision: float
    recall: float
    f1: float


def score_entities(
    predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]
) -> EntityScores:
    """The tags of each sentence against the right ones. Raises DataError for unequal lists."""
    require_parallel(predicted, gold, ("tagged sentences", "sentences"))
    n_right = n_predicted = n_gold = 0
    for its, right in zip(predicted, gold, strict=True):
        require_parallel(its, right, ("tags", "words"))
        found, wanted = set(entities(its)), set(entities(right))
        n_right += len(found & wanted)
        n_predicted += len(found)
        n_gold += len(wanted)
    return EntityScores(
        n=n_gold,
        precision=n_right / max(1, n_predicted),
        recall=n_right / max(1, n_gold),
        f1=2 * n_right / max(1, n_predicted + n_gold),
    )


def entities(tags: Sequence[str]) -> Iterator[Entity]:
    """The entities of one sentence, from left to right."""
    start, kind, before = 0, "", OUTSIDE
    for place, tag in enumerate([*tags, OUTSIDE]):
        mark, _, its_kind = tag.partition("-")
        goes_on = bool(kind) and mark in "IE" and its_kind == kind and before not in ("E", "S")
        if not goes_on:
            if kind:
                yield Entity(start, place, kind)
            start, kind = place, "" if mark == OUTSIDE else its_kind
        before = mark


def are_entity_tags(tags: Sequence[str]) -> bool:
    """Whether they are of this form, and not, for instance, parts of speech."""
    inside = set(tags) - {OUTSIDE}
    return bool(inside) and all(re.fullmatch(r"[BIES]-.+", tag) for tag in inside)
