"""The contestants of `encode.py`: from a folder of MiniLM to a function of texts -> vectors [N, E].

Each makes its own batches of 32 texts, the longest first, as sentence-transformers does, whose
tokenizer, pooling and normalisation they share; ours has its own. ONNX Runtime and OpenVINO run
what is exported here from transformers' model: one batch at a time on all threads and, in streams,
as many batches at a time as there are threads, on one each.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from peers import has

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
Run = Callable[[dict[str, Any]], Any]
"""A batch as arrays, by the names of transformers' tokenizers -> hidden [B, T, E]."""
BATCH, MAX_SEQ_LEN = 32, 256
NAMES = ("input_ids", "attention_mask", "token_type_ids")


def triptych_(folder: Path, precision: str) -> Embed:
    from triptych.recipes.load import load_encoder

    encoder = load_encoder(folder, device="cpu", precision=precision)  # type: ignore[arg-type]
    return encoder.embed


def sentence_transformers_(folder: Path, precision: str) -> Embed:
    from sentence_transformers import SentenceTransformer

    options: dict[str, Any] = {"torch_dtype": torch.bfloat16} if precision == "bf16" else {}
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs=options)
    model.max_seq_length = MAX_SEQ_LEN
    return lambda texts: np.asarray(
        model.encode(list(texts), batch_size=BATCH, show_progress_bar=False), dtype=np.float32
    )


def onnxruntime_(
    folder: Path, precision: str, work: Path, threads: int, n_streams: int = 1
) -> Embed:
    """fp32, or int8 by its dynamic quantisation, a scale for each output."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = work / f"{precision}-{n_streams}.onnx"
    _export(folder, path)
    if precision == "int8":
        path, given = path.with_suffix(".int8.onnx"), path
        quantize_dynamic(given, path, weight_type=QuantType.QInt8, per_channel=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads // n_streams
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return _with_shared_parts(folder, lambda given: session.run(None, given)[0], n_streams)


def openvino_(folder: Path, precision: str, threads: int, n_streams: int = 1) -> Embed:
    """fp32, or bf16 by its hint."""
    import openvino

    model = openvino.convert_model(_Hidden(folder), example_input=_example())
    for given, name in zip(model.inputs, NAMES, strict=True):
        given.get_tensor().set_names({name})
    hints = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": n_streams,
    }
    compiled = openvino.Core().compile_model(model, "CPU", hints)
    return _with_shared_parts(
        folder, lambda given: compiled.create_infer_request().infer(given)[0], n_streams
    )


def engines(
    folder: Path, precision: str, work: Path, threads: int
) -> dict[str, Callable[[], Embed]]:
    """Who computes in this precision and is installed; ours, where it does, first."""
    found: dict[str, Callable[[], Embed]] = {}
    if precision != "int8":
        found["triptych"] = partial(triptych_, folder, precision)
        found["sentence-transformers"] = partial(sentence_transformers_, folder, precision)
    if precision != "bf16" and has("onnxruntime"):
        found["ONNX Runtime"] = partial(onnxruntime_, folder, precision, work, threads)
    if precision != "int8" and has("openvino"):
        found["OpenVINO"] = partial(openvino_, folder, precision, threads)
    if threads > 1:
        peers = [name for name in found if name in ("ONNX Runtime", "OpenVINO")]
        streams = {f"{name} in streams": partial(found[name], n_streams=threads) for name in peers}
        found |= streams
    return found


class _Hidden(torch.nn.Module):
    """transformers' model, with the last hidden state alone as its result."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel

        super().__init__()
        # its own attention is what exporters know how to fuse
        self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.model(ids, mask, types).last_hidden_state
        return hidden


def _example() -> tuple[torch.Tensor, ...]:
    return tuple(torch.ones(2, 8, dtype=torch.long) for _ in NAMES)


def _export(folder: Path, path: Path) -> None:
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        _Hidden(folder),
        _example(),
        path,
        input_names=list(NAMES),
        output_names=["hidden"],
        dynamic_axes=dict.fromkeys((*NAMES, "hidden"), axes),
        dynamo=False,
    )


def _with_shared_parts(folder: Path, run: Run, n_streams: int) -> Embed:
    """Tokenise, run so many batches at a time, mean of the real tokens, length 1."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)

    def vectors_of(texts: list[str]) -> Vectors:
        given = tokenizer(
            texts, padding=True, truncation=True, max_length=MAX_SEQ_LEN,
            return_token_type_ids=True, return_tensors="np",
        )  # fmt: skip
        hidden = run({name: given[name].astype(np.int64) for name in NAMES})
        weights = given["attention_mask"][..., None].astype(np.float32)
        mean = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), dtype=np.float32)

    def embed(texts: Sequence[str]) -> Vectors:
        order = np.argsort([-len(text) for text in texts])
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        with ThreadPoolExecutor(n_streams) as pool:
            found = list(pool.map(vectors_of, [[texts[i] for i in rows] for rows in batches]))
        vectors = np.empty((len(texts), found[0].shape[1]), np.float32)
        for rows, some in zip(batches, found, strict=True):
            vectors[rows] = some
        return vectors

    return embed
