"""From files of text to a tokenizer and batches, once for each run folder."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from triptych.data.packed_batches import PackedBatch, PackedBatches
from triptych.data.packing import PackingRules
from triptych.data.shards import corpus_fingerprint
from triptych.data.text_stream import list_files, read_texts
from triptych.data.token_shards import TokenShards
from triptych.errors import UsageError
from triptych.files.atomic import write_folder
from triptych.files.notices import notice
from triptych.models.gpt import GptConfig
from triptych.recipes.gpt_run import GptData, GptRun
from triptych.recipes.run_start import build_texts, check_same_vocabulary, entries
from triptych.tokenizers.base import GeneratorTokenizer
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters
from triptych.tokenizers.loading import load_generator_tokenizer


class GptCorpus:
    """What a run folder holds of its data: `tokenizer/`, `data/`, `valid/` and `corpus.json`."""

    def __init__(self, data: GptData, folder: Path, n_processes: int = 1) -> None:
        """`n_processes` tokenise; what they write does not depend on how many they are."""
        self.data, self.folder, self.n_processes = data, folder, n_processes

    def check(self, start_from: Path | None = None) -> None:
        """Raise what would stop a run at once: UsageError for standard input, or for a tokenizer
        with another vocabulary than the model to start from; DataError for files
        that cannot be read or hold no text."""
        if "-" in self.data.text + self.data.valid_text:
            raise UsageError("training reads its text more than once: give a file instead of '-'")
        if start_from is not None and self.data.tokenizer is not None:
            check_same_vocabulary(start_from, self.data.tokenizer, _entries)
        for files in (self.data.text, self.data.valid_text):
            parts, _ = read_texts(files, self.data.documents, self.data.text_field)
            list(islice(parts, 1))

    def prepare(self, start_from: Path | None) -> None:
        """Read everything once: train the tokenizer, write the shards, report what was left out.

        What is already there from an earlier start of the same run is kept.
        """
        tokenizer = self._tokenizer(start_from)
        build_texts(self.folder, self.data, lambda files, name: self._build(files, name, tokenizer))

    def tokenizer(self) -> ByteBpe | Characters:
        """The tokenizer that `prepare` has put there."""
        return load_generator_tokenizer(self.folder / "tokenizer")

    def source(self, run: GptRun, config: GptConfig) -> PackedBatches:
        """The endless stream of training batches. Raises DataError where they do not fit the
        model's vocabulary."""
        shards = TokenShards.load(self.folder / "data")
        shards.check_vocabulary(config.vocab_size, config.eos_id)
        return PackedBatches(shards, self._rules(), self.data.batch_size, run.training.seed)

    def valid_batches(self) -> Iterator[PackedBatch]:
        """One pass over the validation text, each token once, always in the same rows."""
        shards = TokenShards.load(self.folder / "valid", verify=False)
        source = PackedBatches(shards, self._rules(), self.data.batch_size, seed=0)
        for choice in source.epoch_choices(0):
            yield source.load(choice)

    @property
    def n_valid_bytes(self) -> int:
        """The size of the validation text in UTF-8."""
        return TokenShards.load(self.folder / "valid", verify=False).n_bytes

    def _rules(self) -> PackingRules:
        d = self.data
        return PackingRules(d.max_seq_len, d.whole_documents, d.attend_across, d.reset_positions)

    def _build(
        self, inputs: tuple[str, ...], name: str, tokenizer: GeneratorTokenizer
    ) -> dict[str, object] | None:
        """The shards of some inputs; gives the report if they were read."""
        parts, report = read_texts(inputs, self.data.documents, self.data.text_field)
        rules = {"documents": self.data.documents, "text_field": self.data.text_field}
        files = list_files(inputs)
        fingerprint = corpus_fingerprint(files, self.folder / "tokenizer", rules)
        TokenShards.build(
            parts, tokenizer, self.folder / name, fingerprint,
            report=report, n_processes=self.n_processes,
        )  # fmt: skip
        if not report.n_documents:
            return None
        n_left_out = sum(report.left_out.counts.values())
        notice(
            f"{name}: {report.n_documents:,} documents, {report.n_bytes:,} bytes, "
            f"{report.n_tokens:,} tokens; {n_left_out:,} lines or documents were left out "
            f"(reasons: {self.folder / 'corpus.json'})"
        )
        return report.to_dict()

    def _tokenizer(self, start_from: Path | None) -> ByteBpe | Characters:
        folder = self.folder / "tokenizer"
        given = start_from or (Path(self.data.tokenizer) if self.data.tokenizer else None)
        if folder.is_dir():
            return load_generator_tokenizer(folder)
        tokenizer: ByteBpe | Characters
        if given is not None:
            tokenizer = load_generator_tokenizer(given)
        else:
            parts, _ = read_texts(self.data.text, self.data.documents, self.data.text_field)
            texts = (part.text for part in parts)
            if self.data.kind == "byte-bpe":
                tokenizer = ByteBpe.train(texts, self.data.vocab_size)
            else:
                tokenizer = Characters.train(texts, self.data.vocab_size)
        write_folder(folder, tokenizer.save)  # whole or not there: a stop may come at any time
        return tokenizer


def _entries(folder: Path) -> list[str]:
    return entries(load_generator_tokenizer(folder))
