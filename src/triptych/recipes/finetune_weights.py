"""What a fine-tuning starts from: any encoder's trunk, the heads of the task drawn anew."""

from collections.abc import Callable
from dataclasses import replace

import torch

from triptych import checkpoint
from triptych.errors import ConfigError
from triptych.files.notices import notice
from triptych.models.bert import BertConfig
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.recipes.finetune_run import FinetuneRun
from triptych.recipes.load import find_model
from triptych.recipes.model_kinds import encoder_parts
from triptych.tokenizers.wordpiece import WordPiece


def load_start(run: FinetuneRun) -> tuple[BertWithHeads, WordPiece]:
    """The model to start from, with its tokenizer, which shall cut at the run's length.

    Raises ModelFileError for what is no encoder, ConfigError for inputs or layers that it does
    not have.
    """
    folder = checkpoint.load_folder(find_model(run.model))
    model, tokenizer = encoder_parts(folder)
    trunk = model.config.trunk
    if run.data.max_seq_len > trunk.max_seq_len:
        raise ConfigError(
            f"max_seq_len is {run.data.max_seq_len}, more than the model's limit of "
            f"{trunk.max_seq_len}; lower it"
        )
    if run.weights.freeze_layers > trunk.n_layers:
        raise ConfigError(
            f"freeze_layers is {run.weights.freeze_layers}, and the model has {trunk.n_layers} "
            "layers; choose at most so many"
        )
    tokenizer.model_max_length = run.data.max_seq_len
    return model, tokenizer


def make_model(
    run: FinetuneRun, start: BertWithHeads, heads: tuple[str, ...], labels: tuple[str, ...]
) -> BertWithHeads:
    """The task's heads, drawn with the seed, on the trunk of `start`, its pooler kept if needed.

    From scratch, everything is drawn with the seed.
    """
    torch.manual_seed(run.training.seed)
    trunk, p = start.config.trunk, run.weights.dropout
    if p is not None:
        trunk = replace(trunk, dropout=p, attention_dropout=p)
    config = BertWithHeadsConfig(trunk=trunk, heads=heads, labels=labels)
    model = BertWithHeads(config).train()
    if not run.weights.from_scratch:
        model.bert.load_state_dict(start.bert.state_dict())
        if "pooler" in heads and "pooler" in start.heads:
            model.heads["pooler"].load_state_dict(start.heads["pooler"].state_dict())
        elif "pooler" in heads:
            notice(f"{run.model} has no pooler: it is drawn anew, as the classifier is")
    _freeze(model, run.weights.freeze_layers)
    return model


def _freeze(model: BertWithHeads, n_layers: int) -> None:
    """The embeddings and the first n layers learn nothing; with 0, all learn."""
    if n_layers:
        depth = layer_of(model.config.trunk)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(depth(name) > n_layers)


def layer_of(trunk: BertConfig) -> Callable[[str], int]:
    """The depth of a parameter: 0 of the embeddings, 1 to L of the layers, L + 1 of the heads."""

    def depth(name: str) -> int:
        if name.startswith("heads."):
            return trunk.n_layers + 1
        parts = name.split(".")
        return int(parts[2]) + 1 if parts[1] == "blocks" else 0

    return depth


def rate_factor(trunk: BertConfig, layer_decay: float) -> Callable[[str], float]:
    """layer_decay^(L + 1 − depth): 1 for the heads, less for each layer below."""
    depth = layer_of(trunk)
    return lambda name: layer_decay ** (trunk.n_layers + 1 - depth(name))
