"""Grammar judgements of a generator on BLiMP's minimal pairs."""

import time
from dataclasses import dataclass
from typing import Any

from triptych import __version__
from triptych.data.tables import read_rows
from triptych.errors import DataError
from triptych.evaluation.language_model import signature
from triptych.evaluation.minimal_pairs import (
    TIE,
    MinimalPair,
    PairScores,
    score_groups,
    score_pairs,
)
from triptych.recipes.generate_options import OnTooLong
from triptych.recipes.generator import Generator
from triptych.training.progress import ProgressLine

COLUMNS = ("field", "phenomenon", "good sentence", "bad sentence")
BATCHED = 1000
"""Pairs between two steps of the progress line."""


@dataclass(frozen=True)
class BlimpReport:
    """Scores of one model on minimal pairs, and how they came about."""

    overall: PairScores
    by_field: dict[str, PairScores]
    by_phenomenon: dict[str, PairScores]
    fields: dict[str, str]
    """The field of each phenomenon."""
    signature: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            **self.overall.to_json(),
            "by_field": {name: s.to_json() for name, s in self.by_field.items()},
            "by_phenomenon": {
                name: {"field": self.fields[name], **s.to_json()}
                for name, s in self.by_phenomenon.items()
            },
            "signature": self.signature,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        width = max(len("overall"), *(len(name) + 2 for name in (*self.by_field, *self.fields)))

        def row(name: str, scores: PairScores) -> str:
            return f"{name:<{width}}  {100 * scores.accuracy:6.2f}   {scores.n:6,}"

        lines = []
        for field, scores in sorted(self.by_field.items()):
            lines.append(row(field, scores))
            within = sorted(name for name in self.fields if self.fields[name] == field)
            lines += [row(f"  {name}", self.by_phenomenon[name]) for name in within]
        lines.append(row("overall", self.overall))
        lines.append(f"{self.overall.n_ties:,} ties, each half right, {self.seconds:.1f} s")
        return "\n".join([*lines, self.signature])


def evaluate_blimp(
    generator: Generator, file: str, *, on_too_long: OnTooLong = "refuse", quiet: bool = False
) -> BlimpReport:
    """Give both sentences of each pair their probability, and count where the good one's is higher.

    Raises DataError, with file and line, for a table of other columns, for a sentence without text
    and for one that is longer than the context, unless windows are asked for.
    """
    pairs = read_pairs_of_sentences(file)
    began = time.monotonic()
    good: list[float] = []
    bad: list[float] = []
    with ProgressLine("blimp", len(pairs), quiet=quiet) as line:
        for start in range(0, len(pairs), BATCHED):
            some = pairs[start : start + BATCHED]
            found = generator.score(
                [text for pair in some for text in (pair.good, pair.bad)],
                on_too_long=on_too_long,
                place=lambda number, some=some: some[number // 2].place,  # type: ignore[misc]
            )
            good += [each.logprob for each in found[::2]]
            bad += [each.logprob for each in found[1::2]]
            line.show(len(good), "")
    return BlimpReport(
        overall=score_pairs(good, bad),
        by_field=score_groups([pair.field for pair in pairs], good, bad),
        by_phenomenon=score_groups([pair.phenomenon for pair in pairs], good, bad),
        fields={pair.phenomenon: pair.field for pair in pairs},
        signature=signature(
            [
                ("context", generator.module.config.max_seq_len),
                ("score", "whole-sentence"),
                ("begin", "end-of-text"),
                ("ends", "not-scored"),
                ("ties", f"half-below-{TIE:g}"),
                ("too-long", on_too_long),
                ("precision", generator.twin.precision),
                ("triptych", __version__),
            ]
        ),
        seconds=time.monotonic() - began,
    )


def read_pairs_of_sentences(file: str) -> list[MinimalPair]:
    """The rows of a table: field, phenomenon, good sentence, bad sentence. Raises DataError."""
    pairs = []
    for line, cells in read_rows(file):
        place = f"{file}:{line}"
        if len(cells) != len(COLUMNS):
            raise DataError(
                f"{place}: columns: {len(cells)}; it should be {len(COLUMNS)}: {', '.join(COLUMNS)}"
            )
        for name, cell in zip(COLUMNS, cells, strict=True):
            if not cell.strip():
                raise DataError(f"{place}: the {name} is empty; fill it in or leave the row out")
        field, phenomenon, good, bad = cells
        pairs.append(MinimalPair(field, phenomenon, good, bad, place))
    return pairs
