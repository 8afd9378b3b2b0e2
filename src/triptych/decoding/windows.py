"""Texts of any length through a context of fixed length: windows that slide.

A window is a run of tokens of which all but the last are read, and the last few predicted. Each
token of a text is predicted in one window only. The first window is as long as the context; each
one after it ends `stride` tokens further on and is again as long as the context, so that a token is
predicted from at least context − stride + 1 tokens, or from all there are before it. A stride of
the whole context gives windows side by side; a smaller one costs more and sees more.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from triptych.errors import UsageError


class Window(NamedTuple):
    """A run of at most context + 1 tokens [L], whose last `n_targets` are to be predicted."""

    token_ids: Tensor
    n_targets: int


def sliding_windows(
    token_ids: Tensor, n_before: int, context: int, stride: int
) -> Iterator[Window]:
    """The windows of one text, token_ids [L], of which the first `n_before` are only read.

    Raises UsageError for a stride that is not from 1 to the context.
    """
    if not 1 <= stride <= context:
        raise UsageError(
            f"stride is {stride}; windows slide by 1 to {context} tokens, this model's context"
        )
    done, length = n_before, len(token_ids)
    while done < length:
        end = min(length, max(context + 1, done + stride))
        yield Window(token_ids[max(0, end - context - 1) : end], end - done)
        done = end


def collate_windows(windows: list[Window], ignore: int) -> tuple[Tensor, Tensor]:
    """What is read [B, T] and what is to be predicted [B, T], `ignore` where nothing is.

    Rows are filled up at their end, where nobody who is scored looks.
    """
    width = max(1, max(len(window.token_ids) for window in windows) - 1)
    read = torch.zeros(len(windows), width, dtype=torch.long)
    targets = torch.full((len(windows), width), ignore)
    for row, (token_ids, n_targets) in enumerate(windows):
        n_read = len(token_ids) - 1
        read[row, :n_read] = token_ids[:-1]
        targets[row, n_read - n_targets : n_read] = token_ids[len(token_ids) - n_targets :]
    return read, targets
