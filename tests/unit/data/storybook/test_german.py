"""German inflection against tables written out by hand."""

import pytest

from triptych.data.storybook import german
from triptych.data.storybook.lexicon import Adjective, Noun
from triptych.data.storybook.phrases import noun_phrase

MAN = Noun("crane", "Kranich", "m", "Kranich", "cranes", "Kraniche")
WOMAN = Noun("lamp", "Lampe", "f", "Lampe", "lamps", "Lampen")
THING = Noun("book", "Buch", "n", "Buch", "books", "Bücher")
WEAK = Noun("bear", "Bär", "m", "Bären", "bears", "Bären")
OLD = Adjective("old", "alt", "alt")

PHRASES = {
    ("the", "nom"): ("der alte Kranich", "die alte Lampe", "das alte Buch"),
    ("the", "acc"): ("den alten Kranich", "die alte Lampe", "das alte Buch"),
    ("the", "dat"): ("dem alten Kranich", "der alten Lampe", "dem alten Buch"),
    ("a", "nom"): ("ein alter Kranich", "eine alte Lampe", "ein altes Buch"),
    ("a", "acc"): ("einen alten Kranich", "eine alte Lampe", "ein altes Buch"),
    ("a", "dat"): ("einem alten Kranich", "einer alten Lampe", "einem alten Buch"),
}
PLURALS = {
    ("the", "nom"): ("die alten Kraniche", "die alten Lampen", "die alten Bücher"),
    ("bare", "nom"): ("alte Kraniche", "alte Lampen", "alte Bücher"),
    ("bare", "acc"): ("alte Kraniche", "alte Lampen", "alte Bücher"),
    ("bare", "dat"): ("alten Kranichen", "alten Lampen", "alten Büchern"),
}


@pytest.mark.parametrize(("kind", "case"), PHRASES)
def test_singular_phrases(kind: str, case: str) -> None:
    found = [noun_phrase(n, OLD).german[f"{kind} {case}"].strip() for n in (MAN, WOMAN, THING)]
    assert tuple(found) == PHRASES[kind, case]


@pytest.mark.parametrize(("kind", "case"), PLURALS)
def test_plural_phrases(kind: str, case: str) -> None:
    nouns = (MAN, WOMAN, THING)
    found = [noun_phrase(n, OLD, True).german[f"{kind} {case}"].strip() for n in nouns]
    assert tuple(found) == PLURALS[kind, case]


def test_weak_nouns_change_in_the_singular() -> None:
    bear = noun_phrase(WEAK, None).german
    assert bear["the nom"] == " der Bär"
    assert bear["the acc"] == " den Bären"
    assert bear["a dat"] == " einem Bären"
    assert bear["the von dat"] == " vom Bären"


def test_prepositions_contract_where_german_does() -> None:
    assert noun_phrase(MAN, OLD).german["the von dat"] == " vom alten Kranich"
    assert noun_phrase(WOMAN, OLD).german["the von dat"] == " von der alten Lampe"
    assert noun_phrase(THING, None).german["the auf acc"] == " auf das Buch"
    assert noun_phrase(THING, None).german["a an dat"] == " an einem Buch"
    assert noun_phrase(MAN, OLD, True).german["bare an dat"] == " an alten Kranichen"


def test_pronouns_follow_the_gender_of_the_noun() -> None:
    for noun, er, ihn, der in ((MAN, "er", "ihn", "der"), (WOMAN, "sie", "sie", "die")):
        forms = noun_phrase(noun, None).german
        assert [forms["er"], forms["ihn"], forms["der"]] == [f" {w}" for w in (er, ihn, der)]


def test_possessives_and_preterites() -> None:
    assert german.possessive("ihr", "m", "acc") == "ihren"
    assert german.possessive("sein", "f", "dat") == "seiner"
    assert german.possessive("sein", "m", "nom") == "sein"
    assert german.plural_preterite("machte") == "machten"
    assert german.plural_preterite("ließ") == "ließen"


def test_dative_plurals() -> None:
    assert [german.dative_plural(n) for n in ("Äpfel", "Lampen", "Schals", "Kinder")] == [
        "Äpfeln",
        "Lampen",
        "Schals",
        "Kindern",
    ]
