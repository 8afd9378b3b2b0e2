"""Long texts in parts, cut where no piece can lie across (read `wordpiece.py` first).

The library keeps some hundred bytes for each token until it has all of a text, so that ten
megabytes at once would take gigabytes.
"""

import re
import string
from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

LONGEST_PART = 20_000
"""Characters of one text after which the next place to cut is taken."""
CHARACTERS_AT_ONCE = 500_000
"""Characters after which the library is asked for the pieces of what came together."""
SPACES = " \t\n\r"
"""White space that cleaning keeps. Others (U+000B, U+0085) are control characters to BERT: they
vanish, and what stood on both sides is one word."""
IDEOGRAPHS = "\u4e00-\u9fff"


def find_cuts(tokenizer: Tokenizer) -> re.Pattern[str] | None:
    """The characters before which a text may be cut; none where the pipeline is not BERT's.

    White space, and what is always a word of its own: ASCII punctuation and, where they are set
    apart, ideographs. Not those that an added token (`[MASK]`) contains: it would be torn.
    """
    normalizer = tokenizer.normalizer
    if not (
        isinstance(normalizer, BertNormalizer)
        and isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
    ):
        return None
    added = tokenizer.get_added_tokens_decoder().values()
    cuts = SPACES
    if not any(token.single_word for token in added):  # what stands beside them matters
        cuts += re.escape(string.punctuation)
        cuts += IDEOGRAPHS if normalizer.handle_chinese_chars else ""
    within = "".join(token.content for token in added)
    return re.compile(f"(?![{re.escape(within)}])[{cuts}]" if within else f"[{cuts}]")


def split_text(text: str, cuts: re.Pattern[str] | None) -> Iterator[str]:
    """The parts of a text, in order; joined they are the text. An empty text has none."""
    start = 0
    while cuts and (cut := cuts.search(text, start + LONGEST_PART)):
        yield text[start : cut.start()]
        start = cut.start()
    if start < len(text):
        yield text[start:]


def split_texts(
    texts: Sequence[str], cuts: re.Pattern[str] | None
) -> Iterator[list[tuple[int, str]]]:
    """The parts of all texts, each with the number of its text, in groups of a bounded size."""
    group: list[tuple[int, str]] = []
    size = 0
    for number, text in enumerate(texts):
        for part in split_text(text, cuts):
            group.append((number, part))
            size += len(part)
            if size >= CHARACTERS_AT_ONCE:
                yield group
                group, size = [], 0
    if group:
        yield group
