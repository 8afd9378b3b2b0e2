"""The model card of a folder of word vectors."""

from collections.abc import Mapping
from typing import Any

from triptych import __version__
from triptych.config import to_toml
from triptych.data.words import RULE
from triptych.recipes.vectors_run import Run


def vectors_card(run: Run, report: Mapping[str, Any]) -> str:
    """Markdown with the metadata block that model hubs read."""
    return f"""---
library_name: triptych
tags: [word-vectors]
---
# Word vectors, {report["vocab_size"]:,} words, {report["d_model"]} wide

{run.training.method}. Trained with triptych {__version__} on {report["n_words"]:,} words of text, \
{report["epochs"]} epochs. Words are {RULE}.

With one worker the same command gives the same vectors again; with several it does not.

## Use

```bash
triptych neighbors FOLDER frog
triptych convert FOLDER vectors.txt --to word2vec
```

## Recipe

`triptych train {report["kind"]} --config run.toml --out FOLDER` repeats it, with this as \
`run.toml`:

```toml
{to_toml(run).strip()}
```
"""
