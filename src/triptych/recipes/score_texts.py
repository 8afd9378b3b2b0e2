"""The log-probabilities a decoder-only model gives to texts that are already there.

Shapes: B windows, T positions, E model width, V vocabulary, N predicted positions, L tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from triptych.core.loss import IGNORE
from triptych.data.batching import by_length
from triptych.decoding.forced import forced_log_probs
from triptych.decoding.generate import Bounds
from triptych.decoding.windows import Window, collate_windows, sliding_windows
from triptych.errors import DataError
from triptych.files.notices import notice
from triptych.recipes.generator_parts import Decoder, Ids

Pair = tuple[Ids, Ids]
"""What comes before a text, and the text."""

Measure = Callable[[Tensor, Callable[[Tensor], Tensor], Tensor], Tensor]
"""hidden [B, T, E], logits [N, E] -> [N, V], targets [B, T] -> a value for each target [B, T]."""

BATCHES_AT_ONCE = 64
"""Windows are sorted by length among so many batches of them."""


@dataclass(frozen=True)
class Reader:
    """A model that reads windows, so many tokens of them at a time: speed and memory only."""

    module: Decoder
    vocab_size: int
    """Entries of the tokenizer; what a model has beyond them takes no part."""
    batch_tokens: int
    device: torch.device | None = None

    @torch.inference_mode()
    def measure(
        self, windows: Sequence[Window], measure: Measure = forced_log_probs
    ) -> list[Tensor]:
        """`measure` of the targets of each window, in order; log-probabilities by default.

        Only what is predicted is ever projected to the vocabulary.
        """

        def logits(hidden: Tensor) -> Tensor:
            return self.module.project(hidden)[:, : self.vocab_size]

        found = [torch.empty(0)] * len(windows)
        for batch in by_length([len(w.token_ids) - 1 for w in windows], self.batch_tokens):
            rows = [windows[number] for number in batch]
            read, targets = (each.to(self.device) for each in collate_windows(rows, IGNORE))
            values = measure(self.module(read), logits, targets).cpu()
            for number, window, row in zip(batch, rows, values, strict=True):
                end = len(window.token_ids) - 1
                found[number] = row[end - window.n_targets : end]
        return found

    def blocks(self, windows: Iterator[Window]) -> Iterator[list[Window]]:
        """The windows in their order, some batches together, for `measure` to sort by length."""
        block: list[Window] = []
        n_tokens = 0
        for window in windows:
            block.append(window)
            n_tokens += len(window.token_ids)
            if n_tokens >= BATCHES_AT_ONCE * self.batch_tokens:
                yield block
                block, n_tokens = [], 0
        if block:
            yield block


def score_ids(
    reader: Reader, pairs: Sequence[Pair], bounds: Bounds, place: Callable[[int], str]
) -> list[list[float]]:
    """The natural-log probability of each token of each text, in order.

    Nothing before a text means the end-of-text token, which begins every text in training. A text
    that exceeds the context with what comes before it raises DataError, which names its place, or,
    where bounds slide, goes through in windows by half of the context, which is said once.
    """
    rows = [
        (len(before) or 1, torch.tensor([*(before or (bounds.eos_id,)), *text]))
        for before, text in pairs
    ]
    for number, (n_before, token_ids) in enumerate(rows):
        check_length(token_ids, n_before, bounds, place(number))
    stride = half(bounds.max_seq_len)
    of_text = [
        list(sliding_windows(token_ids, n_before, bounds.max_seq_len, stride))
        for n_before, token_ids in rows
    ]
    values = iter(reader.measure([window for windows in of_text for window in windows]))
    return [[v for _ in windows for v in next(values).tolist()] for windows in of_text]


def half(context: int) -> int:
    """The stride that is taken where none is given."""
    return max(1, context // 2)


def check_length(token_ids: Tensor, n_before: int, bounds: Bounds, place: str) -> None:
    """Raises DataError for a text beyond the context, of which n_before tokens are only read; says
    once, where bounds slide, that some of it is out of sight."""
    if len(token_ids) - 1 <= bounds.max_seq_len:  # the last token need not be read
        return
    size = (
        f"{place} has {len(token_ids) - n_before:,} tokens after {n_before:,} that come before it, "
        f"more than this model's context of {bounds.max_seq_len:,}"
    )
    if not bounds.slides:
        raise DataError(
            f"{size}; split it, or let the beginning go out of sight with on_too_long window"
        )
    notice(
        f"{size}: the beginning of such texts goes out of its sight",
        key="scores beyond the context",
    )
