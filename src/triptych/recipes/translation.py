"""What `Translator` returns, put together from what a search found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triptych.decoding.hypotheses import Hypothesis
from triptych.decoding.penalties import length_penalty
from triptych.evaluation.alignment import Link
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation_pieces import Piece
from triptych.recipes.word_alignment import WordAlignment
from triptych.tokenizers.base import TranslationTokenizer


@dataclass(frozen=True)
class Candidate:
    """One possible translation of a line.

    `tokens` are the subwords, the end-of-sentence token included, and `token_log_probs` their
    natural-log probabilities; `log_prob` is the sum and `score` that sum divided by the length
    penalty of their number.
    """

    text: str
    score: float
    log_prob: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]


@dataclass(frozen=True)
class Translation:
    """The best translation of a line, and the others that were asked for.

    `n_best` begins with the best one and has no text twice. `alignment` is None unless asked for.
    `reached_limit`: the text used all the tokens it was allowed, so it may lack its end. A line
    that was cut into several sentences has one candidate, their texts joined by spaces.
    """

    text: str
    score: float
    tokens: tuple[str, ...]
    alignment: WordAlignment | None
    n_best: tuple[Candidate, ...]
    reached_limit: bool


@dataclass(frozen=True)
class ForcedScore:
    """What a model gives to a given translation; the fields as in `Candidate`."""

    score: float
    log_prob: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]

    @classmethod
    def blank(cls) -> "ForcedScore":
        return cls(0.0, 0.0, (), ())

    @classmethod
    def of(cls, found: Hypothesis, tokens: Sequence[str]) -> "ForcedScore":
        return cls(found.score, found.log_prob, tuple(tokens), found.token_log_probs)


def assemble(
    n_lines: int,
    pieces: Sequence[Piece],
    found: Sequence[Sequence[Hypothesis]],
    aligned: Sequence[WordAlignment] | None,
    tokenizer: TranslationTokenizer,
    options: TranslateOptions,
) -> list[Translation]:
    """One translation a line from the hypotheses of its pieces; none, for a line without any."""
    by_line: list[list[int]] = [[] for _ in range(n_lines)]
    for number, piece in enumerate(pieces):
        by_line[piece.line].append(number)
    translations = []
    for numbers in by_line:
        candidates = [_candidates(found[i], tokenizer, options.n_best) for i in numbers]
        n_best = candidates[0] if len(numbers) == 1 else (_joined(candidates, options),)
        translations.append(
            Translation(
                text=n_best[0].text,
                score=n_best[0].score,
                tokens=n_best[0].tokens,
                alignment=None
                if aligned is None
                else _joined_alignment([aligned[i] for i in numbers]),
                n_best=n_best,
                reached_limit=any(len(found[i][0].token_ids) >= pieces[i].limit for i in numbers),
            )
        )
    return translations


def _candidates(
    hypotheses: Sequence[Hypothesis], tokenizer: TranslationTokenizer, n_best: int
) -> tuple[Candidate, ...]:
    """The best n of different texts, best first."""
    by_text: dict[str, Candidate] = {}
    for found in hypotheses:
        # A byte token can spell a line break; a line stays one line.
        text = " ".join(tokenizer.decode_target(found.token_ids).splitlines())
        if text not in by_text and len(by_text) < n_best:
            by_text[text] = Candidate(
                text=text,
                score=found.score,
                log_prob=found.log_prob,
                tokens=tuple(tokenizer.target_tokens(found.token_ids)),
                token_log_probs=found.token_log_probs,
            )
    return tuple(by_text.values())


def _joined(candidates: Sequence[Sequence[Candidate]], options: TranslateOptions) -> Candidate:
    """The best of each piece as one text, scored as one: all tokens, one penalty."""
    best = [of_piece[0] for of_piece in candidates]
    tokens = tuple(token for part in best for token in part.tokens)
    log_prob = sum((part.log_prob for part in best), start=0.0)
    penalty = length_penalty(options.length_penalty, max(1, len(tokens)), options.alpha)
    return Candidate(
        text=" ".join(part.text for part in best if part.text),
        score=log_prob / float(penalty),
        log_prob=log_prob,
        tokens=tokens,
        token_log_probs=tuple(value for part in best for value in part.token_log_probs),
    )


def _joined_alignment(parts: Sequence[WordAlignment]) -> WordAlignment:
    """Parts one after the other: words numbered through, no attention from one to another."""
    n_target = sum(part.weights.shape[0] for part in parts)
    n_source = sum(part.weights.shape[1] for part in parts)
    weights = np.zeros((n_target, n_source))
    links: list[Link] = []
    target = source = 0
    for part in parts:
        links += [(source + s, target + t) for s, t in part.links]
        height, width = part.weights.shape
        weights[target : target + height, source : source + width] = part.weights
        target, source = target + height, source + width
    return WordAlignment(tuple(sorted(links)), weights)
