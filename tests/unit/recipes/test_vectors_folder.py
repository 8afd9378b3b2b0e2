"""The folder of word vectors: round trip, damage, and who else is told what it is."""

import json
from pathlib import Path

import numpy as np
import pytest

import triptych
from triptych.data.vector_files import VectorFormat, write_vectors
from triptych.errors import DataError, ModelFileError, UsageError
from triptych.predecessors.vectors import WordVectors
from triptych.recipes.convert_vectors import convert_vectors
from triptych.recipes.load import load_encoder, load_generator, load_translator
from triptych.recipes.vectors_folder import load_vectors, save_vectors
from triptych.recipes.words_in_context import StaticWords, word_model
from triptych.runtime.packed import Precision


@pytest.fixture
def vectors() -> WordVectors:
    matrix = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    counts = np.array([9, 5, 5])
    return WordVectors(["the", "naïve", "frog\u2028"], matrix, counts, {"kind": "glove"})


def test_round_trip(tmp_path: Path, vectors: WordVectors) -> None:
    save_vectors(tmp_path / "v", vectors, "a card\n")
    names = {"vectors.safetensors", "vocab.txt", "config.json", "README.md", "manifest.json"}
    assert {path.name for path in (tmp_path / "v").iterdir()} == names
    config = json.loads((tmp_path / "v" / "config.json").read_text())
    assert config["model_type"] == "triptych-vectors"
    assert (config["vocab_size"], config["d_model"]) == (3, 4)
    for found in (load_vectors(tmp_path / "v"), triptych.load(tmp_path / "v")):
        assert isinstance(found, triptych.WordVectors)
        assert list(found.words) == list(vectors.words)
        assert np.array_equal(found.vectors, vectors.vectors)
        assert found.counts is not None
        assert found.counts.tolist() == [9, 5, 5]
        assert found.notes == {"kind": "glove"}


@pytest.mark.parametrize("to", ["word2vec", "word2vec-binary", "glove"])
def test_a_file_of_vectors_is_loaded_like_a_folder(
    tmp_path: Path, vectors: WordVectors, to: VectorFormat
) -> None:
    path = tmp_path / "v.file"
    write_vectors(path, vectors.words, vectors.vectors, to)
    found = triptych.load(path)
    assert isinstance(found, WordVectors)
    assert list(found.words) == list(vectors.words)
    assert np.array_equal(found.vectors, vectors.vectors)
    assert isinstance(word_model(str(path)), StaticWords)
    with pytest.raises(ModelFileError, match="is word vectors; this needs an encoder"):
        load_encoder(path)
    path.write_bytes(b"a 1 2\nb 1\n")
    with pytest.raises(ModelFileError, match=r"was read as word vectors, .*v\.file:2: 1 numbers"):
        triptych.load(path)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_precision_that_vectors_cannot_have_is_refused(
    tmp_path: Path, vectors: WordVectors, precision: Precision
) -> None:
    save_vectors(tmp_path / "v", vectors)
    write_vectors(tmp_path / "v.txt", vectors.words, vectors.vectors)
    for place in ("v", "v.txt"):
        with pytest.raises(UsageError, match=f"precision is {precision}; of word vectors .* fp32"):
            triptych.load(tmp_path / place, precision=precision)


@pytest.mark.parametrize(
    "load", [load_encoder, load_translator, load_generator], ids=lambda f: f.__name__
)
def test_other_tasks_say_what_it_is(tmp_path: Path, vectors: WordVectors, load: object) -> None:
    save_vectors(tmp_path / "v", vectors)
    with pytest.raises(ModelFileError, match="is word vectors; this needs"):
        load(tmp_path / "v")  # type: ignore[operator]


def test_damage_is_named(tmp_path: Path, vectors: WordVectors) -> None:
    folder = tmp_path / "v"
    save_vectors(folder, vectors)
    (folder / "vocab.txt").write_text("the\nnaive\nfrog\n")
    with pytest.raises(ModelFileError, match=r"vocab\.txt"):
        load_vectors(folder)
    (folder / "vocab.txt").write_text("the\nfrog\n")
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelFileError, match=r"2 words in vocab.txt, but .* shape \(3, 4\)"):
        load_vectors(folder)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelFileError, match="model_type is 'bert'; this needs 'triptych-vectors'"):
        load_vectors(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"config\.json is not JSON"):
        load_vectors(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelFileError, match=r"has no config\.json"):
        load_vectors(folder)
    with pytest.raises(ModelFileError, match="no word vectors at nowhere"):
        load_vectors("nowhere")


def test_values_that_are_no_numbers_are_refused(tmp_path: Path, vectors: WordVectors) -> None:
    vectors.vectors[1, 2] = np.nan
    save_vectors(tmp_path / "v", vectors)
    with pytest.raises(ModelFileError, match="1 values are no finite numbers"):
        load_vectors(tmp_path / "v")


@pytest.mark.parametrize("word", ["", "a\nb", "a\r"])
def test_a_word_that_is_no_line_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match=r"cannot be written as a line of vocab\.txt"):
        save_vectors(tmp_path / "v", WordVectors([word], np.ones((1, 2), dtype=np.float32)))
    assert not (tmp_path / "v").exists()


def test_formats_into_each_other(tmp_path: Path, vectors: WordVectors) -> None:
    save_vectors(tmp_path / "v", vectors)
    convert_vectors(tmp_path / "v", tmp_path / "a.txt", "word2vec")
    convert_vectors(tmp_path / "a.txt", tmp_path / "b.bin", "word2vec-binary")
    convert_vectors(tmp_path / "b.bin", tmp_path / "c.txt", "glove")
    convert_vectors(tmp_path / "c.txt", tmp_path / "w", "vectors")
    found = load_vectors(tmp_path / "w")
    assert list(found.words) == list(vectors.words)
    assert np.array_equal(found.vectors, vectors.vectors)
    assert found.counts is None


def test_wrong_places_are_refused(tmp_path: Path, vectors: WordVectors) -> None:
    save_vectors(tmp_path / "v", vectors)
    with pytest.raises(UsageError, match="is the source itself"):
        convert_vectors(tmp_path / "v", tmp_path / "v", "vectors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="is a folder; the format glove is one file"):
        convert_vectors(tmp_path / "v", tmp_path / "folder", "glove")
