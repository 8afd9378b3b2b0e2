"""The model card: what a model was trained on, how, and how well it did."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triptych import __version__
from triptych.config import to_toml
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.gpt import Gpt
from triptych.models.heads import BertWithHeads
from triptych.predecessors.elmo import Elmo
from triptych.recipes.bert_run import BertRun
from triptych.recipes.elmo_run import ElmoRun
from triptych.recipes.finetune_run import FinetuneRun
from triptych.recipes.gpt_run import GptRun
from triptych.recipes.translation_run import TranslationRun
from triptych.training.run_folder import RunFolder


def translation_card(run: TranslationRun, out: Path, model: EncoderDecoder) -> str:
    """Markdown with the metadata block that model hubs read."""
    n_parameters = sum(p.numel() for p in model.parameters())
    languages = f"{run.data.source_language} to {run.data.target_language}"
    return f"""---
library_name: triptych
pipeline_tag: translation
language: [{run.data.source_language}, {run.data.target_language}]
---
# Translation, {languages}

An encoder-decoder (Vaswani et al. 2017) of {n_parameters:,} parameters: \
{model.config.n_encoder_layers} + {model.config.n_decoder_layers} layers, \
{model.config.d_model} wide, {model.config.n_heads} heads, a vocabulary of \
{model.config.vocab_size:,}. Trained with triptych {__version__}; it loads in transformers as a \
MarianMTModel.

{_scores(RunFolder(out).rows(), "greedy", "target tokens")}
## Use

```bash
triptych translate FOLDER --input FILE
```

## Recipe

The content of `run.toml`; `triptych train translation --config run.toml --out RUN` repeats it.

```toml
{to_toml(run).strip()}
```
"""


def bert_card(run: BertRun, out: Path, model: BertWithHeads) -> str:
    """Markdown with the metadata block that model hubs read."""
    n_parameters = sum(p.numel() for p in model.parameters())
    c = model.config.trunk
    return f"""---
library_name: triptych
pipeline_tag: fill-mask
---
# BERT, {c.n_layers} layers, {c.d_model} wide

An encoder (Devlin et al. 2018) of {n_parameters:,} parameters with the heads of pretraining: \
{c.n_layers} layers, {c.d_model} wide, {c.n_heads} heads, a vocabulary of {c.vocab_size:,}. \
Trained on masked words and next sentence with triptych {__version__}; it loads in transformers as \
a BertForPreTraining.

{_scores(RunFolder(out).rows(), "over all validation documents", "tokens")}
## Use

```bash
triptych fill FOLDER 'The [MASK] sat by the river.'
```

## Recipe

The content of `run.toml`; `triptych train bert --config run.toml --out RUN` repeats it.

```toml
{to_toml(run).strip()}
```
"""


def gpt_card(run: GptRun, out: Path, model: Gpt) -> str:
    """Markdown with the metadata block that model hubs read."""
    n_parameters = sum(p.numel() for p in model.parameters())
    c = model.config
    return f"""---
library_name: triptych
pipeline_tag: text-generation
---
# GPT, {c.n_layers} layers, {c.d_model} wide

A decoder-only model (Radford et al. 2019) of {n_parameters:,} parameters: {c.n_layers} layers, \
{c.d_model} wide, {c.n_heads} heads, a context of {c.max_seq_len}, a vocabulary of \
{c.vocab_size:,}. Trained with triptych {__version__}; it loads in transformers as a \
GPT2LMHeadModel.

{_scores(RunFolder(out).rows(), "over all validation text", "tokens")}
## Use

```bash
triptych generate FOLDER --prompt 'Once'
```

## Recipe

The content of `run.toml`; `triptych train gpt --config run.toml --out RUN` repeats it.

```toml
{to_toml(run).strip()}
```
"""


def elmo_card(run: ElmoRun, out: Path, model: Elmo) -> str:
    """Markdown with the metadata block that model hubs read."""
    n_parameters = sum(p.numel() for p in model.parameters())
    c = model.config
    return f"""---
library_name: triptych
pipeline_tag: feature-extraction
---
# ELMo, {c.n_layers} layers of {c.d_cell} cells, {c.d_projection} wide

A bidirectional language model (Peters et al. 2018) of {n_parameters:,} parameters: characters, \
{c.n_layers} layers of LSTMs in each direction, vectors of {c.d_model}, a softmax over \
{c.vocab_size:,} words. Trained with triptych {__version__}.

{_scores(RunFolder(out).rows(), "over all validation text and all words", "words")}
## Use

```bash
triptych evaluate senses FOLDER --data storybook
```

## Recipe

The content of `run.toml`; `triptych train elmo --config run.toml --out RUN` repeats it.

```toml
{to_toml(run).strip()}
```
"""


FINETUNED = {  # by the kind of task: the hub's word for it, and transformers' class
    "classification": ("text-classification", "BertForSequenceClassification"),
    "regression": ("text-classification", "BertForSequenceClassification"),
    "tagging": ("token-classification", "BertForTokenClassification"),
    "qa": ("question-answering", "BertForQuestionAnswering"),
}


def finetune_card(kind: str, run: FinetuneRun, out: Path, model: BertWithHeads) -> str:
    """Markdown with the metadata block that model hubs read."""
    n_parameters = sum(p.numel() for p in model.parameters())
    c = model.config.trunk
    tag, architecture = FINETUNED[kind]
    labels = f"Labels: {', '.join(model.config.labels)}.\n\n" if model.config.labels else ""
    start = "random weights of its shape" if run.weights.from_scratch else "its weights"
    return f"""---
library_name: triptych
pipeline_tag: {tag}
---
# BERT for {kind}, {c.n_layers} layers, {c.d_model} wide

An encoder (Devlin et al. 2018) of {n_parameters:,} parameters, fine-tuned from `{run.model}` \
({start}) with triptych {__version__}; it loads in transformers as a {architecture}.

{labels}{_scores(RunFolder(out).rows(), "over all validation examples", "tokens")}
## Recipe

The content of `run.toml`; `triptych finetune {kind} MODEL --config run.toml --out RUN` repeats it.

```toml
{to_toml(run).strip()}
```
"""


def _scores(rows: list[dict[str, Any]], how: str, tokens: str) -> str:
    """The newest validation as a table, or that there is none yet."""
    measured = [row for row in rows if "valid_loss" in row]
    if not measured:
        return "No validation yet.\n"
    row: Mapping[str, Any] = measured[-1]
    lines = [
        f"| {name.removeprefix('valid_')} | {value:.4g} |"
        for name, value in row.items()
        if name.startswith("valid_")
    ]
    head = f"On the validation set, {how}, after {row['update']:,} updates and {row['tokens']:,} "
    return head + f"{tokens}:\n\n| metric | value |\n|---|---|\n" + "\n".join(lines) + "\n"
