"""triptych evaluate senses: how well the vectors of a word tell its senses."""

import json
from dataclasses import dataclass, field
from typing import Annotated

from triptych.cli.common import Machine
from triptych.cli.options import POSITIONAL
from triptych.config import Range


@dataclass(frozen=True, kw_only=True)
class Options:
    """Tell the senses of words by the nearest mean of labelled ones, at every layer."""

    model: Annotated[str, POSITIONAL]
    """An encoder (BERT), ELMo or static vectors: a folder, a file, or a name on the Hub."""
    data: str
    """A folder laid out as CoarseWSD-20, or storybook."""
    words: tuple[str, ...] = ()
    """Only these words."""
    seed: Annotated[int, Range(0)] = 1
    """Of storybook's stories."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""
    quiet: bool = False
    """No progress."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Score every layer, and each word at the layer that does best on labelled sentences."""
    from triptych.recipes.evaluate_senses import evaluate_senses, read_sense_sets
    from triptych.recipes.words_in_context import word_model

    device = options.machine.choose()
    sets = read_sense_sets(options.data, options.words, options.seed)
    report = evaluate_senses(word_model(options.model, device=device), sets, quiet=options.quiet)
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
