"""How well a generator predicts texts: by token, by word of the original, by byte."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triptych import __version__
from triptych.data.text_parts import whole_texts
from triptych.data.text_stream import Division, read_texts
from triptych.data.tokenizing import tokenize
from triptych.decoding.windows import Window, sliding_windows
from triptych.errors import DataError, UsageError
from triptych.evaluation.detokenizers import DETOKENIZERS, WORD_LEVEL, Name
from triptych.evaluation.language_model import TextSums, count_words, signature
from triptych.recipes.generator import Generator
from triptych.recipes.score_texts import half
from triptych.training.progress import ProgressLine


@dataclass(frozen=True, kw_only=True)
class PerplexityProtocol:
    """What a perplexity rests on. It stands in the signature."""

    documents: Division | None = None
    """What ends a document of plain text. Each document is read by itself, after the end-of-text
    token; "file" makes of each file one stream. None: "file" with a detokenizer, else "blank"."""
    text_field: str = "text"
    """The field of a JSON object that is a document."""
    detokenizer: Name = "none"
    """Rules that undo the spaces of a corpus of words."""
    stride: int | None = None
    """Tokens by which windows slide; None: half of the context."""
    ends: bool = False
    """Predict the end-of-text token after each document as well."""

    @property
    def division(self) -> Division:
        """The documents meant."""
        return self.documents or ("blank" if self.detokenizer == "none" else "file")


@dataclass(frozen=True)
class PerplexityReport:
    """The figures of one model on some texts, and how they came about."""

    sums: TextSums
    n_documents: int
    n_left_out: int
    signature: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            **self.sums.to_json(),
            "n_documents": self.n_documents,
            "n_left_out": self.n_left_out,
            "signature": self.signature,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        s = self.sums
        lines = [
            f"perplexity      {s.perplexity:10.4f}   a token, of {s.n_tokens:,}",
            f"word perplexity {s.word_perplexity:10.4f}   a word of the original, of {s.n_words:,}",
            f"bits per byte   {s.bits_per_byte:10.4f}   of {s.n_bytes:,}",
            f"{self.n_documents:,} documents, {self.seconds:.1f} s",
        ]
        if self.n_left_out:
            lines.append(f"{self.n_left_out:,} lines or documents without valid text left out")
        return "\n".join([*lines, self.signature])


def evaluate_perplexity(
    generator: Generator,
    files: Sequence[str],
    protocol: PerplexityProtocol,
    quiet: bool = False,
) -> PerplexityReport:
    """Predict each token of the texts once. Raises DataError for files that cannot be used."""
    context = generator.module.config.max_seq_len
    stride = half(context) if protocol.stride is None else protocol.stride
    if not 1 <= stride <= context:
        raise UsageError(f"stride is {stride}; choose it from 1 to the context, {context}")
    corpus = _read(generator, files, protocol)
    began = time.monotonic()
    nll = sum_nll(generator, corpus.documents, stride, quiet)
    n_tokens = sum(len(ids) - 1 for ids in corpus.documents)
    return PerplexityReport(
        TextSums(nll, n_tokens, corpus.n_words, corpus.n_bytes),
        n_documents=len(corpus.documents),
        n_left_out=corpus.n_left_out,
        signature=_signature(generator, protocol, stride),
        seconds=time.monotonic() - began,
    )


def sum_nll(
    generator: Generator, documents: Sequence[Tensor], stride: int, quiet: bool = False
) -> float:
    """Σ −log p, in nats, of all tokens but the first of each document, each a row of ids."""
    context = generator.module.config.max_seq_len

    def windows() -> Iterator[Window]:
        for token_ids in documents:
            yield from sliding_windows(token_ids, 1, context, stride)

    nll, done, total = 0.0, 0, sum(len(ids) - 1 for ids in documents)
    with generator.reading() as reader, ProgressLine("perplexity", total, quiet=quiet) as line:
        for block in reader.blocks(windows()):
            for values in reader.measure(block):
                nll -= float(values.double().sum())
            done += sum(window.n_targets for window in block)
            line.show(done, "")
    return nll


@dataclass(frozen=True)
class _Corpus:
    """Documents as ids [L], each after the end-of-text token, and the size of their originals."""

    documents: list[Tensor]
    n_words: int
    n_bytes: int
    n_left_out: int


def _read(generator: Generator, files: Sequence[str], protocol: PerplexityProtocol) -> _Corpus:
    detokenize = DETOKENIZERS[protocol.detokenizer]
    line_ends = protocol.detokenizer in WORD_LEVEL
    parts, report = read_texts(list(files), protocol.division, protocol.text_field)
    texts: list[str] = []
    n_words = n_bytes = 0
    waiting: list[str] = []
    for part in parts:
        waiting.append(part.text)
        if part.ends:
            text, waiting = "".join(waiting), []
            n_words += count_words(text, line_ends)
            n_bytes += len(text.encode(errors="surrogatepass"))
            texts.append(detokenize(text))
    documents = _as_ids(generator, texts, protocol.ends, files)
    return _Corpus(documents, n_words, n_bytes, sum(report.left_out.counts.values()))


def _as_ids(
    generator: Generator, texts: Sequence[str], ends: bool, files: Sequence[str]
) -> list[Tensor]:
    """Each text as ids behind the end-of-text token. Raises DataError, with the files, for a text
    that the tokenizer refuses."""
    tokenizer = generator.tokenizer
    end = [torch.tensor([tokenizer.eos_id], dtype=torch.int32)]
    documents: list[Tensor] = []
    waiting: list[Tensor] = list(end)
    try:
        for chunk in tokenize(whole_texts(texts), tokenizer):
            ids = torch.from_numpy(chunk.ids.astype(np.int32))
            pieces = torch.split(ids, chunk.lengths.tolist())
            for piece, is_last in zip(pieces, chunk.is_last.tolist(), strict=True):
                waiting.append(piece)
                if is_last:
                    documents.append(torch.cat([*waiting, *end] if ends else waiting))
                    waiting = list(end)
    except DataError as error:
        raise DataError(f"{', '.join(files)}: {error}") from error
    return documents


def _signature(generator: Generator, protocol: PerplexityProtocol, stride: int) -> str:
    words = "whitespace+line-ends" if protocol.detokenizer in WORD_LEVEL else "whitespace"
    return signature(
        [
            ("context", generator.module.config.max_seq_len),
            ("stride", stride),
            ("documents", protocol.division),
            ("begin", "end-of-text"),
            ("ends", "scored" if protocol.ends else "not-scored"),
            ("detokenizer", protocol.detokenizer),
            ("words", words),
            ("bytes", "original"),
            ("precision", generator.twin.precision),
            ("triptych", __version__),
        ]
    )
