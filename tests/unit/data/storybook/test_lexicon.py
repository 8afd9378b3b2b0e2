"""The dictionary: its tables are read right, and the cues of different senses never meet."""

from itertools import combinations

from triptych.data.storybook.grammar import CLASSES, PLAIN_ADJECTIVES, SENSES
from triptych.data.storybook.lexicon import SemanticClass, read_act, read_noun, read_verb


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


def test_nouns_are_read() -> None:
    bear = read_noun(cells("bear bears | Bär Bären m:Bären"))
    assert (bear.english_plural, bear.german_plural, bear.gender) == ("bears", "Bären", "m")
    assert (bear.form("m", "nom"), bear.form("m", "acc")) == ("Bär", "Bären")
    tree = read_noun(cells("apple_tree | Apfelbaum m"))
    assert (tree.english, tree.english_plural, tree.oblique) == ("apple tree", "", "Apfelbaum")


def test_verbs_are_read() -> None:
    line = "drive:past drove driven | vorbei·fahren fuhr vorbeigefahren | an dat sein"
    verb = read_verb(cells(line))
    assert (verb.english, verb.particle) == (("drive", "drove", "driven"), "past")
    assert (verb.prefix, verb.infinitive, verb.preterite) == ("vorbei", "fahren", "fuhr")
    assert (verb.preposition, verb.case, verb.auxiliary) == ("an", "dat", "war")
    plain = read_verb(cells("fill filled filled | füllen füllte gefüllt"))
    assert (plain.prefix, plain.preposition, plain.case) == ("", "", "acc")
    assert plain.auxiliary == "hatte"


def test_acts_are_read() -> None:
    act = read_act(cells("stopped/v suddenly/1 | auf·hörte/v | plötzlich/1"))
    assert (act.prefix, act.verb, act.middle) == ("auf", "hörte/v", "plötzlich/1")


def cues(semantic_class: SemanticClass) -> set[str]:
    """Everything in a sentence that can tell the class of a noun."""
    adjectives = {adjective.english for adjective in semantic_class.adjectives}
    verbs = {f"{form} {verb.particle}" for verb in semantic_class.verbs for form in verb.english}
    acts = {act.english for act in semantic_class.acts}
    return adjectives | verbs | acts


def test_two_senses_of_a_word_share_no_cue() -> None:
    for word, senses in SENSES.items():
        homes = [c for c in CLASSES if any(noun in c.nouns for noun in senses)]
        assert len(homes) == len(senses), f"two senses of {word} in one class"
        for one, other in combinations(homes, 2):
            assert not cues(one) & cues(other), word


def test_adjectives_that_fit_everything_are_no_cues() -> None:
    plain = {adjective.english for adjective in PLAIN_ADJECTIVES}
    assert not plain & set().union(*map(cues, CLASSES))


def test_there_are_enough_ambiguous_words_and_none_in_the_plural() -> None:
    assert len(SENSES) >= 12
    assert {"bank", "bat", "spring", "crane", "seal"} <= set(SENSES)
    for senses in SENSES.values():
        assert not any(noun.english_plural for noun in senses)


def test_senses_have_no_german_form_in_common() -> None:
    owner: dict[str, str] = {}
    for semantic_class in CLASSES:
        for noun in semantic_class.nouns:
            for form in noun.forms:
                assert owner.setdefault(form, noun.german) == noun.german, form
