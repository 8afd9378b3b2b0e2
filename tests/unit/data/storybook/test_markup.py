"""The notation of words and links."""

import pytest

from triptych.data.storybook.markup import pair, read_word, surface, tag_pattern


def test_tags_are_sure_or_possible() -> None:
    word = read_word("hob/v,p?")
    assert (word.text, word.sure, word.possible) == ("hob", ("v",), ("p",))
    assert read_word("und") == ("und", (), ())


def test_words_are_glued_with_spaces_and_signs_without() -> None:
    assert surface("Anna/n ,/c who/r lived/l .") == " Anna, who lived."
    assert surface("") == ""


def test_a_pattern_forgets_the_words() -> None:
    assert tag_pattern("in/1 the/1? straw/2") == tag_pattern("on/1 a/1? tree/2")
    assert tag_pattern("in/1 the/1? straw/2") != tag_pattern("in/1 the/1 straw/2")


def test_phrases_of_equal_length_are_linked_in_order() -> None:
    assert pair("two days later", "zwei Tage später") == (
        "two/0 days/1 later/2",
        "zwei/0 Tage/1 später/2",
    )
    assert pair("a/1 b", "c/1") == ("a/1 b", "c/1")
    with pytest.raises(AssertionError, match="lengths differ"):
        pair("on the coast", "am Meer")
