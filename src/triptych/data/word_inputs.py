"""Words for a tagger: the first piece of a word carries its label, its other pieces none.

A sentence longer than the input goes through in parts, cut between words, so none loses its tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from triptych.data.batching import IGNORE
from triptych.tokenizers.base import EncoderTokenizer


@dataclass(frozen=True)
class WordInput:
    """`[CLS] words [SEP]`, for some consecutive words of a sentence."""

    sentence: int
    """Its number."""
    token_ids: list[int]
    first_word: int
    """The number of its first word in the sentence."""
    first_pieces: list[int]
    """The position of the first piece of each word."""

    def labels(self, word_labels: Sequence[int]) -> list[int]:
        """One label a token, from those of all words of the sentence."""
        labels = [IGNORE] * len(self.token_ids)
        for word, position in enumerate(self.first_pieces, self.first_word):
            labels[position] = word_labels[word]
        return labels


def word_inputs(
    sentences: Sequence[Sequence[str]], tokenizer: EncoderTokenizer, max_seq_len: int
) -> list[WordInput]:
    """The inputs of each sentence, in order; a sentence without words has none.

    A word whose pieces alone are more than an input holds keeps the first of them.
    """
    room = max_seq_len - 2
    found: list[WordInput] = []
    for number, words in enumerate(sentences):
        token_ids, owners = tokenizer.encode_words(words)
        pieces: list[list[int]] = [[] for _ in words]
        for token_id, owner in zip(token_ids, owners, strict=True):
            pieces[owner].append(token_id)
        part: list[int] = []
        firsts: list[int] = []
        for word, its in enumerate(pieces):
            its = its[:room]
            if len(part) + len(its) > room:
                found.append(_input(tokenizer, number, part, word - len(firsts), firsts))
                part, firsts = [], []
            firsts.append(len(part) + 1)
            part += its
        if firsts:
            found.append(_input(tokenizer, number, part, len(words) - len(firsts), firsts))
    return found


def _input(
    tokenizer: EncoderTokenizer,
    sentence: int,
    pieces: list[int],
    first_word: int,
    firsts: list[int],
) -> WordInput:
    return WordInput(sentence, tokenizer.with_specials(pieces)[0], first_word, firsts)
