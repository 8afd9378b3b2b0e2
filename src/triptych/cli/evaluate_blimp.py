"""triptych evaluate blimp: grammar judgements on minimal pairs."""

import json
from dataclasses import dataclass, field
from typing import Annotated

from triptych.cli.common import Judging, Machine
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Evaluate a generator on minimal pairs."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    data: str
    """A TSV file: field, phenomenon, good sentence and bad sentence in each row."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""
    quiet: bool = False
    """No progress."""
    judging: Judging = field(default_factory=Judging)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Give both sentences of every pair their probability."""
    from triptych.recipes.evaluate_blimp import evaluate_blimp

    generator = options.judging.load(options.model, options.machine)
    report = evaluate_blimp(
        generator, options.data, on_too_long=options.judging.on_too_long, quiet=options.quiet
    )
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
