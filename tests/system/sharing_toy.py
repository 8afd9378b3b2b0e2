"""The toy of training_toy.py, several runs one after another in each of some processes.

python sharing_toy.py '[["FOLDER", UPDATES, {"dropout": 0.0}], …]'
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent))
from training_toy import ToyBatches, toy_trainer

from triptych.training.distributed import Processes, join_processes


def run_shared(folder: Path, updates: int, processes: Processes, **changes: Any) -> None:
    """Three batches an update; processes share the model if they are several."""
    trainer = toy_trainer(
        folder, updates, source=ToyBatches(batch_tokens=60), processes=processes, share=True,
        accumulate=3, validate_every=10, **changes,
    )  # fmt: skip
    outcome = trainer.run()
    assert outcome.updates == updates


def main() -> None:
    torch.set_num_threads(1)
    processes = join_processes("cpu")
    for folder, updates, changes in json.loads(sys.argv[1]):
        run_shared(Path(folder), updates, processes, **changes)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
