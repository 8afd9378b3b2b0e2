"""Pretrain an encoder on documents (Devlin et al. 2018, §3.1): the wiring, files to `best/`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from triptych import checkpoint
from triptych.core.initialization import initialize_bert
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.errors import ConfigError, ModelFileError
from triptych.models.bert import BertConfig
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes.bert_data import BertCorpus
from triptych.recipes.bert_run import BertRun
from triptych.recipes.bert_validation import BertValidation, Inputs
from triptych.recipes.embedding_start import begin_from_vectors, check_width
from triptych.recipes.model_card import bert_card
from triptych.recipes.model_kinds import encoder_parts
from triptych.recipes.run_curves import BERT_PANELS
from triptych.recipes.run_start import check_same_run, reconfigured, row_listener, start_run
from triptych.recipes.vectors_folder import load_vectors
from triptych.runtime.checkpointing import checkpoint_blocks
from triptych.runtime.compile import compiled
from triptych.runtime.training import use_fast_training
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.distributed import Processes
from triptych.training.objectives import PretrainingObjective
from triptych.training.run_folder import RunFolder
from triptych.training.schedule import make_schedule
from triptych.training.task import Outcome, Task
from triptych.training.trainer import Trainer

HEADS = ("pooler", "masked_words", "next_sentence")
PREFIXES = ("", "long_")
"""What stands before the metrics of each length of input."""


def train_bert(
    run: BertRun, out: Path, *, device: str = "cpu", fresh: bool = False, quiet: bool = False
) -> Outcome:
    """Train in the folder `out`, or go on with the run that is there.

    Raises ConfigError if the run there has another configuration; `fresh` moves it aside.
    """
    corpus = BertCorpus(run.data, out)

    def prepare() -> None:
        if run.model.start_from is None:
            # before hours of reading; of a given model, `make_model` says it
            trunk = bert_preset(run.model.preset, vocab_size=1, pad_id=0)
            _check_longest(run, trunk)
            if run.model.word_vectors is not None:
                check_width(load_vectors(run.model.word_vectors), trunk.d_model)
        corpus.check(_start_folder(run))
        check_same_run(run, out)
        corpus.prepare(_start_folder(run))

    return start_run(
        out, device, fresh, prepare, lambda processes: _train(run, out, processes, quiet)
    )


def _train(run: BertRun, out: Path, processes: Processes, quiet: bool) -> Outcome:
    corpus = BertCorpus(run.data, out)
    tokenizer = corpus.tokenizer()
    model = make_model(run, tokenizer)
    tokenizer.model_max_length = model.config.trunk.max_seq_len
    use_fast_training(model.to(processes.device))
    if run.training.activation_checkpointing:
        checkpoint_blocks(model)
    if run.training.compile:
        compiled(model)
    source = corpus.source(run)
    settings, optimizer = run.training, run.optimizer
    assert optimizer.learning_rate is not None
    task = Task(
        model=model,
        objective=PretrainingObjective(),
        source=source,
        validate=BertValidation(
            _valid_inputs(run, corpus, tokenizer),
            lambda: PREFIXES[source.last_phase],
            corpus.valid_files(),
            tokenizer,
            processes.device,
        ),
        save_model=_saver(run, out, tokenizer),
        mean_weights=checkpoint.average_weights,
        schedule=make_schedule(optimizer, optimizer.learning_rate, settings.max_updates),
        flops=lambda batch: pretraining_flops(model, batch),
        terms=PretrainingObjective.terms,
        patience_after=settings.max_updates - run.long.long_updates if run.long.long_updates else 0,
        on_row=row_listener(out, BERT_PANELS, run.tensorboard),
    )
    return Trainer(task, RunFolder(out), settings, optimizer, processes, quiet).run()


def _valid_inputs(run: BertRun, corpus: BertCorpus, tokenizer: WordPiece) -> dict[str, Inputs]:
    """The validation documents at each length of a run, by what stands before its metrics."""
    lengths = [run.data.max_seq_len]
    if run.long.long_updates:
        lengths.append(run.long.long_seq_len)
    return {
        prefix: partial(corpus.valid_batches, tokenizer, length)
        for prefix, length in zip(PREFIXES, lengths, strict=False)
    }


def make_model(run: BertRun, tokenizer: WordPiece) -> BertWithHeads:
    """The model that a run starts from: a preset with the seed's weights, or a given one.

    Raises ModelFileError for a given model without the heads of pretraining, ConfigError for
    inputs longer than the model's limit.
    """
    start = _start_folder(run)
    if start is not None:
        given = encoder_parts(checkpoint.load_folder(start))[0]
        trunk = _with_dropout(given.config.trunk, run)
        model = reconfigured(given, replace(given.config, trunk=trunk)).train()
        missing = [name for name in HEADS if name not in model.heads]
        if missing:
            raise ModelFileError(
                f"{start} has no head {missing[0]}; pretraining goes on from a BertForPreTraining"
            )
    else:
        model = _new_model(run, tokenizer)
    _check_longest(run, model.config.trunk)
    return model


def _check_longest(run: BertRun, trunk: BertConfig) -> None:
    if run.longest > trunk.max_seq_len:
        raise ConfigError(
            f"inputs of {run.longest} tokens are longer than the model's limit of "
            f"{trunk.max_seq_len}; lower max_seq_len or long_seq_len"
        )


def _new_model(run: BertRun, tokenizer: WordPiece) -> BertWithHeads:
    """A preset with the seed's weights, and its embedding from word vectors where asked."""
    torch.manual_seed(run.training.seed)
    shape = run.model
    trunk = bert_preset(shape.preset, tokenizer.vocab_size, tokenizer.pad_id)
    config = BertWithHeadsConfig(trunk=_with_dropout(trunk, run), heads=HEADS)
    model = BertWithHeads(config).train()
    initialize_bert(model, shape.initial_std, shape.sinusoidal_start)
    if shape.word_vectors is not None:
        vectors = load_vectors(shape.word_vectors)
        begin_from_vectors(model.bert.token_embedding, tokenizer, vectors, shape.initial_std)
    return model


def _with_dropout(trunk: BertConfig, run: BertRun) -> BertConfig:
    p = run.model.dropout
    return trunk if p is None else replace(trunk, dropout=p, attention_dropout=p)


def pretraining_flops(model: BertWithHeads, batch: PretrainingBatch) -> float:
    """Forward and backward of one batch, real tokens only: 6 · (weights · tokens) and attention.

    The masked words' head and its product with V rows count for the masked positions alone.
    """
    c = model.config.trunk
    square, feed = c.d_model**2, 2 * c.d_model * c.d_ff
    lengths = batch.valid.sum(dim=1).double()  # [B]
    weights = float(lengths.sum()) * c.n_layers * (4 * square + feed)
    weights += batch.n_target_tokens * (square + c.d_model * c.vocab_size)
    return 6 * weights + 12 * c.d_model * c.n_layers * float((lengths**2).sum())


def _saver(
    run: BertRun, out: Path, tokenizer: WordPiece
) -> Callable[[Path, nn.Module, Callable[[Path], None] | None], None]:
    def save(folder: Path, model: nn.Module, also: Callable[[Path], None] | None) -> None:
        assert isinstance(model, BertWithHeads)
        card = bert_card(run, out, model)
        checkpoint.save_folder(
            folder, model, tokenizer, extras={"task": "pretraining"}, card=card, also=also
        )

    return save


def _start_folder(run: BertRun) -> Path | None:
    return checkpoint.resolve(run.model.start_from) if run.model.start_from else None
