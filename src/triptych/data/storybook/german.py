"""German inflection: articles, adjectives, nouns, pronouns, verbs.

Genders are m, f, n, and p for the plural; cases are nom, acc, dat, gen.
"""

ARTICLES = {  # kind of article -> case -> gender -> form
    "the": {
        "nom": {"m": "der", "f": "die", "n": "das", "p": "die"},
        "acc": {"m": "den", "f": "die", "n": "das", "p": "die"},
        "dat": {"m": "dem", "f": "der", "n": "dem", "p": "den"},
        "gen": {"m": "des", "f": "der", "n": "des", "p": "der"},
    },
    "a": {
        "nom": {"m": "ein", "f": "eine", "n": "ein"},
        "acc": {"m": "einen", "f": "eine", "n": "ein"},
        "dat": {"m": "einem", "f": "einer", "n": "einem"},
    },
}
PRONOUNS = {
    "nom": {"m": "er", "f": "sie", "n": "es"},
    "acc": {"m": "ihn", "f": "sie", "n": "es"},
    "dat": {"m": "ihm", "f": "ihr", "n": "ihm"},
}
RELATIVE = {"m": "der", "f": "die", "n": "das"}  # nominative, as all of ours are subjects
CONTRACTIONS = {
    ("von", "dem"): "vom",
    ("an", "dem"): "am",
    ("in", "dem"): "im",
    ("in", "das"): "ins",
}
STRONG_ENDINGS = {"m": "er", "f": "e", "n": "es", "p": "e"}  # where no article shows the gender


def adjective(stem: str, kind: str, gender: str, case: str) -> str:
    """An attributive adjective after `the`, after `a`, or in a plural without article (`bare`)."""
    if case in ("dat", "gen") or (kind == "the" and gender == "p"):
        return stem + "en"
    if gender == "m" and case == "acc":
        return stem + "en"
    if kind == "the":
        return stem + "e"
    return stem + STRONG_ENDINGS[gender]


def dative_plural(plural: str) -> str:
    """Äpfel becomes Äpfeln; Frauen and Schals stay."""
    return plural if plural[-1] in "ns" else plural + "n"


def possessive(stem: str, gender: str, case: str) -> str:
    """sein-, ihr- before a singular noun: the endings of ein."""
    return stem + ARTICLES["a"][case][gender].removeprefix("ein")


def preposition(word: str, article: str) -> str:
    """von and dem become vom; the pair in other cases."""
    return CONTRACTIONS.get((word, article), f"{word} {article}")


def plural_preterite(singular: str) -> str:
    """machte becomes machten, ließ becomes ließen."""
    return singular + ("n" if singular.endswith("e") else "en")
