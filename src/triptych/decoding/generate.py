"""Texts that go on from prompts of any lengths, side by side, one token each a step.

The prompts are read once, padded on the left to one width, and alike ones only once; from then on
a step reads one new token a text. Texts that have ended leave the batch. What a text becomes
depends on its own prompt and seed, never on what stands beside it.

Shapes: B texts that go on, T positions, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol

import torch
from torch import Tensor

from triptych.decoding.candidates import Cache
from triptych.decoding.history import History
from triptych.decoding.sampling import Sampling, choose, uniform
from triptych.errors import ModelFileError, UsageError

StoppedBy = Literal["end", "stop", "limit", "context"]
"""The end-of-text token; a stop string; max_new_tokens; the model's context, which was full."""


class CausalModel(Protocol[Cache]):
    """What is asked of a model that goes on with texts."""

    def new_cache(self, batch: int, length: int) -> Cache:
        """An empty cache for so many rows, with room for `length` positions each."""
        ...

    def next_logits(
        self,
        token_ids: Tensor,
        cache: Cache,
        valid: Tensor | None = None,
        *,
        likeliest: int | None = None,
    ) -> Tensor:
        """token_ids [B, T] new tokens -> [B, V], scores of what follows the last of each row.

        `valid` [B, T] is False on padding, which changes nothing and takes no position. With
        `likeliest` those that are not among so many highest of a row may be -inf.
        """
        ...


@dataclass(frozen=True)
class Request:
    """A text to go on with: its ids, at most so many new ones, and the seed of its draws."""

    token_ids: tuple[int, ...]
    limit: int
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.token_ids:
            raise UsageError("a prompt has no tokens; begin with the end-of-text token at least")
        if self.limit < 1:
            raise UsageError(f"a text may have {self.limit} new tokens; allow at least 1")


@dataclass(frozen=True)
class Bounds:
    """What a model and its tokenizer set."""

    eos_id: int
    """Ends a text."""
    vocab_size: int
    """Of the tokenizer: the model may have more rows, which no text is made of."""
    max_seq_len: int
    """The longest text that the model can see, in tokens: its context."""
    slides: bool = False
    """Beyond the context: drop the beginning from sight and go on, or end the text."""

    def window(self, n_left: int) -> int:
        """Of a text longer than the context, how many of its last tokens stay in sight.

        So many that `n_left` new ones have room, but no fewer than half the context: then it
        slides again later.
        """
        return max(self.max_seq_len - n_left + 1, (self.max_seq_len + 1) // 2)


@dataclass(frozen=True)
class Drawn:
    """One new token, its natural-log probability if that was asked for, and what ended its text if
    anything did."""

    row: int
    token_id: int
    log_prob: float | None
    stopped_by: StoppedBy | None


@dataclass(frozen=True)
class Generated:
    """What followed a prompt, the end-of-text token and those of a stop string included.

    `log_probs` are the model's own, before anything changed its scores; none if not asked for.
    """

    token_ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    stopped_by: StoppedBy


def generate(
    model: CausalModel[Cache],
    requests: Sequence[Request],
    sampling: Sampling,
    bounds: Bounds,
    *,
    watch: Callable[[Drawn], bool] | None = None,
    device: torch.device | None = None,
    log_probs: bool = True,
) -> list[Generated]:
    """What follows each prompt, in order, all in one batch.

    Without `log_probs`, which need every score, a model is asked for the likeliest alone where
    these decide.
    `watch` is shown each token as it is drawn, and ends a text by saying True: so stop strings are
    found, and texts shown while they grow. Raises `UsageError` for a prompt beyond the context
    unless it slides, `ModelFileError` where a score is not a number.
    """
    generation = Generation(model, requests, sampling, bounds, device, log_probs)
    found: list[list[Drawn]] = [[] for _ in requests]
    while generation.going:
        for drawn in generation.step():
            found[drawn.row].append(drawn)
            if watch is not None and watch(drawn):
                generation.stop(drawn.row)
    return [
        Generated(
            tuple(drawn.token_id for drawn in texts),
            tuple(drawn.log_prob for drawn in texts if drawn.log_prob is not None),
            generation.ended[row],
        )
        for row, texts in enumerate(found)
    ]


class Generation(Generic[Cache]):
    """Texts in the making: each `step` adds a token to every one that goes on."""

    def __init__(
        self,
        model: CausalModel[Cache],
        requests: Sequence[Request],
        sampling: Sampling,
        bounds: Bounds,
        device: torch.device | None = None,
        log_probs: bool = True,
    ) -> None:
        self.model, self.sampling, self.bounds, self.device = model, sampling, bounds, device
        self.log_probs = log_probs
        self.likeliest: int | None = None  # until it is seen that the model's scores are our ids'
        self.texts = [_Text(request, bounds) for request in requests]
        self.rows = list(range(len(requests)))  # those in the cache, in its order
        self.ended: dict[int, StoppedBy] = {}
        self.cache: Cache | None = None
        self.history = History(
            [request.token_ids for request in requests], sampling, bounds.vocab_size, device
        )

    @property
    def going(self) -> bool:
        """Whether any text goes on."""
        return len(self.ended) < len(self.texts)

    def stop(self, row: int) -> None:
        """End a text by its words, which nobody here can read."""
        self.ended[row] = "stop"

    @torch.inference_mode()
    def step(self) -> list[Drawn]:
        """The next token of every text that goes on."""
        self._leave()
        scores = self._next_logits()
        logits = scores[:, : self.bounds.vocab_size].float()
        if scores.size(1) == logits.size(1) and not self.log_probs:
            self.likeliest = self.sampling.likeliest
        uniforms: list[float] = []
        if self.sampling.temperature > 0:  # else nothing is drawn
            texts = [self.texts[row] for row in self.rows]
            uniforms = [uniform(text.seed, len(text.token_ids) - text.n_prompt) for text in texts]
        chosen = choose(self.history.change(logits), self.sampling, uniforms)
        values = self._values(logits, chosen)
        self.history.add(chosen)
        return [
            self._drawn(row, token_id, value)
            for row, token_id, value in zip(
                self.rows, chosen.tolist(), values.tolist(), strict=True
            )
        ]

    def _values(self, logits: Tensor, chosen: Tensor) -> Tensor:
        """Log-probabilities of the chosen ids [B]; without them 0, or no number where the scores of
        a row have none or no end."""
        if not self.log_probs:
            is_drawn = self.sampling.temperature > 0
            most = logits.amax(dim=1) if is_drawn else logits.gather(1, chosen[:, None])[:, 0]
            return most - most
        # Torch's logsumexp takes four times as long on a CPU as all log-probabilities do.
        return logits.log_softmax(dim=1).gather(1, chosen[:, None])[:, 0]

    def _leave(self) -> None:
        """Let the rows that have ended out of the batch."""
        going = [place for place, row in enumerate(self.rows) if row not in self.ended]
        if len(going) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in going]
        places = torch.tensor(going, device=self.device)
        self.history.select(places)
        if self.cache is not None:
            self.cache.select(places)

    def _next_logits(self) -> Tensor:
        texts = [self.texts[row] for row in self.rows]
        moved = [text.slide(self.bounds) for text in texts]
        if self.cache is None or any(moved):
            return self._read(texts)
        last = torch.tensor([text.token_ids[-1:] for text in texts], device=self.device)
        return self.model.next_logits(last, self.cache, likeliest=self.likeliest)

    def _read(self, texts: "Sequence[_Text]") -> Tensor:
        """All that is in sight of each text, once for those alike; then a row for each."""
        views = [tuple(text.token_ids[text.start :]) for text in texts]
        unique = list(dict.fromkeys(views))
        width = max(map(len, unique))
        token_ids = torch.zeros(len(unique), width, dtype=torch.long)
        valid = torch.zeros(len(unique), width, dtype=torch.bool)
        for place, view in enumerate(unique):
            token_ids[place, width - len(view) :] = torch.tensor(view)
            valid[place, width - len(view) :] = True
        room = width + min(max(text.n_left for text in texts), self.bounds.max_seq_len)
        self.cache = self.model.new_cache(len(unique), room)
        token_ids, valid = token_ids.to(self.device), valid.to(self.device)
        ragged = any(len(view) < width for view in unique)
        logits = self.model.next_logits(token_ids, self.cache, valid if ragged else None)
        if len(unique) == len(views):
            return logits
        number = {view: place for place, view in enumerate(unique)}
        places = torch.tensor([number[view] for view in views], device=self.device)
        self.cache.select(places)
        return logits.index_select(0, places)

    def _drawn(self, row: int, token_id: int, value: float) -> Drawn:
        if value != value:
            raise ModelFileError(
                "the model's score of the next token is not a number (NaN): "
                "its weights are damaged or its training diverged; use another checkpoint"
            )
        stopped_by = self.texts[row].add(token_id, self.bounds)
        if stopped_by is not None:
            self.ended[row] = stopped_by
        return Drawn(row, token_id, value if self.log_probs else None, stopped_by)


class _Text:
    """One text: its tokens, and from where on they are in sight."""

    def __init__(self, request: Request, bounds: Bounds) -> None:
        self.token_ids, self.seed = list(request.token_ids), request.seed
        self.n_prompt, self.n_left, self.start = len(request.token_ids), request.limit, 0
        if self.n_prompt > bounds.max_seq_len and not bounds.slides:
            raise UsageError(
                f"a prompt has {self.n_prompt:,} tokens, more than this model's context of "
                f"{bounds.max_seq_len:,}; cut it, or let its beginning go out of sight"
            )

    def slide(self, bounds: Bounds) -> bool:
        """Whether the beginning had to go out of sight."""
        length = len(self.token_ids)
        if length - self.start <= bounds.max_seq_len:
            return False
        self.start = length - bounds.window(self.n_left)
        return True

    def add(self, token_id: int, bounds: Bounds) -> StoppedBy | None:
        self.token_ids.append(token_id)
        self.n_left -= 1
        if token_id == bounds.eos_id:
            return "end"
        if self.n_left == 0:
            return "limit"
        full = len(self.token_ids) > bounds.max_seq_len
        return "context" if full and not bounds.slides else None
