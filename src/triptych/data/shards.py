"""A parallel corpus, tokenised once into memory-mapped arrays.

The folder of a corpus of N pairs holds, all little-endian and without headers,

    source.bin, target.bin   the token ids, sentence after sentence; uint16 where the vocabulary has
                             fewer than 65,536 entries, else int32
    offsets.bin              int64 [N + 1, 2]: where sentence i begins in source.bin and target.bin
    lengths.bin              int32 [N, 2]: its tokens on each side, the end token included
    manifest.json            shapes, fingerprint, size and SHA-256 of each array; written last

so a training process reads from the page cache and keeps almost nothing of its own: 5 million
pairs cost it megabytes, whatever their length.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triptych.data.pairs import SentencePair
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
from triptych.errors import DataError
from triptych.tokenizers.base import TranslationTokenizer

FORMAT = "triptych-pairs-1"
ARRAYS = ("source.bin", "target.bin", "offsets.bin", "lengths.bin")
CHUNK = 8192
"""Pairs tokenised at once: enough for every core, a few tens of megabytes."""

Pair = SentencePair | tuple[str, str]


@dataclass(frozen=True)
class PairShards:
    """N tokenised pairs on disk; `shards[i]` gives the source and target ids of pair i.

    The ids end in the end token; no start token is stored. The arrays are views of mapped files.
    """

    folder: Path
    manifest: Mapping[str, Any]
    source: Ids
    target: Ids
    offsets: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[Ids, Ids]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        index %= len(self)
        (source_begin, target_begin), (source_end, target_end) = self.offsets[index : index + 2]
        return self.source[source_begin:source_end], self.target[target_begin:target_end]

    @classmethod
    def build(
        cls,
        pairs: Iterable[Pair],
        tokenizer: TranslationTokenizer,
        folder: Path,
        fingerprint: Mapping[str, str] | None = None,
        max_tokens: int | None = None,
        replace: bool = False,
    ) -> "PairShards":
        """Tokenise `pairs` into `folder`, and map it.

        The pairs are consumed in chunks and never held together. A pair with a side of more than
        `max_tokens` tokens, its end token counted, is left out and counted in
        `manifest["n_too_long"]`. Where `folder` holds a corpus with the same `fingerprint` (see
        `corpus_fingerprint`) it is mapped as it is and `pairs` is not touched; another one is
        refused, or replaced on request. A build that is stopped leaves nothing that can be loaded.

        Raises DataError for an empty corpus, an id outside the vocabulary, or a folder that holds
        something else; LockedError while another process builds here; DiskFullError.
        """
        folder = Path(folder)
        wanted = {**(fingerprint or {}), "max_tokens": str(max_tokens)}
        if is_built(folder, FORMAT, ARRAYS, wanted if fingerprint else None, replace):
            return cls.load(folder)
        with (
            building(folder) as partial,
            closing(_Writer(partial, tokenizer, max_tokens)) as writer,
        ):
            stream = iter(pairs)
            while chunk := list(islice(stream, CHUNK)):
                writer.add(chunk)
            write_manifest(partial, writer.finish(wanted if fingerprint else {}))
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path, verify: bool = True) -> "PairShards":
        """Map the corpus in `folder`; with `verify` every byte is checked against its SHA-256.

        Raises DataError, naming the file, where one is missing, cut short or changed.
        """
        folder = Path(folder)
        manifest = read_corpus(folder, FORMAT, verify)
        n_pairs, dtype = manifest["n_pairs"], np.dtype(manifest["dtype"])
        return cls(
            folder=folder,
            manifest=manifest,
            source=map_array(folder / "source.bin", dtype, (-1,)),
            target=map_array(folder / "target.bin", dtype, (-1,)),
            offsets=map_array(folder / "offsets.bin", np.dtype("<i8"), (n_pairs + 1, 2)),
            lengths=map_array(folder / "lengths.bin", np.dtype("<i4"), (n_pairs, 2)),
        )


def corpus_fingerprint(
    inputs: Iterable[str | Path], tokenizer_folder: Path, rules: Mapping[str, object]
) -> dict[str, str]:
    """What a tokenised corpus depends on, each as a hash: its inputs, its tokenizer, its rules.

    An input that is a file counts by its content, wherever it lies; any other (a name on the Hub, a
    generator with its seed) by its text. A tokenizer counts by the files `save` has written.
    """
    inputs_hash = hashlib.sha256()
    for name in inputs:
        path = Path(name)
        inputs_hash.update(_file_hash(path) if path.is_file() else str(name).encode())
        inputs_hash.update(b"\0")
    tokenizer_hash = hashlib.sha256()
    for path in sorted(tokenizer_folder.iterdir()):
        if path.is_file():
            tokenizer_hash.update(path.name.encode() + b"\0" + _file_hash(path))
    rules_text = json.dumps(dict(rules), sort_keys=True)
    return {
        "inputs": inputs_hash.hexdigest(),
        "tokenizer": tokenizer_hash.hexdigest(),
        "rules": hashlib.sha256(rules_text.encode()).hexdigest(),
    }


def _file_hash(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


class _Writer:
    """The arrays of a corpus while they grow; holds one chunk at a time."""

    def __init__(self, folder: Path, tokenizer: TranslationTokenizer, max_tokens: int | None):
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.dtype = token_dtype(tokenizer.vocab_size)
        self.files = {name: ArrayWriter(folder / name) for name in ARRAYS}
        self.end = np.zeros((1, 2), dtype="<i8")
        self.n_read = self.n_pairs = 0

    def add(self, pairs: list[Pair]) -> None:
        """Tokenise one chunk and append it."""
        texts = [self._texts(pair) for pair in pairs]
        source_ids = self.tokenizer.encode_source([source for source, _ in texts])
        target_ids = self.tokenizer.encode_target([target for _, target in texts])
        lengths = np.array(
            [(len(s), len(t)) for s, t in zip(source_ids, target_ids, strict=True)], dtype="<i4"
        )
        if self.max_tokens is not None:
            keep = np.flatnonzero(lengths.max(axis=1) <= self.max_tokens)
            lengths = lengths[keep]
            source_ids = [source_ids[i] for i in keep]
            target_ids = [target_ids[i] for i in keep]
        self.n_read += len(pairs)
        self.n_pairs += len(lengths)
        offsets = np.concatenate([self.end, self.end + lengths.cumsum(axis=0, dtype="<i8")])
        self.end = offsets[-1:]
        self.files["source.bin"].write(flat_ids(source_ids, self.tokenizer.vocab_size))
        self.files["target.bin"].write(flat_ids(target_ids, self.tokenizer.vocab_size))
        self.files["offsets.bin"].write(offsets[:-1])
        self.files["lengths.bin"].write(lengths)

    def finish(self, fingerprint: Mapping[str, str]) -> dict[str, Any]:
        """Flush the files; the manifest that describes them."""
        if self.n_pairs == 0:
            why = f": all {self.n_read:,} have more than {self.max_tokens} tokens"
            raise DataError(f"the corpus holds no pairs{why if self.n_read else ''}")
        self.files["offsets.bin"].write(self.end)
        files = {name: file.finish() for name, file in self.files.items()}
        return {
            "format": FORMAT,
            "n_pairs": self.n_pairs,
            "n_source_tokens": int(self.end[0, 0]),
            "n_target_tokens": int(self.end[0, 1]),
            "n_too_long": self.n_read - self.n_pairs,
            "vocab_size": self.tokenizer.vocab_size,
            "dtype": self.dtype.str,
            "fingerprint": dict(fingerprint),
            "files": files,
        }

    def close(self) -> None:
        """Close the files, finished or not."""
        for file in self.files.values():
            file.close()

    def _texts(self, pair: Pair) -> tuple[str, str]:
        if isinstance(pair, SentencePair):
            if pair.fault:
                raise DataError(f"{pair.place}: {pair.fault}; clean the corpus before training")
            return pair.source, pair.target
        return pair
