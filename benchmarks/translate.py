"""Translation against transformers and CTranslate2: same weights, same lines, in turn.

    python benchmarks/translate.py [--precision fp32 bf16 int8] [--beam-size 1 4] [--json FILE]
    python benchmarks/translate.py --threads 1 --cpu-time        beside other work

OPUS-MT's shape (512 wide, 6 + 6 layers, its vocabulary of French and English), random weights, 64
French captions in batches of 32; no text may end before its 24th token, so that all do the same
work. Tokenising is included. Each engine has a process of its own; a round is one call of each.
Before any is timed, their greedy texts are compared in fp32. transformers has no int8 here: the row
beside ours is its fp32. CTranslate2 takes part where it is installed. Needs the real data.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from apart import Apart, Maker
from in_turn import machine, write_json
from peers import COMPUTE_TYPES, PRECISIONS, default_data, for_ctranslate2, has_ctranslate2

Texts = list[list[str]]
Translate = Callable[[int], Texts]
"""From a number of beams to the tokens of each line."""
N_LINES, BATCH, N_NEW = 64, 32, 24


@dataclass(frozen=True)
class Task:
    """What is asked of each, and where the weights are."""

    folder: Path
    lines: tuple[str, ...]
    threads: int


def write_weights(folder: Path, tokenizer_files: Path) -> None:
    """Random weights, as transformers and CTranslate2's converter read them; no text ends early."""
    from triptych.checkpoint import save_folder
    from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
    from triptych.tokenizers.sentencepiece import MarianTokenizer

    tokenizer = MarianTokenizer.load(tokenizer_files)
    torch.manual_seed(1)
    config = EncoderDecoderConfig(
        vocab_size=tokenizer.vocab_size, activation="silu", max_seq_len=512,
        pad_id=tokenizer.pad_id, eos_id=tokenizer.eos_id, start_id=tokenizer.pad_id,
    )  # fmt: skip
    model = EncoderDecoder(config)
    model.final_logits_bias[tokenizer.eos_id] = -1e4
    save_folder(folder, model, tokenizer)


def contestants(task: Task, precision: str) -> dict[str, Maker]:
    """Ours first."""
    theirs = "fp32" if precision == "int8" else precision
    found: dict[str, Maker] = {
        f"triptych {precision}": partial(triptych_, task, precision),
        f"transformers {theirs}": partial(transformers_, task, theirs),
    }
    if has_ctranslate2(precision):
        found[f"CTranslate2 {precision}"] = partial(ctranslate2_, task, precision)
    return found


def triptych_(task: Task, precision: str) -> Translate:
    from triptych.recipes.load import load_translator
    from triptych.recipes.translate_options import TranslateOptions

    translator = load_translator(task.folder, device="cpu", precision=precision)  # type: ignore[arg-type]
    longest = max(map(len, translator.tokenizer.encode_source(task.lines)))

    def translate(beam_size: int) -> Texts:
        options = TranslateOptions(
            beam_size=beam_size, max_new_tokens=N_NEW, batch_tokens=BATCH * longest * beam_size
        )
        found = translator.translate(task.lines, options=options)
        return [list(translation.tokens) for translation in found]

    return translate


def transformers_(task: Task, precision: str) -> Translate:
    from transformers import MarianMTModel
    from transformers import MarianTokenizer as TheirTokenizer

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = MarianMTModel.from_pretrained(task.folder, dtype=dtype).eval()
    tokenizer = TheirTokenizer.from_pretrained(task.folder)
    lines = sorted(task.lines, key=len, reverse=True)

    def translate(beam_size: int) -> Texts:
        found = {}
        for start in range(0, len(lines), BATCH):
            some = lines[start : start + BATCH]
            given = tokenizer(some, return_tensors="pt", padding=True)
            with torch.inference_mode():
                ids = model.generate(
                    **given, num_beams=beam_size, max_new_tokens=N_NEW, do_sample=False
                )
            for line, row in zip(some, ids[:, 1:].tolist(), strict=True):
                found[line] = tokenizer.convert_ids_to_tokens(row)
        return [found[line] for line in task.lines]

    return translate


def ctranslate2_(task: Task, precision: str) -> Translate:
    import ctranslate2
    from transformers import MarianTokenizer as TheirTokenizer

    model = ctranslate2.Translator(
        for_ctranslate2(task.folder),
        compute_type=COMPUTE_TYPES[precision],
        intra_threads=task.threads,
    )
    tokenizer = TheirTokenizer.from_pretrained(task.folder)

    def translate(beam_size: int) -> Texts:
        sources = [tokenizer.convert_ids_to_tokens(tokenizer.encode(line)) for line in task.lines]
        found = model.translate_batch(
            sources, beam_size=beam_size, max_batch_size=BATCH, min_decoding_length=N_NEW,
            max_decoding_length=N_NEW,
        )  # fmt: skip
        return [result.hypotheses[0] for result in found]

    return translate


def share_alike(ours: Texts, theirs: Texts) -> float:
    """Of the texts, those whose tokens are the same up to the last, which we make an end."""
    n = N_NEW - 1
    return sum(a[:n] == b[:n] for a, b in zip(ours, theirs, strict=True)) / len(ours)


def row(
    engines: Apart, precision: str, beam_size: int, arguments: argparse.Namespace
) -> dict[str, object]:
    """One precision and one number of beams, timed and printed."""
    ours, *others = engines.pipes
    texts = {name: engines.call(name, beam_size).result for name in engines.pipes}
    alike = {name: share_alike(texts[ours], texts[name]) for name in others}
    if precision == "fp32" and beam_size == 1:
        assert min(alike.values()) >= 0.9, f"greedy texts differ: {alike}"  # but for near ties
    timing = engines.time_in_turn(arguments.rounds, 1, beam_size, cpu_time=arguments.cpu_time)
    rates = {name: N_LINES * N_NEW / timing.median(name) for name in engines.pipes}
    print(f"beam {beam_size}, {precision}: {ours} {rates[ours]:,.0f} target tokens/s")
    ratios = {}
    for name in others:
        ratios[name] = timing.ratio(ours, name)
        told = timing.told(ours, name)
        print(
            f"  {name:20} {rates[name]:7,.0f}; {told}; the same texts: {alike[name]:.0%}",
            flush=True,
        )
    return {
        "precision": precision, "beam_size": beam_size, "tokens_per_second": rates,
        "ratios": ratios, "texts_alike": alike,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--beam-size", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true", help="leave out what others take")
    parser.add_argument("--data", type=Path, default=default_data())
    arguments = parser.parse_args()

    captions = (arguments.data / "multi30k" / "train.fr").read_text("utf-8").splitlines()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        task = Task(Path(place, "model"), tuple(captions[:N_LINES]), arguments.threads)
        write_weights(task.folder, arguments.data / "tokenizers" / "marian-fr-en")
        for precision in arguments.precision:
            with Apart(contestants(task, precision), arguments.threads) as engines:
                rows += [row(engines, precision, k, arguments) for k in arguments.beam_size]
    result = {
        "benchmark": "translate",
        "arguments": {name: str(value) for name, value in vars(arguments).items()},
        "machine": machine(),
        "rows": rows,
    }
    write_json(arguments.json, result)


if __name__ == "__main__":
    main()
