"""Options that several verbs share, and what they do."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from triptych.config import Range

if TYPE_CHECKING:
    from triptych.recipes.embed_file import EmbedSettings
    from triptych.recipes.generate_options import GenerateOptions
    from triptych.recipes.generator import Generator
    from triptych.recipes.translate_options import TranslateOptions


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Machine."""

    device: str = "auto"
    """auto (a GPU where there is one), cpu, cuda or cuda:N."""
    threads: Annotated[int | None, Range(1)] = None
    """Threads of the CPU; torch's own choice if not given."""

    def choose(self) -> str:
        """The device, once torch knows how many threads to take. Raises MachineError."""
        import torch

        from triptych.runtime.device import choose_device

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return choose_device(self.device)


@dataclass(frozen=True, kw_only=True)
class Inference(Machine):
    """Machine."""

    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    """Of the weights as they are used: smaller ones are read faster, and cost a little quality."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """Search (what is not given is as the model's own generation_config.json says)."""

    beam_size: int | None = None
    """Beams of a sentence; 1 is greedy search, and 4 usual."""
    length_penalty: Literal["gnmt", "length", "none"] | None = None
    """By which a log-probability is divided: ((5 + L) / 6)^alpha, L^alpha or 1."""
    alpha: float | None = None
    """Exponent of the length penalty; more favors longer texts."""
    patience: float | None = None
    """Texts that a sentence finishes before its search ends, as a multiple of the beam size."""
    max_new_tokens: int | None = None
    """Most tokens of a translation; twice those of the source and 10 if not given."""
    batch_tokens: int | None = None
    """Padded source tokens of a batch, counted once a beam: speed and memory only."""
    split_sentences: Literal["en", "de"] | None = None
    """Split each line into sentences first, by the rules of this language."""
    on_too_long: Literal["refuse", "split"] | None = None
    """A sentence longer than the model's limit: refuse it by its line, or split it."""

    def over(self, options: "TranslateOptions") -> "TranslateOptions":
        """`options` with what was given in their place. Raises UsageError."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(options, **given)


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Vectors (what is not given is as the model's folder says)."""

    pooling: Literal["cls", "mean", "max"] | None = None
    """Of the tokens' vectors: the first one's, their mean or their maximum."""
    normalize: bool | None = None
    """Divide each vector by its length."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the model's weights and products."""
    batch_tokens: Annotated[int | None, Range(1)] = None
    """Padded tokens of a batch: speed and memory only; by the device if not given."""
    on_too_long: Literal["cut", "refuse"] = "cut"
    """A text longer than the model's limit: cut it, which is said, or refuse it by its line."""

    def settings(self) -> "EmbedSettings":
        """The part that a call of `embed` takes."""
        from triptych.recipes.embed_file import EmbedSettings

        return EmbedSettings(
            pooling=self.pooling,
            normalize=self.normalize,
            batch_tokens=self.batch_tokens,
            on_too_long=self.on_too_long,
        )


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Drawing (what is not given is as the model's own generation_config.json says)."""

    max_new_tokens: int | None = None
    """Most tokens of a text; 64 if neither says otherwise."""
    temperature: float | None = None
    """Below 1 favors what is likely; 0 always takes the likeliest token."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens only."""
    top_p: float | None = None
    """Draw from the likeliest tokens that make up this probability together."""
    min_p: float | None = None
    """Draw from tokens at least this times as probable as the likeliest."""
    repetition_penalty: float | None = None
    """Above 1 makes the tokens of the prompt and of the text so far less likely."""
    presence_penalty: float | None = None
    """Taken from the score of each token of the text so far, the prompt not counted."""
    stop: tuple[str, ...] | None = None
    """Texts before the first of which a text ends."""
    seed: int | None = None
    """The same seed gives the same text; 1 if not given."""
    best_of: int | None = None
    """Texts drawn for a prompt, of which the likeliest a token is shown."""
    on_too_long: Literal["refuse", "window"] | None = None
    """Beyond the model's context: refuse a prompt and end a text, or let the beginning go out of
    its sight, which is said."""

    def over(self, options: "GenerateOptions") -> "GenerateOptions":
        """`options` with what was given in their place. Raises UsageError."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(options, **given)


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Batches."""

    batch_tokens: Annotated[int | None, Range(1)] = None
    """Padded tokens of a batch: speed and memory only; by the device if not given."""
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    """Of the weights as they are used; it stands in the signature."""

    def load(self, model: str, machine: Machine) -> "Generator":
        """The generator, on its device, with batches of this size."""
        from triptych.recipes.load import load_generator

        place = machine.choose()
        generator = load_generator(model, device=place, precision=self.precision, mapped=True)
        if self.batch_tokens is not None:
            generator.batch_tokens = self.batch_tokens
        return generator


@dataclass(frozen=True, kw_only=True)
class Reading(Batches):
    """Reading."""

    stride: Annotated[int | None, Range(1)] = None
    """Tokens by which the window slides, from 1 to the context, which puts windows side by side;
    half of the context if not given."""


@dataclass(frozen=True, kw_only=True)
class Judging(Batches):
    """Reading."""

    on_too_long: Literal["refuse", "window"] = "refuse"
    """A text longer than the model's context: refuse it by its line, or let its beginning go out
    of sight, which is said."""


@contextmanager
def importing() -> Iterator[None]:
    """Around imports that a user waits for: nobody looks for garbage among what they make, which is
    none and takes a tenth of their time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
