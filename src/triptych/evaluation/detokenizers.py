"""The white space that a corpus of words has gained, taken out again.

Corpora of the word-level models come with spaces around every sign, which a model of real text has
never seen. Radford et al. 2019, §3.1, undo this before a model reads the text, and still divide by
the words of the corpus; the rules they used are not published. These are ours. They take away
spaces and the marks `@ @` alone: every other character, `<unk>` and `=` of headings included,
stays. They work within a line, so that it does not matter how a text is divided.

    wikitext   WikiText-2 and 103 (Merity et al. 2017), raw or with <unk>
    ptb        the Penn Treebank as Mikolov prepared it: lowercased, numbers as N
    lambada    OpenAI's file of LAMBADA: straight quotes, and a line end before the text, as they
               are said to have been read (openai/gpt-2, issue 131)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

Rules = Sequence[tuple[re.Pattern[str], str]]

WIKITEXT: Rules = [
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r'" ([^"\n]*?) "', r'"\1"'),  # the first of a line with the second, and so on
        (r" @([-,.])@ ", r"\1"),  # well @-@ known, 1 @,@ 000, 2 @.@ 5
        (r" '(s|t|m|d|re|ve|ll)\b", r"'\1"),
        (r"(?<=\d) ([%°′″])(?= |$)", r"\1"),
        (r" ([.,;:!?]|\.\.\.)(?=[ \")\]]|$)", r"\1"),
        (r"([$£₤]) (?=\d)", r"\1"),
        (r"([(\[]) ", r"\1"),
        (r" ([)\]])", r"\1"),
        (r"s ' ", r"s' "),  # the Linnaeus ' concept
        (r"' (?=\d0s\b)", r"'"),
        (r"(?<==) (?==)", r""),  # = = Description = =
        (r"^ +| +$", r""),
    )
]
PTB: Rules = [
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r" (n't|'(?:s|m|d|re|ve|ll))\b", r"\1"),
        (r"s ' ", r"s' "),
        (r"([$#]) (?=N\b)", r"\1"),
        (r"(?<=N) %(?= |$)", r"%"),
        (r"^ +| +$", r""),
    )
]
QUOTES = str.maketrans({"“": '"', "”": '"'})


def _by(rules: Rules) -> Callable[[str], str]:
    def detokenize(text: str) -> str:
        for pattern, replacement in rules:
            text = pattern.sub(replacement, text)
        return text

    return detokenize


wikitext = _by(WIKITEXT)
ptb = _by(PTB)


def lambada(text: str) -> str:
    """Quotes as they are typed, behind a line end."""
    return "\n" + text.translate(QUOTES).replace("``", '"').replace("''", '"').strip()


def nothing(text: str) -> str:
    """The text as it stands."""
    return text


Name = Literal["none", "wikitext", "ptb", "lambada"]
DETOKENIZERS: Mapping[Name, Callable[[str], str]] = {
    "none": nothing,
    "wikitext": wikitext,
    "ptb": ptb,
    "lambada": lambada,
}
WORD_LEVEL: tuple[Name, ...] = ("wikitext", "ptb")
"""Corpora whose papers count each line end as a word, <eos>: WikiText-2's 217,646 words of
validation text are 213,886 between white space and 3,760 line ends."""
