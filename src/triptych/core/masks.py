"""Masks are boolean and True means *may attend*. Nothing else in the package builds one.

Shapes: B batch, T query positions, S key positions.
"""

import torch
from torch import Tensor


def causal_mask(n_queries: int, n_keys: int, device: torch.device | None = None) -> Tensor:
    """[T, S]: a query sees its own position and those before — Vaswani et al. 2017, §3.2.3.

    The last query is aligned with the last key, so it is right with a cache too.
    """
    full = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return full.tril(diagonal=n_keys - n_queries)


def causal_padding_mask(valid: Tensor, n_queries: int) -> Tensor:
    """valid [B, S], True on real tokens -> [B, 1, T, S]: of the past, only what is real.

    The last query is aligned with the last key. A query sees its own position even where that is
    padding, so each sees something; no real token ever looks at padding.
    """
    n_keys = valid.size(1)
    past = causal_mask(n_queries, n_keys, valid.device)
    itself = past & ~past.tril(diagonal=n_keys - n_queries - 1)
    return (past & valid[:, None, :] | itself)[:, None]


def padding_mask(valid: Tensor) -> Tensor:
    """valid [B, S], True on real tokens -> [B, 1, 1, S]: nobody looks at padding.

    A row with no real token at all sees every position: its result means nothing
    and is never used, but the softmax over no key would be NaN and spread.
    """
    return (valid | ~valid.any(dim=-1, keepdim=True))[:, None, None, :]


def document_mask(document_ids: Tensor) -> Tensor:
    """document_ids [B, T] -> [B, 1, T, T]: a query sees its own position and those before, but
    only of its own document, where several stand in a row."""
    same = document_ids[:, :, None] == document_ids[:, None, :]  # [B, T, T]
    length = document_ids.size(-1)
    return (same & causal_mask(length, length, document_ids.device))[:, None]
