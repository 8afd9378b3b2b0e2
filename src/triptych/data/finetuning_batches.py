"""Batches of labelled inputs, the rows of an epoch in random order.

B  inputs in a batch     T  positions
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from triptych.data.batching import IGNORE, Indices
from triptych.data.pretraining_batches import FixedRows
from triptych.data.streams import EpochStream


@dataclass(frozen=True)
class LabelledInput:
    """One input, special tokens included, and what is to be read off it."""

    token_ids: list[int]
    segment_ids: list[int]
    label: int | float | list[int] | tuple[int, int]
    """The number of a class; a value; one label a token; the positions of an answer's ends."""


@dataclass(frozen=True)
class FinetuningBatch:
    """B padded inputs.

    token_ids and segment_ids [B, T] int64; valid [B, T] bool, True = real; labels [B] int64
    (classes), [B] float32 (values), [B, T] int64 (one a token, IGNORE where there is none) or
    [B, 2] int64 (first and last position of an answer); indices [B] int64, the place of each input
    among all.
    """

    token_ids: torch.Tensor
    valid: torch.Tensor
    segment_ids: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor

    def __len__(self) -> int:
        return self.token_ids.size(0)

    @property
    def n_tokens(self) -> int:
        """What a run's speed counts: real tokens of the inputs."""
        return int(self.valid.sum())

    @property
    def n_targets(self) -> tuple[int]:
        """Predictions of the one term of the loss."""
        if self.labels.is_floating_point():
            return (len(self.labels),)
        return (int((self.labels != IGNORE).sum()),)

    def to(self, device: torch.device | str) -> "FinetuningBatch":
        """The batch on `device`."""
        return FinetuningBatch(
            self.token_ids.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            self.segment_ids.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.indices.to(device, non_blocking=True),
        )


def collate_inputs(
    inputs: Sequence[LabelledInput], indices: npt.ArrayLike, pad_id: int
) -> FinetuningBatch:
    """Pad inputs to the longest of them; `indices` are their places among all."""
    longest = max(len(given.token_ids) for given in inputs)
    token_ids = torch.full((len(inputs), longest), pad_id)
    segment_ids = torch.zeros_like(token_ids)
    for row, given in enumerate(inputs):
        token_ids[row, : len(given.token_ids)] = torch.tensor(given.token_ids)
        segment_ids[row, : len(given.segment_ids)] = torch.tensor(given.segment_ids)
    lengths = torch.tensor([len(given.token_ids) for given in inputs])
    return FinetuningBatch(
        token_ids=token_ids,
        valid=torch.arange(longest) < lengths[:, None],
        segment_ids=segment_ids,
        labels=_labels([given.label for given in inputs], longest),
        indices=torch.as_tensor(np.asarray(indices, dtype=np.int64)),
    )


class FinetuningBatches(EpochStream[Indices]):
    """One epoch after another, without end; each draws the order of all inputs anew."""

    def __init__(
        self, inputs: Sequence[LabelledInput], pad_id: int, batch_size: int, seed: int
    ) -> None:
        self.inputs, self.pad_id = inputs, pad_id
        lengths = np.array([len(given.token_ids) for given in inputs], dtype=np.int64)
        rows = FixedRows(batch_size)
        identity: Mapping[str, object] = {
            "seed": seed,
            "batch_size": batch_size,
            "n_inputs": len(inputs),
            "digest": _digest(inputs),
        }
        super().__init__(lambda epoch: rows.epoch(lengths, seed, epoch), identity)

    def load(self, indices: Indices) -> FinetuningBatch:
        """The batch with these inputs."""
        return collate_inputs([self.inputs[i] for i in indices], indices, self.pad_id)


def _labels(labels: Sequence[object], longest: int) -> torch.Tensor:
    if not isinstance(labels[0], list):
        dtype = torch.float32 if isinstance(labels[0], float) else torch.int64
        return torch.tensor(labels, dtype=dtype)
    padded = torch.full((len(labels), longest), IGNORE)
    for row, given in enumerate(labels):
        assert isinstance(given, list)
        padded[row, : len(given)] = torch.tensor(given)
    return padded


def _digest(inputs: Sequence[LabelledInput]) -> str:
    """What tells these inputs and labels from others."""
    digest = hashlib.sha256()
    for given in inputs:
        digest.update(f"{given.token_ids} {given.segment_ids} {given.label}\n".encode())
    return digest.hexdigest()[:16]
