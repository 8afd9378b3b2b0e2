"""The demo's second panel at toy size: every part is there, and nothing held out was read."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from triptych.data.storybook import tokenize
from triptych.data.storybook.blanks import draw_blanks
from triptych.recipes.demo_encoder import (
    EncoderDemo,
    EncoderSize,
    documents,
    encoder_panel,
    new_sentences,
)
from triptych.recipes.demo_encoder_report import encoder_sections, picture_word, sense_picture
from triptych.recipes.run_demo import encoder_commands, encoder_summary

SIZE = EncoderSize(n_train=300, n_valid=40, n_test=60, max_updates=2, warmup=1, n_labelled=2)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> EncoderDemo:
    return encoder_panel(tmp_path_factory.mktemp("demo"), SIZE, seed=5)


def test_a_document_is_a_story_and_a_line_a_sentence(panel: EncoderDemo) -> None:
    text = (panel.run.parent / "data" / "stories.train.txt").read_text(encoding="utf-8")
    assert [block.split("\n") for block in text.strip().split("\n\n")] == [
        [s.english for s in story.sentences] for story in panel.split.train
    ]
    assert text == documents(panel.split.train)
    found = json.loads((panel.run / "corpus.json").read_text())
    assert found["text"]["n_documents"] == 300
    assert found["valid_text"]["n_documents"] == 40


def test_what_is_measured_was_not_read(panel: EncoderDemo) -> None:
    read = {s.english for story in panel.split.train for s in story.sentences}
    asked = {s.english for s in new_sentences(panel.split, panel.split.test)}
    assert asked
    assert not asked & read
    assert {text for uses in panel.uses.values() for text in uses.sentences} <= asked
    held_out = {story.text for story in panel.split.test}
    for filled in panel.filled:
        assert filled.blank.story.text in held_out
        assert filled.blank.filled(filled.blank.answer) in asked


def test_figures_have_fixed_keys(panel: EncoderDemo) -> None:
    found = json.loads(json.dumps(panel.to_json()))
    assert set(found) == {"seconds", "masked_words", "next_sentence", "senses"}
    assert set(found["masked_words"]) == {
        "n", "in_story", "alone", "limit", "five_gram", "commonest",
    }  # fmt: skip
    blanks = draw_blanks(panel.split.test, panel.split.unseen(panel.split.test), 5)
    assert found["masked_words"]["n"] == len(blanks)
    assert set(found["next_sentence"]) == {"n", "anywhere", "same_place"}
    assert len(found["senses"]["layers"]) == panel.encoder.module.config.n_layers + 1


def test_most_words_are_whole(panel: EncoderDemo) -> None:
    words = {w for story in panel.split.train for w in tokenize(story.text)}
    pieces = panel.encoder.tokenizer.encode(sorted(words))
    assert sum(len(ids) == 1 for ids in pieces) > 0.9 * len(pieces)


def test_the_summary_and_the_report_tell_the_same(panel: EncoderDemo) -> None:
    told = encoder_summary(panel)
    page = "".join(section.html for section in encoder_sections(panel))
    for share in (
        panel.blanks.in_story, panel.blanks.alone, panel.blanks.limit, panel.blanks.five_gram,
        panel.blanks.commonest, panel.pairs.anywhere, panel.pairs.same_place,
        panel.senses.accuracy, panel.senses.commonest,
    ):  # fmt: skip
        assert f"{share:.1%}" in told
        assert f"{share:.1%}" in page
    assert page.count("[MASK]") >= len(panel.filled)


def test_the_picture_shows_every_use_of_the_word(panel: EncoderDemo) -> None:
    word = picture_word(panel)
    svg = sense_picture(panel, "svg")
    assert svg is not None
    names = [e.text for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    senses = set(panel.uses[word].senses)
    assert {f"{word}: {sense}" for sense in senses} <= set(names)
    points = re.findall(rb'<use [^>]*style="fill', svg)
    assert len(points) == len(panel.uses[word].sentences) + len(senses)  # and a key


def test_the_word_is_bank_where_it_has_two_senses(panel: EncoderDemo) -> None:
    assert set(panel.uses["bank"].senses) == {"Bank", "Ufer"}
    assert picture_word(panel) == "bank"
    assert picture_word(panel, "no such word") == max(
        panel.uses, key=lambda name: (len(panel.uses[name].sentences), name)
    )


def test_commands_name_what_is_there(panel: EncoderDemo) -> None:
    out = panel.run.parent
    commands = encoder_commands(panel, out)
    verbs = {command.split()[1] for command in commands.values()}
    assert verbs == {"fill", "embed", "search", "similarity"}
    assert all(str(panel.model) in command for command in commands.values())
    assert (panel.model / "model.safetensors").exists()


def test_a_repeated_demo_goes_on_from_what_is_there(panel: EncoderDemo) -> None:
    again = encoder_panel(Path(panel.run.parent), SIZE, seed=5)
    assert again.to_json() | {"seconds": 0} == panel.to_json() | {"seconds": 0}
    np.testing.assert_array_equal(
        again.encoder.embed(["the bank ."]), panel.encoder.embed(["the bank ."])
    )
