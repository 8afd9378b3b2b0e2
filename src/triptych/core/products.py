"""A matrix product by the faster of two libraries.

torch gives float32 products on a CPU to MKL and bf16 ones to oneDNN. On AMD's processors oneDNN
takes half of MKL's time in float32 too (`benchmarks/kernels.py`).
"""

import torch
from torch import Tensor


def has_onednn() -> bool:
    """Whether this torch has oneDNN's product."""
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b, plus a bias on each row: a [N, K], b [K, M], bias [M] -> [N, M]; without gradients.

    Both may be transposed views.
    """
    if a.device.type == "cpu" and a.dtype == torch.float32 and a.numel() and has_onednn():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.T, bias, "none", [], "")
        return found
    return a @ b if bias is None else torch.addmm(bias, a, b)
