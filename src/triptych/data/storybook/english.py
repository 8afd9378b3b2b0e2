"""What little inflection English needs here."""

CONSONANT_SOUND = frozenset({"useful"})  # written with a vowel, spoken with a consonant


def indefinite(next_word: str) -> str:
    """`a` or `an`."""
    return "an" if next_word[0] in "aeiou" and next_word not in CONSONANT_SOUND else "a"
