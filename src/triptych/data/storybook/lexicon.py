"""The dictionary's entries, and how its tables are read.

A table is a text with one entry a line, English on the left of `|` and German on the right:

    nouns       crane | Kranich m              fox foxes | Fuchs Füchse m
                pupil | Schüler m              bear bears | Bär Bären m:Bären      (weak nouns)
    adjectives  rusty | rostig                 sour | sauer saur-                  (stem)
    verbs       catch caught caught | ein·fangen fing eingefangen
                drive:past drove driven | vorbei·fahren fuhr vorbeigefahren | an dat sein
    acts        was/v? sleeping/v in/1 the/1? straw/2 | schlief/v | im/1 Stroh/2

English nouns of two words are written with an underscore. A verb's third column tells what it
governs (nothing: a plain accusative) and `sein` where the perfect takes it.
"""

from dataclasses import dataclass
from functools import cached_property

from triptych.data.storybook.german import dative_plural


@dataclass(frozen=True, eq=False)
class Noun:
    """A noun in one sense. `plural` words are empty where the grammar uses the singular only."""

    english: str
    german: str
    gender: str
    oblique: str  # accusative and dative singular
    english_plural: str = ""
    german_plural: str = ""
    is_person: bool = False

    def form(self, gender: str, case: str) -> str:
        """The German form; gender p is the plural."""
        if gender == "p":
            return dative_plural(self.german_plural) if case == "dat" else self.german_plural
        return self.german if case == "nom" else self.oblique

    @cached_property
    def forms(self) -> frozenset[str]:
        """All German forms that the grammar can print."""
        singular = {self.german, self.oblique}
        if not self.german_plural:
            return frozenset(singular)
        return frozenset(singular | {self.german_plural, dative_plural(self.german_plural)})


@dataclass(frozen=True)
class Adjective:
    """`german` stands after a verb, `stem` takes the endings."""

    english: str
    german: str
    stem: str


@dataclass(frozen=True)
class Verb:
    """A verb with an object; `prefix` is separable, `preposition` empty for a plain object."""

    english: tuple[str, str, str]  # open, opened, opened
    particle: str
    infinitive: str  # without the prefix
    preterite: str
    participle: str
    prefix: str
    preposition: str
    case: str
    auxiliary: str


@dataclass(frozen=True)
class Act:
    """What a thing is doing, in marked-up words: `verb` second, `middle` next, `prefix` last."""

    english: str
    verb: str
    prefix: str
    middle: str


@dataclass(frozen=True)
class SemanticClass:
    """Things of one kind with the words that tell the kind: the cues of their senses."""

    name: str
    nouns: tuple[Noun, ...]
    adjectives: tuple[Adjective, ...]
    verbs: tuple[Verb, ...]
    acts: tuple[Act, ...]


def semantic_class(name: str, nouns: str, adjectives: str, verbs: str, acts: str) -> SemanticClass:
    """Read the four tables of a class."""
    return SemanticClass(
        name,
        tuple(read_noun(row, is_person=name == "person") for row in rows(nouns)),
        tuple(map(read_adjective, rows(adjectives))),
        tuple(map(read_verb, rows(verbs))),
        tuple(map(read_act, rows(acts))),
    )


def rows(table: str) -> list[list[str]]:
    """The cells of each line that is not empty."""
    lines = [line for line in table.splitlines() if line.strip()]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def read_noun(row: list[str], is_person: bool = False) -> Noun:
    """Read `fox foxes | Fuchs Füchse m`."""
    english, german = row
    singular, *plural = [word.replace("_", " ") for word in english.split()]
    *forms, gender = german.split()
    gender, _, oblique = gender.partition(":")
    return Noun(
        english=singular,
        german=forms[0],
        gender=gender,
        oblique=oblique or forms[0],
        english_plural=plural[0] if plural else "",
        german_plural=forms[1] if len(forms) > 1 else "",
        is_person=is_person,
    )


def read_adjective(row: list[str]) -> Adjective:
    """Read `sour | sauer saur-`."""
    english, german = row
    form, *stem = german.split()
    return Adjective(english, form, stem[0].removesuffix("-") if stem else form)


def read_verb(row: list[str]) -> Verb:
    """Read `drive:past drove driven | vorbei·fahren fuhr vorbeigefahren | an dat sein`."""
    english, german, *governed = row
    base, past, participle = english.split()
    base, _, particle = base.partition(":")
    infinitive, preterite, german_participle = german.split()
    prefix, _, stem = infinitive.rpartition("·")
    words = governed[0].split() if governed else []
    cases = [word for word in words if word in ("acc", "dat")]
    prepositions = [word for word in words if word not in ("acc", "dat", "sein")]
    return Verb(
        english=(base, past, participle),
        particle=particle,
        infinitive=stem,
        preterite=preterite,
        participle=german_participle,
        prefix=prefix,
        preposition=prepositions[0] if prepositions else "",
        case=cases[0] if cases else "acc",
        auxiliary="war" if "sein" in words else "hatte",
    )


def read_act(row: list[str]) -> Act:
    """Read `was/v? cooling/v | ab·kühlte/v | langsam/1`."""
    english, german, middle = row
    prefix, _, verb = german.rpartition("·")
    return Act(english, verb, prefix, middle)
