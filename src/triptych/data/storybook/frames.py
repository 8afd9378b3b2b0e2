"""The sentences that a story can be made of, each in both languages.

`{slot}` or `{slot.form}` is filled by an item. `{slot.form/verb}` is an object in the case that
`verb` governs; `.direct` and `.prep` after the verb print it only if it is of that kind, for
German puts adverbs after the one and before the other. Other words are literal, with tags as in
`markup`; signs are linked by themselves. A comma that German alone has is possibly linked to
the English word that opens its clause.

    name, hero      the hero by name; by name or pronoun        kin      the hero's relative
    newhome, home   where they live: a small village; the village
    topic           what the story is about, definite, with an adjective that fits everything
    marked          the same with an adjective of its class     bare     the same, no adjective
    verb, plain, passive   a verb of the topic's class; without preposition; with a passive
    act, trait      what the topic does; how it is (both of its class)
    other, many     something else, indefinite, singular or plural, with an adjective of its class
    other_verb, many_verb, many_act     verbs and acts of their classes

Every frame that mentions a thing has a verb, act or adjective of the thing's class: the cue that
decides its sense.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """A sentence pattern; `weight` is its share among the frames of its stage."""

    name: str
    weight: int
    english: str
    german: str


OPENINGS = (
    Frame(
        "lived",
        2,
        "{name} lived/l with/w {kin} {newhome.in a} {land} .",
        "{name} lebte/l mit/w {kin.dat} {newhome.in} {land} .",
    ),
    Frame(
        "years ago",
        2,
        "many/m years/y ago/v {name} and/a {kin} lived/l {newhome.in a} .",
        "vor/v vielen/m Jahren/y lebten/l {name} und/a {kin.nom} {newhome.in} .",
    ),
    Frame(
        "had lived",
        2,
        "{name} had/l? lived/l {newhome.in a} with/w {kin} for/f {number} years/y .",
        "{name} lebte/l seit/f {number} Jahren/y mit/w {kin.dat} {newhome.in} .",
    ),
    Frame(
        "who lived",
        2,
        "{name} ,/c who/name.r lived/l {newhome.in a} ,/d often/o helped/h {kin} .",
        "{name} ,/c {name.der} {newhome.in} lebte/l ,/d half/h {kin.dat} oft/o .",
    ),
    Frame(
        "moved",
        2,
        "when/a {name} was/w {number} years/y old/o ,/c {name.she} moved/m with/i {kin} "
        "{newhome.to a} .",
        "als/a {name} {number} Jahre/y alt/o war/w ,/c zog/m {name.sie} mit/i {kin.dat} "
        "{newhome.into} .",
    ),
)

ENCOUNTERS = (
    Frame(
        "alone",
        3,
        "{once} {hero} {verb.past} {marked.a} .",
        "{once} {verb.fin} {hero} {marked.a/verb} {verb.rest} .",
    ),
    Frame(
        "together",
        2,
        "{once} {hero} and/a {kin} {verb.past} {marked.a} .",
        "{once} {verb.plural} {hero} und/a {kin.nom} {marked.a/verb} {verb.rest} .",
    ),
    Frame(
        "asked",
        3,
        "{kin} asked/a {name} {verb.to} {marked.a} .",
        "{kin.nom} bat/a {name} ,/verb.t? {marked.a/verb} {verb.zu} .",
    ),
    Frame(
        "wanted",
        2,
        "{once} {hero} wanted/m {verb.to} {marked.a} .",
        "{once} wollte/m {hero} {marked.a/verb} {verb.inf} .",
    ),
)

EVENTS = (
    Frame(
        "simple",
        5,
        "{time} {hero} {verb.past} {topic.the} {manner} .",
        "{time} {verb.fin} {hero} {topic.the/verb.direct} {manner} {topic.the/verb.prep} "
        "{verb.rest} .",
    ),
    Frame(
        "modal",
        5,
        "{hero} {modal} {verb.to} {topic.the} {when} .",
        "{hero} {modal} {topic.the/verb.direct} {when} {topic.the/verb.prep} {verb.inf} .",
    ),
    Frame(
        "aim",
        4,
        "{hero} {aim} {verb.to} {topic.the} .",
        "{hero} {aim} ,/verb.t? {topic.the/verb} {verb.zu} .",
    ),
    Frame(
        "perfect",
        9,
        "{hero} had/verb.h {often} {verb.pp} {topic.the} .",
        "{hero} {verb.aux} {topic.the/verb.direct} {often} {topic.the/verb.prep} {verb.pp} .",
    ),
    Frame(
        "question",
        7,
        "why/w had/verb.h {name} {verb.pp} {topic.the} ?",
        "warum/w {verb.aux} {name} {topic.the/verb} {verb.pp} ?",
    ),
    Frame(
        "refusal",
        5,
        "{hero} did/plain.v? not/n {plain.base} {topic.the} because/b {topic.it} was/w {trait} .",
        "{hero} {plain.fin} {topic.the/plain} nicht/n {plain.rest} ,/b? weil/b {topic.er} "
        "{trait} war/w .",
    ),
    Frame(
        "because",
        5,
        "{hero} {verb.past} {topic.the} because/b {topic.it} {act.one} .",
        "{hero} {verb.fin} {topic.the/verb} {verb.rest} ,/b? weil/b {topic.er} "
        "{act.middle} {act.final} .",
    ),
    Frame(
        "when",
        4,
        "when/a {name} {verb.past} {topic.the} ,/c {kin} {reaction} .",
        "als/a {name} {topic.the/verb} {verb.final} ,/c {reaction.fin} {kin.nom} {reaction.rest} .",
    ),
    Frame(
        "after",
        7,
        "after/a {name} had/verb.h {verb.pp} {topic.the} ,/c {kin} {reaction} .",
        "nachdem/a {name} {topic.the/verb} {verb.pp} {verb.aux} ,/c {reaction.fin} {kin.nom} "
        "{reaction.rest} .",
    ),
    Frame(
        "while",
        6,
        "while/w {name} {verb.past} {topic.the} ,/c {kin} {other_verb.past} {other.a} .",
        "während/w {name} {topic.the/verb} {verb.final} ,/c {other_verb.fin} {kin.nom} "
        "{other.a/other_verb} {other_verb.rest} .",
    ),
    Frame(
        "purpose",
        5,
        "{name} {motion} {verb.to} {topic.the} .",
        "{name} {motion.fin} {motion.rest} ,/verb.t? um/verb.t? {topic.the/verb} {verb.zu} .",
    ),
    Frame(
        "passive",
        8,
        "{topic.the} was/w {passive.pp} by/b {kin} .",
        "{topic.the nom} wurde/w von/b {kin.dat} {passive.pp} .",
    ),
    Frame(
        "and showed",
        4,
        "{hero} {plain.past} {topic.the} and/a showed/s {topic.him} to/kin.d? {kin} .",
        "{hero} {plain.fin} {topic.the/plain} {plain.rest} und/a zeigte/s {topic.ihn} {kin.dat} .",
    ),
)

SCENES = (
    Frame(
        "relative",
        6,
        "{hero} {regard.past} {topic.the} {topic.that} {act.one} .",
        "{hero} {regard.fin} {topic.the/regard} {regard.rest} ,/topic.r? {topic.der} "
        "{act.middle} {act.final} .",
    ),
    Frame(
        "act",
        5,
        "{time} {topic.the} {act.one} .",
        "{time} {act.fin} {topic.the nom} {act.middle} {act.rest} .",
    ),
    Frame(
        "speech",
        6,
        "{kin} {speech} that/t {topic.the} {act.one} .",
        "{kin.nom} {speech} ,/t? dass/t {topic.the nom} {act.middle} {act.final} .",
    ),
    Frame(
        "showing",
        5,
        "{name} {showing} {marked.the} to/kin.d? {kin} .",
        "{name} {showing} {kin.dat} {marked.the acc} .",
    ),
    Frame(
        "owner",
        5,
        "{bare.the} {owner} {act.one} .",
        "{bare.the nom} {owner} {act.fin} {act.middle} {act.rest} .",
    ),
    Frame(
        "owners",
        6,
        "{many.the} {owner} {many_act.many} .",
        "{many.the nom} {owner} {many_act.plural} {many_act.middle} {many_act.rest} .",
    ),
    Frame(
        "also",
        5,
        "{home.in the} {name} also/a {other_verb.past} {other.a} .",
        "{home.in} {other_verb.fin} {name} auch/a {other.a/other_verb} {other_verb.rest} .",
    ),
    Frame(
        "there were",
        6,
        "there/e? were/e {number} {many.bare} {home.in the} .",
        "{home.in} gab/e es/e? {number} {many.bare acc} .",
    ),
    Frame(
        "several",
        6,
        "{name} and/a {kin} {many_verb.past} {number} {many.bare} .",
        "{name} und/a {kin.nom} {many_verb.plural} {number} {many.bare/many_verb} "
        "{many_verb.rest} .",
    ),
)

MIDDLES = EVENTS + SCENES

ENDINGS = (
    Frame(
        "went back",
        2,
        "in/1 the/1? end/2 {hero} went/g back/b {home.to the} with/w {kin} .",
        "am/1 Ende/2 ging/g {hero} mit/w {kin.dat} {home.into} zurück/b .",
    ),
    Frame(
        "friends",
        1,
        "from/1 that/2 day/3 on/4 {name} and/a {kin} were/w the/d best/b friends/f {home.in the} .",
        "von/1 diesem/2 Tag/3 an/4 waren/w {name} und/a {kin.nom} {home.in} "
        "die/d besten/b Freunde/f .",
    ),
    Frame(
        "never again",
        3,
        "{hero} never/n saw/s {marked.the} again/a .",
        "{hero} sah/s {marked.the acc} nie/n wieder/a .",
    ),
    Frame(
        "asleep",
        2,
        "that/1 night/2 {name} and/a {kin} fell/f asleep/e {mood} .",
        "in/1? dieser/1 Nacht/2 schliefen/f {name} und/a {kin.nom} {mood} ein/e .",
    ),
    Frame(
        "stayed",
        2,
        "{name} stayed/b {home.in the} for/m? {number} more/m years/y .",
        "{name} blieb/b noch/m {number} Jahre/y {home.in} .",
    ),
    Frame(
        "told",
        3,
        "{name} told/t everyone/e {home.in the} about/marked.p {marked.the} .",
        "{name} erzählte/t allen/e {home.in} {marked.the von dat} .",
    ),
)
