"""Pretraining speed against transformers' BertForPreTraining: same weights, same batches, in turn.

    python benchmarks/pretrain_bert.py [--preset mini] [--rows 64] [--rounds 5] [--json FILE]

A round is one update (forward, backward, AdamW) of each contestant. Before any is timed, the two
are shown to compute the same loss and gradients. tokens/s are real tokens of the inputs.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from transformers import BertConfig, BertForPreTraining

from in_turn import machine, time_in_turn, write_json
from triptych.convert.bert import to_bert
from triptych.convert.bert_config import config_to_json
from triptych.core.loss import IGNORE
from triptych.data.pretraining_batches import PretrainingBatch
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes.train_bert import HEADS, pretraining_flops
from triptych.runtime.training import use_fast_training
from triptych.training.distributed import Processes
from triptych.training.objectives import PretrainingObjective
from triptych.training.progress import measure_peak_flops
from triptych.training.settings import OptimizerSettings
from triptych.training.step import Stepper
from updates import difference, our_update, their_update

VOCABULARY, PAD, MASK = 30_522, 0, 103
SETTINGS = OptimizerSettings(beta_2=0.999, eps=1e-6, weight_decay=0.01, clip_norm=1.0)


def make_batch(rows: int, length: int) -> PretrainingBatch:
    """Nearly full inputs, as the corpus gives them: 15 % of the tokens to predict."""
    generator = torch.Generator().manual_seed(1)
    valid = torch.arange(length) < (length - torch.arange(rows) % 8)[:, None]
    ids = torch.randint(1000, VOCABULARY, (rows, length), generator=generator)
    ids = ids.masked_fill(~valid, PAD)
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & valid
    segments = (torch.arange(length) >= length // 2).long() * valid
    labels = ids.masked_fill(~chosen, IGNORE)
    is_random = torch.randint(0, 2, (rows,), generator=generator)
    seen = ids.masked_fill(chosen, MASK)
    return PretrainingBatch(seen, valid, segments, labels, is_random, torch.arange(rows))


def make_models(preset: str, dropout: float | None) -> tuple[BertWithHeads, BertForPreTraining]:
    """The two with the same weights."""
    torch.manual_seed(1)
    trunk = bert_preset(preset, VOCABULARY, PAD)
    if dropout is not None:
        trunk = replace(trunk, dropout=dropout, attention_dropout=dropout)
    config = BertWithHeadsConfig(trunk=trunk, heads=HEADS)
    model = use_fast_training(BertWithHeads(config).train())
    assert isinstance(model, BertWithHeads)
    peer = BertForPreTraining(BertConfig.from_dict(config_to_json(config)))
    peer.load_state_dict(to_bert(model.state_dict(), config), strict=False)
    peer.tie_weights()
    return model, peer.train()


def peer_loss(peer: BertForPreTraining, batch: PretrainingBatch) -> torch.Tensor:
    """transformers' forward and its own loss."""
    loss: torch.Tensor = peer(
        input_ids=batch.token_ids,
        attention_mask=batch.valid.long(),
        token_type_ids=batch.segment_ids,
        labels=batch.labels,
        next_sentence_label=batch.is_random,
    ).loss
    return loss


def stepper(model: BertWithHeads, precision: str) -> Stepper:
    """Our trainer's own step."""
    objective = PretrainingObjective()
    limit, terms = SETTINGS.clip_norm, objective.terms
    return Stepper(model, objective, Processes(), precision, limit, terms=terms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--dropout", type=float, help="default: the paper's 0.1")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    batch = make_batch(arguments.rows, arguments.length)
    contestants = {}
    for precision in ("fp32", "bf16"):
        model, peer = make_models(arguments.preset, arguments.dropout)
        loss = partial(peer_loss, peer, batch)
        worst = difference(stepper(model, "fp32"), batch, peer, loss)
        contestants[f"triptych {precision}"] = our_update(
            stepper(model, precision), batch, SETTINGS
        )
        contestants[f"transformers {precision}"] = their_update(peer, loss, precision, SETTINGS)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    timing = time_in_turn(contestants, arguments.rounds, warmup=1, clock=clock)

    rates = {name: batch.n_tokens / timing.median(name) for name in contestants}
    flops = pretraining_flops(model, batch) / batch.n_tokens
    for name, rate in rates.items():
        peak = measure_peak_flops(torch.device("cpu"), name.split()[1])
        print(f"{name:20} {rate:8,.0f} tokens/s, {rate * flops / peak:.0%} of the measured peak")
    best_ours = max(("triptych fp32", "triptych bf16"), key=rates.__getitem__)
    best_theirs = max(("transformers fp32", "transformers bf16"), key=rates.__getitem__)
    ratio, low, high = timing.ratio(best_ours, best_theirs)
    print(f"{best_ours} / {best_theirs}: {ratio:.2f} times (pairs from {low:.2f} to {high:.2f})")
    print(f"same loss and gradient norm before: relative difference {worst:.1e}")
    result = {
        "benchmark": "pretrain_bert",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "tokens_per_second": rates,
        "ratio": {"of": best_ours, "to": best_theirs, "median": ratio, "range": [low, high]},
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
