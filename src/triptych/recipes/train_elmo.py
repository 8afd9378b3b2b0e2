"""Train ELMo on text (Peters et al. 2018): the wiring, from files to `best/`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from triptych import checkpoint
from triptych.data.word_batches import WordBatch
from triptych.errors import ModelFileError
from triptych.predecessors.elmo import N_DIRECTIONS, Elmo, ElmoConfig
from triptych.predecessors.presets import elmo_preset
from triptych.recipes.elmo_data import ElmoCorpus
from triptych.recipes.elmo_run import ElmoRun
from triptych.recipes.elmo_validation import ElmoValidation
from triptych.recipes.model_card import elmo_card
from triptych.recipes.model_kinds import elmo_parts
from triptych.recipes.run_curves import ELMO_PANELS
from triptych.recipes.run_start import check_same_run, reconfigured, row_listener, start_run
from triptych.runtime.compile import compiled
from triptych.runtime.lstm import use_fast_lstms
from triptych.tokenizers.words import Words
from triptych.training.bidirectional import BidirectionalObjective
from triptych.training.distributed import Processes
from triptych.training.run_folder import RunFolder
from triptych.training.schedule import make_schedule
from triptych.training.task import Outcome, Task
from triptych.training.trainer import Trainer


def train_elmo(
    run: ElmoRun, out: Path, *, device: str = "cpu", fresh: bool = False, quiet: bool = False
) -> Outcome:
    """Train in the folder `out`, or go on with the run that is there.

    Every sentence begins from zeros, in training as in use; the released code went on with the
    state of the sentences before. Raises ConfigError if the run there has another configuration;
    `fresh` moves it aside.
    """
    corpus = ElmoCorpus(run.data, out)

    def prepare() -> None:
        corpus.check()
        check_same_run(run, out)
        corpus.prepare(_start_folder(run))

    return start_run(
        out, device, fresh, prepare, lambda processes: _train(run, out, processes, quiet)
    )


def _train(run: ElmoRun, out: Path, processes: Processes, quiet: bool) -> Outcome:
    corpus = ElmoCorpus(run.data, out)
    words = corpus.vocabulary()
    model = make_model(run, words).to(processes.device)
    use_fast_lstms(model)
    if run.training.compile:
        compiled(model)
    settings, optimizer = run.training, run.optimizer
    assert optimizer.learning_rate is not None
    task = Task(
        model=model,
        objective=BidirectionalObjective(run.model.n_samples),
        source=corpus.source(run),
        validate=ElmoValidation(corpus.valid_batches, words, processes.device),
        save_model=_saver(run, out, words),
        mean_weights=checkpoint.average_weights,
        schedule=make_schedule(optimizer, optimizer.learning_rate, settings.max_updates),
        flops=lambda batch: elmo_flops(model, batch, run.model.n_samples),
        terms=BidirectionalObjective.terms,
        on_row=row_listener(out, ELMO_PANELS, run.tensorboard),
    )
    return Trainer(task, RunFolder(out), settings, optimizer, processes, quiet).run()


def make_model(run: ElmoRun, words: Words) -> Elmo:
    """The model that a run starts from: a preset with the seed's weights, or a given one.

    Raises ModelFileError for a given model that predicts nothing.
    """
    start = _start_folder(run)
    if start is not None:
        given = elmo_parts(checkpoint.load_folder(start))[0]
        if given.word_scores is None:
            raise ModelFileError(f"{start} predicts no words, so it cannot be trained further")
        return reconfigured(given, _with_dropout(given.config, run)).train()
    torch.manual_seed(run.training.seed)
    config = elmo_preset(run.model.preset, words.vocab_size)
    return Elmo(_with_dropout(config, run)).train()


def _with_dropout(config: ElmoConfig, run: ElmoRun) -> ElmoConfig:
    p = run.model.dropout
    return config if p is None else replace(config, dropout=p)


def elmo_flops(model: Elmo, batch: WordBatch, n_samples: int) -> float:
    """Forward and backward of one batch, real words only: 6 · (weights · words), of the LSTMs and
    the softmax. The characters of a word that occurs again are not read again, and not counted."""
    c = model.config
    n_classes = min(n_samples, c.vocab_size) if n_samples else c.vocab_size
    lstm = 4 * c.d_cell * 2 * c.d_projection + c.d_cell * c.d_projection
    return 6.0 * batch.n_tokens * N_DIRECTIONS * (c.n_layers * lstm + c.d_projection * n_classes)


def _saver(
    run: ElmoRun, out: Path, words: Words
) -> Callable[[Path, nn.Module, Callable[[Path], None] | None], None]:
    def save(folder: Path, model: nn.Module, also: Callable[[Path], None] | None) -> None:
        assert isinstance(model, Elmo)
        card = elmo_card(run, out, model)
        checkpoint.save_folder(folder, model, words, card=card, also=also)

    return save


def _start_folder(run: ElmoRun) -> Path | None:
    return checkpoint.resolve(run.model.start_from) if run.model.start_from else None
