"""Train a generator on text (Radford et al. 2018, 2019): the wiring, from files to `best/`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from triptych import checkpoint
from triptych.core.initialization import initialize_gpt2
from triptych.data.packed_batches import PackedBatch
from triptych.errors import ConfigError, UsageError
from triptych.models.gpt import Gpt, GptConfig
from triptych.models.presets import gpt_preset
from triptych.recipes.gpt_data import GptCorpus
from triptych.recipes.gpt_run import GptRun
from triptych.recipes.gpt_validation import GptValidation
from triptych.recipes.model_card import gpt_card
from triptych.recipes.model_kinds import generator_parts
from triptych.recipes.run_curves import GPT_PANELS
from triptych.recipes.run_start import check_same_run, reconfigured, row_listener, start_run
from triptych.runtime.checkpointing import checkpoint_blocks
from triptych.runtime.compile import compiled
from triptych.runtime.training import use_fast_training
from triptych.tokenizers.byte_bpe import ByteBpe
from triptych.tokenizers.characters import Characters
from triptych.training.distributed import Processes
from triptych.training.objectives import LanguageModelObjective
from triptych.training.run_folder import RunFolder
from triptych.training.schedule import make_schedule
from triptych.training.task import Outcome, Task
from triptych.training.trainer import Trainer


def train_gpt(
    run: GptRun,
    out: Path,
    *,
    device: str = "cpu",
    fresh: bool = False,
    quiet: bool = False,
    share: bool = False,
    n_processes: int = 1,
) -> Outcome:
    """Train in the folder `out`, or go on with the run that is there.

    `share`: the processes that `torchrun` started divide the model among themselves.
    `n_processes` tokenise the text before that.

    Raises ConfigError if the run there has another configuration; `fresh` moves it aside.
    UsageError for `share` with compiling or with Muon, which needs whole matrices.
    """
    for name, given in (
        ("--compile", run.training.compile),
        ("--optimizer muon", run.optimizer.optimizer == "muon"),
    ):
        if given and share:
            raise UsageError(f"{name} and --shard do not go together yet; leave one of them out")
    corpus = GptCorpus(run.data, out, n_processes)

    def prepare() -> None:
        corpus.check(_start_folder(run))
        check_same_run(run, out)
        corpus.prepare(_start_folder(run))

    return start_run(
        out, device, fresh, prepare, lambda processes: _train(run, out, processes, quiet, share)
    )


def _train(run: GptRun, out: Path, processes: Processes, quiet: bool, share: bool) -> Outcome:
    corpus = GptCorpus(run.data, out)
    tokenizer = corpus.tokenizer()
    model = make_model(run, tokenizer)
    tokenizer.model_max_length = model.config.max_seq_len
    use_fast_training(model)  # the trainer moves it, or each process's share of it
    if run.training.activation_checkpointing:
        checkpoint_blocks(model)
    if run.training.compile:
        model.to(processes.device)
        compiled(model)
    settings, optimizer = run.training, run.optimizer
    assert optimizer.learning_rate is not None
    objective = LanguageModelObjective(
        attend_across=run.data.attend_across, reset_positions=run.data.reset_positions
    )
    task = Task(
        model=model,
        objective=objective,
        source=corpus.source(run, model.config),
        validate=GptValidation(
            corpus.valid_batches, corpus.n_valid_bytes, objective, tokenizer, processes.device
        ),
        save_model=_saver(run, out, tokenizer),
        mean_weights=checkpoint.average_weights,
        schedule=make_schedule(optimizer, optimizer.learning_rate, settings.max_updates),
        flops=lambda batch: language_model_flops(model, batch),
        on_row=row_listener(out, GPT_PANELS, run.tensorboard),
    )
    return Trainer(task, RunFolder(out), settings, optimizer, processes, quiet, share).run()


def make_model(run: GptRun, tokenizer: ByteBpe | Characters) -> Gpt:
    """The model that a run starts from: a preset with the seed's weights, or a given one.

    Raises ConfigError for rows longer than a given model's limit; a preset's limit grows with them.
    """
    start = _start_folder(run)
    if start is not None:
        given = generator_parts(checkpoint.load_folder(start))[0]
        model = reconfigured(given, _with_dropout(given.config, run)).train()
    else:
        torch.manual_seed(run.training.seed)
        config = gpt_preset(run.model.preset, tokenizer.vocab_size, tokenizer.eos_id)
        config = _with_dropout(config, run)
        longest = max(config.max_seq_len, run.data.max_seq_len)
        model = Gpt(replace(config, max_seq_len=longest)).train()
        if run.model.has_first_weights_of_its_own:
            initialize_gpt2(model, run.model.initial_std, run.model.sinusoidal_start)
    if run.data.max_seq_len > model.config.max_seq_len:
        raise ConfigError(
            f"rows of {run.data.max_seq_len} tokens are longer than the model's limit of "
            f"{model.config.max_seq_len}; lower max_seq_len"
        )
    return model


def _with_dropout(config: GptConfig, run: GptRun) -> GptConfig:
    p = run.model.dropout
    if p is None:
        return config
    return replace(config, dropout=p, attention_dropout=p, embedding_dropout=p)


def language_model_flops(model: Gpt, batch: PackedBatch) -> float:
    """Forward and backward of one batch, real tokens only: 6 · (weights · tokens) and attention.

    Attention counts all that is before each token in its row, also where documents are kept apart.
    """
    c = model.config
    per_token = c.n_layers * (4 * c.d_model**2 + 2 * c.d_model * c.d_ff) + c.d_model * c.vocab_size
    lengths = batch.valid.sum(dim=1).double()  # [B]
    attention = 6 * c.d_model * c.n_layers * float((lengths**2).sum())
    return 6 * per_token * float(lengths.sum()) + attention


def _saver(
    run: GptRun, out: Path, tokenizer: ByteBpe | Characters
) -> Callable[[Path, nn.Module, Callable[[Path], None] | None], None]:
    def save(folder: Path, model: nn.Module, also: Callable[[Path], None] | None) -> None:
        assert isinstance(model, Gpt)
        card = gpt_card(run, out, model)
        checkpoint.save_folder(folder, model, tokenizer, card=card, also=also)

    return save


def _start_folder(run: GptRun) -> Path | None:
    return checkpoint.resolve(run.model.start_from) if run.model.start_from else None
