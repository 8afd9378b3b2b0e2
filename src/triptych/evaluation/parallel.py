"""The one check that every comparison of outputs with references begins with."""

from collections.abc import Sequence

from triptych.errors import DataError


def require_parallel(
    outputs: Sequence[object],
    references: Sequence[object],
    names: tuple[str, str] = ("outputs", "references"),
) -> int:
    """The common number of items; raises DataError when they differ or there are none."""
    if len(outputs) != len(references):
        raise DataError(
            f"{len(outputs):,} {names[0]} but {len(references):,} {names[1]}: each line of one"
            " must answer the same line of the other; compare the two files' line counts."
        )
    if not outputs:
        raise DataError(
            f"there are no {names[0]} to score (0 lines): check that the files are not empty."
        )
    return len(outputs)
