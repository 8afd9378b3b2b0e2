"""A word n-gram model with modified Kneser-Ney smoothing (Chen and Goodman 1999), the baseline.

An n-gram is packed into one 64-bit number, so counting is sorting and looking up is a search.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triptych.errors import UsageError

Codes = NDArray[np.int64]
BEGIN, END, UNKNOWN = 0, 1, 2
BITS = 12  # so 5 words fit in 60 bits


@dataclass(frozen=True)
class Order:
    """The n-grams of one length: what each leaves after its discount; what each history gives."""

    grams: Codes
    discounted: NDArray[np.float64]
    histories: Codes
    totals: NDArray[np.float64]
    backoff: NDArray[np.float64]


class KneserNey:
    """Interpolated modified Kneser-Ney over whole texts, from begin to end token.

    Raises UsageError for more than 4,093 different words or an order above 5.
    """

    def __init__(self, texts: Sequence[Sequence[str]], order: int = 5) -> None:
        words = sorted({word for text in texts for word in text})
        if len(words) > 2**BITS - 3 or not 1 <= order <= 5:
            raise UsageError(f"{len(words)} words and order {order}; at most 4093 and 5")
        self.ids = {word: number for number, word in enumerate(words, start=3)}
        self.order = order
        windows = self.windows(texts)
        grams, counts = np.unique(pack(windows), return_counts=True)
        self.orders = [estimate(grams, counts)]
        for _ in range(order - 1):  # lower orders count the different words to the left
            length = order - len(self.orders)
            grams, counts = np.unique(grams & (2 ** (BITS * length) - 1), return_counts=True)
            self.orders.insert(0, estimate(grams, counts))

    def windows(self, texts: Iterable[Sequence[str]]) -> Codes:
        """Every position to be predicted with the words before it: [positions, order]."""
        stream: list[int] = []
        for text in texts:
            stream += [BEGIN] * (self.order - 1)
            stream += [self.ids.get(word, UNKNOWN) for word in text]
            stream.append(END)
        codes = np.lib.stride_tricks.sliding_window_view(np.array(stream), self.order)
        predicted: Codes = codes[codes[:, -1] != BEGIN].astype(np.int64)
        return predicted

    def log_probs(self, texts: Iterable[Sequence[str]]) -> NDArray[np.float64]:
        """The natural log-probability of every word and end token, in order."""
        return self.window_log_probs(self.windows(texts))

    def window_log_probs(self, windows: Codes) -> NDArray[np.float64]:
        """The natural log-probability of the last word of each window [N, order] -> [N]."""
        probs = np.full(len(windows), 1.0 / (len(self.ids) + 2))  # words, end, unknown
        for length, order in enumerate(self.orders, start=1):
            grams = pack(windows[:, self.order - length :])
            kept = look_up(order.grams, order.discounted, grams, 0.0)
            totals = look_up(order.histories, order.totals, grams >> BITS, 1.0)
            backoff = look_up(order.histories, order.backoff, grams >> BITS, 1.0)
            probs = kept / totals + backoff * probs
        logs: NDArray[np.float64] = np.log(probs)
        return logs

    def best_filling(self, text: Sequence[str], place: int) -> str:
        """The known word that makes a text most probable at a place, whatever stands there."""
        words = np.array(list(self.ids.values()))
        windows = self.windows([text])[place : place + self.order]  # all that hold the place
        filled = np.repeat(windows[None], len(words), axis=0)  # [words, windows, order]
        for row in range(len(windows)):
            filled[:, row, self.order - 1 - row] = words
        logs = self.window_log_probs(filled.reshape(-1, self.order)).reshape(len(words), -1)
        return list(self.ids)[int(logs.sum(axis=1).argmax())]


def pack(windows: Codes) -> Codes:
    """Rows of word ids, each as one number."""
    codes = np.zeros(len(windows), dtype=np.int64)
    for column in range(windows.shape[1]):
        codes = (codes << BITS) | windows[:, column]
    return codes


def estimate(grams: Codes, counts: Codes) -> Order:
    """Discount the counts of sorted n-grams, and give each history what was taken."""
    taken = discounts(counts)[np.minimum(counts, 3)]
    histories, places = np.unique(grams >> BITS, return_inverse=True)
    totals = np.bincount(places, weights=counts).astype(np.float64)
    backoff = np.bincount(places, weights=taken) / totals
    return Order(grams, counts - taken, histories, totals, backoff)


def discounts(counts: Codes) -> NDArray[np.float64]:
    """Chen and Goodman's discounts for counts of 0, 1, 2, and 3 or more."""
    n = [int((counts == k).sum()) for k in range(5)]
    if 0 in n[1:5]:
        return np.array([0.0, 0.5, 0.75, 0.75])  # too little data to estimate them
    y = n[1] / (n[1] + 2 * n[2])
    found = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
    return np.array([0.0, *np.clip(found, 0.05, [0.95, 1.95, 2.95])])


def look_up(
    keys: Codes, values: NDArray[np.float64], wanted: Codes, default: float
) -> NDArray[np.float64]:
    """The value of each wanted key, `default` where there is none."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], default)
