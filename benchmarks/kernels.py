"""The kernels that `runtime/attention.py` and `core/` choose between, in turn.

    python benchmarks/kernels.py [--tables few_rows …] [--json FILE] [--rounds 15]

Attention: milliseconds of forward and backward with a causal mask, in both precisions, for the
fused kernel, for three plain operations, and in strips. Dropout: milliseconds to draw and apply
a mask. GELU: milliseconds of it and its gradient in bfloat16, ours and torch's.
Products in float32: oneDNN's (`core/products.py`) and torch's own, which is MKL's. Of a few rows,
with all weights of GPT-2's shape in turn, so that few are in the processor's cache: our loop
(`runtime/few_rows.py`, `half_rows.py`, `int8_rows.py`) and oneDNN's product in its own layout.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from in_turn import machine, time_in_turn, write_json
from triptych.core.attention import AttentionFunction, attention, fused_attention
from triptych.core.dropout import Dropout, drop_threshold, keep_mask
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import causal_mask
from triptych.core.products import product
from triptych.models.gpt import ACTIVATIONS
from triptych.runtime.causal import causal_attention
from triptych.runtime.few_rows import FewRows
from triptych.runtime.gelu import FastActivation
from triptych.runtime.half_rows import HalfRows, has_halves
from triptych.runtime.int8 import int8_linear, quantize_weight
from triptych.runtime.int8_rows import Int8Rows
from triptych.runtime.packed import InPieces, Precision, Product, packed
from triptych.runtime.training import use_fast_training

SHAPES = [  # batch, heads, length, head width
    (256, 4, 16, 32),
    (64, 8, 24, 64),
    (32, 8, 64, 64),
    (16, 6, 256, 64),
    (4, 12, 512, 64),
    (4, 8, 768, 64),
    (2, 12, 1024, 64),
]
N_DROPPED = 2_097_152
GELU_SHAPE = 16, 256, 1536
N_ROWS = (1, 2, 4, 8, 16, 32)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
PRODUCTS = [  # rows, columns in, columns out
    (1, 768, 3072),
    (8, 768, 3072),
    (1024, 128, 512),
    (1024, 384, 1536),
    (1024, 768, 3072),
    (256, 768, 50257),
]


def both_ways(attend: AttentionFunction, given: list[Tensor], mask: Tensor) -> Callable[[], None]:
    """Forward and backward once."""
    upstream = torch.randn_like(given[0])

    def work() -> None:
        attend(*given, mask, 0.0)[0].backward(upstream)
        for tensor in given:
            tensor.grad = None

    return work


def in_strips(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, p: float) -> tuple[Tensor, None]:
    return causal_attention(q, k, v, mask, p), None


def attention_row(shape: tuple[int, ...], dtype: torch.dtype, rounds: int) -> dict[str, object]:
    given = [torch.randn(shape).to(dtype).requires_grad_() for _ in range(3)]
    mask = causal_mask(shape[2], shape[2])
    contestants = {
        "plain": both_ways(attention, given, mask),
        "fused": both_ways(fused_attention, given, mask),
        "strips": both_ways(in_strips, given, mask),
    }
    timing = time_in_turn(contestants, rounds)
    return {
        "shape": shape,
        "precision": str(dtype).removeprefix("torch."),
        **{f"{name}_ms": round(timing.median(name) * 1e3, 2) for name in contestants},
        "fused_over_plain": [round(x, 2) for x in timing.ratio("plain", "fused")],
        "strips_over_plain": [round(x, 2) for x in timing.ratio("plain", "strips")],
    }


def dropout_row(rounds: int) -> dict[str, object]:
    """Drawing the mask alone, and the whole of dropout."""
    x, ours = torch.randn(N_DROPPED), Dropout(0.3)
    contestants = {
        "our_mask": lambda: keep_mask(x, drop_threshold(0.3)),
        "torch_mask": lambda: torch.empty_like(x).bernoulli_(0.7),
        "ours": lambda: ours(x),
        "torch": lambda: F.dropout(x, 0.3),
    }
    timing = time_in_turn(contestants, rounds)
    return {
        "elements": N_DROPPED,
        **{f"{name}_ms": round(timing.median(name) * 1e3, 2) for name in contestants},
        "mask_ratio": [round(x, 2) for x in timing.ratio("our_mask", "torch_mask")],
        "whole_ratio": [round(x, 2) for x in timing.ratio("ours", "torch")],
    }


def gelu_row(activation: str, rounds: int) -> dict[str, object]:
    """Milliseconds of GELU in bfloat16 and of its gradient, of a layer's rows in training."""
    fast = use_fast_training(FeedForward(1, 1, ACTIVATIONS[activation]))
    assert isinstance(fast, FastActivation)
    x = torch.randn(GELU_SHAPE).bfloat16().requires_grad_()
    dy = torch.randn(GELU_SHAPE).bfloat16()

    def both(activate: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def work() -> None:
            activate(x).backward(dy)
            x.grad = None

        return work

    timing = time_in_turn(
        {"ours": both(fast.activate), "torch": both(ACTIVATIONS[activation])}, rounds
    )
    return {
        "activation": activation,
        "shape": GELU_SHAPE,
        **{f"{name}_ms": round(timing.median(name) * 1e3, 2) for name in ("ours", "torch")},
        "torch_over_ours": [round(x, 2) for x in timing.ratio("ours", "torch")],
    }


def gelu_table(rounds: int) -> list[dict[str, object]]:
    found = [gelu_row(activation, rounds) for activation in ("gelu_tanh", "gelu")]
    for row in found:
        print("gelu     ", row, flush=True)
    return found


def product_row(shape: tuple[int, int, int], rounds: int) -> dict[str, object]:
    n, k, m = shape
    a, weight = torch.randn(n, k), torch.randn(m, k)
    contestants = {
        "onednn": lambda: product(a, weight.T),
        "torch": lambda: product(a, weight.T, again=False),
    }
    timing = time_in_turn(contestants, rounds)
    return {
        "shape": shape,
        **{f"{name}_ms": round(timing.median(name) * 1e3, 3) for name in contestants},
        "torch_over_onednn": [round(x, 2) for x in timing.ratio("onednn", "torch")],
    }


def few_rows_row(precision: Precision, n_rows: int, rounds: int) -> dict[str, object]:
    """Milliseconds for all of a step's products with 12 layers, and gigabytes read a second."""
    sizes = [(2304, 768), (768, 768), (3072, 768), (768, 3072)] * 12
    weights = [torch.randn(size) for size in sizes]
    ours = [few(weight, precision) for weight in weights]
    laid_out = [library(weight, precision) for weight in weights]
    rows = [torch.randn(n_rows, weight.size(1)) for weight in weights]
    contestants = {
        "ours": lambda: [p(x) for p, x in zip(ours, rows, strict=True)],
        "onednn": lambda: [p(x) for p, x in zip(laid_out, rows, strict=True)],
    }
    timing = time_in_turn(contestants, rounds)
    size = {"fp32": 4, "bf16": 2, "int8": 1}[precision]
    n_bytes = size * sum(weight.numel() for weight in weights)
    return {
        "precision": precision,
        "rows": n_rows,
        **{f"{name}_ms": round(timing.median(name) * 1e3, 2) for name in contestants},
        "ours_gb_s": round(n_bytes / timing.median("ours") / 1e9, 1),
        "onednn_over_ours": [round(x, 2) for x in timing.ratio("ours", "onednn")],
    }


def library(weight: Tensor, precision: Precision) -> Product:
    bias = torch.zeros(len(weight))
    if precision == "int8":
        return InPieces(int8_linear(weight, bias))
    return packed(weight, bias, precision)


def few(weight: Tensor, precision: Precision) -> Product:
    if precision == "int8":
        return Int8Rows(*quantize_weight(weight), None)
    if precision == "bf16" and has_halves():
        return HalfRows(weight, None)
    return FewRows(weight.bfloat16() if precision == "bf16" else weight, None)


def few_rows_table(rounds: int) -> list[dict[str, object]]:
    found = []
    for precision in PRECISIONS:
        for n_rows in N_ROWS:
            found.append(few_rows_row(precision, n_rows, rounds))
            print("few rows ", found[-1], flush=True)
    return found


def attention_table(rounds: int) -> list[dict[str, object]]:
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        for shape in SHAPES:
            found.append(attention_row(shape, dtype, rounds))
            print("attention", found[-1], flush=True)
    return found


def products_table(rounds: int) -> list[dict[str, object]]:
    found = [product_row(shape, rounds) for shape in PRODUCTS]
    for row in found:
        print("product  ", row, flush=True)
    return found


def dropout_table(rounds: int) -> list[dict[str, object]]:
    found = [dropout_row(rounds)]
    print("dropout  ", *found, flush=True)
    return found


TABLES = {
    "dropout": dropout_table,
    "gelu": gelu_table,
    "products": products_table,
    "few_rows": few_rows_table,
    "attention": attention_table,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    arguments = parser.parse_args()

    found = {name: TABLES[name](arguments.rounds) for name in arguments.tables}
    write_json(arguments.json, {"machine": machine(), **found})


if __name__ == "__main__":
    main()
