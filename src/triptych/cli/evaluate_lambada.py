"""triptych evaluate lambada: the last word of each passage."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Literal

from triptych.cli.common import Judging, Machine
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Evaluate a generator on LAMBADA."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    data: str
    """A .jsonl file with a passage in the field text of each line."""
    detokenizer: Literal["none", "lambada"] = "none"
    """none reads the file as it is; lambada straightens quotes and puts a line end first."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""
    quiet: bool = False
    """No progress."""
    judging: Judging = field(default_factory=Judging)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Predict every last word."""
    from triptych.recipes.evaluate_lambada import evaluate_lambada

    generator = options.judging.load(options.model, options.machine)
    report = evaluate_lambada(
        generator,
        options.data,
        detokenizer=options.detokenizer,
        on_too_long=options.judging.on_too_long,
        quiet=options.quiet,
    )
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
