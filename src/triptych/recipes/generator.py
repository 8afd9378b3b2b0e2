"""Go on with texts, and score them: what `triptych.load` gives for a decoder-only model."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import cast

import torch
from torch import nn

from triptych.checkpoint import ModelFolder
from triptych.data.batching import by_length
from triptych.decoding.generate import Bounds, Drawn, Generation, Request, generate
from triptych.decoding.text_stream import TextStream
from triptych.errors import UsageError
from triptych.recipes.completion import Completion, TextScore
from triptych.recipes.fast_twin import FastTwin
from triptych.recipes.generate_options import (
    GenerateOptions,
    OnTooLong,
    changed,
    generation_options,
)
from triptych.recipes.generator_parts import (
    Decoder,
    GeneratorModule,
    Ids,
    best_completion,
    bounds_of,
    check_prompt,
    encode_at,
    in_order_of_wording,
    places,
    prompt_number,
    requests_for,
    text_number,
)
from triptych.recipes.score_texts import Reader, score_ids
from triptych.recipes.translator import evaluating
from triptych.runtime.packed import Precision
from triptych.tokenizers.base import GeneratorTokenizer

BATCH_TOKENS = {"cpu": 4096, "cuda": 32_768}
"""Tokens of a batch, prompts and what may follow them: speed and memory only."""


class Generator:
    """A decoder-only model and its tokenizer; `module` is the plain torch module.

    Nothing that is returned depends on which texts are given together, nor on their order.
    """

    def __init__(
        self,
        module: GeneratorModule,
        tokenizer: GeneratorTokenizer,
        options: GenerateOptions | None = None,
        *,
        device: torch.device | str | None = None,
        precision: Precision = "fp32",
    ) -> None:
        """`options` are those that calls of `generate` start from. With a device the module moves.

        `precision` is that of the weights as they are used: on a CPU they are packed copies, made
        at the first call. Two attributes may be set: `batch_tokens` bounds a batch, which is speed
        and memory only; without `logprobs` completions have none (but for best_of), and where the
        likeliest tokens decide (temperature 0, top_k) steps compute the scores of these alone.
        Raises UsageError for int8 on a GPU.
        """
        self.module = module if device is None else module.to(device)
        self.twin = FastTwin[Decoder](self.module, precision)
        self.tokenizer = tokenizer
        self.options = options if options is not None else GenerateOptions()
        self.logprobs = True
        self.batch_tokens = BATCH_TOKENS.get(self.device.type, BATCH_TOKENS["cpu"])

    @classmethod
    def from_folder(
        cls,
        folder: ModelFolder,
        device: torch.device | str | None = None,
        precision: Precision = "fp32",
    ) -> "Generator":
        """With the options of its generation_config.json; raises ModelFileError for wrong ones."""
        module, tokenizer = cast(GeneratorModule, folder.model), folder.tokenizer
        options = generation_options(folder.generation, "generation_config.json")
        return cls(
            module, cast(GeneratorTokenizer, tokenizer), options, device=device, precision=precision
        )

    @property
    def device(self) -> torch.device:
        return next(iter(self.module.parameters())).device

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
        options: GenerateOptions | None = None,
    ) -> list[Completion]:
        """What follows each prompt, in order.

        The keywords take the place of the same fields of `options`, and those of the model's own.
        Raises DataError for a prompt that is empty, or too long (`on_too_long`), UsageError for
        options that cannot be kept.
        """
        chosen = self._options(options, max_new_tokens, temperature, top_k, top_p, stop, seed)
        if isinstance(prompts, str):
            raise UsageError("generate takes a list of prompts, not one text; write [text]")
        ids = encode_at(self.tokenizer, prompts, prompt_number)
        return self._complete(ids, chosen, prompt_number, Counter())

    def generate_from_ids(
        self, prompts: Sequence[Ids], *, options: GenerateOptions | None = None
    ) -> list[Completion]:
        """As `generate`, for prompts that are token ids.

        [eos_id] begins a text out of nothing: in training each text follows an end-of-text token.
        """
        return self._complete(prompts, options or self.options, prompt_number, Counter())

    def generate_lines(
        self,
        lines: Iterable[str],
        *,
        options: GenerateOptions | None = None,
        name: str = "input",
        at_once: int = 1000,
    ) -> Iterator[Completion]:
        """As `generate`, for any number of prompts in the memory of `at_once` of them.

        An empty line gives an empty completion. Errors name the line as `name`:number.
        """
        chosen, alike = options or self.options, Counter[tuple[int, ...]]()
        done, rest = 0, iter(lines)
        while some := list(islice(rest, at_once)):
            filled = {n: line for n, line in enumerate(some) if line.strip()}
            place = places(name, done, list(filled))
            ids = encode_at(self.tokenizer, list(filled.values()), place)
            found = dict(zip(filled, self._complete(ids, chosen, place, alike), strict=True))
            yield from (found.get(n) or Completion.empty() for n in range(len(some)))
            done += len(some)

    def stream(
        self,
        prompt: str,
        *,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
        options: GenerateOptions | None = None,
    ) -> Iterator[str]:
        """The text that follows one prompt, piece by piece as it is drawn: that of `generate`.

        No piece ends within a character, and none has to be taken back for a stop string. Raises
        as `generate` does, and UsageError for best_of, which is known at the end only.
        """
        chosen = self._options(options, max_new_tokens, temperature, top_k, top_p, stop, seed)
        if chosen.best_of > 1:
            raise UsageError(f"best_of is {chosen.best_of}; a text that is streamed is drawn once")
        (ids,) = encode_at(self.tokenizer, [prompt], lambda _: "the prompt")
        check_prompt(ids, self.bounds(chosen), chosen, "the prompt")
        (request,) = requests_for(ids, chosen, 0)
        return self._pieces(request, chosen)

    def score(
        self,
        texts: Sequence[str],
        *,
        prompts: Sequence[str] | None = None,
        on_too_long: OnTooLong | None = None,
        place: Callable[[int], str] = text_number,
    ) -> list[TextScore]:
        """The log-probability of each text and of each of its tokens, in order.

        A text follows its prompt, or the end-of-text token, which begins a text; its own end is
        not scored, and a text without tokens scores 0. A text that is longer than the context with
        its prompt raises DataError, or goes through in windows (`on_too_long`), each token seen
        from half of the context at least. `place` is what errors call the n-th text, from 0.
        Raises UsageError for another number of prompts.
        """
        if isinstance(texts, str):
            raise UsageError("score takes a list of texts, not one text; write [text]")
        if prompts is not None and len(prompts) != len(texts):
            raise UsageError(f"{len(prompts)} prompts for {len(texts)} texts; give one for each")
        before = encode_at(self.tokenizer, [""] * len(texts) if prompts is None else prompts, place)
        ids = encode_at(self.tokenizer, texts, place)
        bounds = self.bounds(changed(self.options, {"on_too_long": on_too_long}))
        with self.reading() as reader:
            found = score_ids(reader, list(zip(before, ids, strict=True)), bounds, place)
        return [
            TextScore(sum(values), tuple(self.tokenizer.tokens(each)), tuple(values), tuple(each))
            for each, values in zip(ids, found, strict=True)
        ]

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """The model in evaluation mode, for what reads texts that are already there."""
        with evaluating(cast(nn.Module, self.module)):
            yield Reader(self.twin(), self.tokenizer.vocab_size, self.batch_tokens, self.device)

    def _options(
        self,
        options: GenerateOptions | None,
        max_new_tokens: int | None,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
        stop: Sequence[str] | None,
        seed: int | None,
    ) -> GenerateOptions:
        given = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "stop": stop if stop is None or isinstance(stop, str) else tuple(stop),
            "seed": seed,
        }
        return changed(options if options is not None else self.options, given)

    def _complete(
        self,
        prompts: Sequence[Ids],
        options: GenerateOptions,
        place: Callable[[int], str],
        alike: Counter[tuple[int, ...]],
    ) -> list[Completion]:
        """`alike` counts the prompts that came before, in other calls for the same input."""
        for number, ids in enumerate(prompts):
            check_prompt(ids, self.bounds(options), options, place(number))
        requests = [
            requests_for(ids, options, nth)
            for ids, nth in zip(prompts, in_order_of_wording(prompts, alike), strict=True)
        ]
        found: dict[int, Completion] = {}
        with evaluating(cast(nn.Module, self.module)):
            lengths = [(len(ids) + options.max_new_tokens) * options.best_of for ids in prompts]
            for batch in by_length(lengths, self.batch_tokens):
                rows = self._generate([r for number in batch for r in requests[number]], options)
                for position, number in enumerate(batch):
                    first = position * options.best_of
                    found[number] = best_completion(rows[first : first + options.best_of])
        return [found[number] for number in range(len(prompts))]

    def _generate(self, requests: Sequence[Request], options: GenerateOptions) -> list[Completion]:
        """A completion for each request, all in one batch."""
        texts = [TextStream(self.tokenizer.decode_bytes, options.stop) for _ in requests]

        def watch(drawn: Drawn) -> bool:
            texts[drawn.row].push(drawn.token_id)
            return texts[drawn.row].found is not None

        given = self.twin(), requests, options.sampling(), self.bounds(options)
        log_probs = self.logprobs or options.best_of > 1
        found = generate(*given, watch=watch, device=self.device, log_probs=log_probs)
        for text in texts:
            text.finish()
        return [
            Completion(
                text=text.text,
                tokens=tuple(self.tokenizer.tokens(generated.token_ids)),
                logprobs=generated.log_probs,
                stopped_by=generated.stopped_by,
                token_ids=generated.token_ids,
            )
            for text, generated in zip(texts, found, strict=True)
        ]

    def _pieces(self, request: Request, options: GenerateOptions) -> Iterator[str]:
        text = TextStream(self.tokenizer.decode_bytes, options.stop)
        given = self.twin(), [request], options.sampling(), self.bounds(options), self.device
        generation = Generation(*given, log_probs=False)
        with evaluating(cast(nn.Module, self.module)):
            while generation.going:
                (drawn,) = generation.step()
                if piece := text.push(drawn.token_id):
                    yield piece
                if text.found is not None:
                    generation.stop(drawn.row)
        if rest := text.finish():
            yield rest

    def bounds(self, options: GenerateOptions) -> Bounds:
        """What ids and lengths there may be."""
        return bounds_of(self.module, self.tokenizer, options)
