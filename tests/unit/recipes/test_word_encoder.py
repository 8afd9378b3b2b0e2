"""ELMo in use: folders of both kinds, vectors by layer, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import triptych
from triptych import checkpoint
from triptych.errors import DataError, ModelFileError, UsageError
from triptych.predecessors.characters import CharacterConfig
from triptych.predecessors.elmo import Elmo, ElmoConfig
from triptych.recipes.convert import convert_to_huggingface
from triptych.recipes.load import load_encoder
from triptych.recipes.word_encoder import WordEncoder
from triptych.tokenizers.words import Words

WORDS = Words(["the", "bank", "of", "a", "river", "frog"])
SENTENCES = ["The bank of the river.", "A bank!", "The frog, the bank's frog"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elmo") / "model"
    torch.manual_seed(5)
    config = ElmoConfig(
        characters=CharacterConfig(d_character=3, filters=((1, 4), (3, 5)), n_highway=1),
        d_cell=11, d_projection=6, vocab_size=WORDS.vocab_size,
    )  # fmt: skip
    checkpoint.save_folder(folder, Elmo(config), WORDS)
    return folder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> WordEncoder:
    loaded = triptych.load(folder, device="cpu")
    assert isinstance(loaded, WordEncoder)
    return loaded


def test_a_folder_comes_back_bit_for_bit(encoder: WordEncoder, tmp_path: Path) -> None:
    checkpoint.save_folder(tmp_path / "again", encoder.module, encoder.tokenizer)
    again = triptych.load(tmp_path / "again", device="cpu")
    assert isinstance(again, WordEncoder)
    assert again.module.config == encoder.module.config
    for name, tensor in encoder.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[name])
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["model_type"] == "triptych-elmo"


def test_vectors_by_layer_do_not_depend_on_the_batch(encoder: WordEncoder) -> None:
    words = [["The", "bank"], ["A", "very", "old", "frog", "."], ["x"]]
    together = encoder.embed_words(words)
    assert [v.shape for v in together] == [(3, 2, 12), (3, 5, 12), (3, 1, 12)]
    for one, vectors in zip(words, together, strict=True):
        np.testing.assert_allclose(encoder.embed_words([one])[0], vectors, atol=1e-6)
        few = encoder.embed_words([one, words[1]], batch_words=1)[0]
        np.testing.assert_allclose(few, vectors, atol=1e-6)


def test_the_vector_of_a_word_in_its_sentence(encoder: WordEncoder) -> None:
    for layer in (0, 1, 2, -1):
        vectors = encoder.word_vectors(SENTENCES, "bank", layer=layer)
        whole = encoder.embed_words([["The", "bank", "of", "the", "river", "."]])[0][layer, 1]
        np.testing.assert_allclose(vectors[0], whole, atol=1e-6)
        assert np.allclose(vectors[0], vectors[1], atol=1e-5) is (layer == 0)


def test_several_words_are_their_mean(encoder: WordEncoder) -> None:
    pair = encoder.word_vectors(SENTENCES[:1], "the river")
    whole = encoder.embed_words([["The", "bank", "of", "the", "river", "."]])[0][-1]
    np.testing.assert_allclose(pair[0], whole[3:5].mean(axis=0), atol=1e-6)


def test_bad_input(encoder: WordEncoder, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="sentence 2 does not hold the word 'frog'"):
        encoder.word_vectors(["a frog", "a toad"], "frog")
    with pytest.raises(UsageError, match="layer 3 is not there"):
        encoder.word_vectors(["a frog"], "frog", layer=3)
    with pytest.raises(UsageError, match="is an ELMo model, which transformers does not have"):
        convert_to_huggingface(folder, tmp_path / "converted")
    with pytest.raises(DataError, match="sentence 2 has no word"):
        encoder.embed_words([["a"], []])
    with pytest.raises(ModelFileError, match="is an ELMo model; this needs an encoder"):
        load_encoder(folder, device="cpu")
    for key, value, words in (
        ("d_cell", 12, "should be"),
        ("d_cell", "x", "d_cell|not supported"),
        ("characters", {"filters": [[1, 0]]}, "a filter is"),
    ):
        bad = tmp_path / "bad"
        shutil.copytree(folder, bad, dirs_exist_ok=True)
        config = json.loads((bad / "config.json").read_text())
        (bad / "config.json").write_text(json.dumps(config | {key: value}))
        (bad / "manifest.json").unlink(missing_ok=True)
        with pytest.raises(ModelFileError, match=words):
            triptych.load(bad, device="cpu")


def test_published_files(tmp_path: Path, data_dir: Path) -> None:
    pytest.importorskip("h5py")
    encoder = triptych.load(data_dir / "elmo_fixture", device="cpu")
    assert isinstance(encoder, WordEncoder)
    assert encoder.word_vectors(SENTENCES, "bank").shape == (3, 32)
    for precision in ("bf16", "int8"):
        with pytest.raises(UsageError, match=f"precision is {precision}; of an ELMo model choose"):
            triptych.load(data_dir / "elmo_fixture", device="cpu", precision=precision)
    for name in ("options.json", "lm_weights.hdf5"):
        shutil.copy(data_dir / "elmo_fixture" / name, tmp_path)
        (tmp_path / name).chmod(0o644)
    options = json.loads((tmp_path / "options.json").read_text())
    for change, words in (
        ({"lstm": {**options["lstm"], "dim": 32}}, r"w_input should be \(128, 16\)"),
        ({"lstm": {}}, "KeyError 'dim'; these are not the options"),
        ({"char_cnn": {**options["char_cnn"], "n_highway": 3}}, "has no CNN_high_2/W_carry"),
    ):
        (tmp_path / "options.json").write_text(json.dumps(options | change))
        with pytest.raises(ModelFileError, match=words):
            triptych.load(tmp_path, device="cpu")
    (tmp_path / "options.json").write_text(json.dumps(options))
    (tmp_path / "lm_weights.hdf5").write_bytes(b"no")
    with pytest.raises(ModelFileError, match="no whole HDF5 file"):
        triptych.load(tmp_path, device="cpu")
