"""The demo's third panel at toy size: every part is there, and nothing held out was read."""

import json
import math
from pathlib import Path

import pytest
import torch

from triptych.data.storybook import StorySplit, story_split
from triptych.data.storybook.baselines import ngram_ratio
from triptych.errors import DataError
from triptych.recipes.demo_generator import GeneratorDemo, GeneratorSize, generator_panel
from triptych.recipes.demo_generator_report import generator_sections
from triptych.recipes.run_demo import generator_commands, generator_summary
from triptych.recipes.story_scores import continue_stories, score_stories, story_nats

SIZE = GeneratorSize(max_updates=2, warmup=1, n_continued=5)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> GeneratorDemo:
    return generator_panel(tmp_path_factory.mktemp("demo"), story_split(5, 200, 20, 30), SIZE)


def test_a_document_is_a_whole_story(panel: GeneratorDemo) -> None:
    text = (panel.run.parent / "data" / "whole_stories.train.txt").read_text(encoding="utf-8")
    assert text.splitlines() == [story.text for story in panel.split.train]
    found = json.loads((panel.run / "corpus.json").read_text())
    assert found["text"]["n_documents"] == 200
    assert found["valid_text"]["n_documents"] == 20


def test_every_token_and_the_end_is_scored(panel: GeneratorDemo) -> None:
    """Against one pass over one story at a time, with torch's own cross-entropy."""
    generator, stories = panel.generator, panel.split.test[:4]
    ids, spent = story_nats(generator, stories)
    for story, tokens, nats in zip(stories, ids, spent, strict=True):
        assert generator.tokenizer.decode(tokens[:-1]) == story.text
        assert tokens[-1] == generator.tokenizer.eos_id
        read = torch.tensor([[generator.tokenizer.eos_id, *tokens[:-1]]])
        with torch.inference_mode():
            logits = generator.module.project(generator.module(read))[0]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(tokens), reduction="sum")
        assert nats == pytest.approx(loss.item(), rel=1e-5)


def test_the_limit_is_the_grammars_own(panel: GeneratorDemo) -> None:
    score, split = panel.score, panel.split
    assert score.n == 30
    assert score.limit == pytest.approx(-sum(story.log_prob for story in split.test))
    assert score.five_gram_ratio == pytest.approx(ngram_ratio(split.train, split.test))
    assert score.ratio > score.five_gram_ratio > 1  # two updates teach nothing


def test_unseen_stories_share_no_sentence_with_training(panel: GeneratorDemo) -> None:
    """A training story put among the held-out ones counts for the whole, not for the unseen."""
    split = panel.split
    leaked = StorySplit(split.train, split.valid, [*split.test, split.train[0]])
    score = score_stories(panel.generator, leaked)
    assert score.n == panel.score.n + 1
    assert score.n_unseen == panel.score.n_unseen
    assert score.unseen_ratio == pytest.approx(panel.score.unseen_ratio)
    assert score.nats > panel.score.nats
    nothing_new = score_stories(
        panel.generator, StorySplit(split.train, split.valid, split.train[:3])
    )
    assert nothing_new.n_unseen == 0
    assert math.isnan(nothing_new.unseen_ratio)


def test_a_split_without_test_stories_is_refused(panel: GeneratorDemo) -> None:
    with pytest.raises(DataError, match="no test story"):
        score_stories(panel.generator, StorySplit(panel.split.train, [], []))


def test_the_recognizer_tells_stories_from_others(
    panel: GeneratorDemo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An untrained model tells none; one that knows the own end by heart tells all."""
    assert panel.share_of_stories == 0
    stories = panel.split.test[:3]
    generate = panel.generator.generate
    own = [" ".join(s.english for s in story.sentences[2:]) for story in stories]

    def by_heart(prompts, *, options):  # type: ignore[no-untyped-def]
        found = generate(prompts, options=options)
        return [
            type(c)(f" {text}", c.tokens, c.logprobs, "end", c.token_ids)
            for c, text in zip(found, own, strict=True)
        ]

    monkeypatch.setattr(panel.generator, "generate", by_heart)
    told = continue_stories(panel.generator, stories, seed=1)
    assert [story.is_story for story in told] == [True] * 3
    assert [story.told for story in told] == [story.own for story in told] == own


def test_figures_have_fixed_keys(panel: GeneratorDemo) -> None:
    found = json.loads(json.dumps(panel.to_json()))
    assert set(found) == {"seconds", "stories", "continued"}
    assert set(found["stories"]) == {
        "n", "n_tokens", "nats", "limit", "ratio", "five_gram", "five_gram_ratio", "n_unseen",
        "unseen_ratio", "nats_per_token", "limit_per_token",
    }  # fmt: skip
    assert found["continued"] == {"n": 5, "grammatical": 0.0}


def test_the_summary_and_the_report_tell_the_same(panel: GeneratorDemo) -> None:
    told = generator_summary(panel)
    page = "".join(section.html for section in generator_sections(panel))
    for figure in (panel.score.ratio, panel.score.five_gram_ratio):
        assert f"{figure:.3f}" in told
        assert f"{figure:.3f}" in page
    assert panel.continued[0].given in told
    assert panel.continued[0].given in page


def test_the_commands_name_the_model(panel: GeneratorDemo) -> None:
    for command in generator_commands(panel).values():
        assert command.startswith(f"triptych generate {panel.model} --prompt ")
        assert Path(command.split()[2]).is_dir()
