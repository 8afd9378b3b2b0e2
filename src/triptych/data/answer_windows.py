"""Long contexts in windows that overlap: `[CLS] question [SEP] part of the context [SEP]`.

Each window begins `stride` tokens after the one before (Devlin et al.'s doc_stride), so that every
answer stands whole in some window if it is shorter than what they share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from triptych.errors import ConfigError
from triptych.tokenizers.base import EncoderTokenizer

MAX_QUESTION_TOKENS = 64
"""Longer questions lose their end, as in the paper's code."""


@dataclass(frozen=True)
class AnswerWindow:
    """One input for a question."""

    question: int
    """Its number."""
    token_ids: list[int]
    segment_ids: list[int]
    first: int
    """The position of the first token of the context."""
    spans: list[tuple[int, int]]
    """Where each token of the context stands in it (start, end), in characters."""

    def label(self, start: int, end: int) -> tuple[int, int]:
        """The positions of the first and last token of context[start:end]; 0, 0 (`[CLS]`) where
        this window does not hold them all."""
        inside = [i for i, (a, b) in enumerate(self.spans) if a < end and b > start]
        if not inside or self.spans[inside[0]][0] > start or self.spans[inside[-1]][1] < end:
            return 0, 0
        return self.first + inside[0], self.first + inside[-1]


def answer_windows(
    questions: Sequence[tuple[str, str]], tokenizer: EncoderTokenizer, max_seq_len: int, stride: int
) -> list[AnswerWindow]:
    """The windows of each (question, context), in order.

    A context without tokens has one window without any. Raises ConfigError where `max_seq_len`
    leaves no room beside a question.
    """
    windows: list[AnswerWindow] = []
    encoded: tuple[str, list[int], list[tuple[int, int]]] = ("", [], [])
    for number, (question, context) in enumerate(questions):
        if context != encoded[0]:  # the questions of a context stand together
            encoded = (context, *tokenizer.encode_with_spans(context))
        _, pieces, spans = encoded
        asked = tokenizer.encode([question])[0][:MAX_QUESTION_TOKENS]
        room = max_seq_len - len(asked) - 3
        if room < 1:
            raise ConfigError(
                f"max_seq_len is {max_seq_len}, which leaves no room for a context beside a "
                f"question of {len(asked)} tokens; raise it"
            )
        for start in _starts(len(pieces), room, stride):
            part = slice(start, start + room)
            ids, segments = tokenizer.with_specials(asked, pieces[part])
            windows.append(AnswerWindow(number, ids, segments, len(asked) + 2, spans[part]))
    return windows


def _starts(n_tokens: int, room: int, stride: int) -> list[int]:
    """Where windows begin: the last one is the first that reaches the end."""
    starts = [0]
    while starts[-1] + room < n_tokens:
        starts.append(starts[-1] + min(stride, room))
    return starts
