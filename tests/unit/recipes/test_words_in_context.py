"""One interface for a word in its sentence: static vectors, ELMo, BERT."""

import numpy as np
import pytest
import torch

from triptych.data.occurrences import Occurrence, word_span
from triptych.data.sense_sets import SenseSet
from triptych.errors import DataError
from triptych.files import notices
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.predecessors.characters import CharacterConfig
from triptych.predecessors.elmo import Elmo, ElmoConfig
from triptych.predecessors.vectors import WordVectors
from triptych.recipes.encoder import Encoder
from triptych.recipes.evaluate_senses import evaluate_senses
from triptych.recipes.word_encoder import WordEncoder
from triptych.recipes.words_in_context import (
    ElmoWords,
    EncoderWords,
    StaticWords,
    WordModel,
)
from triptych.tokenizers.wordpiece import WordPiece
from triptych.tokenizers.words import Words

TEXTS = ["The river bank is steep.", "A bank lends money", "bank", "seals swim near the bank ."]


def at(text: str, word: str = "bank", sense: str | None = None) -> Occurrence:
    span = word_span(text, word)
    assert span is not None
    return Occurrence(text, *span, f"here:{TEXTS.index(text) + 1 if text in TEXTS else 0}", sense)


def table() -> WordVectors:
    """Static vectors of a few words."""
    return WordVectors(["river", "bank", "steep", "lends", "money"], np.eye(5, dtype=np.float32))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    tokenizer = WordPiece.train([*TEXTS, "the steepest rivers", "lending swimming"] * 3, 90)
    torch.manual_seed(0)
    trunk = bert_preset("small", tokenizer.vocab_size, tokenizer.pad_id)
    trunk = type(trunk)(**{**vars(trunk), "max_seq_len": 24, "d_model": 32, "d_ff": 32,
                           "n_heads": 2})  # fmt: skip
    return Encoder(BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=())).eval(), tokenizer)


@pytest.fixture(scope="module")
def elmo() -> WordEncoder:
    torch.manual_seed(1)
    characters = CharacterConfig(d_character=3, filters=((1, 4), (3, 5)), n_highway=1)
    config = ElmoConfig(characters=characters, d_cell=9, d_projection=5)
    return WordEncoder(Elmo(config).eval(), Words(()))


@pytest.fixture(params=["static", "elmo", "bert"])
def model(request: pytest.FixtureRequest, encoder: Encoder, elmo: WordEncoder) -> WordModel:
    return {"static": StaticWords(table()), "elmo": ElmoWords(elmo), "bert": EncoderWords(encoder)}[
        request.param
    ]


def test_every_model_gives_a_vector_a_layer(model: WordModel) -> None:
    uses = [at(text) for text in TEXTS]
    vectors = model.vectors(uses)
    assert vectors.shape[:2] == (len(model.layers), 4)
    assert vectors.dtype == np.float32
    for i, use in enumerate(uses):  # whatever the company
        np.testing.assert_allclose(model.vectors([use])[:, 0], vectors[:, i], atol=1e-5)


def test_berts_layers_are_those_of_its_word_vectors(encoder: Encoder) -> None:
    model = EncoderWords(encoder)
    assert model.layers == ("0", "1", "2", "3", "4", "mean of last 4")
    vectors = model.vectors([at(text) for text in TEXTS])
    for layer in range(5):
        own = encoder.word_vectors(TEXTS, "bank", layer=layer)
        np.testing.assert_allclose(vectors[layer], own, atol=1e-5)
    np.testing.assert_allclose(vectors[5], vectors[1:5].mean(axis=0), atol=1e-6)


def test_elmos_layers_are_those_of_its_word_vectors(elmo: WordEncoder) -> None:
    model = ElmoWords(elmo)
    assert model.layers == ("0", "1", "2", "mean of all")
    vectors = model.vectors([at(text) for text in TEXTS])
    for layer in range(3):
        own = elmo.word_vectors(TEXTS, "bank", layer=layer)
        np.testing.assert_allclose(vectors[layer], own, atol=1e-6)
    np.testing.assert_allclose(vectors[3], vectors[:3].mean(axis=0), atol=1e-6)


def test_static_vectors_and_the_mean_of_what_stands_around() -> None:
    static = table()
    own, context = StaticWords(static).vectors([at(text) for text in TEXTS])
    assert (own == static.vector("bank")).all()
    np.testing.assert_allclose(context[0], (static.vector("river") + static.vector("steep")) / 2)
    np.testing.assert_allclose(context[2], static.vector("bank"))  # nothing is around it
    capital = StaticWords(static).vectors([at("The BANK")])
    assert (capital[0, 0] == static.vector("bank")).all()
    with pytest.raises(DataError, match="here:0: 'frog' is not among the 5 words"):
        StaticWords(static).vectors([at("a frog", "frog")])


def test_static_words_are_those_of_the_rule() -> None:
    """A contraction keeps its vector, and so does an occurrence with the other apostrophe."""
    static = WordVectors(["don't", "bank", "café", "Bank"], np.eye(4, dtype=np.float32))
    don_t, bank, cafe, capital = np.eye(4, dtype=np.float32)
    model = StaticWords(static)
    for text in ("banks don't bank", "Don’t bank", "the bank’s don't"):
        (own,), (context,) = model.vectors([at(text)])
        np.testing.assert_array_equal(own, bank)
        np.testing.assert_array_equal(context, don_t)
    use = [at("I don’t bank at the cafe\u0301 ", "don’t")]
    (own,), (context,) = model.vectors(use)
    np.testing.assert_array_equal(own, don_t)
    np.testing.assert_allclose(context, (bank + cafe) / 2)
    (own,), _ = model.vectors([at("the Bank", "Bank")])
    np.testing.assert_array_equal(own, capital)  # vectors of both cases keep them


def test_unknown_words_around_cost_no_search_for_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: WordVectors, word: str) -> list[str]:
        raise AssertionError(f"spellings of {word!r} were looked for")

    monkeypatch.setattr(WordVectors, "spellings", never)
    assert StaticWords(table()).vectors([at(text) for text in TEXTS]).shape == (2, 4, 5)


@pytest.mark.parametrize("place", ["begin", "middle", "end"])
def test_of_a_long_sentence_the_stretch_around_the_word_is_read(
    encoder: Encoder, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    filler = ["river"] * 40
    filler.insert({"begin": 0, "middle": 20, "end": 40}[place], "bank")
    vectors = EncoderWords(encoder).vectors([at(" ".join(filler))])
    assert "has 41 tokens, and the model reads 22" in caplog.text
    assert np.isfinite(vectors).all()
    shorter = (
        filler[9:31] if place == "middle" else filler[:22] if place == "begin" else filler[-22:]
    )
    expected = encoder.word_vectors([" ".join(shorter)], "bank", layer=4)
    pieces = len(encoder.tokenizer.encode(["river"])[0])
    assert pieces == 1
    np.testing.assert_allclose(vectors[4], expected, atol=1e-5)


def test_no_word_there_is_said_with_its_place(encoder: Encoder, elmo: WordEncoder) -> None:
    nothing = Occurrence("a  b", 1, 3, "f.txt:7")
    for model in (EncoderWords(encoder), ElmoWords(elmo)):
        with pytest.raises(DataError, match=r"f\.txt:7"):
            model.vectors([nothing])


def test_senses_by_layer() -> None:
    """Static context tells what the word alone cannot."""

    def uses(*senses: str) -> tuple[Occurrence, ...]:
        texts = {"r": "the river bank is steep", "m": "a bank lends money"}
        return tuple(at(texts[sense], sense=sense) for sense in senses)

    sets = [SenseSet("bank", uses(*"mmrr"), uses(*"mrmrr")), SenseSet("b", uses(*"mr"), uses("m"))]
    report = evaluate_senses(StaticWords(table()), sets, quiet=True)
    found = report.to_json()
    assert found["layer"] == "context"
    assert [layer["layer"] for layer in found["layers"]] == ["word", "context"]
    assert found["layers"][1]["macro_f1"] == found["macro_f1"] == found["accuracy"] == 1
    assert found["by_word"]["bank"]["layers"]["word"] < 0.5
    assert found["by_word"]["bank"]["most_frequent_sense"] == pytest.approx(2 / 5)
    assert (found["n"], found["n_words"], found["by_word"]["bank"]["n_train"]) == (6, 2, 4)
    assert "chosen on the labelled sentences" in str(report)
    with pytest.raises(DataError, match="no word whose senses"):
        evaluate_senses(StaticWords(table()), [], quiet=True)
