"""triptych senses: the occurrences of a word in clusters, and their picture."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from triptych.cli.common import Machine
from triptych.cli.options import POSITIONAL
from triptych.config import Range
from triptych.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Look at the senses of a word."""

    model: Annotated[str, POSITIONAL]
    """An encoder (BERT), ELMo or static vectors: a folder, a file, or a name on the Hub."""
    word: Annotated[str, POSITIONAL]
    """The word, as it stands in every sentence; upper and lower case are alike."""
    sentences: str
    """A file with one sentence a line, or a sentence, a tab and the word's sense; - for input."""
    static: str | None = None
    """Static vectors, drawn beside: the mean of the other words of each sentence."""
    layer: str | None = None
    """A layer of the model (docs/evaluate.md); its last one if not given."""
    clusters: Annotated[int | None, Range(2)] = None
    """As many as the file names senses, or 2, if not given."""
    out: Path | None = None
    """The picture, a PNG; WORD.png if not given."""
    vectors: Path | None = None
    """A file for the vectors by layer, a NumPy .npz (docs/senses.md)."""
    seed: Annotated[int, Range(0)] = 1
    """Of the clusters' beginnings."""
    json: bool = False
    """Clusters and points as JSON (keys: docs/senses.md)."""
    machine: Machine = field(default_factory=Machine)


def run(options: Options) -> int:
    """Cluster the word's vectors, and draw them by sense where known, else by cluster."""
    from triptych.recipes.senses import read_occurrences, word_senses
    from triptych.recipes.words_in_context import save_layers, word_model

    out = options.out or Path(f"{options.word.replace('/', '-')}.png")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out is {out}, and the picture is a PNG; end its name in .png")
    uses = read_occurrences(options.sentences, options.word)
    names = [options.model] if options.static is None else [options.static, options.model]
    models = [word_model(name, device=options.machine.choose()) for name in names]
    found = word_senses(
        models,
        options.word,
        uses,
        layer=options.layer,
        n_clusters=options.clusters,
        seed=options.seed,
    )
    found.draw(out)
    if options.vectors is not None:
        save_layers(options.vectors, models[-1], uses)
    print(json.dumps(found.to_json(), indent=1) if options.json else f"{found}\npicture: {out}")
    return 0
