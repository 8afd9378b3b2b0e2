"""Keys and values already computed, so that a decoding step costs one position.

Shapes: B batch, H heads, S key positions, D head width.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

KeysAndValues = tuple[Tensor, Tensor]  # k and v, each [B, H, S, D]


class KeyValueCache(Protocol):
    """What attention asks of a cache: all keys and values that this step may see."""

    def extend(self, project: Callable[[], KeysAndValues]) -> KeysAndValues: ...


class SelfAttentionCache:
    """Grows by the keys and values of each new position.

    The room is allocated once, and anew, twice what is needed, when it is used up: a
    step copies one position and not the whole past.
    """

    def __init__(self, room: int = 64) -> None:
        self.room = room
        self.length = 0
        self.k: Tensor | None = None
        self.v: Tensor | None = None

    def extend(self, project: Callable[[], KeysAndValues]) -> KeysAndValues:
        k, v = project()
        start = self.length
        all_k, all_v = self.grow(k)
        all_k[:, :, start : self.length] = k
        all_v[:, :, start : self.length] = v
        return all_k[:, :, : self.length], all_v[:, :, : self.length]

    def grow(self, like: Tensor) -> KeysAndValues:
        """Count new positions, as many as `like` [B, H, T, D] has, and give the room of all keys
        and all values [B, H, room, D], where they are for the caller to write."""
        start, self.length = self.length, self.length + like.size(2)
        self.k = self._with_room(self.k, like, start)
        self.v = self._with_room(self.v, like, start)
        return self.k, self.v

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder batch rows; rows is [B'] int64."""
        if self.k is not None and self.v is not None:
            self.k, self.v = self._moved(self.k, rows), self._moved(self.v, rows)

    def _moved(self, held: Tensor, rows: Tensor) -> Tensor:
        moved = held.new_empty(len(rows), *held.shape[1:])
        used = held[:, :, : self.length]  # the rest of the room holds nothing yet
        if held.requires_grad:
            moved[:, :, : self.length] = used.index_select(0, rows)
        else:  # without the copy in between
            torch.index_select(used, 0, rows, out=moved[:, :, : self.length])
        return moved

    def _with_room(self, held: Tensor | None, new: Tensor, n_held: int) -> Tensor:
        if held is not None and held.size(2) >= self.length:
            return held
        if self.length > self.room:
            self.room = 2 * self.length
        batch, heads, _, width = new.shape
        grown = (new if held is None else held).new_empty(batch, heads, self.room, width)
        if held is not None:
            grown[:, :, :n_held] = held[:, :, :n_held]
        return grown


class CrossAttentionCache:
    """Keys and values of the encoder's memory: projected at the first step, then kept."""

    def __init__(self) -> None:
        self.held: KeysAndValues | None = None

    def extend(self, project: Callable[[], KeysAndValues]) -> KeysAndValues:
        if self.held is None:
            k, v = project()
            self.held = k.contiguous(), v.contiguous()
        return self.held

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder batch rows; rows is [B'] int64."""
        if self.held is not None:
            k, v = self.held
            self.held = k.index_select(0, rows), v.index_select(0, rows)


class LayerCache:
    """What one decoder block remembers."""

    def __init__(self, room: int = 64) -> None:
        self.self_attention = SelfAttentionCache(room)
        self.cross_attention = CrossAttentionCache()

    def select(self, rows: Tensor) -> None:
        self.self_attention.select(rows)
        self.cross_attention.select(rows)


class DecoderCache:
    """One `LayerCache` a layer, and what each row of the batch was conditioned on.

    `memory` [B, S, E] and `memory_valid` [B, S] are the encoder's output; a
    decoder-only model has none.
    """

    def __init__(
        self,
        n_layers: int,
        memory: Tensor | None = None,
        memory_valid: Tensor | None = None,
        room: int = 64,
    ) -> None:
        self.layers = [LayerCache(room) for _ in range(n_layers)]
        self.memory = memory
        self.memory_valid = memory_valid

    @property
    def length(self) -> int:
        """Positions already seen."""
        return self.layers[0].self_attention.length

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder batch rows: what a beam search does after each step.

        rows is [B'] int64, with values below the present batch size.
        """
        for layer in self.layers:
            layer.select(rows)
        if self.memory is not None and self.memory_valid is not None:
            self.memory = self.memory.index_select(0, rows)
            self.memory_valid = self.memory_valid.index_select(0, rows)

    def reorder(self, rows: Tensor) -> None:
        """As `select`, where each row takes the past of one conditioned on the same text.

        Only what grew is moved: the memory, and its keys and values, are alike already.
        """
        for layer in self.layers:
            layer.self_attention.select(rows)


class RaggedCache(DecoderCache):
    """Of a decoder-only model, whose rows may be texts of different lengths, padded anywhere.

    `valid` [B, S] is True where a position seen holds a token, not padding; None while all do.
    """

    def __init__(self, n_layers: int, n_rows: int, room: int = 64) -> None:
        super().__init__(n_layers, room=room)
        self.n_rows = n_rows
        self.valid: Tensor | None = None

    def see(self, token_ids: Tensor, valid: Tensor | None) -> Tensor | None:
        """Note which of the new token_ids [B, T] are real (None = all); `valid` of all seen.

        Called once a step, before the blocks.
        """
        if len(token_ids) != self.n_rows:
            raise ValueError(f"{len(token_ids)} rows for a cache of {self.n_rows}")
        if self.valid is None and (valid is None or bool(valid.all())):
            return None
        new = torch.ones_like(token_ids, dtype=torch.bool) if valid is None else valid
        past = new.new_ones(self.n_rows, self.length) if self.valid is None else self.valid
        self.valid = torch.cat([past, new], dim=1)
        return self.valid

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder batch rows; rows is [B'] int64."""
        super().select(rows)
        self._select_valid(rows)

    def reorder(self, rows: Tensor) -> None:
        """As `select`."""
        super().reorder(rows)
        self._select_valid(rows)

    def _select_valid(self, rows: Tensor) -> None:
        self.n_rows = len(rows)
        if self.valid is not None:
            self.valid = self.valid.index_select(0, rows)


def repeat_rows(n_rows: int, times: int, device: torch.device | None = None) -> Tensor:
    """Row numbers that repeat each of n_rows so many times: 0 0 1 1 2 2 for (3, 2)."""
    return torch.arange(n_rows, device=device).repeat_interleave(times)
