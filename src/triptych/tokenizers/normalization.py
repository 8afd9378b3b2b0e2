"""What a joint BPE vocabulary does to text before it is cut: the only thing that is not undone.

    normalize(text) = NFC(text), each run of white space as one space, none at either end

White space is Unicode's White_Space property (tabs, line ends, no-break and ideographic spaces
included). Everything else is kept: case, control characters, NUL, joiners, direction marks. A lone
surrogate, which is not a character and has no UTF-8 form, becomes U+FFFD. With `lowercase` the
text is put in lower case first. Normalizing twice is normalizing once.
"""

import re

from tokenizers import Regex, normalizers

_SURROGATE = re.compile("[\ud800-\udfff]")


def build_normalizer(lowercase: bool = False) -> normalizers.Normalizer:
    """The rule as an object that is stored in `tokenizer.json`."""
    steps: list[normalizers.Normalizer] = [normalizers.Lowercase()] if lowercase else []
    steps += [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    return normalizers.Sequence(steps)


_KEEP_CASE = build_normalizer()
_LOWERCASE = build_normalizer(lowercase=True)


def replace_surrogates(text: str) -> str:
    """`text` with every lone surrogate as U+FFFD, so that it has a UTF-8 form."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def normalize(text: str, lowercase: bool = False) -> str:
    """The text that `decode_target(encode_target(text))` gives back, character for character."""
    normalizer = _LOWERCASE if lowercase else _KEEP_CASE
    return normalizer.normalize_str(replace_surrogates(text))
