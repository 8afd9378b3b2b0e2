"""Paragraphs into sentences, in English and German, by rules that can be read.

A gap between two words ends a sentence when a stop (. ! ? …) stands before it, perhaps with closing
quotes or brackets, and what follows can begin one. The difficulty is the period, which also ends
abbreviations, initials and German ordinals. So the word before it is looked up:

    never       a sentence does not end here                 Mr. · e.g. · z. B. · bzw.
    by_next     it ends if a typical first word follows      U.S. · etc. · Inc. · usw. · J. · 3.
    by_number   it goes on if a number follows               No. 5 · Fig. 2 · Nr. 7 · Abb. 3

Nothing is learned and nothing is random. When in doubt two sentences stay together: a translation
model reads two short sentences better than two halves of one.
"""

import re
from dataclasses import dataclass

from triptych.errors import UsageError

OPENERS = "\"'„“‚‘»«‹›([{¿¡"
CLOSERS = "\"'”“’‘»«‹›)]}"

BEFORE = 80
"""Characters looked at on each side of a gap, so that a long text takes time in proportion."""
MAX_BRACKETS = 300
"""A remark in brackets is kept whole up to this length."""


@dataclass(frozen=True)
class Rules:
    """The tables of one language. An entry in lower case also stands for its capitalized form."""

    never: frozenset[str]
    by_next: frozenset[str]
    by_number: frozenset[str]
    starters: frozenset[str]
    ordinals: bool = False
    speech_verbs: frozenset[str] = frozenset()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH = Rules(
    never=_words(
        """Mr Mrs Ms Mx Messrs Dr Drs Prof Rev Hon Gen Sen Rep Gov Capt Cpt Cmdr Lt Col Sgt Cpl Maj
        Adm Pres Supt Mt Ft Mme Mlle e.g i.e eg ie viz cf vs approx ca resp incl excl"""
    ),
    by_next=_words(
        """St Ave Blvd Rd Inc Ltd Corp Co Cos Bros Jr Sr Esq etc al ibid Ph.D a.m p.m dept univ
        est Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun"""
    ),
    by_number=_words("no nos fig figs vol vols p pp ch sec art eq eqs ver v tab chap para §"),
    starters=_words(
        """The A An He She It They We I You This That These Those There Here In On At By For From
        With Without But And Or So Then When While If After Before As Since Because Although Though
        His Her Its Their My Our Your What Who Whose Why How Where Which However Now No Not Yes
        Some Many Most Both Once Only Also Even Later Meanwhile Nobody Everyone Everybody Someone
        Nothing Everything Today Yesterday Tomorrow Is Are Was Were Do Did Does Can Could Will Would
        Another Other Still Yet Please Let Nevertheless Finally First Perhaps Maybe To Until"""
    ),
    speech_verbs=_words(
        """said says asked asks replied answered cried whispered shouted exclaimed added yelled
        screamed muttered called continued explained"""
    ),
)

GERMAN = Rules(
    never=_words(
        """Dr Prof Hr Hrn Fr Frl Dipl Ing Mag Hptm Lt St z.B d.h d.i v.a s.o s.u z.T z.Zt u.U i.A
        i.d.R i.d.S i.S.d a.d bzw ca evtl ggf ggfs inkl exkl einschl entspr vgl sog
        bspw zzgl abzgl bes insb insbes jmd jmdm jmdn etw Fa geb gest verh vs Hl hl"""
    ),
    by_next=_words(
        """usw usf etc u.a u.ä u.Ä o.ä o.Ä u.s.w v.Chr n.Chr Chr ff Str Jh Jhd Jhdt Mio Mrd Std
        min max Sek Co Inc Jr Sr allg ehem ebd Hrsg Hg Aufl Bhf Jan Feb Mär Apr Jun Jul Aug Sep
        Sept Okt Nov Dez Mo Di Mi Do Fr Sa So i.V a.D a.M U.S U.S.A Univ tgl"""
    ),
    by_number=_words("Nr Nrn Abs Art Bd Abb Tab Kap S Tel Anm Ziff Par Lfg Pos Fig Gl Vers V"),
    starters=_words(
        """Der Die Das Den Dem Des Er Sie Es Wir Ich Ihr Du Man Ein Eine Einer Einem Einen Eines In
        Im Ins Am An Ans Auf Aus Bei Beim Bis Durch Für Gegen Hinter Mit Nach Neben Ohne Seit Trotz
        Über Um Unter Von Vom Vor Während Wegen Zu Zum Zur Zwischen Aber Und Oder Doch Denn Dann Da
        Dabei Dadurch Dafür Dagegen Daher Damit Danach Daneben Daran Darauf Daraus Darin Darum
        Davon Davor Dazu Deshalb Deswegen Trotzdem Dennoch Jedoch Allerdings Außerdem Später Zuerst
        Zuletzt Schließlich Dies Diese Diesem Diesen Dieser Dieses Jede Jeder Jedes Jene Jener Alle
        Alles Viele Manche Einige Mehrere Beide Keine Kein Keiner Niemand Jemand Mein Meine Dein
        Deine Sein Seine Seiner Seinem Seinen Ihre Ihrer Ihrem Ihren Unser Unsere Euer Eure Wenn
        Als Weil Obwohl Ob Dass Sobald Solange Nachdem Bevor So Auch Nun Nur Nicht Nichts Nie Noch
        Schon Sogar Hier Dort Heute Gestern Jetzt Bald Oft Immer Manchmal Vielleicht Was Wer Wen Wem
        Wie Wo Woher Wohin Wann Warum Weshalb Welche Welcher Welches Ist Sind War Waren Hat Haben
        Ja Nein Bitte"""
    ),
    ordinals=True,
)

LANGUAGES = {"en": ENGLISH, "de": GERMAN}

_GAP = re.compile(r"\s+")
_MAY_END = frozenset(".!?…" + CLOSERS)
_BRACKET = re.compile(r"[()]")
_STOP = re.compile(rf"(?P<stop>[.!?…]+)(?P<close>[{re.escape(CLOSERS)}]*)$")
_OMISSION = re.compile(r"[(\[](?:\.{3}|…)[)\]]$")
_LEAD = re.compile(rf"(?:[-–—]\s+)?[{re.escape(OPENERS)}]*")
_WORD = re.compile(r"[^\W\d_]+")
_SPACED = re.compile(r"(?:^|(?<=[\s(\[]))(?:[^\W\d_]{1,2}\.\s?)+[^\W\d_]{1,3}$")
_ROMAN = re.compile(r"[IVXLC]{2,}$")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]$")
_ORDINAL = re.compile(r"(?<![\d.,])\d{1,3}$|(?<!\d)\d{1,2}\.\d{1,2}$")


def split_sentences(paragraph: str, language: str = "en") -> list[str]:
    """The sentences of `paragraph` in order, without white space around them.

    Put together they are the paragraph, white space between sentences apart; white space alone
    gives none. A blank line always ends a sentence. Raises UsageError for a language without rules.
    """
    if language not in LANGUAGES:
        raise UsageError(
            f"there are no sentence rules for {language!r}; known are {', '.join(LANGUAGES)}"
        )
    rules = LANGUAGES[language]
    inside = _bracketed(paragraph)
    sentences, begin = [], 0
    for gap in _GAP.finditer(paragraph):
        if gap.group().count("\n") < 2:
            if paragraph[gap.start() - 1] not in _MAY_END or gap.start() in inside:
                continue  # most gaps, so the first test is the cheapest
            before = paragraph[max(begin, gap.start() - BEFORE) : gap.start()]
            after = paragraph[gap.end() : gap.end() + BEFORE]
            if not _ends(before, after, rules):
                continue
        sentences.append(paragraph[begin : gap.start()].strip())
        begin = gap.end()
    sentences.append(paragraph[begin:].strip())
    return [sentence for sentence in sentences if sentence]


def _ends(before: str, after: str, rules: Rules) -> bool:
    """Whether a sentence ends between `before` and `after`, the texts on both sides of a gap."""
    match = _STOP.search(before)
    if match is None or _OMISSION.search(before):
        return False
    following = after[_LEAD.match(after).end() :]  # type: ignore[union-attr]  # matches anything
    if not following or following[0].isspace() or following[0].islower():
        return False
    stop, head = match["stop"], before[: match.start()]
    if "!" in stop or "?" in stop:
        return not (match["close"] and _is_speech_tag(following, rules))
    if stop in ("...", "…", ".."):
        return _ends_by_ellipsis(following, rules)
    return stop != "." or _ends_by_period(head, following, rules)


def _ends_by_ellipsis(following: str, rules: Rules) -> bool:
    """A pause or an end? German writes nouns with a capital, so there only a first word tells."""
    if rules.ordinals:
        return _starts(following, rules)
    return following[0].isupper() and not re.match(r"I\b", following)


def _ends_by_period(head: str, following: str, rules: Rules) -> bool:
    """Whether the period after `head` ends a sentence that `following` does not continue."""
    token = head.split()[-1].lstrip(OPENERS) if head.split() else ""
    if not token or not head[-1:].strip():
        return True
    if token == head.strip() and re.fullmatch(r"\d{1,3}|[A-Za-z]|[IVX]+", token):
        return False  # the number of an item in a list
    spaced = _SPACED.search(head)
    compact = "".join(spaced.group().split()) if spaced else token
    last = re.split(r"[-–/.]", token)[-1]
    names = {compact, token, last}
    names |= {name[:1].lower() + name[1:] for name in names}
    if names & rules.never:
        return False
    if names & rules.by_number and following[0].isdigit():
        return False
    if len(last) == 1 and last.isalpha():
        return _starts(following, rules) or _is_pronoun(head, token, rules)
    if names & rules.by_next or _DOTTED.search(token) or _ROMAN.match(token):
        return _starts(following, rules)
    if rules.ordinals and _ORDINAL.search(token):
        return _starts(following, rules)
    return True


def _starts(following: str, rules: Rules) -> bool:
    """Whether `following` begins with a typical first word, and not with an initial: "A. Smith"."""
    word = _WORD.match(following)
    return (
        word is not None and word.group() in rules.starters and following[word.end() :][:1] != "."
    )


def _is_pronoun(head: str, token: str, rules: Rules) -> bool:
    """ "So do I." ends a sentence; "Isaac I. Newton" does not."""
    words = head.split()
    return token == "I" and not rules.ordinals and len(words) > 1 and words[-2].islower()


def _is_speech_tag(following: str, rules: Rules) -> bool:
    """Whether who spoke is told next: "Stop!" Mary Smith said."""
    words = re.findall(r"[^\W\d_]+", following)[:4]
    for place, word in enumerate(words[1:], 1):
        if word in rules.speech_verbs:
            return all(name[0].isupper() for name in words[:place])
    return False


def _bracketed(paragraph: str) -> set[int]:
    """Where the white space within short round brackets begins."""
    inside: set[int] = set()
    opened: list[int] = []
    for bracket in _BRACKET.finditer(paragraph):
        place = bracket.start()
        if bracket.group() == "(":
            opened.append(place)
        elif opened:
            begin = opened.pop()
            if place - begin <= MAX_BRACKETS:
                inside.update(i for i in range(begin, place) if paragraph[i].isspace())
    return inside
