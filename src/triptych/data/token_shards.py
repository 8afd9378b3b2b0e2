"""Text tokenised once into one memory-mapped row of ids, for language models.

The folder of a corpus of D documents and N tokens holds, little-endian and without headers,

    tokens.bin       [N] the token ids, document after document, each with the end-of-text token
                     behind it; uint16 where the vocabulary has fewer than 65,536 entries, else
                     int32
    documents.bin    int64 [D + 1]: where document i begins in tokens.bin
    manifest.json    shapes, fingerprint, size and SHA-256 of each array; written last

No document is empty. Building streams: it holds a few chunks of text, however large a document is,
and no list of them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.data.shard_files import (
    ArrayWriter,
    Ids,
    building,
    is_built,
    map_array,
    read_corpus,
    token_dtype,
    write_manifest,
)
from triptych.data.text_parts import TextPart
from triptych.data.text_stream import TextReport
from triptych.data.tokenizing import Encoded, TextTokenizer, tokenize
from triptych.errors import DataError

FORMAT = "triptych-tokens-1"
ARRAYS = ("tokens.bin", "documents.bin")

Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenShards:
    """Tokenised documents on disk; `shards[i]` gives the ids of document i, its end token included.

    `document_offsets` [D + 1] point into `tokens` [N]. The arrays are views of mapped files.
    """

    folder: Path
    manifest: Mapping[str, Any]
    tokens: Ids
    document_offsets: Offsets

    def __len__(self) -> int:
        return len(self.document_offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of {len(self)}")
        index %= len(self)
        begin, end = self.document_offsets[index : index + 2]
        return self.tokens[begin:end]

    @property
    def eos_id(self) -> int:
        """The token behind each document."""
        return int(self.manifest["eos_id"])

    @property
    def n_bytes(self) -> int:
        """The size of the documents in UTF-8, by which bits per byte are counted."""
        return int(self.manifest["n_bytes"])

    @property
    def content_hash(self) -> str:
        """16 hexadecimal digits that stand for the content of the arrays."""
        hashes = [self.manifest["files"][name]["sha256"] for name in ARRAYS]
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]

    def check_vocabulary(self, vocab_size: int, eos_id: int | None = None) -> None:
        """Raise DataError for a tokenizer or a model that these ids do not belong to.

        A model may have more entries than the tokenizer (an embedding padded to a round number).
        """
        own = self.manifest["vocab_size"]
        if vocab_size < own:
            raise DataError(
                f"{self.folder} was tokenised with a vocabulary of {own:,} entries, this one has "
                f"{vocab_size:,}; use the tokenizer of the model and tokenise the corpus anew"
            )
        if eos_id not in (None, self.eos_id):
            raise DataError(
                f"{self.folder} was tokenised with texts that end in the id {self.eos_id}, here it "
                f"is {eos_id}; use the tokenizer of the model and tokenise the corpus anew"
            )

    @classmethod
    def build(
        cls,
        parts: Iterable[TextPart],
        tokenizer: TextTokenizer,
        folder: Path,
        fingerprint: Mapping[str, str] | None = None,
        replace: bool = False,
        report: TextReport | None = None,
        n_processes: int = 1,
    ) -> "TokenShards":
        """Tokenise the documents in `parts` into `folder`, and map it.

        With `n_processes` above 1, so many others tokenise; the files are the same, to the byte.
        Where `folder` holds a corpus with the same `fingerprint` (see `shards.corpus_fingerprint`)
        it is mapped as it is and `parts` is not touched; another one is refused, or replaced on
        request. A build that is stopped leaves nothing that can be loaded. `report` learns the
        number of tokens and bytes.

        Raises DataError for a corpus without tokens, an id outside the vocabulary, or a folder that
        holds something else; LockedError while another process builds here; DiskFullError.
        """
        folder = Path(folder)
        if is_built(folder, FORMAT, ARRAYS, fingerprint or None, replace):
            return cls.load(folder)
        with (
            building(folder) as partial,
            closing(_Writer(partial, tokenizer)) as writer,
            closing(tokenize(parts, tokenizer, n_processes)) as chunks,
        ):
            for chunk in chunks:
                writer.add(chunk)
            manifest = writer.finish(fingerprint or {})
            write_manifest(partial, manifest)
        if report is not None:
            report.n_tokens, report.n_bytes = manifest["n_tokens"], manifest["n_bytes"]
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path, verify: bool = True) -> "TokenShards":
        """Map the corpus in `folder`; with `verify` every byte is checked against its SHA-256.

        Raises DataError, naming the file, where one is missing, cut short or changed.
        """
        folder = Path(folder)
        manifest = read_corpus(folder, FORMAT, verify)
        return cls(
            folder=folder,
            manifest=manifest,
            tokens=map_array(folder / "tokens.bin", np.dtype(manifest["dtype"]), (-1,)),
            document_offsets=map_array(folder / "documents.bin", np.dtype("<i8"), (-1,)),
        )


class _Writer:
    """The arrays of a corpus while they grow; holds one chunk at a time."""

    def __init__(self, folder: Path, tokenizer: TextTokenizer) -> None:
        self.tokenizer = tokenizer
        self.dtype = token_dtype(tokenizer.vocab_size)
        self.files = {name: ArrayWriter(folder / name) for name in ARRAYS}
        self.n_tokens = self.n_documents = self.n_bytes = 0
        self.begin = 0  # of the document that is being written

    def add(self, chunk: Encoded) -> None:
        """Append the tokens of some parts, and an end token behind each document that ends."""
        ends = chunk.lengths.cumsum()
        begins: list[int] = []
        pieces: list[npt.NDArray[Any]] = []
        done = 0
        eos = np.array([self.tokenizer.eos_id], dtype=self.dtype)
        for end in ends[chunk.is_last].tolist():
            pieces.append(chunk.ids[done:end])
            self.n_tokens += end - done
            done = end
            if self.n_tokens > self.begin:  # a document without tokens is none
                begins.append(self.begin)
                pieces.append(eos)
                self.n_tokens += 1
                self.begin = self.n_tokens
        pieces.append(chunk.ids[done:])
        self.n_tokens += len(chunk.ids) - done
        self.n_documents += len(begins)
        self.n_bytes += chunk.n_bytes
        self.files["tokens.bin"].write(np.concatenate(pieces))
        self.files["documents.bin"].write(np.array(begins, dtype="<i8"))

    def finish(self, fingerprint: Mapping[str, str]) -> dict[str, Any]:
        """Flush the files; the manifest that describes them."""
        assert self.begin == self.n_tokens, "the last document does not end"
        if not self.n_documents:
            raise DataError("there is no text to learn from: no document has a token")
        self.files["documents.bin"].write(np.array([self.n_tokens], dtype="<i8"))
        return {
            "format": FORMAT,
            "n_documents": self.n_documents,
            "n_tokens": self.n_tokens,
            "n_bytes": self.n_bytes,
            "vocab_size": self.tokenizer.vocab_size,
            "eos_id": self.tokenizer.eos_id,
            "dtype": self.dtype.str,
            "fingerprint": dict(fingerprint),
            "files": {name: file.finish() for name, file in self.files.items()},
        }

    def close(self) -> None:
        """Close the files, finished or not."""
        for file in self.files.values():
            file.close()
