"""Parts of documents to ids, in this process or in several others, in their order.

One process uses all cores already while the library cuts texts. Several help where reading and
turning lists into arrays take as long, which is the case from a few cores on.
"""

import os
import signal
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Protocol

import numpy as np
import numpy.typing as npt

from triptych.data.shard_files import Ids, flat_ids
from triptych.data.text_parts import TextPart
from triptych.errors import DataError, MachineError, UsageError
from triptych.tokenizers.base import GeneratorTokenizer
from triptych.tokenizers.loading import load_generator_tokenizer

CHUNK_CHARACTERS = 1 << 20
"""Tokenised at once: enough for every core, some tens of megabytes."""
CHUNK_PARTS = 8192
"""A chunk ends early where its texts are short."""
BEGINNING = 60
"""Characters of a document that name it."""
WAITING = 3
"""Chunks that are given to each process ahead of what is written."""


class TextTokenizer(Protocol):
    """Text to ids, without special tokens, and the token that ends a document."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def eos_id(self) -> int: ...
    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...
    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Encoded:
    """The tokens of P parts in one row, the length of each [P], and which ends a document [P]."""

    ids: Ids
    lengths: npt.NDArray[np.int64]
    is_last: npt.NDArray[np.bool_]
    n_bytes: int


def tokenize(
    parts: Iterable[TextPart], tokenizer: TextTokenizer, n_processes: int = 1
) -> Generator[Encoded, None, None]:
    """The parts as ids, chunk by chunk, in order; the same for any number of processes.

    Only a few chunks are held. Raises DataError for an id outside the vocabulary, UsageError for
    fewer than one process, MachineError where a process dies.
    """
    if n_processes < 1:
        raise UsageError(f"{n_processes} processes cannot tokenise; give 1 or more")
    chunks = _chunks(parts)
    if n_processes == 1:
        return (_encode(chunk, tokenizer) for chunk in chunks)
    return _in_processes(chunks, tokenizer, n_processes)


def _chunks(parts: Iterable[TextPart]) -> Iterator[list[TextPart]]:
    chunk: list[TextPart] = []
    n_characters = 0
    for part in parts:
        chunk.append(part)
        n_characters += len(part.text)
        if n_characters >= CHUNK_CHARACTERS or len(chunk) == CHUNK_PARTS:
            yield chunk
            chunk, n_characters = [], 0
    if chunk:
        yield chunk


def _encode(chunk: list[TextPart], tokenizer: TextTokenizer) -> Encoded:
    try:
        token_ids = tokenizer.encode([part.text for part in chunk])
    except DataError:
        _name_document(chunk, tokenizer)
        raise
    return Encoded(
        ids=flat_ids(token_ids, tokenizer.vocab_size),
        lengths=np.array([len(ids) for ids in token_ids], dtype=np.int64),
        is_last=np.array([part.ends for part in chunk]),
        n_bytes=sum(len(part.text.encode(errors="surrogatepass")) for part in chunk),
    )


def _name_document(chunk: list[TextPart], tokenizer: TextTokenizer) -> None:
    """Raise DataError for the first text that has no ids, by its beginning."""
    for text, _ in chunk:
        try:
            tokenizer.encode([text])
        except DataError as error:
            more = "…" if len(text) > BEGINNING else ""
            raise DataError(f"in the text {text[:BEGINNING] + more!r}: {error}") from error


def _in_processes(
    chunks: Iterator[list[TextPart]], tokenizer: TextTokenizer, n_processes: int
) -> Generator[Encoded, None, None]:
    """Chunks go round; what is written waits for the oldest, so that memory stays bounded."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        # A fresh interpreter each: the threads of this one would not survive a fork.
        pool = ProcessPoolExecutor(n_processes, get_context("spawn"), _begin, (folder,))
        waiting: deque[Future[Encoded]] = deque()
        try:
            for chunk in chunks:
                waiting.append(pool.submit(_encode_here, chunk))
                if len(waiting) >= WAITING * n_processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise MachineError(
                f"one of {n_processes} processes that tokenise was ended by the machine, perhaps "
                f"for want of memory; use fewer"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_tokenizer: list[GeneratorTokenizer] = []
"""Of a process that tokenises, its own."""


def _begin(folder: str) -> None:
    """In a new process: load the tokenizer; Ctrl-C is answered by the process that reads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _tokenizer.append(load_generator_tokenizer(Path(folder)))


def _end_with_parent() -> None:
    """A reader that is killed could not tell this process, which would wait for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _encode_here(chunk: list[TextPart]) -> Encoded:
    return _encode(chunk, _tokenizer[0])
