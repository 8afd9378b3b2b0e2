"""The pools: what each slot can be filled with, before and after a story has settled something.

`start()` gives the pools of a story not yet begun. Items drawn from them open others: a name
fixes the hero, the first home fixes `home`, the first thing becomes the topic of the story.
"""

from collections.abc import Mapping
from functools import cache, partial

from triptych.data.storybook import lexicon_nature, lexicon_society, lexicon_things, phrases
from triptych.data.storybook import lexicon_phrases as tables
from triptych.data.storybook.items import Item, Pool, only, opening, opening_later, uniform
from triptych.data.storybook.lexicon import (
    Noun,
    SemanticClass,
    read_adjective,
    read_noun,
    read_verb,
    rows,
)

CLASSES: tuple[SemanticClass, ...] = (
    *lexicon_nature.CLASSES,
    *lexicon_things.CLASSES,
    *lexicon_society.CLASSES,
)
AMBIGUOUS_WEIGHT = 2  # how much more often than others a noun with several senses is drawn
NO_ADJECTIVE_WEIGHT = 6  # against 1 for each adjective that fits every class
CONTINUE = (1.0, 0.75, 0.6, 0.4, 0.0)  # chance of a middle sentence after 0, 1, 2 ... of them


def ambiguous_nouns() -> dict[str, tuple[Noun, ...]]:
    """Every English noun of several senses with its senses."""
    by_word: dict[str, list[Noun]] = {}
    for kind in CLASSES:
        for noun in kind.nouns:
            by_word.setdefault(noun.english, []).append(noun)
    return {word: tuple(nouns) for word, nouns in by_word.items() if len(nouns) > 1}


SENSES = ambiguous_nouns()
PLAIN_ADJECTIVES = tuple(map(read_adjective, rows(tables.PLAIN_ADJECTIVES)))
HOME_ADJECTIVES = tuple(map(read_adjective, rows(tables.HOME_ADJECTIVES)))


@cache
def start() -> Mapping[str, Pool]:
    """The pools of a story not yet begun."""
    return {
        "name": uniform(heroes()),
        "newhome": uniform(new_homes()),
        "marked": uniform(topics(), thing_weight),
        "many": uniform(several_things()),
        "owner": uniform(phrases.owner_items(tables.OWNERS)),
        "regard": uniform(phrases.verb_item(read_verb(row)) for row in rows(tables.REGARDS)),
        "motion": uniform(phrases.intransitive_items(tables.MOTIONS)),
        "reaction": uniform(phrases.intransitive_items(tables.REACTIONS)),
        **{slot: uniform(phrases.phrase_items(table)) for slot, table in PHRASES.items()},
    }


PHRASES = {
    "land": tables.LANDS,
    "once": tables.ONCE,
    "time": tables.TIMES,
    "when": tables.WHENS,
    "manner": tables.MANNERS,
    "often": tables.OFTEN,
    "modal": tables.MODALS,
    "aim": tables.AIMS,
    "speech": tables.SPEECHES,
    "showing": tables.SHOWINGS,
    "mood": tables.MOODS,
    "number": tables.NUMBERS,
}


def heroes() -> list[Item]:
    """Every name; it opens the hero and the possible kin."""
    items = []
    for names, gender in ((tables.WOMEN, "f"), (tables.MEN, "m")):
        kin = uniform(kin_items(gender))
        for name in names.split():
            item, pronoun = phrases.name_item(name, gender), phrases.pronoun_item(gender)
            pools = {"name": only(item), "hero": uniform([item, pronoun]), "kin": kin}
            items.append(opening(phrases.name_item(name, gender), pools))
    return items


def kin_items(hero_gender: str) -> list[Item]:
    """The hero's relatives; the first one named stays."""
    items = []
    for noun in map(read_noun, rows(tables.KIN)):
        known = {"kin": only(phrases.kin_item(noun, hero_gender))}
        items.append(opening(phrases.kin_item(noun, hero_gender), known))
    return items


def new_homes() -> list[Item]:
    """Homes at their first mention, with an adjective; they open the home as it is known."""
    items = []
    for noun in map(read_noun, rows(tables.HOMES)):
        known = {"home": only(phrases.home_item(noun))}
        for adjective in HOME_ADJECTIVES:
            item = phrases.new_home_item(noun, adjective)
            items.append(opening(item, known))
    return items


def topics() -> list[Item]:
    """Every noun with every adjective of its class; it opens the pools of a topic."""
    items = []
    for kind in CLASSES:
        for noun in kind.nouns:
            pools = cache(partial(topic_pools, kind, noun))
            items += [opening_later(item, pools) for item in marked_items(noun, kind)]
    return items


def topic_pools(kind: SemanticClass, noun: Noun) -> dict[str, Pool]:
    """All that depends on the topic of a story. Other things bear another English name."""
    bare = phrases.noun_phrase(noun, None)
    adorned = [phrases.noun_phrase(noun, adjective) for adjective in PLAIN_ADJECTIVES]
    others = [item for item in things() if item.noun and item.noun.english != noun.english]
    return {
        "bare": only(bare),
        "topic": uniform([bare, *adorned], lambda i: NO_ADJECTIVE_WEIGHT if i is bare else 1),
        "marked": uniform(marked_items(noun, kind)),
        "other": uniform(others, thing_weight),
        **class_pools(kind.name),
    }


@cache
def class_pools(name: str) -> dict[str, Pool]:
    """What a thing of the class does, how it is, and what can be done to it."""
    kind = next(kind for kind in CLASSES if kind.name == name)
    verbs = [(verb, phrases.verb_item(verb)) for verb in kind.verbs]
    plain = [item for verb, item in verbs if not verb.preposition]
    passive = [item for verb, item in verbs if not verb.preposition and verb.case == "acc"]
    return {
        "verb": uniform(item for _, item in verbs),
        "plain": uniform(plain),
        "passive": uniform(passive),
        "act": uniform(map(phrases.act_item, kind.acts)),
        "trait": uniform(map(phrases.adjective_item, kind.adjectives)),
    }


def marked_items(noun: Noun, kind: SemanticClass) -> list[Item]:
    """The noun with each of the adjectives of its class."""
    return [phrases.noun_phrase(noun, adjective) for adjective in kind.adjectives]


@cache
def things() -> tuple[Item, ...]:
    """Everything that can turn up beside the topic; it opens the verbs for it."""
    items = []
    for kind in CLASSES:
        opened = {"other_verb": class_pools(kind.name)["verb"]}
        for noun in kind.nouns:
            items += [opening(item, opened) for item in marked_items(noun, kind)]
    return tuple(items)


def several_things() -> list[Item]:
    """Everything that has a plural; it opens the verbs for it and what it does."""
    items = []
    for kind in CLASSES:
        pools = class_pools(kind.name)
        opened = {"many_verb": pools["verb"], "many_act": pools["act"]}
        for noun in kind.nouns:
            for adjective in kind.adjectives if noun.english_plural else ():
                items.append(opening(phrases.noun_phrase(noun, adjective, plural=True), opened))
    return items


def thing_weight(item: Item) -> int:
    """Ambiguous nouns are drawn more often, each of their senses as often as the others."""
    assert item.noun is not None
    return AMBIGUOUS_WEIGHT if item.noun.english in SENSES else 1
