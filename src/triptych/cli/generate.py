"""triptych generate: go on with a text, or with each line of a file."""

from dataclasses import dataclass, field
from typing import Annotated

from triptych.cli.common import Drawing, Inference, importing
from triptych.cli.options import POSITIONAL
from triptych.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Go on with text."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    prompt: str | None = None
    """The beginning of a text; what follows it is shown while it is drawn."""
    input: str | None = None
    r"""A text file of prompts (.gz, .xz and .zst as well), or - for standard input: one line out
    for each line in, with \n for a line end, \r for a carriage return and \\ for a backslash."""
    json: bool = False
    """One JSON object a prompt, with tokens, log-probabilities and what ended the text."""
    quiet: bool = False
    """No progress."""
    drawing: Drawing = field(default_factory=Drawing)
    machine: Inference = field(default_factory=Inference)


def run(options: Options) -> int:
    """One prompt flows to the terminal; a file goes through block by block."""
    with importing():
        from triptych.recipes.generate_file import generate_file, on_one_line, to_json
        from triptych.recipes.generate_options import GenerateOptions
        from triptych.recipes.load import load_generator

    if (options.prompt is None) == (options.input is None):
        raise UsageError("triptych generate needs either --prompt TEXT or --input FILE")
    options.drawing.over(GenerateOptions())  # so that what is wrong is said before a model is read
    place, precision = options.machine.choose(), options.machine.precision
    generator = load_generator(options.model, device=place, precision=precision, mapped=True)
    generator.logprobs = options.json
    chosen = options.drawing.over(generator.options)
    if options.input is not None:
        form = to_json if options.json else lambda found: on_one_line(found.text)
        for number, found in enumerate(
            generate_file(generator, options.input, chosen, quiet=options.quiet)
        ):
            print(form(found), flush=number == 0)
    elif options.json or chosen.best_of > 1:
        (found,) = generator.generate([options.prompt or ""], options=chosen)
        print(to_json(found) if options.json else found.text)
    else:
        for piece in generator.stream(options.prompt or "", options=chosen):
            print(piece, end="", flush=True)
        print()
    return 0
