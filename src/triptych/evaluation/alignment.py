"""Word alignment: read off attention weights, measured by alignment error rate.

A link (s, t) says that source word s and target word t translate each other; words are counted
from 0. Gold alignments distinguish sure links S from possible ones P (S ⊆ P), Och & Ney 2003 §5:

    AER(A; S, P) = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)

Which row of attention belongs to a target word is the caller's decision, made by the rows passed:
at position i the decoder reads token i and predicts token i + 1. Rows labeled with the target
words of what is predicted (`target_out`) ask where the model looked when it produced a word; rows
labeled with the words of what is read (`target_in`) ask where it looks once it knows the word.

Shapes: T target tokens, S source tokens, L layers, H heads, W_t and W_s target and source words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triptych.errors import DataError, UsageError
from triptych.evaluation.parallel import require_parallel

Link = tuple[int, int]
Links = frozenset[Link]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class GoldAlignment:
    """One sentence's links: `sure` and `possible`, the latter always containing the former."""

    sure: Links
    possible: Links = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "possible", self.possible | self.sure)


@dataclass(frozen=True)
class AlignmentScore:
    """Alignment error rate over `n` sentences (0 best, 1 worst), with the counts behind it."""

    aer: float
    precision: float
    recall: float
    n: int
    n_links: int
    n_sure: int
    n_possible: int

    def to_json(self) -> dict[str, Any]:
        """The fields, ready for `json.dumps`; possible links include the sure ones."""
        return {
            "aer": self.aer,
            "precision": self.precision,
            "recall": self.recall,
            "n": self.n,
            "n_links": self.n_links,
            "n_sure": self.n_sure,
            "n_possible": self.n_possible,
        }


class HeadChoice(NamedTuple):
    """The layer and head (counted from 0) whose alignment errs least, and its error rate."""

    layer: int
    head: int
    aer: float


def alignment_error_rate(found: Sequence[Links], gold: Sequence[GoldAlignment]) -> AlignmentScore:
    """AER with its precision |A ∩ P| / |A| and recall |A ∩ S| / |S|, counts summed over sentences.

    Raises DataError for different numbers of sentences, none, or a gold set without a sure link.
    """
    n = require_parallel(found, gold, ("alignments", "gold alignments"))
    links = sum(len(a) for a in found)
    sure = sum(len(g.sure) for g in gold)
    if not sure:
        raise DataError(
            f"none of the {n:,} gold alignments has a sure link, so no error rate is defined;"
            " write sure links as 0-0 and only the possible ones as 0p0."
        )
    hit_sure = sum(len(a & g.sure) for a, g in zip(found, gold, strict=True))
    hit_possible = sum(len(a & g.possible) for a, g in zip(found, gold, strict=True))
    return AlignmentScore(
        aer=1 - (hit_sure + hit_possible) / (links + sure),
        precision=hit_possible / links if links else 0.0,
        recall=hit_sure / sure,
        n=n,
        n_links=links,
        n_sure=sure,
        n_possible=sum(len(g.possible) for g in gold),
    )


def word_weights(
    weights: ArrayLike, source_words: Sequence[int], target_words: Sequence[int]
) -> FloatArray:
    """Attention between words, [W_t, W_s], from attention between tokens, [T, S].

    `source_words` [S] and `target_words` [T] give the word of each token, -1 for special tokens,
    which are left out. What a word receives is the sum over its source tokens; what it gives is
    the mean over its target tokens. Raises UsageError when the lengths do not fit.
    """
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.shape != (len(target_words), len(source_words)):
        raise UsageError(
            f"attention weights of shape {list(matrix.shape)} do not fit {len(target_words)} target"
            f" and {len(source_words)} source tokens; pass [T, S], one row a target token."
        )
    gives = _membership(target_words)  # [W_t, T]
    receives = _membership(source_words)  # [W_s, S]
    n_tokens = np.maximum(gives.sum(axis=1, keepdims=True), 1)
    mixed: FloatArray = gives / n_tokens @ matrix @ receives.T
    return mixed


def balance(weights: ArrayLike, rounds: int = 10) -> NDArray[np.float64]:
    """Weights [W_t, W_s] with columns and rows scaled in turn to sum to one.

    Sinkhorn and Knopp 1967: what a source word gives is shared out among the target words, as
    what a target word takes is shared among the source words. A row or column of zeros stays so.
    """
    balanced = np.asarray(weights, dtype=np.float64)
    for _ in range(rounds):
        for axis in (1, 0):
            sums = balanced.sum(axis=axis, keepdims=True)
            balanced = balanced / np.where(sums > 0, sums, 1)
    return balanced


def align(weights: ArrayLike, source_words: Sequence[int], target_words: Sequence[int]) -> Links:
    """One link for each target word: to the source word it attends to most (the first, if equal).

    Attention is balanced first (`balance`), so that one source word at which many look is not
    everyone's translation. Shapes and errors as in `word_weights`; no source word, no links.
    """
    by_word = word_weights(weights, source_words, target_words)
    if by_word.size == 0:
        return frozenset()
    present = {word for word in target_words if word >= 0}
    best = balance(by_word).argmax(axis=1)
    return frozenset((int(best[target]), target) for target in present)


def error_rates_by_head(
    attentions: Sequence[ArrayLike],
    source_words: Sequence[Sequence[int]],
    target_words: Sequence[Sequence[int]],
    gold: Sequence[GoldAlignment],
) -> FloatArray:
    """AER of each layer's each head, [L, H]; `attentions` has one [L, H, T, S] a sentence.

    Raises DataError for different numbers of sentences, UsageError for shapes that do not fit.
    """
    for items, name in ((attentions, "attentions"), (source_words, "source word lists")):
        require_parallel(items, gold, (name, "gold alignments"))
    require_parallel(target_words, gold, ("target word lists", "gold alignments"))
    arrays = [np.asarray(attention) for attention in attentions]
    shapes = {array.shape[:2] for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 4:
        raise UsageError(
            f"attentions must all be [L, H, T, S] with the same L and H, not {sorted(shapes)};"
            " stack the layers of one sentence first."
        )
    rates = np.empty(arrays[0].shape[:2])
    for layer, head in np.ndindex(rates.shape):
        found = [
            align(array[layer, head], source, target)
            for array, source, target in zip(arrays, source_words, target_words, strict=True)
        ]
        rates[layer, head] = alignment_error_rate(found, gold).aer
    return rates


def choose_head(
    attentions: Sequence[ArrayLike],
    source_words: Sequence[Sequence[int]],
    target_words: Sequence[Sequence[int]],
    gold: Sequence[GoldAlignment],
) -> HeadChoice:
    """The head to align with, chosen on validation sentences; arguments as in
    `error_rates_by_head`. Equal rates go to the lower layer, then the lower head."""
    rates = error_rates_by_head(attentions, source_words, target_words, gold)
    layer, head = np.unravel_index(int(rates.argmin()), rates.shape)
    return HeadChoice(int(layer), int(head), float(rates[layer, head]))


def format_pharaoh(links: Iterable[Link]) -> str:
    """Links as "0-0 1-2": source word, target word, counted from 0, sorted."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def format_gold(gold: GoldAlignment) -> str:
    """Sure links as "0-0", links that are only possible as "1p2", sorted together."""
    return " ".join(
        f"{source}{'-' if (source, target) in gold.sure else 'p'}{target}"
        for source, target in sorted(gold.possible)
    )


def read_pharaoh(lines: Iterable[str], name: str = "alignment") -> list[Links]:
    """One alignment a line, as `format_pharaoh` writes it; an empty line has no links.

    Raises DataError with `name`, line number and the offending item.
    """
    return [gold.sure for gold in _read(lines, name, "-", "write links as 0-0 1-2")]


def read_gold(lines: Iterable[str], name: str = "gold alignment") -> list[GoldAlignment]:
    """One gold alignment a line, as `format_gold` writes it; raises as `read_pharaoh`."""
    return _read(lines, name, "-p", "write sure links as 0-0 and possible ones as 0p0")


def _read(lines: Iterable[str], name: str, signs: str, remedy: str) -> list[GoldAlignment]:
    read = []
    for number, line in enumerate(lines, start=1):
        links: dict[str, set[Link]] = {sign: set() for sign in "-p"}
        for item in line.split():
            sign = next((sign for sign in signs if sign in item), signs[0])
            source, found, target = item.partition(sign)
            if not (found and _is_index(source) and _is_index(target)):
                raise DataError(f"{name}:{number}: {item!r} is not a word link; {remedy}.")
            links[sign].add((int(source), int(target)))
        read.append(GoldAlignment(frozenset(links["-"]), frozenset(links["p"])))
    return read


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdecimal()  # isdecimal alone accepts other scripts' digits


def _membership(words: Sequence[int]) -> FloatArray:
    """[W, tokens]: 1 where the token belongs to the word."""
    index = np.asarray(words, dtype=np.int64)
    n_words = int(index.max(initial=-1)) + 1
    belongs: FloatArray = (index[None, :] == np.arange(n_words)[:, None]).astype(np.float64)
    return belongs
