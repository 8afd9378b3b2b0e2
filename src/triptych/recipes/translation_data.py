"""From files of sentence pairs to a tokenizer and batches, once for each run folder."""

import json
from collections.abc import Iterator
from pathlib import Path

from triptych.data.batching import BatchStream, Indices, PairBatch, TokenBatches, collate_pairs
from triptych.data.cleaning import CleaningReport, CleaningRules, clean
from triptych.data.hub import is_hub_name
from triptych.data.pairs import SentencePair, read_aligned, read_hub, read_tsv
from triptych.data.resampling import ResampledPairs
from triptych.data.shards import PairShards, corpus_fingerprint
from triptych.data.text import is_read_once
from triptych.errors import DataError, UsageError
from triptych.files.atomic import write_file, write_folder
from triptych.files.notices import notice
from triptych.recipes.run_start import check_same_vocabulary
from triptych.recipes.translation_run import TranslationData
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import JointBpe
from triptych.tokenizers.loading import load_translation_tokenizer


def read_pairs(
    source: tuple[str, ...], target: tuple[str, ...], tolerant: bool = False
) -> Iterator[SentencePair]:
    """Pairs from aligned files, or from tables and Hub names when no target is given.

    Raises DataError for missing, empty or misaligned files.
    """
    if target:
        return read_aligned(source, target, tolerant=tolerant)
    if len(source) == 1 and is_hub_name(source[0]):
        return read_hub(source[0])
    return read_tsv(source, tolerant=tolerant)


class TranslationCorpus:
    """What a run folder holds of its data: `tokenizer/`, `data/` and `cleaning.json`."""

    def __init__(self, data: TranslationData, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.rules = CleaningRules()

    def check(self, start_from: Path | None = None) -> None:
        """Raise what would stop a run sooner or later, before anything is written.

        DataError: files that are missing, empty or misaligned, training pairs of which cleaning
        leaves none, validation pairs that cannot be read. UsageError: standard input or a pipe,
        which cannot be read as often as training needs, or a tokenizer with another vocabulary
        than the model to start from.
        """
        d = self.data
        for name in (*d.source, *d.target, *d.valid_source, *d.valid_target):
            if is_read_once(name):
                raise UsageError(
                    f"training reads its text more than once: give a file, not {name!r}"
                )
        if start_from is not None and d.tokenizer is not None:
            check_same_vocabulary(start_from, d.tokenizer, _entries)
        pairs, report = self.clean_pairs()
        if next(pairs, None) is None:
            reason, n = max(report.counts.items(), key=lambda item: item[1])
            where = f", first at {report.examples[reason][0]}" if n else ""
            raise DataError(
                f"no training pair is left of {report.n_read:,} in {self.data.source[0]}: "
                f"{n:,} are {reason}{where}; a pair is a line in each of two files, or a line "
                "with a tab"
            )
        self.valid_pairs()

    def prepare(self, start_from: Path | None) -> None:
        """Read everything once: report what is unfit, train the tokenizer, write the shards.

        What is already there from an earlier start of the same run is kept.
        """
        tokenizer = self._tokenizer(start_from)
        pairs, report = self.clean_pairs()
        inputs = self.data.source + self.data.target
        fingerprint = corpus_fingerprint(
            inputs, self.folder / "tokenizer", {"cleaning": repr(self.rules)}
        )
        PairShards.build(
            pairs, tokenizer, self.folder / "data", fingerprint, max_tokens=self.data.max_tokens
        )
        if report.n_read:
            self._report(report, PairShards.load(self.folder / "data", verify=False))

    def _report(self, cleaning: CleaningReport, shards: PairShards) -> None:
        """What was left out, and how much of a batch is padding: told, and in cleaning.json."""
        n_too_long = shards.manifest["n_too_long"]
        batches = TokenBatches(shards.lengths, self.data.batch_tokens)
        padding = batches.padding(batches.epoch(0))
        found = {
            **cleaning.to_dict(), "n_more_than_max_tokens": n_too_long, "padding": padding
        }  # fmt: skip
        write_file(self.folder / "cleaning.json", json.dumps(found, indent=1))
        notice(
            f"cleaning left out {cleaning.n_read - cleaning.n_kept:,} of {cleaning.n_read:,} "
            f"pairs, and {n_too_long:,} have more than {self.data.max_tokens} tokens on a side "
            f"(reasons: {self.folder / 'cleaning.json'}); {padding:.1%} of a batch is padding"
        )

    def tokenizer(self) -> TranslationTokenizer:
        """The tokenizer that `prepare` has put there."""
        return load_translation_tokenizer(self.folder / "tokenizer")

    def source(self, start_id: int, seed: int) -> "ShardBatches | ResampledPairs":
        """The endless stream of training batches."""
        tokenizer = self.tokenizer()
        if not self.data.bpe_dropout:
            shards = PairShards.load(self.folder / "data")
            return ShardBatches(shards, tokenizer.pad_id, start_id, self.data.batch_tokens, seed)
        if not isinstance(tokenizer, JointBpe):
            raise UsageError("bpe_dropout needs a joint BPE; this model has SentencePiece files")
        pairs = [(pair.source, pair.target) for pair in self.clean_pairs()[0]]
        d = self.data
        return ResampledPairs(
            pairs, tokenizer, d.bpe_dropout, d.batch_tokens, start_id, seed, d.max_tokens
        )

    def valid_pairs(self) -> list[SentencePair]:
        """The validation set as it stands, uncleaned: scores are over all of it."""
        found = list(read_pairs(self.data.valid_source, self.data.valid_target))
        if not found:
            raise DataError(f"{self.data.valid_source[0]} holds no sentence pairs")
        return found

    def report(self) -> str:
        """What cleaning left out, as JSON; empty before `prepare`."""
        path = self.folder / "cleaning.json"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def clean_pairs(self) -> tuple[Iterator[SentencePair], CleaningReport]:
        pairs = read_pairs(self.data.source, self.data.target, tolerant=True)
        return clean(pairs, self.rules)

    def _tokenizer(self, start_from: Path | None) -> TranslationTokenizer:
        folder = self.folder / "tokenizer"
        given = start_from or (Path(self.data.tokenizer) if self.data.tokenizer else None)
        if folder.is_dir():
            return load_translation_tokenizer(folder)
        if given is not None:
            tokenizer = load_translation_tokenizer(given)
        else:
            tokenizer = JointBpe.train(_CleanLines(self), self.data.vocab_size)
        write_folder(folder, tokenizer.save)  # whole or not there: a stop may come at any time
        return tokenizer


class _CleanLines:
    """Both sides of every clean pair, read from the files each time: nothing stays in memory."""

    def __init__(self, corpus: TranslationCorpus) -> None:
        self.corpus = corpus

    def __iter__(self) -> Iterator[str]:
        for pair in self.corpus.clean_pairs()[0]:
            yield pair.source
            yield pair.target


class ShardBatches:
    """Batches from mapped shards, in the order of a `BatchStream`."""

    def __init__(
        self, shards: PairShards, pad_id: int, start_id: int, batch_tokens: int, seed: int
    ) -> None:
        self.shards, self.pad_id, self.start_id = shards, pad_id, start_id
        self.batches = TokenBatches(shards.lengths, batch_tokens, seed)
        self.stream = BatchStream(self.batches)
        self.state, self.restore = self.stream.state, self.stream.restore

    @property
    def epoch(self) -> int:
        """Passes over the corpus that are complete."""
        return self.stream.epoch

    def __next__(self) -> Indices:
        return next(self.stream)

    def load(self, indices: Indices) -> PairBatch:
        """The padded batch of these pairs."""
        pairs = [self.shards[int(i)] for i in indices]
        return collate_pairs(pairs, self.pad_id, self.start_id, indices)


def _entries(folder: Path) -> list[tuple[str, str]]:
    """What each id is, in a source and in a target."""
    tokenizer = load_translation_tokenizer(folder)
    ids = range(tokenizer.vocab_size)
    return list(zip(tokenizer.source_tokens(ids), tokenizer.target_tokens(ids), strict=True))
