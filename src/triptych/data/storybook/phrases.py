"""Items for verbs, acts, noun phrases, people, homes and fixed phrases: the realization."""

from triptych.data.storybook import german
from triptych.data.storybook.english import indefinite
from triptych.data.storybook.items import Item, table_item
from triptych.data.storybook.lexicon import Act, Adjective, Noun, Verb, rows
from triptych.data.storybook.markup import pair

ENGLISH_PRONOUNS = {"m": ("he", "him"), "f": ("she", "her")}  # for persons; things are `it`


def phrase_item(english: str, german_phrase: str) -> Item:
    """A phrase that never changes; its only form is called ''."""
    english, german_phrase = pair(english, german_phrase)
    return table_item({"": english}, {"": german_phrase})


def phrase_items(table: str) -> list[Item]:
    """An item for each line `English | German`."""
    return [phrase_item(*row) for row in rows(table)]


def intransitive_items(table: str) -> list[Item]:
    """An item for each line `English | German verb | German rest`; forms '', fin and rest."""
    return [table_item({"": en}, {"fin": verb, "rest": rest}) for en, verb, rest in rows(table)]


def verb_item(verb: Verb) -> Item:
    """English past, to, base, pp; German fin, plural, rest, final, inf, zu, pp, aux.

    A particle (`up` in pick up) is linked surely to the prefix (`auf` in aufheben), else to the
    preposition; without particle, the prefix belongs to the verb.
    """
    base, past, participle = verb.english
    particle = f" {verb.particle}/p" if verb.particle else ""
    english = {
        "base": f"{base}/v{particle}",
        "past": f"{past}/v{particle}",
        "to": f"to/t,v? {base}/v{particle}",
        "pp": f"{participle}/v{particle}",
    }
    whole, stem, prefix = "v", "v", ("v" if verb.prefix else "")
    if verb.particle and (verb.prefix or not verb.preposition):
        whole, stem, prefix = "v,p?", "v,p?", "p,v?"
    joined = f"{verb.prefix}{verb.infinitive}/{whole}"
    plural = german.plural_preterite(verb.preterite)
    return table_item(
        english,
        {
            "fin": f"{verb.preterite}/{stem}",
            "plural": f"{plural}/{stem}",
            "rest": f"{verb.prefix}/{prefix}" if verb.prefix else "",
            "final": f"{verb.prefix}{verb.preterite}/{whole}",
            "inf": joined,
            "zu": f"{verb.prefix}zu{verb.infinitive}/{whole},t?"
            if verb.prefix
            else f"zu/t {joined}",
            "pp": f"{verb.participle}/{whole}",
            "aux": f"{verb.auxiliary}/h",
        },
        government(verb),
    )


def government(verb: Verb) -> dict[str, str]:
    """The forms of the verb's object: whole, and as direct or prepositional object only."""
    case = f"{verb.preposition} {verb.case}" if verb.preposition else verb.case
    selects = {}
    for kind in ("the", "a", "bare"):
        form = f"{kind} {case}"
        selects[kind] = form
        selects[kind + ".direct"] = "" if verb.preposition else form
        selects[kind + ".prep"] = form if verb.preposition else ""
    return selects


def act_item(act: Act) -> Item:
    """English one (was), many (were); German fin, plural, middle, rest, final."""
    verb, _, tags = act.verb.partition("/")
    return table_item(
        {"one": act.english, "many": act.english.replace("was/", "were/", 1)},
        {
            "fin": act.verb,
            "plural": f"{german.plural_preterite(verb)}/{tags}",
            "middle": act.middle,
            "rest": f"{act.prefix}/v" if act.prefix else "",
            "final": act.prefix + act.verb,
        },
    )


def adjective_item(adjective: Adjective) -> Item:
    """An adjective after a verb."""
    return phrase_item(adjective.english, adjective.german)


def noun_phrase(noun: Noun, adjective: Adjective | None, plural: bool = False) -> Item:
    """English the, a, bare, it, him, that; German `the acc`, `a über acc`, er, ihn, der ..."""
    gender = "p" if plural else noun.gender
    english_noun = noun.english_plural if plural else noun.english
    english_tail = " ".join(f"{word}/n" for word in english_noun.split())
    if adjective:
        english_tail = f"{adjective.english}/a {english_tail}"
    pronouns = ENGLISH_PRONOUNS[noun.gender] if noun.is_person else ("it", "it")
    listed = {"bare": "", "the": "the/d ", "a": f"{indefinite(english_tail.split('/')[0])}/d "}
    english = {kind: article + english_tail for kind, article in listed.items()}
    english |= {"it": f"{pronouns[0]}/i", "him": f"{pronouns[1]}/i"}
    english["that"] = "who/r" if noun.is_person else "that/r"

    def german_form(form: str) -> str:
        if form in ("", "er", "ihn", "der"):
            return pronoun_form(form, noun.gender)
        kind, *governed, case = form.split()
        head = f"{noun.form(gender, case)}/n"
        if adjective:
            head = f"{german.adjective(adjective.stem, kind, gender, case)}/a {head}"
        return f"{article(kind, governed, gender, case)} {head}"

    contracts = gender in "mn"  # von dem is one word, vom; von der is two
    shape = ("noun phrase", adjective is None, len(english_noun.split()), contracts)
    return Item(english.__getitem__, german_form, shape, noun=noun, gender=gender)


def pronoun_form(form: str, gender: str) -> str:
    """er, ihn, the relative der; nothing for the object that a verb does not take."""
    if form == "er":
        return german.PRONOUNS["nom"][gender] + "/i"
    if form == "ihn":
        return german.PRONOUNS["acc"][gender] + "/i"
    return german.RELATIVE[gender] + "/r" if form == "der" else ""


def article(kind: str, governed: list[str], gender: str, case: str) -> str:
    """The words before adjective and noun: preposition and article, contracted where usual."""
    word = german.ARTICLES[kind][case][gender] if kind != "bare" else ""
    if not governed:
        return f"{word}/d" if word else ""
    if not word:
        return f"{governed[0]}/^p"
    both = german.preposition(governed[0], word)
    if " " in both:
        return f"{governed[0]}/^p {word}/d"
    return f"{both}/^p,d?"


def name_item(name: str, gender: str) -> Item:
    """A name, the same in both languages and all cases that we use, with its pronouns."""
    pronoun = {"she": ENGLISH_PRONOUNS[gender][0] + "/i"}
    german_pronouns = {"der": german.RELATIVE[gender] + "/r", "sie": pronoun_form("er", gender)}
    return table_item({"": name + "/n", **pronoun}, {"": name + "/n", **german_pronouns})


def pronoun_item(gender: str) -> Item:
    """The hero as subject, by pronoun."""
    return table_item(
        {"": f"{ENGLISH_PRONOUNS[gender][0]}/n"}, {"": f"{german.PRONOUNS['nom'][gender]}/n"}
    )


def kin_item(noun: Noun, hero_gender: str) -> Item:
    """her brother: ihr Bruder, ihren Bruder, ihrem Bruder, von ihrem Bruder."""
    english, stem = ("his", "sein") if hero_gender == "m" else ("her", "ihr")
    cases = {
        case: f"{german.possessive(stem, noun.gender, case)}/d {noun.form(noun.gender, case)}/n"
        for case in ("nom", "acc", "dat")
    }
    return table_item({"": f"{english}/d {noun.english}/n"}, cases)


def home_item(noun: Noun) -> Item:
    """in the village, to the village: im Dorf, ins Dorf."""
    english = {f"{word} the": f"{word}/p the/d {noun.english}/n" for word in ("in", "to")}
    placed = {
        form: f"{article('the', ['in'], noun.gender, case).replace('^', '')} {noun.german}/n"
        for form, case in (("in", "dat"), ("into", "acc"))
    }
    return table_item(english, placed)


def new_home_item(noun: Noun, adjective: Adjective) -> Item:
    """in a small village, to a small village: in einem kleinen Dorf, in ein kleines Dorf."""
    tail = f"{adjective.english}/a {noun.english}/n"
    a = indefinite(adjective.english)
    english = {f"{word} a": f"{word}/p {a}/d {tail}" for word in ("in", "to")}
    placed = {}
    for form, case in (("in", "dat"), ("into", "acc")):
        inflected = german.adjective(adjective.stem, "a", noun.gender, case)
        determiner = german.ARTICLES["a"][case][noun.gender]
        placed[form] = f"in/p {determiner}/d {inflected}/a {noun.german}/n"
    return table_item(english, placed)


def owner_items(table: str) -> list[Item]:
    """of the fisherman, of the fishermen: des Fischers, der Fischer, without a word for `of`."""
    items = []
    for english, genitives in rows(table):
        *forms, gender = genitives.split()
        for word, form, number in zip(english.split(), forms, (gender, "p"), strict=True):
            determiner = german.ARTICLES["the"]["gen"][number]
            items.append(
                table_item({"": f"of/d? the/d {word}/n"}, {"": f"{determiner}/d {form}/n"})
            )
    return items
