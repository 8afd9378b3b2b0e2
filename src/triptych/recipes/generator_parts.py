"""What a `Generator` is made of, and how its prompts become requests."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from triptych.decoding.generate import Bounds, Request
from triptych.decoding.sampling import random_bits
from triptych.errors import DataError
from triptych.files.notices import notice
from triptych.recipes.completion import Completion
from triptych.recipes.generate_options import GenerateOptions
from triptych.tokenizers.base import GeneratorTokenizer

Ids = Sequence[int]


class Decoder(Protocol):
    """What decodes and scores: the module of a decoder-only model, or its fast twin."""

    def __call__(self, token_ids: Tensor, *, valid: Tensor | None = None) -> Tensor:
        """token_ids [B, T] -> hidden [B, T, E]; `valid` [B, T] is False on padding."""
        ...

    def project(self, hidden: Tensor) -> Tensor:
        """hidden [..., E] -> logits [..., V]."""
        ...

    def new_cache(self, batch: int, length: int) -> Any: ...

    def next_logits(
        self,
        token_ids: Tensor,
        cache: Any,
        valid: Tensor | None = None,
        *,
        likeliest: int | None = None,
    ) -> Tensor:
        """As `decoding.generate.CausalModel`."""
        ...


class GeneratorModule(Decoder, Protocol):
    """The torch module of a decoder-only model. `config.max_seq_len` is its context."""

    @property
    def config(self) -> Any: ...
    @property
    def training(self) -> bool: ...

    def train(self, mode: bool = True) -> Any: ...
    def to(self, device_or_dtype: Any) -> Any: ...
    def parameters(self) -> Iterable[nn.Parameter]: ...


def encode_at(
    tokenizer: GeneratorTokenizer, texts: Sequence[str], place: Callable[[int], str]
) -> list[list[int]]:
    """Token ids of each text. Raises DataError, with its place, for one that has none: a
    vocabulary of characters may lack one."""
    try:
        return tokenizer.encode(texts)
    except DataError:
        for number, text in enumerate(texts):
            try:
                tokenizer.encode([text])
            except DataError as error:
                raise DataError(f"{place(number)}: {error}") from error
        raise


def bounds_of(
    module: GeneratorModule, tokenizer: GeneratorTokenizer, options: GenerateOptions
) -> Bounds:
    """What ids and lengths there may be."""
    return Bounds(
        eos_id=tokenizer.eos_id,
        vocab_size=tokenizer.vocab_size,
        max_seq_len=module.config.max_seq_len,
        slides=options.on_too_long == "window",
    )


def check_prompt(ids: Ids, bounds: Bounds, options: GenerateOptions, place: str) -> None:
    """Raises DataError for a prompt that is empty, of ids that are not there, or too long.

    Where a text and what may follow it exceed the context and its beginning is to go out of
    sight, that is said once.
    """
    if not ids:
        raise DataError(
            f"{place} is empty; give it some text (generate_from_ids with the end-of-text token "
            "begins a text out of nothing)"
        )
    wrong = [token_id for token_id in ids if not 0 <= token_id < bounds.vocab_size]
    if wrong:
        raise DataError(
            f"{place} has the id {wrong[0]}, outside the vocabulary of {bounds.vocab_size:,}; "
            "the ids come from another tokenizer"
        )
    if len(ids) > bounds.max_seq_len and not bounds.slides:
        raise DataError(
            f"{place} has {len(ids):,} tokens, more than this model's context of "
            f"{bounds.max_seq_len:,}; cut it, or let its beginning go out of sight with "
            "on_too_long window"
        )
    if bounds.slides and len(ids) + options.max_new_tokens - 1 > bounds.max_seq_len:
        notice(
            f"{place} has {len(ids):,} tokens, and up to {options.max_new_tokens:,} may follow: "
            f"more than this model's context of {bounds.max_seq_len:,}, so the beginning of such "
            "texts goes out of its sight",
            key="generation beyond the context",
        )


def requests_for(ids: Ids, options: GenerateOptions, nth: int) -> list[Request]:
    """`best_of` requests for the n-th prompt of this wording, each with a seed of its own.

    A seed is a function of the options' seed, the prompt, and which of those alike it is: so a
    prompt's text depends on no other prompt, and prompts that are alike get texts of their own.
    """
    own = random_bits(options.seed, *ids)
    return [
        Request(tuple(ids), options.max_new_tokens, random_bits(own, nth, candidate))
        for candidate in range(options.best_of)
    ]


def in_order_of_wording(prompts: Iterable[Ids], before: Counter[tuple[int, ...]]) -> Iterator[int]:
    """For each prompt how many alike came before it; `before` goes on counting."""
    for ids in prompts:
        yield before[tuple(ids)]
        before[tuple(ids)] += 1


def best_completion(candidates: Sequence[Completion]) -> Completion:
    """That with the highest mean log-probability; the first of those alike."""
    return max(candidates, key=lambda completion: completion.mean_logprob)


def prompt_number(number: int) -> str:
    """The place of a prompt that is given in a list."""
    return f"prompt {number + 1}"


def text_number(number: int) -> str:
    """The place of a text that is given in a list."""
    return f"text {number + 1}"


def places(name: str, done: int, numbers: Sequence[int]) -> Callable[[int], str]:
    """The place of each of some lines of the input `name`, of which `done` came before."""
    return lambda number: f"{name}:{done + numbers[number] + 1}"
