"""The named normalization: what it changes, what it keeps, and that once is enough."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.tokenizers.normalization import normalize

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2009\u2028\u2029\u202f\u205f\u3000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "\xe9"),
        ("  a \t\n b\u00a0\u3000c  ", "a b c"),
        ("", ""),
        (SPACES, ""),
        ("a\ud800b\udfff", "a\ufffdb\ufffd"),
        ("\ufb01 \xbd \uff21", "\ufb01 \xbd \uff21"),  # NFC, not NFKC: ligature, half, wide A stay
        ("a\u200bb\u200dc\ufeffd\x00e\x1ff", "a\u200bb\u200dc\ufeffd\x00e\x1ff"),
        ("\u202eabc\u2581", "\u202eabc\u2581"),
    ],
)
def test_changes_only_what_is_named(text: str, expected: str) -> None:
    assert normalize(text) == expected


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_equals_the_formula(text: str) -> None:
    """NFC by Python's own tables; characters newer than either table are left out."""
    known = "".join(c for c in text if unicodedata.category(c) not in ("Cn", "Cs"))
    spaced = "".join(" " if c in SPACES else c for c in unicodedata.normalize("NFC", known))
    assert normalize(known) == " ".join(word for word in spaced.split(" ") if word)


@settings(deadline=None)  # the machine may be busy
@given(st.text(alphabet=st.characters(exclude_categories=[])), st.booleans())
def test_twice_is_once(text: str, lowercase: bool) -> None:
    once = normalize(text, lowercase)
    assert normalize(once, lowercase) == once


def test_lowercase() -> None:
    assert normalize("ÄPFEL Straße", lowercase=True) == "äpfel straße"
    assert normalize("ÄPFEL Straße") == "ÄPFEL Straße"
