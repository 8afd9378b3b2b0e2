"""From files of documents to a tokenizer and batches, once for each run folder."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from triptych.data.document_shards import DocumentShards
from triptych.data.documents import read_documents
from triptych.data.masking import MaskingRules
from triptych.data.next_sentence import NextSentenceRules
from triptych.data.phases import PhasedBatches
from triptych.data.pretraining_batches import FixedRows, PretrainingBatch, PretrainingBatches
from triptych.data.shards import corpus_fingerprint
from triptych.data.text import read_lines
from triptych.errors import UsageError
from triptych.files.atomic import write_folder
from triptych.files.notices import notice
from triptych.recipes.bert_run import BertData, BertRun
from triptych.recipes.run_start import build_texts, check_same_vocabulary, entries
from triptych.tokenizers.wordpiece import WordPiece

VALID_SEED = 0
"""Validation pairs and masks are the same in every run."""
VALID_ROWS = 64
"""Inputs of a batch of validation; fewer where they are long."""


class BertCorpus:
    """What a run folder holds of its data: `tokenizer/`, `data/`, `valid/` and `corpus.json`."""

    def __init__(self, data: BertData, folder: Path) -> None:
        self.data, self.folder = data, folder

    def check(self, start_from: Path | None = None) -> None:
        """Raise what would stop a run at once: UsageError for standard input, or for a tokenizer
        with another vocabulary than the model to start from; DataError for files
        that cannot be read or hold fewer than two documents."""
        if "-" in self.data.text + self.data.valid_text:
            raise UsageError("training reads its text more than once: give a file instead of '-'")
        if start_from is not None and self.data.tokenizer is not None:
            check_same_vocabulary(start_from, self.data.tokenizer, _entries)
        for files in (self.data.text, self.data.valid_text):
            list(islice(read_documents(files, self.data.language)[0], 2))

    def prepare(self, start_from: Path | None) -> None:
        """Read everything once: train the tokenizer, write the shards, report what was left out.

        What is already there from an earlier start of the same run is kept.
        """
        tokenizer = self._tokenizer(start_from)
        build_texts(self.folder, self.data, lambda files, name: self._build(files, name, tokenizer))

    def tokenizer(self) -> WordPiece:
        """The tokenizer that `prepare` has put there."""
        return WordPiece.load(self.folder / "tokenizer")

    def source(self, run: BertRun) -> PhasedBatches:
        """The endless stream of training batches: short inputs, then, if asked for, long ones."""
        shards, tokenizer = DocumentShards.load(self.folder / "data"), self.tokenizer()
        n_short = (run.training.max_updates - run.long.long_updates) * run.training.accumulate
        phases = [(n_short, self.data.max_seq_len, self.data.batch_size)]
        if run.long.long_updates:
            phases.append((0, run.long.long_seq_len, run.long.long_batch_size))
        return PhasedBatches(
            [
                (n, self._batches(shards, tokenizer, length, rows, run.training.seed + number))
                for number, (n, length, rows) in enumerate(phases)
            ]
        )

    def valid_batches(
        self, tokenizer: WordPiece, max_seq_len: int
    ) -> Iterator[tuple[PretrainingBatch, Tensor]]:
        """One pass over the validation documents, always with the same pairs and masks; with each
        batch the file, counted from 0, of the first part of every input [B]."""
        shards = DocumentShards.load(self.folder / "valid", verify=False)
        rows = max(1, VALID_ROWS * self.data.max_seq_len // max_seq_len)
        source = self._batches(shards, tokenizer, max_seq_len, rows, VALID_SEED)
        for _ in range(source.n_batches):
            choice = next(source)
            files = shards.files_of(choice.pairs.ranges[:, 0])
            yield source.load(choice), torch.from_numpy(files)

    def valid_files(self) -> list[str]:
        """What each validation file is called in the metrics; nothing where there is but one."""
        if DocumentShards.load(self.folder / "valid", verify=False).n_files == 1:
            return []
        names = [Path(file).name.split(".")[0] for file in self.data.valid_text]
        if len(set(names)) < len(names):
            return [f"{name}_{number}" for number, name in enumerate(names, start=1)]
        return names

    def _batches(
        self, shards: DocumentShards, tokenizer: WordPiece, length: int, rows: int, seed: int
    ) -> PretrainingBatches:
        return PretrainingBatches(
            shards,
            tokenizer,
            NextSentenceRules(max_seq_len=length, short_seq_prob=self.data.short_seq_prob),
            MaskingRules(mask_prob=self.data.mask_prob, whole_words=self.data.whole_words),
            FixedRows(rows),
            seed,
        )

    def _build(
        self, files: tuple[str, ...], name: str, tokenizer: WordPiece
    ) -> dict[str, object] | None:
        """The shards of some files; gives the report if they were read."""
        documents, report = read_documents(files, self.data.language)
        rules = {"language": self.data.language}
        fingerprint = corpus_fingerprint(files, self.folder / "tokenizer", rules)
        DocumentShards.build(documents, tokenizer, self.folder / name, fingerprint, report=report)
        if not report.n_documents:
            return None
        n_left_out = sum(report.left_out.counts.values())
        notice(
            f"{name}: {report.n_documents:,} documents, {report.n_sentences:,} sentences, "
            f"{report.n_tokens:,} tokens; {n_left_out:,} lines or sentences were left out "
            f"(reasons: {self.folder / 'corpus.json'})"
        )
        return report.to_dict()

    def _tokenizer(self, start_from: Path | None) -> WordPiece:
        folder = self.folder / "tokenizer"
        given = start_from or (Path(self.data.tokenizer) if self.data.tokenizer else None)
        if folder.is_dir():
            return WordPiece.load(folder)
        if given is not None:
            tokenizer = WordPiece.load(given)
        else:
            lines = _Lines(self.data.text)
            lowercase = not self.data.keep_case
            tokenizer = WordPiece.train(lines, self.data.vocab_size, lowercase=lowercase)
        write_folder(folder, tokenizer.save)  # whole or not there: a stop may come at any time
        return tokenizer


class _Lines:
    """The lines of all files, read anew each time; one that is not UTF-8 is passed over."""

    def __init__(self, files: tuple[str, ...]) -> None:
        self.files = files

    def __iter__(self) -> Iterator[str]:
        for name in self.files:
            yield from read_lines(name, lambda invalid: None)


def _entries(folder: Path) -> list[str]:
    return entries(WordPiece.load(folder))
