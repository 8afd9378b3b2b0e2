"""Words and signs as the indices count them."""

from triptych.data.storybook import stories, tokenize


def test_signs_are_words_of_their_own() -> None:
    text = "When Anna came, he ran away. Why?"
    expected = ("When", "Anna", "came", ",", "he", "ran", "away", ".", "Why", "?")
    assert tokenize(text) == expected


def test_a_story_is_its_sentences_in_order() -> None:
    story = next(stories(1))
    assert story.text == " ".join(s.english for s in story.sentences)
    assert story.german_text == " ".join(s.german for s in story.sentences)
    assert story.sentences[0].german_words == tokenize(story.sentences[0].german)
