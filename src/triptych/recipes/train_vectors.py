"""One vector a word: from text to a folder of vectors, by Word2Vec or GloVe."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from triptych.data.cooccurrence import Cooccurrences, count_cooccurrences
from triptych.data.words import RULE, WordCorpus, build_word_corpus, thin_out
from triptych.errors import DataError, UsageError
from triptych.files.atomic import told_plainly, work_folder
from triptych.files.notices import notice
from triptych.files.sizes import human_bytes
from triptych.predecessors.glove import Cells, train_glove
from triptych.predecessors.vectors import Floats, WordVectors
from triptych.predecessors.word2vec import train_word2vec
from triptych.recipes.vectors_card import vectors_card
from triptych.recipes.vectors_folder import save_vectors
from triptych.recipes.vectors_run import GloveRun, Run, Word2VecRun
from triptych.training.progress import ProgressLine

KINDS: dict[type[Run], str] = {Word2VecRun: "word2vec", GloveRun: "glove"}


@dataclass(frozen=True)
class VectorsReport:
    """What was trained on what, and how fast."""

    out: str
    kind: str
    n_words: int
    """Words of the text, those left out for their rarity included."""
    n_distinct: int
    vocab_size: int
    d_model: int
    epochs: int
    seconds: dict[str, float]
    """Of each stage, by the clock: read, count (GloVe), train."""
    cpu_seconds: float
    """Of all stages, of the processor: what an idle machine would have needed with one worker."""
    costs: tuple[float, ...]
    """GloVe: of each epoch, the mean weighted squared error of a cell."""
    n_cells: int | None
    """GloVe: pairs of words that occur together."""
    peak_bytes: int
    """The most memory that the process has had, with torch and everything else in it."""

    @property
    def words_per_second(self) -> float:
        """Words of the text through all stages and epochs."""
        return self.n_words * self.epochs / max(1e-9, sum(self.seconds.values()))

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/word_vectors.md`."""
        return {**asdict(self), "words_per_second": round(self.words_per_second, 1)}

    def __str__(self) -> str:
        stages = ", ".join(f"{name} {seconds:,.1f} s" for name, seconds in self.seconds.items())
        read = f"{self.n_words:,} words, {self.n_distinct:,} distinct"
        speed = f"{self.words_per_second:,.0f} words/s over {self.epochs} epochs"
        lines = [
            f"{read}; {self.vocab_size:,} have a vector, {self.d_model} wide",
            f"{stages} ({self.cpu_seconds:,.1f} s of processor time)",
            f"{speed}, at most {human_bytes(self.peak_bytes)} of memory",
        ]
        if self.n_cells is not None:
            costs = f"{self.costs[0]:.5f} in the first epoch and {self.costs[-1]:.5f} in the last"
            lines.append(f"{self.n_cells:,} pairs of words, mean cost {costs}")
        return "\n".join([*lines, f"next: triptych neighbors {self.out} WORD"])


def train_vectors(run: Run, out: Path, quiet: bool = False) -> VectorsReport:
    """Read the text, train as `run` says, write the folder `out`.

    What does not fit in memory lies in a folder beside `out` meanwhile. Nothing is written before
    the end: a run that is stopped begins anew.

    Raises UsageError where `out` exists, DataError for text that cannot be used, DivergedError,
    DiskFullError.
    """
    if out.exists():
        raise UsageError(f"{out} exists; name another folder, or remove it")
    if run.training.workers > 1:
        notice("with several workers the vectors differ a little from run to run; one repeats them")
    with told_plainly(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(out) as work:
            vectors, report = _train(run, out, work, quiet)
    save_vectors(out, vectors, vectors_card(run, report.to_json()))
    return report


def _train(run: Run, out: Path, work: Path, quiet: bool) -> tuple[WordVectors, VectorsReport]:
    say = _sayer(quiet)
    say(f"reading {', '.join(run.data.text)}")
    began, began_cpu = time.monotonic(), time.process_time()
    data = run.data
    corpus = build_word_corpus(data.text, work, data.min_count, data.vocab_size, data.text_field)
    seconds = {"read": time.monotonic() - began}
    say(f"{corpus.n_read:,} words; {len(corpus.words):,} of {corpus.n_distinct:,} stay")
    report = VectorsReport(
        str(out), KINDS[type(run)], corpus.n_read, corpus.n_distinct, len(corpus.words),
        run.training.d_model, run.training.epochs, seconds, 0.0, (), None, 0,
    )  # fmt: skip
    if isinstance(run, Word2VecRun):
        matrix = _word2vec(run, corpus, seconds, quiet)
    else:
        matrix, cells, costs = _glove(run, corpus, work, seconds, quiet)
        report = replace(report, n_cells=cells.n_cells, costs=tuple(costs))
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    cpu = round(time.process_time() - began_cpu, 3)
    report = replace(report, seconds=rounded, cpu_seconds=cpu, peak_bytes=_peak_bytes())
    notes = {"kind": report.kind, "words": RULE, "run": asdict(run), "report": report.to_json()}
    return WordVectors(corpus.words, matrix, corpus.counts, notes), report


def _word2vec(
    run: Word2VecRun, corpus: WordCorpus, seconds: dict[str, float], quiet: bool
) -> Floats:
    began = time.monotonic()
    total = corpus.n_words * run.training.epochs
    with ProgressLine("words", total, quiet=quiet) as line:

        def show(done: int) -> None:
            rate = done / max(1e-9, time.monotonic() - began)
            line.show(done, f"epoch {min(done, total - 1) // corpus.n_words + 1}  {rate:,.0f}/s")

        vectors = train_word2vec(
            corpus.lines, corpus.words, corpus.counts.tolist(), run.training, show
        )
    seconds["train"] = time.monotonic() - began
    return vectors


def _glove(
    run: GloveRun, corpus: WordCorpus, work: Path, seconds: dict[str, float], quiet: bool
) -> tuple[Floats, Cooccurrences, list[float]]:
    settings, say = run.training, _sayer(quiet)
    began = time.monotonic()
    say(f"counting words up to {settings.window} apart")
    if settings.subsample:
        corpus = thin_out(corpus, work, settings.subsample, settings.seed)
    counts = count_cooccurrences(
        corpus, work, settings.window, settings.memory * 1e9, settings.seed
    )
    seconds["count"] = time.monotonic() - began
    if not counts.n_cells:
        raise DataError(
            "no two words stand in one line of what is left of the text; put sentences on its "
            "lines, or raise --subsample"
        )
    say(f"{counts.n_cells:,} pairs of words, gathered in {counts.n_runs:,} runs")
    began = time.monotonic()
    with ProgressLine("pairs", counts.n_cells * settings.epochs, quiet=quiet) as line:

        def read(epoch: int) -> Iterator[Cells]:
            for block in counts.read((settings.seed, 2, epoch)):
                yield Cells(*(block[name].copy() for name in ("row", "column", "count")))

        def show(done: int, cost: float) -> None:
            epoch = (done - 1) // counts.n_cells + 1
            line.show(done, f"epoch {epoch}  cost {cost:.5f}")

        vectors, costs = train_glove(read, len(corpus.words), settings, show)
    seconds["train"] = time.monotonic() - began
    return vectors, counts, costs


def _sayer(quiet: bool) -> Callable[[str], None]:
    return lambda text: None if quiet else print(text, file=sys.stderr, flush=True)


def _peak_bytes() -> int:
    """The largest resident memory of this process so far; macOS gives bytes, Linux kB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
