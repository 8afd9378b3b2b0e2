"""Train an encoder-decoder on sentence pairs: the wiring, from files to `best/`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from triptych import checkpoint
from triptych.data.batching import PairBatch
from triptych.errors import ConfigError
from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from triptych.models.presets import translation_preset
from triptych.recipes.evaluate_translation import papers_language
from triptych.recipes.model_card import translation_card
from triptych.recipes.model_kinds import translation_parts
from triptych.recipes.run_curves import TRANSLATION_PANELS
from triptych.recipes.run_start import check_same_run, reconfigured, row_listener, start_run
from triptych.recipes.translation_data import TranslationCorpus
from triptych.recipes.translation_run import TranslationRun
from triptych.recipes.translation_validation import TranslationValidation
from triptych.runtime.checkpointing import checkpoint_blocks
from triptych.runtime.compile import compiled
from triptych.runtime.training import use_fast_training
from triptych.tokenizers.base import TranslationTokenizer
from triptych.tokenizers.bpe import JointBpe
from triptych.training.distributed import Processes
from triptych.training.objectives import RegularizedDropoutObjective, TranslationObjective
from triptych.training.run_folder import RunFolder
from triptych.training.schedule import make_schedule, paper_peak
from triptych.training.step import Objective
from triptych.training.task import Outcome, Task
from triptych.training.trainer import Trainer


def train_translation(
    run: TranslationRun, out: Path, *, device: str = "cpu", fresh: bool = False, quiet: bool = False
) -> Outcome:
    """Train in the folder `out`, or go on with the run that is there.

    Raises ConfigError if the run there has another configuration; `fresh` moves it aside.
    """
    corpus = TranslationCorpus(run.data, out)

    def prepare() -> None:
        _language(run)
        corpus.check(_start_folder(run))
        check_same_run(run, out)
        corpus.prepare(_start_folder(run))

    return start_run(
        out, device, fresh, prepare, lambda processes: _train(run, out, processes, quiet)
    )


def _train(run: TranslationRun, out: Path, processes: Processes, quiet: bool) -> Outcome:
    corpus = TranslationCorpus(run.data, out)
    tokenizer = corpus.tokenizer()
    model = make_model(run, tokenizer)
    max_seq_len = model.config.max_seq_len
    if run.data.max_tokens > max_seq_len:
        raise ConfigError(
            f"max_tokens is {run.data.max_tokens}, but this model takes {max_seq_len} tokens; "
            f"give --max-tokens {max_seq_len} or less"
        )
    if isinstance(tokenizer, JointBpe):
        tokenizer.model_max_length = max_seq_len
    use_fast_training(model.to(processes.device))
    if run.training.activation_checkpointing:
        checkpoint_blocks(model)
    if run.training.compile:
        compiled(model)
    folder = RunFolder(out)
    settings, optimizer = run.training, run.optimizer
    n_passes = 2 if run.loss.r_drop else 1
    peak = optimizer.learning_rate or paper_peak(model.config.d_model, optimizer.warmup)
    task = Task(
        model=model,
        objective=make_objective(run, model.config.pad_id),
        source=corpus.source(model.config.start_id, settings.seed),
        validate=TranslationValidation(
            corpus.valid_pairs(),
            tokenizer,
            _language(run),
            processes.device,
            run.loss.label_smoothing,
            max_seq_len,
        ),
        save_model=_saver(run, out, tokenizer),
        mean_weights=checkpoint.average_weights,
        schedule=make_schedule(optimizer, peak, settings.max_updates),
        flops=lambda batch: n_passes * training_flops(model, batch),
        on_row=row_listener(out, TRANSLATION_PANELS, run.tensorboard),
    )
    return Trainer(task, folder, settings, optimizer, processes, quiet).run()


def make_objective(run: TranslationRun, pad_id: int) -> Objective:
    """Smoothed cross-entropy, or R-Drop's where a run asks for it."""
    if run.loss.r_drop:
        return RegularizedDropoutObjective(pad_id, run.loss.label_smoothing, run.loss.r_drop)
    return TranslationObjective(pad_id, run.loss.label_smoothing)


def make_model(run: TranslationRun, tokenizer: TranslationTokenizer) -> EncoderDecoder:
    """The model that a run starts from: a preset with the seed's weights, or a given one."""
    start = _start_folder(run)
    if start is not None:
        given = translation_parts(checkpoint.load_folder(start))[0]
        return reconfigured(given, _as_asked(given.config, run)).train()
    torch.manual_seed(run.training.seed)
    config = translation_preset(
        run.model.preset, tokenizer.vocab_size, tokenizer.pad_id, tokenizer.eos_id
    )
    return EncoderDecoder(_as_asked(config, run)).train()


def _as_asked(config: EncoderDecoderConfig, run: TranslationRun) -> EncoderDecoderConfig:
    if run.model.dropout is not None:
        config = replace(config, dropout=run.model.dropout)
    if run.model.d_ff is not None:
        config = replace(config, d_ff=run.model.d_ff)
    return config


def training_flops(model: EncoderDecoder, batch: PairBatch) -> float:
    """Forward and backward of one batch, real tokens only: 6 · (weights · tokens) and attention.

    Each weight of a product costs 2 operations a token forward and 4 backward; the
    products of queries and keys, weights and values cost 12 · E · T · S a layer and pair
    (half of that under the causal mask).
    """
    c = model.config
    square, feed = c.d_model**2, 2 * c.d_model * c.d_ff
    source = batch.source_valid.sum(dim=1).double()  # [B]
    target = (batch.target_out >= 0).sum(dim=1).double()  # [B]
    weights = source * c.n_encoder_layers * (4 * square + feed)
    weights += c.n_decoder_layers * (target * (6 * square + feed) + source * 2 * square)
    weights += target * c.vocab_size * c.d_model
    pairs = c.n_encoder_layers * source**2 + c.n_decoder_layers * (target**2 / 2 + target * source)
    return float((6 * weights + 12 * c.d_model * pairs).sum())


def _saver(
    run: TranslationRun, out: Path, tokenizer: TranslationTokenizer
) -> Callable[[Path, nn.Module, Callable[[Path], None] | None], None]:
    languages = {
        "source_language": run.data.source_language,
        "target_language": run.data.target_language,
    }

    def save(folder: Path, model: nn.Module, also: Callable[[Path], None] | None) -> None:
        assert isinstance(model, EncoderDecoder)
        extras: dict[str, Any] = {"task": "translation", **languages}
        card = translation_card(run, out, model)
        checkpoint.save_folder(folder, model, tokenizer, extras=extras, card=card, also=also)

    return save


def _language(run: TranslationRun) -> str | None:
    """The target's language if there is a papers' scale for it; without one, that is said once.

    Raises ConfigError where that scale was to choose the best model.
    """
    language = papers_language(None, run.data.target_language)
    if language is None and run.training.select == "papers_bleu":
        raise ConfigError(
            f"select is 'papers_bleu', but that scale has no rules for target_language "
            f"{run.data.target_language!r}; select bleu or chrf"
        )
    return language


def _start_folder(run: TranslationRun) -> Path | None:
    return checkpoint.resolve(run.model.start_from) if run.model.start_from else None
