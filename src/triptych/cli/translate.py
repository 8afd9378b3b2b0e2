"""triptych translate: one line out for each line in."""

from dataclasses import dataclass, field, replace
from typing import Annotated

from triptych.cli.common import Inference, Search, importing
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Translate text."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    input: str = "-"
    """A text file (.gz, .xz and .zst as well), or - for standard input."""
    prefix: str | None = None
    """A text file aligned with the input: the words that each translation begins with."""
    n_best: int = 1
    """Candidates of each line, as `line ||| text ||| score`, lines counted from 0."""
    alignments: bool = False
    """Add ` ||| 0-0 1-2`: which source word each word comes from, counted from 0."""
    json: bool = False
    """One JSON object a line, with scores, tokens and whatever else was asked for."""
    verify: bool = False
    """Check the hashes of all of the model's files again."""
    quiet: bool = False
    """No progress."""
    search: Search = field(default_factory=Search)
    machine: Inference = field(default_factory=Inference)


def run(options: Options) -> int:
    """Translate block by block, so that a pipe of any length fits into memory."""
    with importing():
        from triptych.recipes.load import load_translator
        from triptych.recipes.translate_file import line_form, translate_file

    form = line_form(options.n_best, options.alignments, options.json)
    translator = load_translator(
        options.model,
        device=options.machine.choose(),
        precision=options.machine.precision,
        verify=options.verify,
    )
    chosen = replace(
        options.search.over(translator.options),
        n_best=options.n_best,
        alignments=options.alignments,
    )
    for number, found in enumerate(
        translate_file(translator, options.input, chosen, options.quiet, options.prefix)
    ):
        print(form(number, found), flush=number == 0)
    return 0
