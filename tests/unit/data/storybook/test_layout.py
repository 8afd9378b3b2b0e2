"""Gold alignments of sentences chosen by hand."""

import pytest

from triptych.data.storybook.recognition import readings

Links = set[tuple[str, str]]


def gold(english: str) -> tuple[str, Links, Links]:
    (reading,) = readings(english)
    source, target = reading.english_words, reading.german_words
    sure = {(source[i], target[j]) for i, j in reading.alignment}
    possible = {(source[i], target[j]) for i, j in reading.possible}
    return reading.german, sure, possible


def test_a_separable_verb_is_linked_with_both_parts() -> None:
    german, sure, possible = gold("Two days later she opened the chest secretly.")
    assert german == "Zwei Tage später machte sie die Truhe heimlich auf."
    assert {("opened", "machte"), ("opened", "auf"), ("the", "die"), ("chest", "Truhe")} <= sure
    assert not possible


def test_a_particle_is_linked_with_the_prefix() -> None:
    german, sure, possible = gold("Leo came back to pick up the bow.")
    assert german == "Leo kam zurück, um den Bogen aufzuheben."
    assert {("pick", "aufzuheben"), ("back", "zurück")} <= sure
    assert {("up", "aufzuheben"), ("to", "um"), ("to", "aufzuheben"), ("to", ",")} == possible


def test_the_verb_of_a_subordinate_clause_comes_last() -> None:
    german, sure, possible = gold("Her aunt knew that the bank smelled of algae.")
    assert german == "Ihre Tante wusste, dass das Ufer nach Algen roch."
    assert {("that", "dass"), ("smelled", "roch"), ("of", "nach")} <= sure
    assert possible == {("that", ",")}


def test_a_contraction_is_possibly_linked_with_the_article() -> None:
    german, sure, possible = gold("Ida told everyone in the hut about the muddy bank.")
    assert german == "Ida erzählte allen in der Hütte vom schlammigen Ufer."
    assert ("about", "vom") in sure
    assert possible == {("the", "vom")}


def test_the_perfect_of_motion_takes_sein() -> None:
    german, sure, _ = gold("He had often driven past the bank.")
    assert german == "Er war oft am Ufer vorbeigefahren."
    assert {("had", "war"), ("driven", "vorbeigefahren"), ("past", "am")} <= sure


def test_adverbs_stand_after_objects_and_before_prepositions() -> None:
    assert gold("He had never oiled the lock.")[0] == "Er hatte das Schloss nie geölt."
    german = gold("He had never worked for the plant.")[0]
    assert german == "Er hatte nie für die Fabrik gearbeitet."


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "Anna did not pocket the pipe because it was tiny.",
            "Anna steckte die Pfeife nicht ein, weil sie winzig war.",
        ),
        (
            "Tom thought about the witch who was telling jokes.",
            "Tom dachte über die Hexe nach, die Witze erzählte.",
        ),
        ("Why had Eva thanked the ruler?", "Warum hatte Eva dem Herrscher gedankt?"),
        ("The trunk was filled by his aunt.", "Der Koffer wurde von seiner Tante gefüllt."),
        (
            "The hungry bears of the king were sleeping in the straw.",
            "Die hungrigen Bären des Königs schliefen im Stroh.",
        ),
        (
            "After Ida had waited for the date, her nephew woke up.",
            "Nachdem Ida auf die Verabredung gewartet hatte, wachte ihr Neffe auf.",
        ),
        ("The old crane was old.", None),
        ("He repaired the crane", None),
    ],
)
def test_translations(english: str, german: str | None) -> None:
    assert {reading.german for reading in readings(english)} == ({german} - {None})


@pytest.mark.parametrize(
    ("cue", "form"),
    [
        ("The crane of the hunter was trembling with cold.", "Kranich"),
        ("The crane of the hunter was rusting in the rain.", "Kran"),
        ("Tom decided to reach the spring.", "Quelle"),
        ("Tom decided to oil the spring.", "Feder"),
        ("Tom decided to enjoy the spring.", "Frühling"),
    ],
)
def test_the_cue_alone_decides_the_sense(cue: str, form: str) -> None:
    (reading,) = readings(cue)
    (sense,) = reading.senses
    assert sense.german_form == form
    assert form not in sense.alternatives
