"""From a tape to arrays that can be drawn and measured.

Shapes: B batch, L layers, H heads, T query positions, S key positions.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from triptych.errors import UsageError
from triptych.inspection.record import Tape

FloatArray = NDArray[np.float32]


def attention_maps(tape: Tape, where: str) -> FloatArray:
    """The weights of one kind of attention in all layers, [B, L, H, T, S], float32.

    `where` is the path of the attention with * for the layer: "decoder.*.cross_attention",
    "encoder.*.self_attention". The tape may hold one forward pass, or one cached decoding of an
    unchanging batch: a first call, then calls with one new position each, which are put together
    (positions that a step could not see yet weigh 0).

    Raises UsageError when nothing on the tape is called so, or it holds anything else.
    """
    layers = {
        path: calls for path, calls in tape.weights.items() if _layer(path, where) is not None
    }
    if not layers:
        known = sorted({re.sub(r"\.\d+\.", ".*.", path) for path in tape.weights})
        raise UsageError(
            f"nothing recorded at {where!r}; the tape has {', '.join(known) or 'nothing at all'}."
        )
    ordered = sorted(layers, key=lambda path: _layer(path, where) or 0)
    maps = [_join(layers[path], path) for path in ordered]
    if len({layer.shape for layer in maps}) != 1:
        shapes = ", ".join(str(list(layer.shape)) for layer in maps)
        raise UsageError(f"layers of {where!r} differ in shape ({shapes}): record one pass only.")
    return np.stack(maps, axis=1)


def _layer(path: str, where: str) -> int | None:
    """The number that * stands for, or None when the path is another's."""
    found = re.fullmatch(r"(\d+)".join(re.escape(part) for part in where.split("*")), path)
    if found is None:
        return None
    return int(found[1]) if found.groups() else 0


def _join(calls: Sequence[Tensor], path: str) -> FloatArray:
    """[B, H, T, S] from the calls of one attention."""
    n_batch, n_heads, _, n_first = calls[0].shape
    n_keys = calls[-1].size(-1)
    grows = n_keys > n_first  # self-attention over a cache; cross-attention always sees all
    for step, call in enumerate(calls[1:], start=1):
        expected = (n_batch, n_heads, 1, n_first + step if grows else n_first)
        if tuple(call.shape) != expected:
            raise UsageError(
                f"{path} was recorded {len(calls)} times, with shapes {list(calls[0].shape)} and"
                f" {list(call.shape)}: that is neither one forward pass nor one decoding step by"
                " step; open a new record(...) for each pass."
            )
    n_queries = sum(call.size(2) for call in calls)
    joined = np.zeros((n_batch, n_heads, n_queries, n_keys), dtype=np.float32)
    row = 0
    for call in calls:
        joined[:, :, row : row + call.size(2), : call.size(3)] = call.float().cpu().numpy()
        row += call.size(2)
    return joined
