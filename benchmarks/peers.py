"""What is there to compare with, and what all comparisons of engines share."""

import os
from importlib.util import find_spec
from pathlib import Path

PRECISIONS = ("fp32", "bf16", "int8")
COMPUTE_TYPES = {"fp32": "float32", "bf16": "bfloat16", "int8": "int8"}
"""CTranslate2's names of them."""


def default_data() -> Path:
    return Path(os.environ.get("TRIPTYCH_DATA", "../shared/data"))


def has(package: str) -> bool:
    """Whether a peer is installed."""
    return find_spec(package) is not None


def has_ctranslate2(precision: str) -> bool:
    """Whether it is installed and computes in this precision on this machine."""
    if not has("ctranslate2"):
        return False
    import ctranslate2

    return COMPUTE_TYPES[precision] in ctranslate2.get_supported_compute_types("cpu")


def for_ctranslate2(folder: Path) -> str:
    """A folder of transformers' in CTranslate2's form, made once, within it."""
    import ctranslate2

    converted = folder / "ctranslate2"
    if not converted.exists():
        ctranslate2.converters.TransformersConverter(str(folder)).convert(str(converted))
    return str(converted)
