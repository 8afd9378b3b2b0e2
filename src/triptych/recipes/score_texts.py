"""The log-probabilities a decoder-only model gives to texts that are already there.

Shapes: B texts, T positions, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from triptych.core.loss import IGNORE
from triptych.decoding.forced import forced_log_probs
from triptych.decoding.generate import Bounds
from triptych.errors import DataError
from triptych.recipes.generator_parts import Decoder, Ids, in_batches

Pair = tuple[Ids, Ids]
"""What comes before a text, and the text."""


@torch.inference_mode()
def score_ids(
    module: Decoder,
    pairs: Sequence[Pair],
    bounds: Bounds,
    batch_tokens: int,
    device: torch.device | None = None,
) -> list[list[float]]:
    """The natural-log probability of each token of each text, in order.

    Nothing before a text means the end-of-text token, which begins every text in training. Raises
    DataError for a text that exceeds the context with what comes before it.
    """
    rows = [(tuple(before) or (bounds.eos_id,), text) for before, text in pairs]
    for number, (before, text) in enumerate(rows):
        length = len(before) + len(text) - 1  # nothing has to be read to the last token's right
        if length > bounds.max_seq_len:
            raise DataError(
                f"text {number + 1} has {len(text):,} tokens after {len(before):,} that come "
                f"before it, more than this model's context of {bounds.max_seq_len:,}; split it"
            )
    found: list[list[float]] = [[] for _ in rows]

    def logits(hidden: Tensor) -> Tensor:
        return module.project(hidden)[:, : bounds.vocab_size]

    for batch in in_batches([len(before) + len(text) for before, text in rows], batch_tokens):
        token_ids, valid, targets = _collate([rows[number] for number in batch], device)
        hidden = module(token_ids, valid=valid)
        for number, values in zip(
            batch, forced_log_probs(hidden, logits, targets).tolist(), strict=True
        ):
            before, text = rows[number]
            found[number] = values[len(before) - 1 : len(before) - 1 + len(text)]
    return found


def _collate(
    rows: Sequence[Pair], device: torch.device | None
) -> tuple[Tensor, Tensor | None, Tensor]:
    """What is read [B, T], where it is real (None: everywhere), and what is to be predicted."""
    width = max(len(before) + len(text) for before, text in rows) - 1
    width = max(width, 1)  # of a text without tokens what comes before is read, for nothing
    token_ids = torch.zeros(len(rows), width, dtype=torch.long)
    targets = torch.full((len(rows), width), IGNORE)
    valid = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, (before, text) in enumerate(rows):
        ids = torch.tensor([*before, *text])
        n_read = max(len(ids) - 1, 1)
        token_ids[row, :n_read], valid[row, :n_read] = ids[:n_read], True
        targets[row, len(before) - 1 : len(ids) - 1] = ids[len(before) :]
    ragged = None if bool(valid.all()) else valid.to(device)
    return token_ids.to(device), ragged, targets.to(device)
