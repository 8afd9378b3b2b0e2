"""Reading stories back: every derivation of an English text, found independently of the drawing.

A sentence is cut into the texts of a pattern's slots in every possible way; each cut is then
filled in the order of drawing from the pools that the story so far allows. The grammar has
exactly one derivation for each of its stories, so `story_log_prob` is the whole probability of a
text; the tests count the derivations.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache

from triptych.data.storybook.grammar import CONTINUE, start
from triptych.data.storybook.items import Item, Pool
from triptych.data.storybook.patterns import Pattern
from triptych.data.storybook.records import StorySentence, tokenize
from triptych.data.storybook.sampling import STAGES, distinct_patterns, realize

SENTENCE = re.compile(r"[^.?!]+[.?!]")
Cut = Mapping[tuple[int, str], str]  # (number of an item, form) -> its text in the sentence
Found = tuple[Pattern, tuple[Item, ...], float, Mapping[str, Pool]]
Begun = tuple[float, Mapping[str, Pool]]  # log-probability so far, the pools after it


def story_log_prob(text: str) -> float:
    """The exact log-probability of an English story; minus infinity if it is none."""
    found = story_derivations(text)
    return math.log(math.fsum(map(math.exp, found))) if found else -math.inf


def story_derivations(text: str) -> list[float]:
    """The log-probability of each derivation of an English story."""
    sentences = [match[0].strip() for match in SENTENCE.finditer(text)]
    if len(sentences) < 4 or " ".join(sentences) != text.strip():
        return []
    stages = story_stages(len(sentences))
    chances = [1.0, 1.0, *CONTINUE[: len(sentences) - 3]]
    chances.append(1.0 - CONTINUE[len(sentences) - 3] if len(sentences) - 3 < len(CONTINUE) else 0)
    if not all(chances):
        return []
    begun: list[Begun] = [(0.0, start())]
    for sentence, stage, chance in zip(sentences, stages, chances, strict=True):
        begun = [(math.log(chance) + cost, pools) for cost, pools in go_on(begun, sentence, stage)]
    return [log_prob for log_prob, _ in begun]


def story_stages(n_sentences: int) -> list[str]:
    """The stage of each sentence of a story."""
    return ["opening", "encounter", *["middle"] * (n_sentences - 3), "ending"]


def go_on(begun: Sequence[Begun], sentence: str, stage: str) -> list[Begun]:
    """Every way to go on with a sentence from the ways that a story began."""
    return [
        (before + log_prob, after)
        for before, pools in begun
        for _, _, log_prob, after in sentence_derivations(sentence, stage, pools)
    ]


def sentence_derivations(sentence: str, stage: str, pools: Mapping[str, Pool]) -> Iterator[Found]:
    """Each derivation of a sentence: pattern, items, log-probability, the pools after it."""
    for text in (f" {sentence}", f" {sentence[:1].lower()}{sentence[1:]}"):
        for pattern in patterns_by_first_word(stage).get(first_word(text), ()):
            for cut in cuts(pattern, text, 0, {}):
                for items, log_prob, after in fillings(pattern, cut, pools, 0):
                    yield pattern, items, pattern.log_prob + log_prob, after


@cache
def patterns_by_first_word(stage: str) -> Mapping[str, Sequence[Pattern]]:
    """The patterns of a stage that can begin with a word."""
    found: dict[str, list[Pattern]] = {}
    for pattern in distinct_patterns(stage):
        number, form, _ = pattern.outline.english[0]
        slot = pattern.outline.slots[number]
        literal = slot == "literals"
        begun = {pattern.literals.english[form]} if literal else texts(slot, form)
        for word in set(map(first_word, begun)):
            found.setdefault(word, []).append(pattern)
    return found


def first_word(text: str) -> str:
    """The first word of a glued text; nothing where there is none."""
    return text.lstrip().partition(" ")[0].rstrip(",")


def cuts(pattern: Pattern, text: str, chunk: int, found: Cut) -> Iterator[Cut]:
    """Every way to divide the text among the chunks of the pattern from `chunk` on."""
    if chunk == len(pattern.outline.english):
        if not text:
            yield found
        return
    number, form, _ = pattern.outline.english[chunk]
    slot = pattern.outline.slots[number]
    if slot == "literals":
        literal = pattern.literals.english[form]
        if text.startswith(literal):
            yield from cuts(pattern, text[len(literal) :], chunk + 1, found)
        return
    known = texts(slot, form)
    for end in word_ends(text):
        if text[:end] in known:
            more = {**found, (number, form): text[:end]}
            yield from cuts(pattern, text[end:], chunk + 1, more)


@lru_cache(maxsize=4096)
def word_ends(text: str) -> list[int]:
    """Where a chunk of one to six words can end."""
    return [match.end() for match in re.finditer(r" [^ .,?!]+", text)][:6]


def fillings(
    pattern: Pattern, cut: Cut, pools: Mapping[str, Pool], drawn: int
) -> Iterator[tuple[tuple[Item, ...], float, Mapping[str, Pool]]]:
    """Every choice of items, from the `drawn`-th draw on, that prints what the cut says."""
    if drawn == len(pattern.draw_order):
        yield (), 0.0, pools
        return
    number, slot = pattern.draw_order[drawn]
    wanted = {form: text for (item, form), text in cut.items() if item == number}
    form, text = next(iter(wanted.items()))
    for item, log_prob in by_text(pools.get(slot, ()), form).get(text, ()):
        if all(item.english[form] == text for form, text in wanted.items()):
            after = {**pools, **item.opens()} if item.opens else pools
            for items, rest, end in fillings(pattern, cut, after, drawn + 1):
                yield (item, *items), log_prob + rest, end


def readings(sentence: str) -> set[StorySentence]:
    """What an English sentence alone can be in any story, probability left out (set to 0).

    The German, the links and the senses are functions of the English: there is at most one.
    """
    return {
        realize(pattern, in_outline_order(pattern, items), 0.0)
        for pools in contexts(sentence)
        for stage in STAGES
        for pattern, items, _, _ in sentence_derivations(sentence, stage, pools)
    }


def in_outline_order(pattern: Pattern, drawn: Sequence[Item]) -> list[Item]:
    """Items in the order of drawing, put where the outline wants them."""
    items = [pattern.literals] * len(pattern.outline.slots)
    for (number, _), item in zip(pattern.draw_order, drawn, strict=True):
        items[number] = item
    return items


def contexts(sentence: str) -> Iterator[Mapping[str, Pool]]:
    """The states that a story can be in before a sentence, as far as the sentence can tell."""
    words = frozenset(tokenize(sentence))
    heroes = [item for item, _ in start()["name"]]
    named = [item for item in heroes if item.english[""].strip() in words]
    homes = [pool for item, _ in start()["newhome"] if item.opens for pool in [item.opens()]]
    home = {"home": list({entry[0]: entry for pools in homes for entry in pools["home"]}.values())}
    for hero in named or (heroes[0], heroes[-1]):  # a woman and a man stand for all the others
        assert hero.opens is not None
        begun = {**start(), **hero.opens(), **home}
        yield begun
        for topic in named_topics(words):
            yield {**begun, **topic()}


def named_topics(words: frozenset[str]) -> Iterator[Callable[[], Mapping[str, Pool]]]:
    """What the topics open whose name is among the words, and one that stands for all others."""
    topics = {item.noun: item.opens for item, _ in start()["marked"] if item.noun and item.opens}
    absent = True
    for noun, pools in topics.items():
        if words.issuperset(noun.english.split()):
            yield pools
        elif absent:
            absent = False
            yield pools


_BY_TEXT: dict[tuple[int, str], tuple[Pool, dict[str, Pool]]] = {}


def by_text(pool: Pool, form: str) -> dict[str, Pool]:
    """The different items of a pool by the text of a form."""
    key = id(pool), form
    if key not in _BY_TEXT:
        found: dict[str, dict[Item, float]] = {}
        for item, log_prob in pool:
            found.setdefault(item.english[form], {})[item] = log_prob
        listed: dict[str, Pool] = {text: list(items.items()) for text, items in found.items()}
        _BY_TEXT[key] = pool, listed  # the pool is kept, so its id stays its own
    return _BY_TEXT[key][1]


@cache
def texts(slot: str, form: str) -> frozenset[str]:
    """Every text that the form of a slot has in any story."""
    return frozenset(item.english[form] for item in inventory()[slot])


@cache
def inventory() -> Mapping[str, frozenset[Item]]:
    """Every item that a slot has in any story."""
    found: dict[str, set[Item]] = {}
    seen: set[tuple[str, int]] = set()
    waiting: list[Mapping[str, Pool]] = [start()]
    while waiting:
        for slot, pool in waiting.pop().items():
            if (slot, id(pool)) not in seen:
                seen.add((slot, id(pool)))
                items = {item for item, _ in pool}
                found.setdefault(slot, set()).update(items)
                waiting += [item.opens() for item in items if item.opens]
    return {slot: frozenset(items) for slot, items in found.items()}
