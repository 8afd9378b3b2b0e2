"""From files of text to words, sentences and batches, once for each run folder."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from triptych.data.shards import corpus_fingerprint
from triptych.data.text_parts import TextPart
from triptych.data.text_stream import TextReport, list_files, read_texts
from triptych.data.token_shards import TokenShards
from triptych.data.word_batches import WordBatch, WordBatches, sentence_parts
from triptych.errors import UsageError
from triptych.files.notices import notice
from triptych.recipes.elmo_run import ElmoData, ElmoRun
from triptych.recipes.run_start import build_texts
from triptych.tokenizers.words import WORDS_FILE, Words, count_words

VOCABULARY = "vocabulary"
"""Within `tokenizer/`: the words that are predicted; `tokenizer/` itself has all that are read."""


class ElmoCorpus:
    """What a run folder holds of its data: `tokenizer/`, `data/`, `valid/` and `corpus.json`."""

    def __init__(self, data: ElmoData, folder: Path) -> None:
        self.data, self.folder = data, folder

    def check(self) -> None:
        """Raise what would stop a run at once: UsageError for standard input, DataError for files
        that cannot be read or hold no text."""
        if "-" in self.data.text + self.data.valid_text:
            raise UsageError("training reads its text more than once: give a file instead of '-'")
        for files in (self.data.text, self.data.valid_text):
            list(islice(self._sentences(files)[0], 1))

    def prepare(self, start_from: Path | None) -> None:
        """Count the words, write the sentences as shards, report what was left out.

        `start_from` gives the words to predict. What is already there from an earlier start of the
        same run is kept.
        """
        tokenizer = self.folder / "tokenizer"
        if not (tokenizer / WORDS_FILE).exists():
            read, valid = map(self._count, (self.data.text, self.data.valid_text))
            vocabulary = (
                Words.load(start_from)
                if start_from is not None
                else Words.commonest(read, self.data.vocab_size)
            )
            vocabulary.save(tokenizer / VOCABULARY)
            vocabulary.extended(chain(read, valid)).save(tokenizer)
        words = Words.load(tokenizer)
        build_texts(self.folder, self.data, lambda files, name: self._build(files, name, words))

    def vocabulary(self) -> Words:
        """The words that are predicted."""
        return Words.load(self.folder / "tokenizer" / VOCABULARY)

    def source(self, run: ElmoRun) -> WordBatches:
        """The endless stream of training batches."""
        return self._batches("data", run.training.seed)

    def valid_batches(self) -> Iterator[WordBatch]:
        """One pass over the validation text, always in the same batches."""
        source = self._batches("valid", 0)
        for choice in source.batches.epoch(0):
            yield source.load(choice)

    def _batches(self, name: str, seed: int) -> WordBatches:
        shards = TokenShards.load(self.folder / name)
        words, vocab_size = Words.load(self.folder / "tokenizer"), self.vocabulary().vocab_size
        shards.check_vocabulary(words.vocab_size, words.eos_id)
        return WordBatches(shards, words, vocab_size, self.data.batch_words, seed)

    def _count(self, inputs: tuple[str, ...]) -> Counter[str]:
        return count_words(part.text for part in self._sentences(inputs)[0])

    def _sentences(self, inputs: tuple[str, ...]) -> tuple[Iterator[TextPart], TextReport]:
        parts, report = read_texts(inputs, "line", self.data.text_field)
        return sentence_parts(parts, self.data.language, self.data.max_seq_len), report

    def _build(self, inputs: tuple[str, ...], name: str, words: Words) -> dict[str, object] | None:
        """The shards of some inputs; gives the report if they were read."""
        parts, report = self._sentences(inputs)
        d = self.data
        rules = {"text_field": d.text_field, "language": d.language, "longest": d.max_seq_len}
        fingerprint = corpus_fingerprint(list_files(inputs), self.folder / "tokenizer", rules)
        shards = TokenShards.build(parts, words, self.folder / name, fingerprint, report=report)
        if not report.n_documents:
            return None
        n_left_out = sum(report.left_out.counts.values())
        notice(
            f"{name}: {report.n_documents:,} lines, {len(shards):,} sentences, "
            f"{report.n_tokens - len(shards):,} words; {n_left_out:,} lines were left out "
            f"(reasons: {self.folder / 'corpus.json'})"
        )
        return {**report.to_dict(), "n_sentences": len(shards)}
