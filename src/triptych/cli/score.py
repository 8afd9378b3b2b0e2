"""triptych score: what a model gives to translations that are already there."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from triptych.cli.common import Machine
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Score translations."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    source: str
    """A text file of sources."""
    target: str
    """A text file of translations, aligned with it line by line."""
    length_penalty: Literal["gnmt", "length", "none"] = "none"
    """What the log-probability is divided by; `none` leaves it as it is."""
    alpha: float = 1.0
    """Exponent of the length penalty."""
    json: bool = False
    """One JSON object a line, with each token's log-probability."""
    quiet: bool = False
    """No progress."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """One score out for each pair."""
    from triptych.recipes.load import load_translator
    from triptych.recipes.translate_file import score_files
    from triptych.recipes.translate_options import TranslateOptions

    penalty = TranslateOptions(length_penalty=options.length_penalty, alpha=options.alpha)
    translator = load_translator(options.model, device=options.machine.choose())
    for found in score_files(
        translator, options.source, options.target, penalty, quiet=options.quiet
    ):
        print(json.dumps(asdict(found), ensure_ascii=False) if options.json else found.score)
    return 0
