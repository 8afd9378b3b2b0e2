"""Counts of what was left out and why, with the places of the first: the body of every report."""

from collections.abc import Iterable

N_EXAMPLES = 3

Row = tuple[str, int, str]
"""A name, a number, and where it was."""


class Tally:
    """How often each of some reasons occurred, and where first."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.counts = dict.fromkeys(reasons, 0)
        self.examples: dict[str, list[str]] = {reason: [] for reason in self.counts}

    def add(self, reason: str, place: str) -> None:
        """Count one more, which stood at `place`."""
        self.counts[reason] += 1
        if len(self.examples[reason]) < N_EXAMPLES:
            self.examples[reason].append(place)

    def to_dict(self) -> dict[str, dict[str, object]]:
        """The tally for JSON."""
        return {
            reason: {"count": count, "examples": self.examples[reason]}
            for reason, count in self.counts.items()
        }

    def rows(self) -> list[Row]:
        """A row for each reason that occurred."""
        return [
            (f"  {reason}", count, ", ".join(self.examples[reason]))
            for reason, count in self.counts.items()
            if count
        ]


def table(rows: Iterable[Row]) -> str:
    """The rows under one another, numbers to the right."""
    rows = list(rows)
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:{width}}  {n:>13,}  {where}".rstrip() for name, n, where in rows)
