"""Translate and score texts with an encoder-decoder: what `triptych.load` gives for one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import torch

from triptych.checkpoint import ModelFolder
from triptych.data.batching import by_length
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.hypotheses import Hypothesis
from triptych.errors import DataError, UsageError
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.recipes.fast_twin import FastTwin
from triptych.recipes.model_kinds import translation_parts
from triptych.recipes.translate_options import (
    TranslateOptions,
    banned_from_generation,
    options_from_generation,
)
from triptych.recipes.translation import ForcedScore, Translation, assemble
from triptych.recipes.translation_pieces import Piece, cut_into_pieces
from triptych.recipes.translation_search import Searcher, TranslationDecoder
from triptych.recipes.word_alignment import (
    AlignmentHead,
    WordAlignment,
    align_words,
    cross_attentions,
)
from triptych.runtime.packed import Precision
from triptych.tokenizers.base import TranslationTokenizer


class Translator:
    """A model and its tokenizer; `module` is the plain torch module."""

    def __init__(
        self,
        module: EncoderDecoder,
        tokenizer: TranslationTokenizer,
        options: TranslateOptions | None = None,
        *,
        device: torch.device | str | None = None,
        precision: Precision = "fp32",
        alignment_head: AlignmentHead | None = None,
        banned_ids: Sequence[int] = (),
    ) -> None:
        """`options` are those that calls of `translate` start from; `banned_ids` never occur in
        a translation, besides padding and the unknown token. With a device the module moves.

        `precision` is that of the weights as they are used: on a CPU they are packed copies, made
        at the first call, beside the module's own. Alignments are always read from the module.
        Raises UsageError for int8 on a GPU.
        """
        self.module = module if device is None else module.to(device)
        self.twin = FastTwin[TranslationDecoder](self.module, precision)
        self.tokenizer = tokenizer
        self.options = options if options is not None else TranslateOptions()
        self.alignment_head = alignment_head
        c = module.config
        unknown = () if tokenizer.unk_id is None else (tokenizer.unk_id,)
        banned = tuple(sorted({*unknown, *banned_ids} - {c.pad_id}))
        self.roles = TokenRoles(c.start_id, c.eos_id, outside_ids=(c.pad_id,), banned_ids=banned)

    @classmethod
    def from_folder(
        cls,
        folder: ModelFolder,
        device: torch.device | str | None = None,
        precision: Precision = "fp32",
    ) -> "Translator":
        """With the search options, the banned ids and the alignment head that a folder states.

        Raises ModelFileError for values out of range.
        """
        place, head = "generation_config.json", folder.extras.get("alignment_head")
        model, tokenizer = translation_parts(folder)
        return cls(
            model,
            tokenizer,
            options_from_generation(folder.generation, place),
            device=device,
            precision=precision,
            alignment_head=AlignmentHead.from_json(head, "config.json") if head else None,
            banned_ids=banned_from_generation(folder.generation, place),
        )

    @property
    def device(self) -> torch.device:
        return self.module.embedding.weight.device

    def translate(
        self,
        lines: Sequence[str],
        *,
        beam_size: int | None = None,
        n_best: int | None = None,
        max_new_tokens: int | None = None,
        alignments: bool | None = None,
        prefixes: Sequence[str] | None = None,
        options: TranslateOptions | None = None,
    ) -> list[Translation]:
        """One translation a line, in order; a blank line gives an empty one with score 0.

        The keywords take the place of the same fields of `options`, and those of the model's
        own. `prefixes`: for each line the words its translation begins with, or "". Nothing
        depends on which lines are translated together. Raises DataError for a line longer than
        the model's limit (`on_too_long`), UsageError for options that cannot be kept.
        """
        chosen = self._options(options, beam_size, n_best, max_new_tokens, alignments)
        if isinstance(lines, str):
            raise UsageError("translate takes a list of lines, not one text; write [text]")
        if prefixes is not None and len(prefixes) != len(lines):
            raise UsageError(f"{len(prefixes)} prefixes for {len(lines)} lines; give one for each")
        return self._translate(lines, prefixes, chosen, lambda number: f"line {number + 1}")

    def stream(
        self,
        lines: Iterable[str],
        *,
        options: TranslateOptions | None = None,
        prefixes: Iterable[str] | None = None,
        name: str = "input",
        at_once: int = 1000,
    ) -> Iterator[Translation]:
        """As `translate`, for any number of lines in the memory of `at_once` of them.

        Errors name the line as `name`:number. Raises DataError, once it is reached, for a line
        without a prefix, or a prefix without a line.
        """
        chosen = options if options is not None else self.options
        done, rest = 0, iter(lines)
        beginnings = None if prefixes is None else iter(prefixes)
        while some := list(islice(rest, at_once)):
            own = None if beginnings is None else list(islice(beginnings, len(some)))
            if own is not None and len(own) < len(some):
                raise DataError(f"{name}:{done + len(own) + 1} has no prefix; give one a line")
            yield from self._translate(some, own, chosen, _places(name, done))
            done += len(some)
        if beginnings is not None and next(beginnings, None) is not None:
            raise DataError(f"there are more prefixes than the {done:,} lines of {name}")

    def score(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        *,
        options: TranslateOptions | None = None,
        first_line: int = 1,
    ) -> list[ForcedScore]:
        """What the model gives to each target as the translation of its source, in order.

        It is the score `translate` gives to the same tokens. A pair that is blank on both sides
        scores 0. Raises DataError for unequal numbers, and for a text longer than the model's
        limit, with its number counted from `first_line`.
        """
        if len(sources) != len(targets):
            raise DataError(
                f"{len(sources)} sources but {len(targets)} targets; each source needs its own"
            )
        chosen = options if options is not None else self.options
        ids = zip(
            self.tokenizer.encode_source(sources),
            self.tokenizer.encode_target(targets),
            strict=True,
        )
        blank = [not s.strip() and not t.strip() for s, t in zip(sources, targets, strict=True)]
        pairs = {i: pair for i, pair in enumerate(ids) if not blank[i]}
        for number, pair in pairs.items():
            self._check_length(first_line + number, pair)
        scores = [ForcedScore.blank() for _ in sources]
        with evaluating(self.module):
            for number, hypothesis in self._searcher().forced(pairs, chosen):
                tokens = self.tokenizer.target_tokens(hypothesis.token_ids)
                scores[number] = ForcedScore.of(hypothesis, tokens)
        return scores

    def _searcher(self) -> Searcher:
        return Searcher(self.twin(), self.module.config, self.roles, self.device)

    def _options(
        self,
        options: TranslateOptions | None,
        beam_size: int | None,
        n_best: int | None,
        max_new_tokens: int | None,
        alignments: bool | None,
    ) -> TranslateOptions:
        base = options if options is not None else self.options
        return replace(
            base,
            beam_size=base.beam_size if beam_size is None else beam_size,
            n_best=base.n_best if n_best is None else n_best,
            max_new_tokens=base.max_new_tokens if max_new_tokens is None else max_new_tokens,
            alignments=base.alignments if alignments is None else alignments,
        )

    def _translate(
        self,
        lines: Sequence[str],
        prefixes: Sequence[str] | None,
        options: TranslateOptions,
        place: Callable[[int], str],
    ) -> list[Translation]:
        max_seq_len = self.module.config.max_seq_len
        pieces = cut_into_pieces(lines, prefixes, self.tokenizer, options, max_seq_len, place)
        found: list[list[Hypothesis]] = [[] for _ in pieces]
        with evaluating(self.module):
            lengths = [len(piece.source_ids) for piece in pieces]
            for batch in by_length(lengths, max(1, options.batch_tokens // options.beam_size)):
                hypotheses = self._searcher().search([pieces[i] for i in batch], options)
                for number, of_piece in zip(batch, hypotheses, strict=True):
                    found[number] = of_piece
            aligned = self._align(pieces, found, options) if options.alignments else None
        return assemble(len(lines), pieces, found, aligned, self.tokenizer, options)

    def _align(
        self,
        pieces: Sequence[Piece],
        found: Sequence[Sequence[Hypothesis]],
        options: TranslateOptions,
    ) -> list[WordAlignment]:
        """Each piece with its best translation, by a forced pass that shows its attention."""
        pairs = [
            (piece.source_ids, hypotheses[0].token_ids)
            for piece, hypotheses in zip(pieces, found, strict=True)
        ]
        attentions = cross_attentions(self.module, pairs, options.batch_tokens)
        return [
            align_words(
                weights,
                self.tokenizer.source_words(source_ids),
                self.tokenizer.target_words(target_ids),
                self.alignment_head,
            )
            for weights, (source_ids, target_ids) in zip(attentions, pairs, strict=True)
        ]

    def _check_length(self, line: int, pair: tuple[list[int], list[int]]) -> None:
        limit = self.module.config.max_seq_len
        for side, token_ids in zip(("source", "target"), pair, strict=True):
            if len(token_ids) > limit:
                raise DataError(
                    f"line {line}: the {side} has {len(token_ids):,} tokens, more than this "
                    f"model's limit of {limit:,}; split the pair"
                )


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Without dropout inside; afterwards each part as before."""
    in_training = [part for part in module.modules() if part.training]
    for part in in_training:
        part.training = False
    try:
        yield
    finally:
        for part in in_training:
            part.training = True


def _places(name: str, done: int) -> Callable[[int], str]:
    return lambda number: f"{name}:{done + number + 1}"
