"""An encoder in use: vectors, fillings and words in their sentences, with random weights."""

import copy
import itertools
import logging
import math
import re

import numpy as np
import pytest
import torch

from triptych.convert.sentence_transformers import Pooling
from triptych.data.occurrences import word_span
from triptych.errors import ConfigError, DataError, ModelFileError, UsageError
from triptych.models.heads import BertWithHeads, BertWithHeadsConfig
from triptych.models.presets import bert_preset
from triptych.recipes import encoding
from triptych.recipes.encoder import Encoder
from triptych.runtime.streams import in_streams
from triptych.tokenizers.wordpiece import WordPiece

TEXTS = ["The river bank is steep.", "A bank lends money", "", "bank", "seals swim near the bank ."]


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece.train([*TEXTS, "the steepest rivers", "lending swimming"] * 3, 90)


def made(tokenizer: WordPiece, *heads: str, pooling: Pooling | None = None) -> Encoder:
    torch.manual_seed(0)
    trunk = bert_preset("tiny", tokenizer.vocab_size, tokenizer.pad_id)
    model = BertWithHeads(BertWithHeadsConfig(trunk=trunk, heads=heads)).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return Encoder(model, tokenizer, pooling)


@pytest.fixture(scope="module")
def encoder(tokenizer: WordPiece) -> Encoder:
    return made(tokenizer, "masked_words")


@pytest.mark.parametrize("mode", ["cls", "mean", "max"])
@pytest.mark.parametrize("normalize", [False, True])
def test_pooling_by_hand(encoder: Encoder, mode: str, normalize: bool) -> None:
    found = encoder.embed(TEXTS, pooling=mode, normalize=normalize)
    assert found.dtype == np.float32
    for text, vector in zip(TEXTS, found, strict=True):
        ids, _ = encoder.tokenizer.with_specials(encoder.tokenizer.encode([text])[0])
        rows = torch.tensor([ids])
        with torch.no_grad():
            hidden = encoder.module(rows, torch.ones_like(rows, dtype=torch.bool))[0].numpy()
        expected = {"cls": hidden[0], "mean": hidden.mean(0), "max": hidden.max(0)}[mode]
        expected = expected / np.linalg.norm(expected) if normalize else expected
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_vectors_do_not_depend_on_company(encoder: Encoder) -> None:
    together = encoder.embed(TEXTS)
    for budget, order in ((1, [4, 3, 2, 1, 0]), (30, [2, 0, 4, 1, 3])):
        other = encoder.embed([TEXTS[i] for i in order], batch_tokens=budget)
        np.testing.assert_allclose(other, together[order], atol=1e-5)


def test_no_texts_are_no_vectors(encoder: Encoder) -> None:
    assert encoder.embed([]).shape == (0, 128)
    assert encoder.similarity([], []).shape == (0,)


def test_one_text_in_place_of_a_list_is_refused(encoder: Encoder) -> None:
    with pytest.raises(UsageError, match=r"use \[text\]"):
        encoder.embed("one text")


def test_what_is_too_long_is_cut_and_said_once(
    encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    long = "bank " * 600
    with caplog.at_level(logging.WARNING):
        found = encoder.embed(["bank", long, long + "river"])
    assert caplog.text.count("2 of 3 texts are longer than 512 tokens") == 1
    np.testing.assert_allclose(found[1], encoder.embed(["bank " * 510])[0], atol=1e-5)
    with pytest.raises(DataError, match=r"text 2: 602 tokens, more than .* 512"):
        encoder.embed(["bank", long], on_too_long="refuse")


def test_an_unknown_pooling_is_named(encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="'sum'; there are cls, mean, max"):
        encoder.embed(TEXTS, pooling="sum")


def log_p(encoder: Encoder, ids: list[int], place: int) -> torch.Tensor:
    rows = torch.tensor([ids])
    with torch.no_grad():
        hidden = encoder.module(rows, torch.ones_like(rows, dtype=torch.bool))
        logits = encoder.model.word_logits(hidden[:, place])[0]
    logits[sorted(encoder.tokenizer.special_ids)] = float("-inf")
    return logits.log_softmax(0)


def test_one_mask_is_ranked_by_probability(encoder: Encoder) -> None:
    found = encoder.fill("the [MASK] bank", top_k=7)
    ids, _ = encoder.tokenizer.with_specials(encoder.tokenizer.encode(["the [MASK] bank"])[0])
    values, best = log_p(encoder, ids, ids.index(encoder.tokenizer.mask_id)).topk(7)
    assert [f.token_ids[0] for f in found] == best.tolist()
    assert [f.log_probability for f in found] == pytest.approx(values.tolist(), abs=1e-5)
    assert found[0].text.startswith("the ")


def test_two_masks_are_scored_jointly(encoder: Encoder) -> None:
    """Against every pair: the chain rule from left to right."""
    ids, _ = encoder.tokenizer.with_specials(encoder.tokenizer.encode(["[MASK] [MASK] bank"])[0])
    first = log_p(encoder, ids, 1)
    scores = {}
    for word in range(encoder.tokenizer.vocab_size):
        if first[word] > float("-inf"):
            second = log_p(encoder, [ids[0], word, *ids[2:]], 2)
            scores |= {(word, i): float(first[word] + value) for i, value in enumerate(second)}
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:3]
    found = encoder.fill("[MASK] [MASK] bank", top_k=30)[:3]
    assert [f.token_ids for f in found] == best
    assert [f.log_probability for f in found] == pytest.approx([scores[b] for b in best], abs=1e-4)


def test_candidates_of_several_pieces(encoder: Encoder) -> None:
    tokenizer = encoder.tokenizer
    candidates = ["river", "river bank", "steepest"]
    found = encoder.fill("the [MASK] .", candidates=candidates)
    assert sorted(f.words[0] for f in found) == sorted(candidates)
    assert len(tokenizer.encode(["river bank"])[0]) > 1
    for filling in found:
        pieces = list(filling.token_ids)
        ids, _ = tokenizer.with_specials(
            [*tokenizer.encode(["the"])[0], *[tokenizer.mask_id] * len(pieces),
             *tokenizer.encode(["."])[0]]
        )  # fmt: skip
        start = ids.index(tokenizer.mask_id)
        total = 0.0
        for i, piece in enumerate(pieces, start):
            total += float(log_p(encoder, ids, i)[piece])
            ids[i] = piece
        assert filling.log_probability == pytest.approx(total, abs=1e-4)
    assert found == sorted(found, key=lambda f: -f.log_probability)


@pytest.mark.parametrize(
    ("candidate", "what"),
    [("☃", r"\[UNK\]"), ("[MASK]", r"\[MASK\]"), ("bank ☃", r"\[UNK\]"), (" ", "nothing")],
)
def test_a_candidate_without_probability_is_refused(
    encoder: Encoder, candidate: str, what: str
) -> None:
    with pytest.raises(DataError, match=f"the candidate '{re.escape(candidate)}' gives {what} in"):
        encoder.fill("the [MASK]", candidates=["bank", candidate])


def test_the_text_around_the_masks_is_kept(encoder: Encoder) -> None:
    (found,) = encoder.fill("The ☃'s [MASK],  was\tLóng", candidates=["River bank"])
    assert found.text == "The ☃'s river bank,  was\tLóng"
    for filling in encoder.fill("[MASK] the\u2028 ☃ [MASK]!", top_k=9):
        first, second = filling.words
        middle = "the\u2028 ☃" + (second[2:] if second.startswith("##") else f" {second}")
        assert filling.text == f"{first.removeprefix('##')} {middle}!"


def test_a_piece_that_continues_a_word_is_joined_to_it(encoder: Encoder) -> None:
    every = encoder.fill("Swim [MASK] .", top_k=1000)
    texts = {filling.words[0]: filling.text for filling in every}
    continued = next(word for word in texts if word.startswith("##"))
    assert texts[continued] == f"Swim{continued[2:]} ."
    assert texts["bank"] == "Swim bank ."


def test_probabilities_sum_to_one(encoder: Encoder) -> None:
    every = encoder.fill("the [MASK]", top_k=10_000)
    assert len(every) == encoder.tokenizer.vocab_size - 5
    assert sum(math.exp(f.log_probability) for f in every) == pytest.approx(1, abs=1e-4)


def test_what_cannot_be_filled_is_said(encoder: Encoder, tokenizer: WordPiece) -> None:
    with pytest.raises(DataError, match=r"no \[MASK\] in 'the bank'"):
        encoder.fill("the bank")
    with pytest.raises(DataError, match=r"candidates are for one \[MASK\]"):
        encoder.fill("[MASK] [MASK]", candidates=["bank"])
    with pytest.raises(DataError, match="more than the model's 512"):
        encoder.fill("[MASK] " + "bank " * 600)
    with pytest.raises(ModelFileError, match="no head for masked words"):
        made(tokenizer, "pooler").fill("the [MASK]")
    for k in (0, -1):
        with pytest.raises(UsageError, match=f"top_k is {k}; choose 1 or more"):
            encoder.fill("the [MASK]", top_k=k)


def test_a_word_in_its_sentence(encoder: Encoder) -> None:
    sentences = ["The river bank is steep.", "A Bank lends money"]
    found = encoder.word_vectors(sentences, "bank")
    for sentence, vector in zip(sentences, found, strict=True):
        ids, spans = encoder.tokenizer.encode_with_spans(sentence)
        start, end = word_span(sentence, "bank") or (0, 0)
        places = [i + 1 for i, span in enumerate(spans) if start <= span[0] < end]
        rows = torch.tensor([encoder.tokenizer.with_specials(ids)[0]])
        with torch.no_grad():
            hidden = encoder.module(rows, torch.ones_like(rows, dtype=torch.bool))[0]
        np.testing.assert_allclose(vector, hidden[places].mean(0).numpy(), atol=1e-5)


def test_layers_count_from_the_embeddings(encoder: Encoder) -> None:
    sentences = ["bank bank", "river bank"]
    same = encoder.word_vectors(sentences, "bank", layer=0)
    assert not np.allclose(same[0], same[1])  # another position
    last = encoder.word_vectors(sentences, "bank", layer=2)
    np.testing.assert_array_equal(last, encoder.word_vectors(sentences, "bank", layer=-1))
    with pytest.raises(UsageError, match="layer 3 is not there"):
        encoder.word_vectors(sentences, "bank", layer=3)


def test_pieces_of_a_word(encoder: Encoder) -> None:
    word = "lendings"
    assert len(encoder.tokenizer.encode([word])[0]) == 2
    first, last, mean = (
        encoder.word_vectors([word], word, pieces=how)[0] for how in ("first", "last", "mean")
    )
    for a, b in itertools.combinations((first, last, mean), 2):
        assert not np.allclose(a, b)


@pytest.mark.parametrize(
    ("sentence", "word", "expected"),
    [
        ("a bank", "bank", (2, 6)),
        ("embankment bank", "bank", (11, 15)),
        ("Bank!", "bank", (0, 4)),
        ("banks", "bank", None),
        ("(bank-holiday)", "bank", (1, 5)),
        ("Straße 5", "straße", (0, 6)),
    ],
)
def test_a_word_is_found_as_a_whole(
    sentence: str, word: str, expected: tuple[int, int] | None
) -> None:
    assert word_span(sentence, word) == expected


def test_a_sentence_without_the_word_is_named(encoder: Encoder) -> None:
    with pytest.raises(DataError, match="sentence 2 does not hold the word 'bank': 'a river'"):
        encoder.word_vectors(["a bank", "a river"], "bank")


def test_similarity_is_the_cosine(encoder: Encoder) -> None:
    found = encoder.similarity(TEXTS[:2], TEXTS[3:])
    a, b = encoder.embed(TEXTS[:2]), encoder.embed(TEXTS[3:])
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(found, cosines, atol=1e-6)
    with pytest.raises(UsageError, match="1 texts beside 2"):
        encoder.similarity(["a"], ["a", "b"])


def test_texts_without_tokens_are_not_compared(encoder: Encoder) -> None:
    for empty in ("", " \t", "\u0085"):
        with pytest.raises(DataError, match=r"pair 2: the first text has no tokens \('.*'\)"):
            encoder.similarity(["bank", empty], ["bank", "bank"])
        with pytest.raises(DataError, match="x:7: the second text has no tokens"):
            encoder.similarity(["bank"], [empty], place=lambda _: "x:7")
    assert encoder.embed([""]).any(), "alone it has the vector of the special tokens"


def test_batches_side_by_side_are_those_one_after_another(
    tokenizer: WordPiece, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bf16 on a CPU, with more than one batch; an encoder in fp32 has no streams."""
    single = made(tokenizer)
    encoder = Encoder(copy.deepcopy(single.model), tokenizer, precision="bf16")
    used = []
    monkeypatch.setattr(encoding, "in_streams", lambda *a: used.append(a) or in_streams(*a))
    found = encoder.embed(TEXTS * 5, batch_tokens=20)
    assert len(used) == 1
    monkeypatch.setattr(encoding, "in_streams", map)
    np.testing.assert_allclose(encoder.embed(TEXTS * 5, batch_tokens=20), found, atol=0.02)
    monkeypatch.setattr(encoding, "in_streams", lambda *_: pytest.fail("streams"))
    single.embed(TEXTS * 5, batch_tokens=20)
    encoder.embed(TEXTS, batch_tokens=1000)
