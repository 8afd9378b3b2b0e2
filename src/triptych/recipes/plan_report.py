"""A plan as people read it, and as JSON: each figure beside its formula."""

import json
from dataclasses import asdict

from triptych.files.sizes import human_bytes
from triptych.recipes.plan import Plan
from triptych.runtime.memory import CPU_ALLOCATOR

PARTS = ("weights", "gradients", "optimizer", "copies", "activations", "loss", "allocator", "peak")
TITLES = {"plain": "alone", "ddp": "DDP", "fsdp2": "FSDP2"}
BLOCK = "4E² + 2EF + 9E + F"
CROSS_BLOCK = "8E² + 2EF + 15E + F"
MINUTE, HOUR, DAY = 60, 3600, 86_400


def formulas_of(found: Plan) -> dict[str, str]:
    """How each figure is reckoned; the letters are those of `letters_of`."""
    return {
        "parameters": {
            "gpt": f"V·E + S·E + L·({BLOCK}) + 2E",
            "bert": f"V·E + S·E + 4E + L·({BLOCK}) + heads (2E² + 6E + 2 + V)",
            "translation": f"V·E + L·({BLOCK}) + L·({CROSS_BLOCK})",
        }[found.family],
        "weights": "4 · P / G (float32; G = 1 but for FSDP2)",
        "gradients": "4 · P / G",
        "optimizer": "8 · P / G (Adam's two means)",
        "copies": _copies(found),
        "activations": "what each block keeps: runtime/memory.py:block_activations",
        "loss": "its gradients and a chunk of logits: runtime/memory.py:loss_memory",
        "allocator": f"{CPU_ALLOCATOR} · (largest moment - 12 · P): gaps in a CPU's heap",
        "peak": "the largest moment, no sum: activations go while gradients come",
        "flops": {
            "gpt": "6 · tokens · (L·(4E² + 2EF) + E·V + L·E·T)",
            "bert": "6 · tokens · (L·(4E² + 2EF) + 0.15·(E² + E·V) + 2·L·E·T)",
            "translation": "6 · tokens · (L·(4E² + 2EF) + L·(8E² + 2EF) + E·V + 5·L·E·T)",
        }[found.family],
        "seconds": "FLOPs / (GPUs · FLOP/s of one · share)",
        "model": "4 · P",
        "checkpoint": "12 · P (weights and both means)",
    }


def _copies(found: Plan) -> str:
    """What is there beside the weights themselves."""
    gathered = "FSDP2: what is outside the blocks, norms, and two groups of products"
    casts = "2 · weights of products (bf16)"
    several, in_bf16 = found.settings.gpus > 1, found.settings.precision == "bf16"
    return "; ".join([casts] * in_bf16 + [gathered] * several) or "none"


def plan_json(found: Plan) -> str:
    """One object with fixed keys; bytes, operations and seconds."""
    s = found.settings
    return json.dumps(
        {
            "preset": s.preset,
            "family": found.family,
            "gpus": s.gpus,
            "tokens": s.tokens,
            "seq_len": found.seq_len,
            "parameters": found.parameters,
            "memory": {
                name: {**asdict(memory), "peak": memory.peak}
                for name, memory in found.memory.items()
            },
            "flops": found.flops,
            "flops_per_second": found.flops_per_second,
            "share": found.share,
            "seconds": found.seconds,
            "model_bytes": found.model_bytes,
            "checkpoint_bytes": found.checkpoint_bytes,
            "formulas": formulas_of(found),
        },
        ensure_ascii=False,
    )


def plan_text(found: Plan) -> str:
    """Parameters, memory by part, operations, time and space on the disk."""
    s, formulas = found.settings, formulas_of(found)
    stated = "stated" if s.flops_per_second else "measured here, now"
    where = f"each of {s.gpus} GPUs" if s.gpus > 1 else "one GPU" if s.gpus else "the CPU"
    rows = f"{s.batch_size} rows of {found.seq_len:,} tokens at once, {s.precision}"
    speed = f"{found.flops_per_second:.3g} FLOP/s ({stated}) · {found.share:.0%}"
    model, saved = human_bytes(found.model_bytes), human_bytes(found.checkpoint_bytes)
    lines = [
        f"{s.preset} ({found.family}): P = {found.parameters:,} parameters",
        f"  {formulas['parameters']}",
        f"  {_letters(found)}",
        "",
        f"memory of {where}, {rows}",
        *_table(found),
        "",
        f"operations  {found.flops:.3g} FLOPs for {s.tokens:,.0f} tokens",
        f"  {formulas['flops']}",
        f"time        {_duration(found.seconds)} at {speed}",
        f"  {formulas['seconds']}",
        f"on disk     a model {model}; a checkpoint {saved}",
        f"  {formulas['model']}; {formulas['checkpoint']}",
    ]
    return "\n".join(lines)


def _letters(found: Plan) -> str:
    shape, length = found.shape, found.seq_len
    letters = {"V": shape.vocab_size, "E": shape.width, "F": shape.inner}
    letters |= {"L": shape.stacks[0].n_layers, "T": length}
    if found.family != "translation":
        letters["S"] = found.config.max_seq_len
    return ", ".join(f"{letter} = {value:,}" for letter, value in letters.items())


def _table(found: Plan) -> list[str]:
    formulas = formulas_of(found)
    rows = [f"  {'':12}" + "".join(f"{TITLES[name]:>10}" for name in found.memory)]
    for part in PARTS:
        values = [getattr(memory, part) for memory in found.memory.values()]
        if any(values):
            sizes = "".join(f"{human_bytes(value):>10}" for value in values)
            rows.append(f"  {part:12}{sizes}  {formulas[part]}")
    return rows


def _duration(seconds: float) -> str:
    """In the largest unit that leaves a number of at least 1."""
    for unit, length in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.1f} seconds"
