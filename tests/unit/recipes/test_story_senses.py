"""Senses read off vectors: neighbours, cosines and the choice of a layer, against other code."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier

from triptych.data.storybook import StorySentence, stories
from triptych.errors import DataError
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes.encoder import Encoder
from triptych.recipes.story_senses import (
    Uses,
    all_layers,
    collect_uses,
    mean_cosines,
    nearest,
    sense_vectors,
)
from triptych.recipes.word_vectors import layered_word_vectors
from triptych.tokenizers.wordpiece import WordPiece

SENTENCES = [s for story in stories(71, 1500) for s in story.sentences]
LABELLED = collect_uses(SENTENCES[: len(SENTENCES) // 2], 5)
CHOOSING = collect_uses(SENTENCES[len(SENTENCES) // 2 :: 2], 4)
HELD_OUT = collect_uses(SENTENCES[len(SENTENCES) // 2 + 1 :: 2], 4)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    tokenizer = WordPiece.train([s.english for s in SENTENCES], 900)
    torch.manual_seed(0)
    trunk = bert_preset("tiny", tokenizer.vocab_size, tokenizer.pad_id)
    model = BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=("masked_words",))).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return Encoder(model, tokenizer)


def test_neighbours_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    known, asked = draw.normal(size=(30, 6)), draw.normal(size=(12, 6)) * 9
    labels = [f"sense {i % 3}" for i in range(30)]
    peer = KNeighborsClassifier(1, metric="cosine", algorithm="brute").fit(known, labels)
    assert nearest(known, labels, asked) == peer.predict(asked).tolist()


def test_mean_cosines_by_going_through_the_pairs() -> None:
    vectors, labels = np.random.default_rng(2).normal(size=(8, 5)), list("aabbbaca")
    cosines = cosine_similarity(vectors)
    kinds: dict[bool, list[float]] = {True: [], False: []}
    for i in range(8):
        for j in range(i):
            kinds[labels[i] == labels[j]].append(cosines[i, j])
    expected = (np.mean(kinds[True]), np.mean(kinds[False]))
    assert mean_cosines(vectors, labels) == pytest.approx(expected)
    within, across = mean_cosines(vectors, ["a"] * 8)
    assert math.isnan(across)
    assert within < 1


def test_uses_are_those_of_the_grammar() -> None:
    uses = collect_uses(SENTENCES)
    by_text = {sentence.english: sentence for sentence in SENTENCES}
    assert list(uses) == sorted(uses)
    assert len(uses) == 27
    for word, own in uses.items():
        assert len(set(own.sentences)) == len(own.sentences)
        for text, sense in zip(own.sentences, own.senses, strict=True):
            assert (word, sense) in {(s.word, s.sense) for s in by_text[text].senses}
    n_senses = sum(len(sentence.senses) for sentence in by_text.values())
    assert sum(len(own.senses) for own in uses.values()) == n_senses
    few = collect_uses(SENTENCES, 2)
    assert all(own.senses.count(sense) <= 2 for own in few.values() for sense in own.senses)
    assert few["bank"].sentences[0] == uses["bank"].sentences[0]


def test_layers_from_one_pass_are_those_asked_for_singly(encoder: Encoder) -> None:
    uses = HELD_OUT["bank"]
    (bank,) = encoder.tokenizer.encode(["bank"])[0]
    layers = [0, 2, -2]
    found = layered_word_vectors(encoder.model, encoder.tokenizer, uses.sentences, "bank", layers)
    for number, sentence in enumerate(uses.sentences):
        ids, _ = encoder.tokenizer.with_specials(encoder.tokenizer.encode([sentence])[0])
        rows = torch.tensor([ids])
        with torch.no_grad():
            states = encoder.module.layers(rows, torch.ones_like(rows, dtype=torch.bool))
        for vectors, layer in zip(found, layers, strict=True):
            expected = states[layer][0, ids.index(bank)].numpy()
            np.testing.assert_allclose(vectors[number], expected, atol=1e-5)
    np.testing.assert_array_equal(all_layers(encoder, "bank", uses)[[0, 2, 1]], found)


def test_decisions_and_choice_of_the_layer(encoder: Encoder) -> None:
    """Against scikit-learn's nearest neighbour, word by word and layer by layer."""

    def shares(asked: dict[str, Uses]) -> list[float]:
        right: list[list[bool]] = [[], [], []]
        for word, uses in asked.items():
            for layer in range(3):
                known = encoder.word_vectors(LABELLED[word].sentences, word, layer=layer)
                peer = KNeighborsClassifier(1, metric="cosine", algorithm="brute")
                peer.fit(known, LABELLED[word].senses)
                said = peer.predict(encoder.word_vectors(uses.sentences, word, layer=layer))
                right[layer] += (said == np.array(uses.senses)).tolist()
        return [sum(own) / len(own) for own in right]

    found = sense_vectors(encoder, LABELLED, CHOOSING, HELD_OUT)
    expected = shares(HELD_OUT)
    shown = [layer.accuracy for layer in found.layers]
    assert shown[1:] == pytest.approx(expected[1:])
    assert shown[0] == pytest.approx(expected[0], abs=0.03)  # one place, one embedding: many ties
    assert found.chosen == int(np.argmax(shares(CHOOSING)))
    assert found.accuracy == found.layers[found.chosen].accuracy
    assert sum(n for _, n in found.by_word.values()) == found.n
    assert sum(right for right, _ in found.by_word.values()) == round(found.accuracy * found.n)
    assert found.to_json()["layer"] == found.chosen


def test_the_most_frequent_sense_is_counted_among_the_labelled(encoder: Encoder) -> None:
    labelled = {"bank": Uses(("a bank .", "the bank .", "one bank ."), ("Bank", "Ufer", "Ufer"))}
    asked = {
        "bank": Uses(tuple(f"{n} bank ." for n in "abcd"), ("Bank", "Ufer", "Bank", "Bank")),
        "seal": Uses(("a seal .",), ("Robbe",)),
    }
    found = sense_vectors(encoder, labelled, asked, asked)
    assert found.n == 4
    assert found.commonest == 1 / 4
    assert set(found.by_word) == {"bank"}


def test_nothing_to_compare_is_said(encoder: Encoder) -> None:
    one = {"bank": Uses(("a bank .",), ("Ufer",))}
    with pytest.raises(DataError, match="no labelled word has two uses"):
        sense_vectors(encoder, one, one, one)
    with pytest.raises(DataError, match="no labelled word has two uses"):
        sense_vectors(encoder, one, {"seal": Uses(("a seal .",), ("Siegel",))}, one)


def test_a_sentence_that_comes_again_counts_once() -> None:
    """In another story it has another probability, and is still the same use."""
    sentence: StorySentence = next(s for s in SENTENCES if s.senses)
    again = replace(sentence, log_prob=sentence.log_prob - 1)
    own = collect_uses([sentence, again])[sentence.senses[0].word]
    assert own.sentences == (sentence.english,)
