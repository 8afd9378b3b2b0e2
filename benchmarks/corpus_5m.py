"""Does a corpus of WMT's size fit into a small machine?

Writes storybook pairs (5 million by default) through cleaning and the tokenizer into mapped shards,
maps them with verification, draws one epoch of token batches, and pads each batch once. Prints the
time and the private memory of each step; the limit is 2 GB.

    python benchmarks/corpus_5m.py --pairs 5000000 --folder build/corpus_5m

What private memory is: `memory_watch.py`.
"""

import argparse
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from memory_watch import conclude, step
from triptych.data.batching import Indices, TokenBatches, collate_pairs
from triptych.data.cleaning import CleaningReport, CleaningRules, clean
from triptych.data.pairs import SentencePair
from triptych.data.shards import PairShards
from triptych.data.storybook import stories
from triptych.tokenizers.bpe import JointBpe


class Timed:
    """An iterable that knows how long its own source took."""

    def __init__(self, pairs: Iterable[SentencePair]) -> None:
        self.pairs = iter(pairs)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[SentencePair]:
        while True:
            begin = time.perf_counter()
            pair = next(self.pairs, None)
            self.seconds += time.perf_counter() - begin
            if pair is None:
                return
            yield pair


def storybook_pairs(n_pairs: int, seed: int) -> Iterator[SentencePair]:
    """The first `n_pairs` sentence pairs of the stories of a seed."""
    made = 0
    for story in stories(seed, n_pairs):
        for sentence in story.sentences:
            yield SentencePair(sentence.english, sentence.german)
            made += 1
            if made == n_pairs:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path, default=Path("build/corpus_5m"))
    parser.add_argument("--vocab-size", type=int, default=3000)
    parser.add_argument("--max-tokens", type=int, default=4096)
    parser.add_argument("--keep", action="store_true", help="keep the folder at the end")
    options = parser.parse_args()
    peaks: list[float] = []

    sample = [text for pair in storybook_pairs(20_000, seed=1) for text in pair]
    tokenizer = JointBpe.train(sample, options.vocab_size)

    # Stories repeat short sentences; dropping those would make the corpus smaller than promised.
    rules = CleaningRules(drop_duplicates=False)
    source = Timed(storybook_pairs(options.pairs, seed=2))
    reports: list[CleaningReport] = []

    def build() -> str:
        pairs, report = clean(source, rules)
        reports.append(report)
        shards = PairShards.build(pairs, tokenizer, options.folder, replace=True)
        n_bytes = sum(path.stat().st_size for path in options.folder.iterdir())
        return f"{len(shards):,} pairs, {n_bytes / 1e6:,.0f} MB; stories: {source.seconds:.1f} s"

    peaks.append(step("write, clean, tokenise", build))
    print(reports[0])
    shards: list[PairShards] = []
    peaks.append(step("map and verify", lambda: shards.append(PairShards.load(options.folder))))
    corpus = shards[0]
    batches = TokenBatches(corpus.lengths, options.max_tokens, seed=0)
    epoch: list[Indices] = []

    def draw() -> str:
        drawn = batches.epoch(0)
        epoch.extend(drawn)
        return f"{len(drawn):,} batches, {batches.padding(drawn):.2%} padding"

    peaks.append(step("draw one epoch", draw))

    def pad() -> str:
        n_tokens = 0
        for indices in epoch:
            pairs = [corpus[int(i)] for i in indices]
            n_tokens += collate_pairs(pairs, tokenizer.pad_id, tokenizer.pad_id).n_target_tokens
        return f"{n_tokens:,} target tokens"

    peaks.append(step("pad every batch", pad))
    if not options.keep:
        shutil.rmtree(options.folder)
    conclude(peaks)


if __name__ == "__main__":
    main()
