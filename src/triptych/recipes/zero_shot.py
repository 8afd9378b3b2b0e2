"""GPT-2's published row of figures, beside what a model gives on the data that a folder holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from triptych.errors import DataError
from triptych.evaluation.detokenizers import Name
from triptych.evaluation.published import COLUMNS, SOURCE, Column, nearest_row
from triptych.recipes.evaluate_lambada import LambadaReport, evaluate_lambada
from triptych.recipes.evaluate_perplexity import (
    PerplexityProtocol,
    PerplexityReport,
    evaluate_perplexity,
)
from triptych.recipes.generate_options import OnTooLong
from triptych.recipes.generator import Generator

PERCENT = "accuracy"
"""The metric that the table gives in percent."""
WITHIN_FILTER = "accuracy_stop_words"
"""Our key of the published accuracy: with the filter of stop words."""


@dataclass(frozen=True)
class ZeroShotRow:
    """A column of the published table, and the same on the data here, if there is any."""

    column: Column
    published: float
    measured: float | None
    file: str | None
    n: int | None
    signature: str | None

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            "column": self.column.name,
            "metric": self.column.metric,
            "published": self.published,
            "measured": self.measured,
            "n": self.n,
            "file": self.file,
            "signature": self.signature,
        }


@dataclass(frozen=True)
class ZeroShotReport:
    """All columns of the published table."""

    rows: tuple[ZeroShotRow, ...]
    published_size: str
    """The paper's name of the size whose figures are beside."""
    n_parameters: int

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            "n_parameters": self.n_parameters,
            "published_size": self.published_size,
            "source": SOURCE,
            "columns": [row.to_json() for row in self.rows],
        }

    def __str__(self) -> str:
        title = f"{SOURCE}, size {self.published_size}; here {self.n_parameters:,} parameters"
        lines = [f"{'':<29}  published  measured   {title}"]
        for row in self.rows:
            measured = "–" if row.measured is None else f"{row.measured:.2f}"
            where = "no data" if row.file is None else f"{row.file}, n = {row.n:,}"
            name = f"{row.column.name} {row.column.metric}"
            lines.append(f"{name:<29}  {row.published:9.2f}  {measured:>8}   {where}")
        signatures = dict.fromkeys(row.signature for row in self.rows if row.signature)
        return "\n".join([*lines, *(str(signature) for signature in signatures)])


def evaluate_zero_shot(
    generator: Generator,
    folder: str,
    *,
    stride: int | None = None,
    on_too_long: OnTooLong = "refuse",
    quiet: bool = False,
) -> ZeroShotReport:
    """Measure each column whose data lie in a folder. Raises DataError where none do."""
    found = {column: find_data(Path(folder), column) for column in COLUMNS}
    if not any(found.values()):
        names = ", ".join(sorted({file for column in COLUMNS for file in column.files[:1]}))
        raise DataError(
            f"{folder} holds none of the data (by their names: {names}); check the path"
        )
    n_parameters = sum(parameter.numel() for parameter in generator.module.parameters())
    size, published = nearest_row(n_parameters)
    reports: dict[Path, PerplexityReport | LambadaReport] = {}
    for column, file in found.items():
        if file is None or file in reports:
            continue
        if column.name == "LAMBADA":
            reports[file] = evaluate_lambada(
                generator, str(file), detokenizer="lambada", on_too_long=on_too_long, quiet=quiet
            )
        else:
            protocol = PerplexityProtocol(
                documents="file", detokenizer=cast(Name, column.detokenizer), stride=stride
            )
            reports[file] = evaluate_perplexity(generator, [str(file)], protocol, quiet)
    rows = _rows(found, reports, published)
    return ZeroShotReport(tuple(rows), size, n_parameters)


def find_data(folder: Path, column: Column) -> Path | None:
    """The file of a column anywhere below a folder, by the first pattern that any file has."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the one that holds the data")
    for pattern in column.files:
        for path in sorted(folder.rglob(pattern)):
            if path.is_file():
                return path
    return None


def _rows(
    found: dict[Column, Path | None],
    reports: dict[Path, PerplexityReport | LambadaReport],
    published: tuple[float, ...],
) -> Iterator[ZeroShotRow]:
    for (column, file), figure in zip(found.items(), published, strict=True):
        if file is None:
            yield ZeroShotRow(column, figure, None, None, None, None)
            continue
        report = reports[file]
        values = report.to_json()
        percent = column.metric == PERCENT
        measured = 100 * values[WITHIN_FILTER] if percent else values[column.metric]
        n = {"word_perplexity": "n_words", "bits_per_byte": "n_bytes"}.get(column.metric, "n")
        yield ZeroShotRow(column, figure, measured, str(file), values[n], report.signature)
