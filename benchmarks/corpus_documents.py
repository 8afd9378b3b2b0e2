"""Does BERT's pretraining corpus fit into a small machine, and how long does its data take?

Reads documents (of `--words` words, in equal parts from each file) into sentences, tokenises them
into mapped shards, maps them with verification, draws one epoch of next-sentence pairs for each of
the paper's two phases, and masks and pads every batch of the first. Prints the time and the private
memory of each step; the limit is 2 GB.

    python benchmarks/corpus_documents.py --text wikipedia.txt.xz books.txt.xz --vocab vocab.txt

What private memory is: `memory_watch.py`.
"""

import argparse
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from memory_watch import conclude, step
from triptych.data.document_shards import DocumentShards
from triptych.data.documents import read_documents
from triptych.data.masking import MaskingRules
from triptych.data.next_sentence import NextSentenceRules
from triptych.data.pretraining_batches import FixedRows, PretrainingBatches


class PublishedPieces:
    """BERT's uncased word pieces, from its published vocabulary."""

    def __init__(self, path: Path) -> None:
        tokens = path.read_text(encoding="utf-8").splitlines()
        ids = {token: number for number, token in enumerate(tokens)}
        self.tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
        self.tokenizer.normalizer = normalizers.BertNormalizer()
        self.tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self.vocab_size = len(tokens)
        names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        self.pad_id, _, self.cls_id, self.sep_id, self.mask_id = (ids[name] for name in names)
        self.special_ids = frozenset(ids[name] for name in names)
        self.is_continuation = np.array([token.startswith("##") for token in tokens])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]


def part(documents: Iterable[list[str]], n_words: int) -> Iterator[list[str]]:
    """Documents from the first on, until they have `n_words` words."""
    for document in documents:
        yield document
        n_words -= sum(len(sentence.split()) for sentence in document)
        if n_words <= 0:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--vocab", type=Path, required=True)
    parser.add_argument("--words", type=int, default=3_000_000)
    parser.add_argument("--folder", type=Path, default=Path("build/corpus_documents"))
    parser.add_argument("--keep", action="store_true", help="keep the folder at the end")
    options = parser.parse_args()
    tokenizer = PublishedPieces(options.vocab)
    peaks: list[float] = []

    def documents() -> Iterator[list[str]]:
        for path in options.text:
            yield from part(read_documents(path)[0], options.words // len(options.text))

    def build() -> str:
        shards = DocumentShards.build(documents(), tokenizer, options.folder, replace=True)
        counts = (f"{shards.manifest[f'n_{name}']:,} {name}"
                  for name in ("documents", "sentences", "tokens"))  # fmt: skip
        n_bytes = sum(path.stat().st_size for path in options.folder.iterdir())
        return f"{', '.join(counts)}, {n_bytes / 1e6:,.0f} MB"

    peaks.append(step("read, split, tokenise", build))
    loaded: list[DocumentShards] = []
    peaks.append(step("map and verify", lambda: loaded.append(DocumentShards.load(options.folder))))
    sources: list[PretrainingBatches] = []

    def draw(max_seq_len: int, batch_size: int) -> str:
        rules, rows = NextSentenceRules(max_seq_len), FixedRows(batch_size)
        source = PretrainingBatches(loaded[0], tokenizer, rules, MaskingRules(), rows, seed=0)
        sources.append(source)
        return f"{source.n_batches:,} batches of {batch_size}"

    peaks.append(step("draw an epoch of 128 tokens", lambda: draw(128, 256)))
    peaks.append(step("draw an epoch of 512 tokens", lambda: draw(512, 64)))
    seconds: list[float] = []

    def load() -> str:
        real = padded = 0
        for _ in range(sources[0].n_batches):
            choice = next(sources[0])
            begin = time.perf_counter()
            batch = sources[0].load(choice)
            seconds.append(time.perf_counter() - begin)
            real += int(batch.valid.sum())
            padded += batch.valid.numel()
        return f"{np.median(seconds) * 1e3:.2f} ms a batch, {1 - real / padded:.2%} padding"

    peaks.append(step("mask and pad every batch", load))
    if not options.keep:
        shutil.rmtree(options.folder)
    conclude(peaks)


if __name__ == "__main__":
    main()
