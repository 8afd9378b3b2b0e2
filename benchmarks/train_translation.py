"""Training speed against transformers' MarianMT: same shape, same weights, same batches, in turn.

    python benchmarks/train_translation.py [--json FILE] [--rounds 7] [--rows 256] [--length 16]

A round is one update (forward, backward, Adam) of each contestant. Before any is timed, the two
are shown to compute the same loss and gradients. tokens/s are real target tokens.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import MarianConfig, MarianMTModel

from in_turn import machine, time_in_turn, write_json
from triptych.convert.marian import to_marian
from triptych.convert.marian_config import config_to_json
from triptych.data.batching import IGNORE, PairBatch, collate_pairs
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.models.presets import translation_preset
from triptych.runtime.training import use_fast_training
from triptych.training.distributed import Processes
from triptych.training.objectives import TranslationObjective
from triptych.training.settings import OptimizerSettings
from triptych.training.step import Stepper
from updates import difference, our_update, their_update

SMOOTHING = 0.1
SETTINGS = OptimizerSettings(eps=1e-9)


def make_batch(rows: int, length: int, vocab_size: int) -> PairBatch:
    """Ragged like a length-bucketed batch: lengths from `length` − 2 to `length`."""
    generator = torch.Generator().manual_seed(1)
    pairs = []
    for row in range(rows):
        n = length - row % 3
        ids = torch.randint(1, vocab_size - 1, (2, n), generator=generator)
        ids[:, -1] = 0
        pairs.append((ids[0].numpy(), ids[1].numpy()))
    return collate_pairs(pairs, vocab_size - 1, vocab_size - 1)


def stepper(model: EncoderDecoder, precision: str) -> Stepper:
    """Our trainer's own step."""
    objective = TranslationObjective(model.config.pad_id, SMOOTHING)
    return Stepper(model, objective, Processes(), precision, SETTINGS.clip_norm)


def marian_loss(model: MarianMTModel, batch: PairBatch, pad_id: int) -> Tensor:
    """transformers' forward and torch's own smoothed cross-entropy, padding's class left out."""
    logits = model(
        input_ids=batch.source_ids,
        attention_mask=batch.source_valid.long(),
        decoder_input_ids=batch.target_in,
        use_cache=False,
    ).logits[..., :pad_id]
    return F.cross_entropy(
        logits.flatten(0, 1).float(),
        batch.target_out.flatten(),
        ignore_index=IGNORE,
        label_smoothing=SMOOTHING,
    )


def make_models(
    preset: str, vocab_size: int, dropout: float | None
) -> tuple[EncoderDecoder, MarianMTModel]:
    """The two with the same weights."""
    torch.manual_seed(1)
    config = translation_preset(preset, vocab_size, vocab_size - 1, 0)
    if dropout is not None:
        config = replace(config, dropout=dropout)
    model = use_fast_training(EncoderDecoder(config).train())
    peer = MarianMTModel(MarianConfig(**config_to_json(config)))
    peer.load_state_dict(to_marian(model.state_dict(), config), strict=False)
    peer.tie_weights()
    return model, peer.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--vocab-size", type=int, default=9712)
    parser.add_argument("--dropout", type=float, help="default: the preset's")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    batch = make_batch(arguments.rows, arguments.length, arguments.vocab_size)
    contestants = {}
    for precision in ("fp32", "bf16"):
        model, peer = make_models(arguments.preset, arguments.vocab_size, arguments.dropout)
        loss = partial(marian_loss, peer, batch, model.config.pad_id)
        worst = difference(stepper(model, "fp32"), batch, peer, loss)
        contestants[f"triptych {precision}"] = our_update(
            stepper(model, precision), batch, SETTINGS
        )
        contestants[f"transformers {precision}"] = their_update(peer, loss, precision, SETTINGS)
    timing = time_in_turn(contestants, arguments.rounds)

    n_tokens = batch.n_target_tokens
    rates = {name: n_tokens / timing.median(name) for name in contestants}
    best_ours = max(("triptych fp32", "triptych bf16"), key=rates.__getitem__)
    best_theirs = max(("transformers fp32", "transformers bf16"), key=rates.__getitem__)
    for name, rate in rates.items():
        print(f"{name:20} {rate:8,.0f} target tokens/s")
    ratio, lowest, highest = timing.ratio(best_ours, best_theirs)
    print(
        f"{best_ours} / {best_theirs}: {ratio:.2f} times (pairs from {lowest:.2f} to {highest:.2f})"
    )
    print(f"same loss and gradients before: relative difference {worst:.1e}")
    result = {
        "benchmark": "train_translation",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "tokens_per_second": rates,
        "ratio": {"of": best_ours, "to": best_theirs, "median": ratio, "range": [lowest, highest]},
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
