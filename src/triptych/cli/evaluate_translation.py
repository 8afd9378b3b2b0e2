"""triptych evaluate translation: BLEU and chrF of a model on a test set."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from triptych.cli.common import Inference, Search
from triptych.cli.options import POSITIONAL
from triptych.config import Range
from triptych.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Evaluate a translation model."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    data: tuple[str, ...] = ()
    """TSV files (source, tab, target), one `hub:` name, or storybook: 500 sentences of the built-in
    corpus, drawn by --seed, whose senses and alignments are known."""
    source: tuple[str, ...] = ()
    """In place of --data: text files of sources."""
    target: tuple[str, ...] = ()
    """Their references, aligned line by line."""
    against: str | None = None
    """A file with another system's output, for a paired bootstrap."""
    output: Path | None = None
    """Write the translations to this file."""
    language: str | None = None
    """The target's code for the papers' scale; the model's own if not given."""
    seed: Annotated[int, Range(0)] = 12345
    """Of the bootstrap's draws, or storybook's stories."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""
    quiet: bool = False
    """No progress."""
    search: Search = field(default_factory=Search)
    machine: Inference = field(default_factory=Inference)


def run(options: Options) -> int:
    """Translate the sources, score against the references."""
    if options.data == ("storybook",):
        return _on_storybook(options)
    from triptych.recipes.evaluate_translation import (
        evaluate_translation,
        pair_files,
        papers_language,
        report_lines,
    )
    from triptych.recipes.load import find_model, load_translator, model_notes

    test = pair_files(options.data, options.source, options.target)
    model = find_model(options.model)
    language = papers_language(options.language, model_notes(model).get("target_language"))
    place = options.machine.choose()
    translator = load_translator(model, device=place, precision=options.machine.precision)
    report = evaluate_translation(
        translator,
        test,
        options.search.over(translator.options),
        language=language,
        against=options.against,
        output=options.output,
        seed=options.seed,
        quiet=options.quiet,
    )
    print(json.dumps(report.to_json(), indent=1) if options.json else report_lines(report))
    return 0


def _on_storybook(options: Options) -> int:
    from triptych.recipes.evaluate_storybook import measure_on_storybook, storybook_sentences
    from triptych.recipes.load import load_translator

    for name in ("source", "target", "against", "output", "language"):
        if getattr(options, name):
            raise UsageError(f"--{name} does not go with --data storybook; leave it out")
    place = options.machine.choose()
    translator = load_translator(options.model, device=place, precision=options.machine.precision)
    found = measure_on_storybook(
        translator, storybook_sentences(options.seed), options.search.over(translator.options)
    )
    print(json.dumps(found.to_json(), indent=1) if options.json else found)
    return 0
