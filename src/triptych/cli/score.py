"""triptych score: what a model gives to translations, or texts, that are already there."""

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from triptych.cli.common import Inference
from triptych.cli.options import POSITIONAL
from triptych.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Score translations, or texts."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    source: str | None = None
    """For a translation model, a text file of sources."""
    target: str | None = None
    """A text file of translations, aligned with it line by line."""
    input: str | None = None
    """For a generator, a text file (.gz, .xz and .zst as well), or - for standard input."""
    length_penalty: Literal["gnmt", "length", "none"] = "none"
    """What the log-probability is divided by; `none` leaves it as it is."""
    alpha: float = 1.0
    """Exponent of the length penalty."""
    on_too_long: Literal["refuse", "window"] | None = None
    """A generator's text that is longer than its context: refuse it by its line, as is usual, or
    read it in windows that slide by half of the context, which is said."""
    json: bool = False
    """One JSON object a line, with each token's log-probability."""
    quiet: bool = False
    """No progress."""
    machine: Inference = field(default_factory=Inference)


def run(options: Options) -> int:
    """One score out for each pair, or for each line of text."""
    if options.input is not None and options.source is None and options.target is None:
        return _score_texts(options, options.input)
    if options.input is None and options.source is not None and options.target is not None:
        return _score_translations(options, options.source, options.target)
    raise UsageError(
        "triptych score needs either --source and --target, for a translation model, or --input, "
        "for a generator"
    )


def _score_translations(options: Options, source: str, target: str) -> int:
    from triptych.recipes.load import load_translator
    from triptych.recipes.translate_file import score_files
    from triptych.recipes.translate_options import TranslateOptions

    if options.on_too_long is not None:
        raise UsageError("--on-too-long goes with --input; a translation is scored as a whole")
    penalty = TranslateOptions(length_penalty=options.length_penalty, alpha=options.alpha)
    place = options.machine.choose()
    translator = load_translator(options.model, device=place, precision=options.machine.precision)
    for found in score_files(translator, source, target, penalty, quiet=options.quiet):
        print(json.dumps(asdict(found), ensure_ascii=False) if options.json else found.score)
    return 0


def _score_texts(options: Options, path: str) -> int:
    from triptych.recipes.load import load_generator
    from triptych.recipes.score_file import score_file, to_json

    if options.length_penalty != "none":
        raise UsageError("--length-penalty goes with translations; a text's score is its own")
    place, precision = options.machine.choose(), options.machine.precision
    generator = load_generator(options.model, device=place, precision=precision, mapped=True)
    for found in score_file(generator, path, options.on_too_long, quiet=options.quiet):
        print(to_json(found) if options.json else found.logprob)
    return 0
