"""The model card of a folder of word vectors."""

from collections.abc import Mapping
from typing import Any

from triptych import __version__
from triptych.config import to_toml
from triptych.data.words import RULE
from triptych.predecessors.settings import Word2VecSettings
from triptych.recipes.vectors_run import Run, Word2VecRun

GLOVE = "GloVe (Pennington et al. 2014); each vector is the sum of the word's and the context's"


def vectors_card(run: Run, report: Mapping[str, Any]) -> str:
    """Markdown with the metadata block that model hubs read."""
    is_word2vec = isinstance(run, Word2VecRun)
    what = _word2vec(run.training) if isinstance(run.training, Word2VecSettings) else GLOVE
    command = "word2vec" if is_word2vec else "glove"
    return f"""---
library_name: triptych
tags: [word-vectors]
---
# Word vectors, {report["vocab_size"]:,} words, {report["d_model"]} wide

{what}. Trained with triptych {__version__} on {report["n_words"]:,} words of text, \
{report["epochs"]} epochs. Words are {RULE}.

With one worker the same command gives the same vectors again; with several it does not.

## Use

```bash
triptych neighbors FOLDER frog
triptych convert FOLDER vectors.txt --to word2vec
```

## Recipe

`triptych train {command} --config run.toml --out FOLDER` repeats it, with this as `run.toml`:

```toml
{to_toml(run).strip()}
```
"""


def _word2vec(settings: Word2VecSettings) -> str:
    name = {"skip-gram": "Skip-gram", "cbow": "CBOW"}[settings.architecture]
    return f"{name} with negative sampling (Mikolov et al. 2013), trained by gensim"
