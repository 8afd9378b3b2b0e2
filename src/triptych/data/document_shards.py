"""A corpus of documents, tokenised once into memory-mapped arrays.

The folder of a corpus of D documents with S sentences holds, all little-endian, without headers,

    tokens.bin       the token ids, sentence after sentence, without special tokens; uint16 where
                     the vocabulary has fewer than 65,536 entries, else int32
    sentences.bin    int64 [S + 1]: where sentence i begins in tokens.bin
    documents.bin    int64 [D + 1]: the first sentence of document i
    manifest.json    shapes, fingerprint, size and SHA-256 of each array, and how many documents
                     came from each file; written last

No sentence and no document is empty, and there are at least two documents.
"""

import hashlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from triptych.data.documents import EMPTY, NO_TOKENS, DocumentReport
from triptych.data.shard_files import (
    ArrayWriter,
    Ids,
    building,
    flat_ids,
    is_built,
    map_array,
    read_corpus,
    token_dtype,
    write_manifest,
)
from triptych.errors import DataError, UsageError

FORMAT = "triptych-documents-1"
ARRAYS = ("tokens.bin", "sentences.bin", "documents.bin")
CHUNK = 8192
"""Sentences tokenised at once: enough for every core, a few tens of megabytes."""
CHUNK_CHARACTERS = 4 * 2**20
"""A chunk ends early where its sentences are long."""

Offsets = npt.NDArray[np.int64]


class SentenceTokenizer(Protocol):
    """Text to ids, without special tokens."""

    @property
    def vocab_size(self) -> int: ...
    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...


@dataclass(frozen=True)
class DocumentShards:
    """Tokenised documents on disk; `shards[i]` gives the sentences of document i as arrays of ids.

    `sentence_offsets` [S + 1] point into `tokens`, `document_offsets` [D + 1] into the sentences.
    The arrays are views of mapped files.
    """

    folder: Path
    manifest: Mapping[str, Any]
    tokens: Ids
    sentence_offsets: Offsets
    document_offsets: Offsets

    def __len__(self) -> int:
        return len(self.document_offsets) - 1

    def __getitem__(self, index: int) -> list[Ids]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        index %= len(self)
        first, end = self.document_offsets[index : index + 2]
        offsets = self.sentence_offsets[first : end + 1].tolist()
        return [self.tokens[a:b] for a, b in pairwise(offsets)]

    @property
    def n_files(self) -> int:
        """The files that the documents came from; 1 where that is not known."""
        return len(self.manifest.get("n_documents_of", [])) or 1

    def files_of(self, places: Offsets) -> Offsets:
        """The file, counted from 0, of the token at each of some places in `tokens` [N] -> [N]."""
        ends = np.cumsum(self.manifest.get("n_documents_of", []) or [len(self)])
        token_ends = self.sentence_offsets[self.document_offsets[ends]]
        return np.searchsorted(token_ends, places, side="right").astype(np.int64)

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits that stand for the content of the arrays."""
        hashes = [self.manifest["files"][name]["sha256"] for name in ARRAYS]
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]

    @classmethod
    def build(
        cls,
        documents: Iterable[Iterable[str]],
        tokenizer: SentenceTokenizer,
        folder: Path,
        fingerprint: Mapping[str, str] | None = None,
        replace: bool = False,
        report: DocumentReport | None = None,
    ) -> "DocumentShards":
        """Tokenise `documents`, each the sentences of one, into `folder`, and map it.

        The documents are consumed as a stream. Sentences without tokens and documents without
        sentences are left out and counted in `report`, which learns the number of tokens too.
        Where `folder` holds a corpus with the same `fingerprint` (see `shards.corpus_fingerprint`)
        it is mapped as it is and `documents` is not touched; another one is refused, or replaced
        on request. A build that is stopped leaves nothing that can be loaded.

        Raises DataError for fewer than two documents, an id outside the vocabulary, or a folder
        that holds something else; LockedError while another process builds here; DiskFullError.
        """
        folder = Path(folder)
        if is_built(folder, FORMAT, ARRAYS, fingerprint or None, replace):
            return cls.load(folder)
        with (
            building(folder) as partial,
            closing(_Writer(partial, tokenizer, report or DocumentReport())) as writer,
        ):
            for document in documents:
                writer.add(document)
            write_manifest(partial, writer.finish(fingerprint or {}))
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path, verify: bool = True) -> "DocumentShards":
        """Map the corpus in `folder`; with `verify` every byte is checked against its SHA-256.

        Raises DataError, naming the file, where one is missing, cut short or changed.
        """
        folder = Path(folder)
        manifest = read_corpus(folder, FORMAT, verify)
        offset = np.dtype("<i8")
        return cls(
            folder=folder,
            manifest=manifest,
            tokens=map_array(folder / "tokens.bin", np.dtype(manifest["dtype"]), (-1,)),
            sentence_offsets=map_array(folder / "sentences.bin", offset, (-1,)),
            document_offsets=map_array(folder / "documents.bin", offset, (-1,)),
        )


class _Writer:
    """The arrays of a corpus while they grow; holds one chunk, and 8 bytes for each document."""

    def __init__(self, folder: Path, tokenizer: SentenceTokenizer, report: DocumentReport) -> None:
        self.tokenizer = tokenizer
        self.report = report
        self.files = {name: ArrayWriter(folder / name) for name in ARRAYS}
        self.texts: list[str] = []
        self.document_of_text: list[int] = []
        self.n_characters = self.n_tokens = 0
        self.n_sentences = array("q")  # kept, of each document

    def add(self, document: Iterable[str]) -> None:
        """Append a document; its sentences are tokenised when a chunk is full."""
        if isinstance(document, str):
            raise UsageError(
                f"a document is a list of sentences, not one text ({document[:40]!r}): use [text]"
            )
        number = len(self.n_sentences)
        self.n_sentences.append(0)
        for sentence in document:
            self.texts.append(sentence)
            self.document_of_text.append(number)
            self.n_characters += len(sentence)
            if len(self.texts) >= CHUNK or self.n_characters >= CHUNK_CHARACTERS:
                self._tokenise()

    def finish(self, fingerprint: Mapping[str, str]) -> dict[str, Any]:
        """Flush the files; the manifest that describes them."""
        self._tokenise()
        kept = np.array(self.n_sentences, dtype="<i8")
        for number in np.flatnonzero(kept == 0):
            self.report.left_out.add(EMPTY, f"document {number + 1}")
        kept = kept[kept > 0]
        if len(kept) < 2:
            place = f"{', '.join(self.report.files)}: " if self.report.files else ""
            raise DataError(
                f"{place}{len(kept)} of the {len(self.n_sentences)} documents have text, but a "
                f"random next sentence is drawn from another document; give at least two"
            )
        self.files["sentences.bin"].write(np.array([self.n_tokens], dtype="<i8"))
        self.files["documents.bin"].write(np.concatenate([[0], kept.cumsum()]).astype("<i8"))
        return {
            "format": FORMAT,
            "n_documents": len(kept),
            "n_sentences": int(kept.sum()),
            "n_tokens": self.n_tokens,
            "vocab_size": self.tokenizer.vocab_size,
            "dtype": token_dtype(self.tokenizer.vocab_size).str,
            "n_documents_of": self._kept_of(self.report.n_documents_of),
            "fingerprint": dict(fingerprint),
            "files": {name: file.finish() for name, file in self.files.items()},
        }

    def _kept_of(self, n_documents_of: Sequence[int]) -> list[int]:
        """Of the documents of each file those that have text; nothing where it is not known."""
        kept = np.array(self.n_sentences) > 0
        borders = np.cumsum(n_documents_of)
        if not len(borders) or borders[-1] != len(kept):
            return []
        return [int(part.sum()) for part in np.split(kept, borders[:-1])]

    def close(self) -> None:
        """Close the files, finished or not."""
        for file in self.files.values():
            file.close()

    def _tokenise(self) -> None:
        """Append the sentences that wait."""
        encoded = self.tokenizer.encode(self.texts) if self.texts else []
        for ids, document in zip(encoded, self.document_of_text, strict=True):
            if ids:
                self.n_sentences[document] += 1
            else:
                self.report.left_out.add(NO_TOKENS, f"document {document + 1}")
        lengths = np.array([len(ids) for ids in encoded if ids], dtype="<i8")
        ends = self.n_tokens + lengths.cumsum()
        self.files["tokens.bin"].write(flat_ids(encoded, self.tokenizer.vocab_size))
        self.files["sentences.bin"].write((ends - lengths).astype("<i8"))
        self.n_tokens = self.report.n_tokens = int(ends[-1]) if len(ends) else self.n_tokens
        self.texts, self.document_of_text, self.n_characters = [], [], 0
