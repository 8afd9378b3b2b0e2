"""Answers from the ends that a model proposes: the best stretches over all windows of a context.

The score of a stretch is S · T_i + E · T_j for its first and last token (Devlin et al. 2018, §4.2),
of no answer S · C + E · C with C of `[CLS]` (§4.3). Windows are compared by these scores as they
are; a probability is the softmax over the best stretches, as in the paper's code.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from triptych.data.answer_windows import AnswerWindow, answer_windows
from triptych.errors import DataError, ModelFileError
from triptych.models.heads import BertWithHeads
from triptych.recipes.encoding import EncoderInput, Trunk, head_outputs
from triptych.recipes.fast_twin import FastTwin
from triptych.recipes.finetune_task import Output
from triptych.tokenizers.wordpiece import WordPiece

N_BEST = 20
"""Stretches of a window, and of a question, that are kept."""


@dataclass(frozen=True)
class FoundAnswer:
    """A stretch of the context, context[start:end]; the empty one says that there is no answer."""

    text: str
    start: int
    end: int
    score: float
    """Sum of two logits."""
    probability: float
    """Among the best stretches."""


@dataclass(frozen=True, kw_only=True)
class AnswerRules:
    """How answers are found; a fine-tuned model's folder keeps those of its training."""

    stride: int = 128
    """Tokens by which a window begins after the one before."""
    max_answer_tokens: int = 30
    """Longest answer, in tokens."""
    may_be_empty: bool = False
    """Whether there may be no answer."""

    def to_json(self) -> dict[str, Any]:
        """For the "triptych" section of config.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, section: dict[str, Any], place: str) -> "AnswerRules":
        """What a folder says; defaults for what it does not. Raises ModelFileError."""
        rules = cls(**{key: section[key] for key in asdict(cls()) if key in section})
        for key, default in asdict(cls()).items():
            value = getattr(rules, key)
            if type(value) is not type(default) or (type(value) is int and value < 1):
                raise ModelFileError(f"{place}: {key} is {value!r}; restore the file from a copy")
        return rules


def find_answers(
    twin: FastTwin[Trunk],
    tokenizer: WordPiece,
    questions: Sequence[tuple[str, str]],
    max_seq_len: int,
    rules: AnswerRules,
    batch_tokens: int,
) -> list[list[FoundAnswer]]:
    """The best answers to each (question, context), the best first; at least one each.

    Raises ModelFileError for a model without the head, DataError for a context without tokens.
    """
    model: BertWithHeads = twin.module
    if "spans" not in model.heads:
        raise ModelFileError(
            "this model has no head for answers; fine-tune one with triptych finetune qa"
        )
    windows = answer_windows(questions, tokenizer, max_seq_len, rules.stride)
    for window in windows:
        if not window.spans:
            context = questions[window.question][1]
            raise DataError(
                f"the context {context[:40]!r} has no tokens; give a text to answer from"
            )
    inputs = [EncoderInput(window.token_ids, window.segment_ids) for window in windows]

    outputs = head_outputs(
        twin, inputs, batch_tokens, lambda hidden, batch: model.spans(hidden, batch.valid)
    )
    return best_answers(outputs, windows, [context for _, context in questions], rules)


def best_answers(
    outputs: Sequence[Output],
    windows: Sequence[AnswerWindow],
    contexts: Sequence[str],
    rules: AnswerRules,
) -> list[list[FoundAnswer]]:
    """From the logits [T, 2] of each window to the best answers of each question."""
    scores: list[dict[tuple[int, int], float]] = [{} for _ in contexts]
    for output, window in zip(outputs, windows, strict=True):
        its = scores[window.question]
        for first, last, score in best_stretches(
            output[window.first : window.first + len(window.spans)], rules.max_answer_tokens
        ):
            ends = window.spans[first][0], window.spans[last][1]
            its[ends] = max(score, its.get(ends, score))
        if rules.may_be_empty:  # in a text of several windows, the least sure one decides
            none = float(output[0].sum())
            its[0, 0] = min(none, its.get((0, 0), none))
    return [_ranked(its, context) for its, context in zip(scores, contexts, strict=True)]


def best_stretches(logits: Output, longest: int) -> list[tuple[int, int, float]]:
    """(first, last, score) of the best stretches of at most `longest` tokens, of logits [T, 2]."""
    starts, ends = torch.from_numpy(logits).double().unbind(dim=1)
    n = len(starts)
    sums = starts[:, None] + ends[None, :]  # [T, T]
    allowed = torch.ones(n, n, dtype=torch.bool).triu().tril(longest - 1)
    best = sums.masked_fill(~allowed, float("-inf")).flatten().topk(min(N_BEST, n * n))
    return [
        (int(place) // n, int(place) % n, float(score))
        for score, place in zip(best.values, best.indices, strict=True)
        if score > float("-inf")
    ]


def _ranked(scores: dict[tuple[int, int], float], context: str) -> list[FoundAnswer]:
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:N_BEST]
    shares = torch.tensor([score for _, score in best], dtype=torch.float64).softmax(dim=0)
    return [
        FoundAnswer(context[start:end], start, end, score, float(share))
        for ((start, end), score), share in zip(best, shares, strict=True)
    ]
