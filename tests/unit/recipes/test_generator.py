"""The generator: prompts in, as many texts out, each its own whatever stands beside it."""

import logging
import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from triptych.errors import DataError, ModelFileError, UsageError
from triptych.files import notices
from triptych.recipes.completion import Completion
from triptych.recipes.generate_file import generate_file, on_one_line, to_json
from triptych.recipes.generate_options import GenerateOptions, generation_options
from triptych.recipes.generator import Generator
from triptych.tokenizers.characters import Characters

PROMPTS = ["one", "a longer prompt", "ü", "one", "日本", "zz top", "x"]
V, EOS, CONTEXT = 257, 256, 40
OPTIONS = GenerateOptions(max_new_tokens=12)


@pytest.fixture
def generator(byte_gpt, byte_tokenizer) -> Generator:
    return Generator(byte_gpt, byte_tokenizer, OPTIONS)


def alike(found: Completion, expected: Completion) -> bool:
    return replace(found, logprobs=()) == replace(
        expected, logprobs=()
    ) and found.logprobs == pytest.approx(expected.logprobs, rel=1e-5, abs=1e-5)


def favor(text: str, bias: float) -> dict[int, float]:
    """So that what is drawn is mostly made of these bytes."""
    return dict.fromkeys(text.encode(), bias)


# -- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, temperature=0),
        replace(OPTIONS, top_k=9, top_p=0.9, repetition_penalty=1.3, presence_penalty=0.4),
        replace(OPTIONS, best_of=3, stop=("a", "e")),
    ],
)
def test_company_order_and_budget_change_nothing(generator, options):
    expected = generator.generate(PROMPTS, options=options)
    assert len(expected) == len(PROMPTS)
    alone = [generator.generate([prompt], options=options)[0] for prompt in PROMPTS]
    for n, (found, one) in enumerate(zip(expected, alone, strict=True)):
        assert n == 3 or alike(found, one)  # the second "one" has a text of its own
    backwards = generator.generate(PROMPTS[4:][::-1], options=options)
    assert all(alike(f, e) for f, e in zip(backwards, expected[4:][::-1], strict=True))
    generator.batch_tokens = 45
    small = generator.generate(PROMPTS, options=options)
    assert all(alike(f, e) for f, e in zip(small, expected, strict=True))
    assert generator.generate([]) == []


def test_prompts_that_are_alike_get_texts_of_their_own(generator):
    texts = [found.token_ids for found in generator.generate(["one"] * 6)]
    assert len(set(texts)) == 6
    assert texts == [found.token_ids for found in generator.generate(["one"] * 6)]
    assert texts[0] != generator.generate(["one"], seed=2)[0].token_ids
    greedy = generator.generate(["one"] * 3, temperature=0)
    assert len({found.token_ids for found in greedy}) == 1


def test_a_completion_holds_what_was_drawn_and_not_the_prompt(generator, byte_tokenizer):
    found = generator.generate(PROMPTS, options=replace(OPTIONS, logit_bias={EOS: 5.0}))
    assert {completion.stopped_by for completion in found} == {"end", "limit"}
    for completion in found:
        ids = completion.token_ids
        assert 1 <= len(ids) <= 12
        assert len(ids) == len(completion.tokens) == len(completion.logprobs)
        assert completion.tokens == tuple(byte_tokenizer.tokens(ids))
        assert (completion.stopped_by == "end") == (ids[-1] == EOS)
        assert completion.text == byte_tokenizer.decode_bytes(ids).decode(errors="replace")
        assert all(value < 0 for value in completion.logprobs)


def test_logprobs_are_what_score_gives(generator, byte_gpt):
    """Those of the model itself, whatever changed its scores."""
    options = replace(
        OPTIONS, temperature=0.5, top_k=5, logit_bias=favor("abc", 12.0), stop=("ab",)
    )
    found = generator.generate(PROMPTS, options=options)
    assert any(completion.stopped_by == "stop" for completion in found)
    for prompt, completion in zip(PROMPTS, found, strict=True):
        ids = [*prompt.encode(), *completion.token_ids]
        with torch.no_grad():
            logits = byte_gpt.project(byte_gpt(torch.tensor([ids])))[0, :, :V]
        forced = [
            float(logits[place - 1].double().log_softmax(0)[ids[place]])
            for place in range(len(prompt.encode()), len(ids))
        ]
        assert completion.logprobs == pytest.approx(forced, rel=1e-5, abs=1e-5)
        assert completion.mean_logprob == pytest.approx(sum(forced) / len(forced), abs=1e-5)


def test_the_best_of_several_is_that_with_the_best_mean(generator):
    options = replace(OPTIONS, logit_bias={EOS: 4.0})
    (best,) = generator.generate(["one"], options=replace(options, best_of=5))
    (first,) = generator.generate(["one"], options=options)
    several = [generator.generate(["one"], options=replace(options, best_of=n))[0]
               for n in range(1, 6)]  # fmt: skip
    assert alike(several[0], first)
    assert alike(several[-1], best)
    means = [completion.mean_logprob for completion in several]
    assert all(later > earlier - 1e-5 for earlier, later in pairwise(means))
    assert means[0] < means[-1] - 0.1


@pytest.mark.parametrize("stop", [("a",), ("ab", "ba"), ("abc", "ca", "bb"), ("zzz",)])
def test_texts_end_before_a_stop_string(generator, stop):
    options = replace(OPTIONS, max_new_tokens=20, logit_bias=favor("abc", 9.0) | {EOS: -math.inf})
    free = generator.generate(PROMPTS, options=options)
    ended = generator.generate(PROMPTS, options=options, stop=stop)
    for long, short in zip(free, ended, strict=True):
        places = [long.text.find(word) for word in stop if word in long.text]
        first_end = min(
            (long.text.find(word) + len(word) for word in stop if word in long.text), default=None
        )
        assert short.stopped_by == ("stop" if places else "limit")
        if first_end is None:
            assert alike(short, long)
        else:  # one byte a token, all of them letters
            assert short.token_ids == long.token_ids[:first_end]
            assert short.text == long.text[: min(
                long.text[:first_end].find(word) for word in stop if word in long.text[:first_end]
            )]  # fmt: skip


def test_a_stream_is_the_same_text_in_whole_characters(generator):
    letters = replace(OPTIONS, max_new_tokens=30, logit_bias=favor("日本語äö🦜", 8.0))
    for options in (letters, replace(letters, stop=("\ufffd",)), replace(letters, temperature=0)):
        for prompt in PROMPTS:
            pieces = list(generator.stream(prompt, options=options))
            (whole,) = generator.generate([prompt], options=options)
            assert "".join(pieces) == whole.text
            assert all(pieces)
    assert not torch.is_inference_mode_enabled()


def test_a_stream_comes_while_it_is_drawn(generator, byte_gpt):
    options = replace(OPTIONS, logit_bias=favor("abc", 30.0), max_new_tokens=9)
    stream = generator.stream("one", options=options)
    assert byte_gpt.caches == []
    next(stream)
    assert len(byte_gpt.caches[0].steps) == 1
    next(stream)
    assert len(byte_gpt.caches[0].steps) == 2


def test_a_stream_draws_nothing_after_a_stop_string(generator, byte_gpt):
    options = replace(OPTIONS, logit_bias=favor("abc", 30.0), max_new_tokens=30)
    free = "".join(generator.stream("one", options=options))
    byte_gpt.caches.clear()
    assert (
        "".join(generator.stream("one", options=options, stop=[free[2:5]]))
        == free[: free.find(free[2:5])]
    )
    assert len(byte_gpt.caches[0].steps) == free.find(free[2:5]) + 3


def test_from_ids_a_text_can_begin_out_of_nothing(generator):
    (found,) = generator.generate_from_ids([[EOS]])
    assert found.token_ids
    (same,) = generator.generate_from_ids([list(b"one")])
    assert alike(same, generator.generate(["one"])[0])
    with pytest.raises(DataError, match="prompt 2 has the id 257, outside the vocabulary of 257"):
        generator.generate_from_ids([[1], [2, 257]])


def test_the_mode_is_left_as_it_was_and_dropout_is_off(generator, byte_gpt):
    expected = generator.generate(PROMPTS)
    byte_gpt.train()
    assert generator.generate(PROMPTS) == expected
    assert "".join(generator.stream("one")) == expected[0].text
    generator.score(["a"])
    assert byte_gpt.training


# -- the context -----------------------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch, caplog):
    monkeypatch.setattr(notices, "_said", set())
    caplog.set_level(logging.WARNING, logger="triptych")
    return lambda: [record.getMessage() for record in caplog.records]


def test_what_exceeds_the_context_is_refused(generator, said):
    generator.generate(["x" * CONTEXT])
    with pytest.raises(
        DataError, match=r"^prompt 2 has 41 tokens, more than .* context of 40; cut"
    ):
        generator.generate(["x", "x" * 41])
    with pytest.raises(DataError, match=r"^the prompt has 41 tokens"):
        generator.stream("x" * 41)  # at once, not when the first piece is asked for
    (full,) = generator.generate(["x" * 35], options=replace(OPTIONS, logit_bias={EOS: -math.inf}))
    assert (full.stopped_by, len(full.token_ids)) == ("context", 6)
    assert said() == []


def test_or_its_beginning_goes_out_of_sight_and_that_is_said_once(generator, said):
    options = replace(OPTIONS, on_too_long="window", logit_bias={EOS: -math.inf})
    long = "abcdefghij" * 9
    found = generator.generate([long, "x", long[1:]], options=options)
    assert [len(completion.token_ids) for completion in found] == [12] * 3
    (message,) = said()
    assert message.startswith("prompt 1 has 90 tokens, and up to 12 may follow: more than this")
    text = "".join(generator.stream(long, options=options))
    assert text == found[0].text
    assert len(said()) == 1


def test_a_window_sees_the_last_tokens_only(generator):
    greedy = replace(OPTIONS, temperature=0, on_too_long="window")
    n_seen = CONTEXT - OPTIONS.max_new_tokens + 1  # so that all the new ones have room
    ids = list(range(90))
    (seen,) = generator.generate_from_ids([ids[-n_seen:]], options=greedy)
    for n_changed in (0, 5, 90 - n_seen):
        changed = [99] * n_changed + ids[n_changed:]
        assert alike(generator.generate_from_ids([changed], options=greedy)[0], seen)
    changed = [99] * (91 - n_seen) + ids[91 - n_seen :]
    (other,) = generator.generate_from_ids([changed], options=greedy)
    assert other.logprobs[0] != pytest.approx(seen.logprobs[0], rel=1e-3)


# -- scores ----------------------------------------------------------------------------------------


def test_scores_are_the_models_and_keep_their_order(generator, byte_gpt):
    texts = ["abc", "", "a longer text", "ü", "abc", "z" * CONTEXT]
    for budget in (4096, 30):
        generator.batch_tokens = budget
        for text, score in zip(texts, generator.score(texts), strict=True):
            ids = [EOS, *text.encode()]
            with torch.no_grad():
                logits = byte_gpt.project(byte_gpt(torch.tensor([ids[:CONTEXT]])))[0, :, :V]
            forced = [float(logits[n].double().log_softmax(0)[i]) for n, i in enumerate(ids[1:])]
            assert score.logprobs == pytest.approx(forced, rel=1e-5, abs=1e-5)
            assert score.logprob == sum(score.logprobs)
            assert score.token_ids == tuple(text.encode())
            assert len(score.tokens) == len(score.token_ids)


def test_a_text_is_scored_after_its_prompt(generator):
    options = replace(OPTIONS, logit_bias=favor("abcdef", 20.0))
    found = generator.generate(PROMPTS, options=options)
    texts = [completion.text for completion in found]
    for completion, score in zip(found, generator.score(texts, prompts=PROMPTS), strict=True):
        assert score.token_ids == completion.token_ids
        assert score.logprobs == pytest.approx(completion.logprobs, rel=1e-5, abs=1e-5)
    assert generator.score(["abc"], prompts=[""]) == generator.score(["abc"])


def test_texts_that_cannot_be_scored(generator):
    with pytest.raises(DataError, match=r"text 2 has 41 tokens after 1 .* context of 40; split it"):
        generator.score(["a", "b" * 41])
    with pytest.raises(UsageError, match="1 prompts for 2 texts"):
        generator.score(["a", "b"], prompts=["c"])
    with pytest.raises(UsageError, match=r"write \[text\]"):
        generator.score("abc")


# -- options and bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens is 0; it must be at least 1"),
        ({"best_of": 0}, "best_of is 0; it must be at least 1"),
        ({"best_of": 2, "temperature": 0}, "best_of is 2 and temperature 0"),
        ({"stop": ("a", "")}, "stop has an empty string"),
        ({"stop": "abc"}, "stop is one text, 'abc'"),
        ({"top_p": 0}, "top_p is 0; it must be above 0"),
        ({"top_p": 2}, "top_p is 2; it must be above 0 and at most 1"),
        ({"temperature": -1}, "temperature is -1; it must be 0"),
        ({"on_too_long": "cut"}, "on_too_long is 'cut'; choose refuse or window"),
    ],
)
def test_options_out_of_range_get_a_sentence(generator, wrong, words):
    with pytest.raises(UsageError, match=words):
        GenerateOptions(**wrong)
    if not set(wrong) & {"best_of", "on_too_long"}:
        with pytest.raises(UsageError, match=words):
            generator.generate(["a"], **wrong)
        with pytest.raises(UsageError, match=words):
            generator.stream("a", **wrong)


def test_prompts_that_cannot_be_gone_on_with(generator):
    with pytest.raises(DataError, match=r"^prompt 2 is empty; give it some text"):
        generator.generate(["a", ""])
    with pytest.raises(DataError, match=r"^the prompt is empty"):
        generator.stream("")
    with pytest.raises(UsageError, match=r"write \[text\]"):
        generator.generate("abc")
    with pytest.raises(UsageError, match="best_of is 2; a text that is streamed"):
        generator.stream("a", options=replace(OPTIONS, best_of=2))


def test_a_character_that_a_vocabulary_lacks_is_told_with_its_place(byte_gpt):
    """Bytes lack none, characters may: then the prompt, or the line, is named."""
    generator = Generator(byte_gpt, Characters.train(["abc "]), OPTIONS)
    words = r"the character 'ü' \(U\+00FC\) is not among the 4 of this vocabulary"
    with pytest.raises(DataError, match=f"^prompt 2: {words}"):
        generator.generate(["a b", "aü"])
    with pytest.raises(DataError, match=f"^the prompt: {words}"):
        generator.stream("aü")
    with pytest.raises(DataError, match=f"^f.txt:4: {words}"):
        list(generator.generate_lines(["a", "", "b", "ü"], name="f.txt", at_once=2))


def test_keywords_come_before_options_and_options_before_the_models_own(generator):
    assert len(generator.generate(["x" * 20], stop=[])[0].token_ids) <= 12
    options = GenerateOptions(max_new_tokens=3, temperature=0, logit_bias={EOS: -math.inf})
    (found,) = generator.generate(["a"], options=options)
    assert len(found.token_ids) == 3
    (found,) = generator.generate(["a"], options=options, max_new_tokens=5)
    assert len(found.token_ids) == 5


def test_a_folder_brings_its_options(byte_gpt, byte_tokenizer):
    generation = {"do_sample": True, "temperature": 0.7, "top_k": 0, "top_p": 0.9,
                  "eos_token_id": EOS, "max_new_tokens": 7}  # fmt: skip
    folder = SimpleNamespace(model=byte_gpt, tokenizer=byte_tokenizer, generation=generation)
    found = Generator.from_folder(folder).options
    assert found == GenerateOptions(temperature=0.7, top_p=0.9, max_new_tokens=7)
    assert generation_options({}, "f") == GenerateOptions()
    assert generation_options({"do_sample": False}, "f").temperature == 0
    for wrong, words in [
        ({"top_p": 3}, "f: top_p is 3"),
        ({"top_k": "many"}, "f: top_k is 'many'; it should be a whole number"),
        ({"temperature": True}, "f: temperature is True; it should be a number"),
    ]:
        with pytest.raises(ModelFileError, match=words):
            generation_options(wrong, "f")


# -- files -----------------------------------------------------------------------------------------


def test_lines_are_prompts_and_blank_ones_stay_blank(generator, tmp_path):
    lines = ["one", "", "a longer prompt", "  ", "one", "x"]
    expected = generator.generate(["one", "a longer prompt", "one", "x"])
    for at_once in (1, 2, 100):
        found = list(generator.generate_lines(lines, at_once=at_once))
        assert found[1] == found[3] == Completion.empty()
        filled = [found[n] for n in (0, 2, 4, 5)]
        assert all(alike(f, e) for f, e in zip(filled, expected, strict=True))
    path = tmp_path / "prompts.txt"
    path.write_text("\n".join(lines) + "\n")
    assert list(generate_file(generator, path, OPTIONS, quiet=True)) == found
    with pytest.raises(DataError, match=r"^in\.txt:5 has 41 tokens"):
        list(generator.generate_lines(["a", "", "b", "", "x" * 41], name="in.txt", at_once=3))


def test_a_text_on_one_line_can_be_read_back():
    text = "a\n\\n b\r\n\\\\ ü"
    line = on_one_line(text)
    assert line == r"a\n\\n b\r\n\\\\ ü"
    assert "\n" not in line
    assert line.encode("latin1").decode("unicode_escape") == text
    assert to_json(Completion.empty()).startswith('{"text": "", "stopped_by": "empty"')


@pytest.mark.parametrize("options", [replace(OPTIONS, temperature=0), replace(OPTIONS, top_k=3)])
def test_without_logprobs_the_texts_are_the_same(generator, options):
    expected = generator.generate(["the cat", "a"], options=options)
    assert all(completion.logprobs for completion in expected)
    generator.logprobs = False
    found = generator.generate(["the cat", "a"], options=options)
    assert found == [replace(completion, logprobs=()) for completion in expected]


def test_the_best_of_several_has_logprobs_all_the_same(generator):
    generator.logprobs = False
    (found,) = generator.generate(["the cat"], options=GenerateOptions(best_of=3))
    assert len(found.logprobs) == len(found.tokens)
