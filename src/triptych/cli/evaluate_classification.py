"""triptych evaluate classification: accuracy, F1 and Matthews' correlation of a classifier."""

import json
from dataclasses import dataclass, field
from typing import Annotated

from triptych.cli.common import Machine
from triptych.cli.options import POSITIONAL
from triptych.recipes.finetune_run import TextColumns


@dataclass(frozen=True, kw_only=True)
class Options:
    """Evaluate a classifier of texts or pairs of texts."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    data: tuple[str, ...]
    """TSV or CSV files, a text (or pair) and its label in each row."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""
    columns: TextColumns = field(default_factory=TextColumns)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Label the texts, and score the labels."""
    from triptych.recipes.evaluate_texts import evaluate_classification
    from triptych.recipes.load import load_encoder

    encoder = load_encoder(options.model, device=options.machine.choose())
    report = evaluate_classification(encoder, options.data, options.columns)
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
