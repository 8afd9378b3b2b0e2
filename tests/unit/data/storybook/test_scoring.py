"""Is the sense in the output right?"""

from triptych.data.storybook import sense_correct, stories
from triptych.data.storybook.recognition import readings


def test_the_gold_translation_is_right_and_the_other_sense_wrong() -> None:
    n = 0
    for story in stories(31, 400):
        for s in story.sentences:
            assert sense_correct(s, s.german) == [True] * len(s.senses)
            for number, sense in enumerate(s.senses):
                wrong = s.german.replace(sense.german_form, sense.alternatives[0])
                assert not sense_correct(s, wrong)[number]
                n += 1
    assert n > 300


def test_both_senses_or_none_are_wrong_and_other_forms_right() -> None:
    (sentence,) = readings("He tried to explain the letter.")
    assert sentence.german == "Er versuchte, den Buchstaben zu erklären."
    assert sense_correct(sentence, "der Buchstabe") == [True]
    assert sense_correct(sentence, "der Buchstabe im Brief") == [False]
    assert sense_correct(sentence, "Buchstabensuppe") == [False]
    assert sense_correct(sentence, "") == [False]
