"""A matrix product by the faster of two libraries.

torch gives float32 products on a CPU to MKL and bf16 ones to oneDNN. On AMD's processors oneDNN
takes half of MKL's time in float32 too (`benchmarks/kernels.py`). It makes code for each new shape,
in 0.3 ms, and keeps it, a megabyte or more, for a thousand of them: so it is for shapes that come
again, and the last part of a ragged batch is none.
"""

import torch
from torch import Tensor


def has_onednn() -> bool:
    """Whether this torch has oneDNN's product."""
    found: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return found and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(a: Tensor, b: Tensor, bias: Tensor | None = None, *, again: bool = True) -> Tensor:
    """a b, plus a bias on each row: a [N, K], b [K, M], bias [M] -> [N, M]; without gradients.

    Both may be transposed views. `again` says whether these shapes come again, see above.
    """
    is_float = a.device.type == "cpu" and a.dtype == torch.float32
    if again and is_float and a.numel() and has_onednn():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.T, bias, "none", [], "")
        return found
    return a @ b if bias is None else torch.addmm(bias, a, b)
