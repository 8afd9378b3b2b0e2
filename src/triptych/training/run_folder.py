"""The folder of one run.

run.toml            everything needed to repeat it
metrics.jsonl       one row a log line or validation
checkpoints/        step-000500/ …: model folder, optimizer, random states, counters
best/  last/        model folders
samples.md          the same few items at each validation
curves.png          loss and scores
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from triptych.errors import ModelFileError
from triptych.files.atomic import clear_leftovers, told_plainly, write_file
from triptych.files.manifest import verify_folder
from triptych.files.notices import notice

Row = Mapping[str, Any]


class RunFolder:
    """Paths, metrics and checkpoints of a run. Only the process that holds its lock writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.best = folder / "best"
        self.last = folder / "last"
        self.checkpoints = folder / "checkpoints"
        self.parts = self.checkpoints / ".parts"  # of a checkpoint that is being written
        self.metrics = folder / "metrics.jsonl"
        folder.mkdir(parents=True, exist_ok=True)

    def checkpoint(self, update: int) -> Path:
        """Where the checkpoint of an update lies or will lie."""
        return self.checkpoints / f"step-{update:06d}"

    def checkpoint_updates(self) -> list[int]:
        """The update of every checkpoint, oldest first."""
        names = [path.name.removeprefix("step-") for path in self.checkpoints.glob("step-*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def newest_checkpoint(self) -> Path | None:
        """The newest checkpoint whose every file is what its manifest says.

        A damaged one is named, set aside and passed over for the one before it.
        """
        if self.checkpoints.is_dir():
            for path in self.checkpoints.glob(".step-*"):
                name = path.name[1:].split(".")[0]
                clear_leftovers(self.checkpoints / name)
        for update in reversed(self.checkpoint_updates()):
            path = self.checkpoint(update)
            try:
                verify_folder(path, verify=True)
            except ModelFileError as error:
                aside = path.with_name(f"damaged-{path.name}")
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
                notice(f"{error}; going on from the checkpoint before it")
            else:
                return path
        return None

    def keep_only(self, folders: list[Path]) -> None:
        """Delete every checkpoint but these and the newest."""
        paths = [self.checkpoint(update) for update in self.checkpoint_updates()]
        for path in paths[:-1]:
            if path not in folders:
                shutil.rmtree(path)

    def link_last(self, checkpoint: Path) -> None:
        """Make `last/` name the newest checkpoint, in one step."""
        new = self.folder / f".last-{os.getpid()}"
        new.unlink(missing_ok=True)
        new.symlink_to(checkpoint.relative_to(self.folder), target_is_directory=True)
        os.replace(new, self.last)

    def rows(self) -> list[dict[str, Any]]:
        """Every complete row of metrics.jsonl; one cut off by a crash is dropped."""
        if not self.metrics.exists():
            return []
        rows = []
        for line in self.metrics.read_text(encoding="utf-8").split("\n"):
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows

    def forget_after(self, update: int) -> None:
        """Drop the rows of updates that a resumed run will make again."""
        kept = [json.dumps(row) + "\n" for row in self.rows() if row["update"] <= update]
        write_file(self.metrics, "".join(kept))

    def add_row(self, row: Row) -> None:
        """Append one row. Raises DiskFullError or MachineError; the rows before it are kept."""
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with (
            told_plainly(self.metrics, len(line)),
            self.metrics.open("a", encoding="utf-8") as file,
        ):
            file.write(line)

    def write_samples(self, title: Callable[[Row], str]) -> None:
        """samples.md from the validations so far, the newest first."""
        blocks = []
        for row in reversed([row for row in self.rows() if row.get("samples")]):
            blocks.append(f"## {title(row)}\n\n" + "\n".join(row["samples"]) + "\n")
        write_file(self.folder / "samples.md", "# Samples\n\n" + "\n".join(blocks))
