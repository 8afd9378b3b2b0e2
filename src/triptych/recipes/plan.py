"""What a training run will take, before it begins: memory, operations, time, space on the disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from triptych.errors import ConfigError, UsageError
from triptych.models.bert import BertConfig
from triptych.models.encoder_decoder import EncoderDecoderConfig
from triptych.models.presets import (
    BERT_PRESETS,
    GPT_PRESETS,
    TRANSLATION_PRESETS,
    bert_preset,
    gpt_preset,
    translation_preset,
)
from triptych.recipes.plan_settings import PlanSettings
from triptych.runtime.costs import Config, Shape, row_flops, shape_of
from triptych.runtime.memory import Memory, Pass, memory_of, sharded_memory_of
from triptych.training.progress import measure_peak_flops

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "translation": TRANSLATION_PRESETS,
    "bert": BERT_PRESETS,
    "gpt": GPT_PRESETS,
}
VOCABULARIES = {"translation": 37_000, "bert": 30_522, "gpt": 50_257}
"""Entries in the papers: Vaswani et al. 2017, Devlin et al. 2018, Radford et al. 2019."""
SENTENCE = 32
"""Tokens of a side of a translation's pair, where no length is given."""
SHARE, SHARE_WITH_CHECKPOINTING = 0.4, 0.3
"""Of peak, where none is given: a block that is computed again takes 4/3 of the time."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `settings` will take; bytes, operations and seconds."""

    settings: PlanSettings
    family: str
    config: Config
    shape: Shape
    seq_len: int
    memory: Mapping[str, Memory]
    """Of each GPU: `plain` for one, `ddp` and `fsdp2` for several."""
    flops: float
    """Of the model; what checkpointing computes again is in the share."""
    flops_per_second: float

    @property
    def parameters(self) -> int:
        return self.shape.n_parameters

    @property
    def share(self) -> float:
        """Of the stated speed, as training's progress line tells it."""
        s = self.settings
        usual = SHARE_WITH_CHECKPOINTING if s.activation_checkpointing else SHARE
        return usual if s.share is None else s.share

    @property
    def seconds(self) -> float:
        """FLOPs / (GPUs · FLOP/s · share)."""
        return self.flops / (max(1, self.settings.gpus) * self.flops_per_second * self.share)

    @property
    def model_bytes(self) -> int:
        """4 · P: weights in float32."""
        return 4 * self.parameters

    @property
    def checkpoint_bytes(self) -> int:
        """12 · P: weights and both of Adam's means."""
        return 12 * self.parameters


def plan(settings: PlanSettings, measure: Callable[[], float]) -> Plan:
    """`measure` gives this machine's FLOP/s; it is called when none are stated.

    Raises ConfigError for an unknown preset, one that several families have, or rows longer than
    the model's limit.
    """
    family, config = _config(settings)
    length = settings.seq_len or (SENTENCE if family == "translation" else config.max_seq_len)
    if length > config.max_seq_len and family == "bert":
        raise ConfigError(
            f"seq_len is {length}, more than the model's limit of {config.max_seq_len}; lower it"
        )
    if length > config.max_seq_len:
        config = replace(config, max_seq_len=length)  # as training does
    shape = shape_of(config, length)
    how = Pass(
        rows=settings.batch_size,
        precision=settings.precision,
        on_gpu=settings.gpus > 0,
        checkpointing=settings.activation_checkpointing,
        accumulates=settings.accumulate > 1,
    )
    memory = {"plain": memory_of(shape, how)}
    if settings.gpus > 1:
        memory["ddp"] = memory_of(shape, how, settings.gpus)
        memory["fsdp2"] = sharded_memory_of(shape, how, settings.gpus)
    flops = row_flops(shape) * settings.tokens / length
    speed = settings.flops_per_second or measure()
    return Plan(
        settings=settings, family=family, config=config, shape=shape, seq_len=length,
        memory=memory, flops=flops, flops_per_second=speed,
    )  # fmt: skip


def measured_speed(settings: PlanSettings, device: str) -> float:
    """FLOP/s of a square matrix product here, now: of the GPU `device`, or, for a plan without
    GPUs, of this CPU. Raises UsageError where a plan for GPUs finds none to measure."""
    place = torch.device(device if settings.gpus else "cpu")
    if settings.gpus and place.type == "cpu":
        raise UsageError(
            f"--gpus is {settings.gpus}, but there is no GPU to measure here; state the speed of "
            "one with --flops-per-second, or give --gpus 0 to plan for this CPU"
        )
    return measure_peak_flops(place, settings.precision)


def _config(settings: PlanSettings) -> tuple[str, Config]:
    family, name = _family_of(settings.preset)
    size = settings.vocab_size or VOCABULARIES[family]
    make: dict[str, Callable[[], Config]] = {
        "translation": partial(translation_preset, name, size, size - 1, 0),
        "bert": partial(bert_preset, name, size, 0),
        "gpt": partial(gpt_preset, name, size),
    }
    config, p = make[family](), settings.dropout
    if p is None:
        return family, config
    if isinstance(config, EncoderDecoderConfig):
        return family, replace(config, dropout=p)
    if isinstance(config, BertConfig):
        return family, replace(config, dropout=p, attention_dropout=p)
    return family, replace(config, dropout=p, attention_dropout=p, embedding_dropout=p)


def _family_of(preset: str) -> tuple[str, str]:
    """gpt-nano -> gpt, nano; gpt2 -> gpt, gpt2. Raises ConfigError."""
    first, _, rest = preset.partition("-")
    if rest in FAMILIES.get(first, {}):
        return first, rest
    families = [family for family, presets in FAMILIES.items() if preset in presets]
    if len(families) == 1:
        return families[0], preset
    full = [f"{family}-{preset}" for family in families]
    if full:
        raise ConfigError(
            f"preset is {preset!r}, which several families have; say {' or '.join(full)}"
        )
    known = [
        name if sum(name in presets for presets in FAMILIES.values()) == 1 else f"{family}-{name}"
        for family, each in FAMILIES.items()
        for name in each
    ]
    raise ConfigError(f"preset is {preset!r}; there are {', '.join(known)}")
