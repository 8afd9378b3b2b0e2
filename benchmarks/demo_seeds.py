"""The demo's first panel for several seeds and lengths, measured without its test sentences.

    python benchmarks/demo_seeds.py [--seeds 1 2 3] [--updates 1300 1500 1800] [--threads 2]
                                    [--out runs/demo_seeds] [--json FILE]

So that the number of updates can be chosen here, and the demo's test sentences be looked at once.
A seed draws the corpus, the weights and the order of the data. Training and the choice of the
aligning head see what the demo's would; BLEU, senses and alignment error are measured on 500
sentences more, which are in none of the demo's three lists for that seed. Two to three minutes a
seed and length on two cores; a run that is there already is not trained again.
"""

import argparse
import statistics
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from in_turn import machine, write_json
from triptych.data.storybook import StorySentence, translation_split
from triptych.data.storybook.splits import distinct_sentences
from triptych.recipes.demo import FULL, DemoSize, measure, train_translator

N_VALID, N_MEASURED = 300, 500
FIGURES = ("bleu", "senses", "alignment_error_rate")


def further_sentences(seed: int, size: DemoSize) -> list[StorySentence]:
    """The next sentences that the seed draws after all that the demo uses."""
    used = size.n_train + N_VALID + size.n_test
    return list(islice(distinct_sentences(seed), used, used + N_MEASURED))


def measured(out: Path, size: DemoSize, seed: int) -> dict[str, Any]:
    """One run and its figures."""
    split = translation_split(seed, size.n_train, N_VALID, size.n_test)
    folder = out / f"seed-{seed}-updates-{size.max_updates}"
    translator, seconds = train_translator(folder, split, size, seed, "cpu")
    found = measure(translator, further_sentences(seed, size))
    return {
        "seed": seed,
        "updates": size.max_updates,
        "bleu": found.scores.bleu.bleu,
        "senses": found.senses.accuracy,
        "n_senses": found.senses.n,
        "alignment_error_rate": found.alignment.aer,
        "seconds": round(seconds, 1),
    }


def line(row: dict[str, Any], what: str) -> str:
    """A row of figures as it is printed."""
    return (
        f"{what}: BLEU {row['bleu']:.1f}, senses {row['senses']:.1%}, "
        f"alignment error {row['alignment_error_rate']:.1%}"
    )


def main() -> None:
    """Print every run, then the median and the range for each length."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--updates", type=int, nargs="+", default=[1300, 1500, 1800])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/demo_seeds"))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for updates in given.updates:
        size = replace(FULL, max_updates=updates)
        own = [measured(given.out, size, seed) for seed in given.seeds]
        for row in own:
            print(line(row, f"{updates} updates, seed {row['seed']}, {row['seconds']:.0f} s"))
        middle = {name: statistics.median(row[name] for row in own) for name in FIGURES}
        print(line(middle, f"{updates} updates, median of {len(own)}"), flush=True)
        rows += own
    if given.json:
        write_json(given.json, {"machine": machine(), "runs": rows})


if __name__ == "__main__":
    main()
