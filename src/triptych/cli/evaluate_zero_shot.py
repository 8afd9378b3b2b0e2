"""triptych evaluate zero-shot: GPT-2's published figures beside those of a model."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Literal

from triptych.cli.common import Machine, Reading
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Evaluate a generator on the data of GPT-2's table."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    data: str
    """A folder, below which the data are found by their names (docs/evaluate.md)."""
    on_too_long: Literal["refuse", "window"] = "refuse"
    """A passage of LAMBADA longer than the model's context: refuse it by its line, or let its
    beginning go out of sight, which is said."""
    json: bool = False
    """The rows as one JSON object (keys: docs/evaluate.md)."""
    quiet: bool = False
    """No progress."""
    reading: Reading = field(default_factory=Reading)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Measure every column whose data are there."""
    from triptych.recipes.zero_shot import evaluate_zero_shot

    report = evaluate_zero_shot(
        options.reading.load(options.model, options.machine),
        options.data,
        stride=options.reading.stride,
        on_too_long=options.on_too_long,
        quiet=options.quiet,
    )
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
