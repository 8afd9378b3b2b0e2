"""GPT-2's published figures without any training on the data: Radford et al. 2019, Table 3.

The paper names its sizes 117M, 345M, 762M and 1542M; the released weights have 124, 355, 774 and
1,558 million parameters. Its rules for detokenizing, its stride and its stop words are not
published, so that nobody's figures agree with all of these.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

SOURCE = "Radford et al. 2019, Table 3"


class Column(NamedTuple):
    """A column of the table, and the data that it is measured on here."""

    name: str
    metric: str
    """The key of our report that is the same figure, or what it is."""
    files: tuple[str, ...] = ()
    """Patterns of file names within a folder, the best first; none: not measured here."""
    detokenizer: str = "none"


COLUMNS = (
    Column("LAMBADA", "perplexity", ("lambada_test.jsonl", "lambada*.jsonl"), "lambada"),
    Column("LAMBADA", "accuracy", ("lambada_test.jsonl", "lambada*.jsonl"), "lambada"),
    Column("CBT-CN", "accuracy"),
    Column("CBT-NE", "accuracy"),
    Column(
        "WikiText-2",
        "word_perplexity",
        (
            "wikitext-2*/wiki.test.tokens",
            "wikitext-2*/test.txt",
            "wikitext-2*/wiki.valid.tokens",
            "wikitext-2*/valid.txt",
        ),
        "wikitext",
    ),
    Column("PTB", "word_perplexity", ("ptb.test.txt", "ptb.valid.txt"), "ptb"),
    Column("enwik8", "bits_per_byte", ("enwik8.test", "enwik8")),
    Column("text8", "bits_per_byte", ("text8.test", "text8")),
    Column(
        "WikiText-103",
        "word_perplexity",
        ("wikitext-103*/wiki.test.tokens", "wikitext-103*/wiki.valid.tokens"),
        "wikitext",
    ),
    Column("1BW", "word_perplexity"),
)

PUBLISHED: Mapping[int, tuple[str, tuple[float, ...]]] = {
    124_439_808: ("117M", (35.13, 45.99, 87.65, 83.4, 29.41, 65.85, 1.16, 1.17, 37.50, 75.20)),
    354_823_168: ("345M", (15.60, 55.48, 92.35, 87.1, 22.76, 47.33, 1.01, 1.06, 26.37, 55.72)),
    774_030_080: ("762M", (10.87, 60.12, 93.45, 88.0, 19.93, 40.31, 0.97, 1.02, 22.05, 44.575)),
    1_557_611_200: ("1542M", (8.63, 63.24, 93.30, 89.05, 18.34, 35.76, 0.93, 0.98, 17.48, 42.16)),
}
"""By the number of parameters: the paper's name of the size, and its row, accuracies in percent."""


def nearest_row(n_parameters: int) -> tuple[str, tuple[float, ...]]:
    """The paper's name and row of the size nearest to a model's, as a ratio."""
    size = min(PUBLISHED, key=lambda published: abs(math.log(published / n_parameters)))
    return PUBLISHED[size]
