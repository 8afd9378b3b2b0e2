"""Six tasks from a pretrained encoder and from random weights, five seeds each, in one table.

    python benchmarks/finetune_six.py MODEL [--tasks sst2 trec …] [--epochs 5] [--seeds 5]
                                      [--data ../shared/data] [--out runs/six]

Each row is two runs of `triptych finetune`, which are printed as the commands that they are: the
model as it is, at `--learning-rate`, and its shape with weights drawn anew (`--from-scratch`), at
`--scratch-learning-rate`. A run that is there already is not trained again. The gap is that of the
medians; it is clear where it is larger than the spread of either side: by its range, largest less
smallest, and, which one seed out of line does not decide, by its interquartile range.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """Where its files are, and the figure it is known by."""

    kind: str
    files: str
    metric: str


TASKS = {
    "sst2": Task("classification", "--train sst2/train.tsv --valid sst2/dev.tsv", "accuracy"),
    "cola": Task(
        "classification",
        "--train cola/in_domain_train.tsv --valid cola/in_domain_dev.tsv"
        " --text-column 4 --label-column 2 --select matthews",
        "matthews",
    ),
    "mrpc": Task("classification", "--train mrpc/msr_paraphrase_train.txt", "accuracy"),
    "rte": Task("classification", "--train rte/train.tsv --valid rte/dev.tsv", "accuracy"),
    "stsb": Task(
        "regression", "--train stsb/stsb-en-train.csv --valid stsb/stsb-en-dev.csv", "spearman"
    ),
    "trec": Task("classification", "--train trec/TREC.train", "accuracy"),
}


def command(name: str, given: argparse.Namespace, scratch: bool) -> list[str]:
    """The command of one side of a row."""
    task, out = TASKS[name], given.out / (f"{name}-scratch" if scratch else name)
    files = [str(given.data / word) if "/" in word else word for word in shlex.split(task.files)]
    rate = given.scratch_learning_rate if scratch else given.learning_rate
    options = f"--epochs {given.epochs} --seeds {given.seeds} --learning-rate {rate:g}"
    options += f" --batch-size {given.batch_size} --dropout {given.dropout} --precision bf16"
    return [
        *("triptych", "finetune", task.kind, str(given.model), *files, *options.split()),
        *(["--from-scratch"] if scratch else []),
        *("--out", str(out)),
    ]


def run(words: list[str], threads: int) -> dict[str, Any]:
    """What the command found, for the metric's sake from its `summary.json`."""
    print(shlex.join(words), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "triptych.cli.main", *words[1:], "--quiet"],
        check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )  # fmt: skip
    sys.stdout.write(done.stdout)
    return dict(json.loads((Path(words[-1]) / "summary.json").read_text(encoding="utf-8")))


def row(name: str, given: argparse.Namespace) -> str:
    """A line of the table."""
    metric = TASKS[name].metric
    ours, anew = (
        run(command(name, given, scratch), given.threads)["metrics"][metric]
        for scratch in (False, True)
    )
    gap = ours["median"] - anew["median"]
    ranges = [side["maximum"] - side["minimum"] for side in (ours, anew)]
    quartiles = [side["interquartile_range"] for side in (ours, anew)]
    cells = [
        f"{100 * side['median']:.1f} ({100 * side['minimum']:.1f} to {100 * side['maximum']:.1f})"
        for side in (ours, anew)
    ]
    clear = ["yes" if gap > max(spreads) else "no" for spreads in (ranges, quartiles)]
    return f"| {name} | {metric} | {' | '.join(cells)} | {100 * gap:+.1f} | {' | '.join(clear)} |"


def main() -> None:
    """Print the commands, what each found, and the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--scratch-learning-rate", type=float, default=2e-4)
    parser.add_argument("--threads", type=int, default=2)
    data = Path(os.environ.get("TRIPTYCH_DATA", "../shared/data"))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--out", type=Path, default=Path("runs/six"))
    given = parser.parse_args()
    rows = [row(name, given) for name in given.tasks]
    names = "task | metric | pretrained, median (range) | from random weights | gap"
    print(f"\n| {names} | clear by range | by quartiles |\n|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
