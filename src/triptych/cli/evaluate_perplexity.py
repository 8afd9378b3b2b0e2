"""triptych evaluate perplexity: how well a generator predicts texts."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Literal

from triptych.cli.common import Machine, Reading
from triptych.cli.options import POSITIONAL


@dataclass(frozen=True, kw_only=True)
class Options:
    """Evaluate a generator on texts."""

    model: Annotated[str, POSITIONAL]
    """A model folder, or a name on the Hugging Face Hub."""
    data: tuple[str, ...]
    """Text files, folders of them, .jsonl, or hub: names; .gz, .xz and .zst as well."""
    documents: Literal["blank", "file", "line"] | None = None
    """What ends a document of plain text, each of which is read by itself: a blank line, the end
    of its file (one stream), or of its line; blank if not given, and file with a detokenizer."""
    text_field: str = "text"
    """The field of a JSON object that is a document."""
    detokenizer: Literal["none", "wikitext", "ptb"] = "none"
    """Rules that undo the spaces of a corpus of words; its words and line ends are counted."""
    ends: bool = False
    """Predict the end-of-text token after each document as well."""
    json: bool = False
    """The scores as one JSON object (keys: docs/evaluate.md)."""
    quiet: bool = False
    """No progress."""
    reading: Reading = field(default_factory=Reading)
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Predict each token once, in windows that slide."""
    from triptych.recipes.evaluate_perplexity import PerplexityProtocol, evaluate_perplexity

    generator = options.reading.load(options.model, options.machine)
    protocol = PerplexityProtocol(
        documents=options.documents,
        text_field=options.text_field,
        detokenizer=options.detokenizer,
        stride=options.reading.stride,
        ends=options.ends,
    )
    report = evaluate_perplexity(generator, options.data, protocol, options.quiet)
    print(json.dumps(report.to_json(), indent=1) if options.json else report)
    return 0
