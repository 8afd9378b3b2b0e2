"""Extractive answers, ready to be fine-tuned — Devlin et al. 2018, §4.2 and §4.3."""

from functools import partial

import numpy as np

from triptych.data.answer_windows import AnswerWindow, answer_windows
from triptych.data.finetuning_batches import LabelledInput
from triptych.data.questions import Question, read_questions
from triptych.errors import DataError
from triptych.evaluation.answers import score_answers
from triptych.files.notices import notice
from triptych.recipes.answer import AnswerRules, best_answers
from triptych.recipes.finetune_run import AnswerRun
from triptych.recipes.finetune_task import DISTINCT, N_SAMPLES, FinetuneTask, Output, held_out
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.objectives import HeadObjective, span_loss
from triptych.training.task import Validation


def answer_task(run: AnswerRun, tokenizer: WordPiece) -> FinetuneTask:
    """Read and encode the questions. Raises DataError with the place of what cannot be used."""
    train, valid = _questions(run)
    rules = AnswerRules(
        stride=run.data.stride,
        max_answer_tokens=run.data.max_answer_tokens,
        may_be_empty=any(not question.answers for question in train),
    )
    windows = [_windows(questions, run, tokenizer) for questions in (train, valid)]
    inputs = _labelled(windows[0], train)
    n_lost = _lost(inputs, windows[0], train)
    if n_lost:
        notice(
            f"training: no window holds the whole answer of {n_lost:,} of {len(train):,} questions,"
            " which therefore teach that there is none; raise --max-seq-len or lower --stride"
        )
    return FinetuneTask(
        kind="qa",
        heads=("spans",),
        labels=(),
        train=inputs,
        valid=_labelled(windows[1], valid),
        objective=HeadObjective(lambda model, hidden, valid: model.spans(hidden, valid), span_loss),
        measure=partial(_measure, windows=windows[1], questions=valid, rules=rules),
        select=run.training.select or "f1",
        guess_loss=float(np.mean([np.log(len(given.token_ids)) for given in inputs])),
        panels={"Answers": {"valid_f1": "F1", "valid_exact_match": "exact match"}},
        extras={"task": "qa", **rules.to_json()},
    )


def _questions(run: AnswerRun) -> tuple[list[Question], list[Question]]:
    """Training and validation; held out are whole contexts, with all their questions."""
    train = read_questions(run.data.train)
    if run.data.valid:
        return train, read_questions(run.data.valid)
    n_paragraphs = train[-1].paragraph + 1
    _, out = held_out(n_paragraphs, run.data.holdout_every, train[0].place)
    held = set(out)
    kept = [q for q in train if q.paragraph not in held]
    valid = [q for q in train if q.paragraph in held]
    if not kept or not valid:
        raise DataError(
            f"{train[0].place}: the contexts held out leave no question on one side; give --valid"
        )
    return kept, valid


def _windows(questions: list[Question], run: AnswerRun, tokenizer: WordPiece) -> list[AnswerWindow]:
    pairs = [(question.question, question.context) for question in questions]
    windows = answer_windows(pairs, tokenizer, run.data.max_seq_len, run.data.stride)
    for window in windows:
        if not window.spans or window.first == 2:  # [CLS] [SEP] and then the context
            name = "context" if not window.spans else "question"
            raise DataError(
                f"{questions[window.question].place}: the {name} has no tokens; fill it in"
            )
    return windows


def _labelled(windows: list[AnswerWindow], questions: list[Question]) -> list[LabelledInput]:
    """Each window with the ends of its question's first answer."""
    return [
        LabelledInput(window.token_ids, window.segment_ids, _label(window, questions))
        for window in windows
    ]


def _label(window: AnswerWindow, questions: list[Question]) -> tuple[int, int]:
    answers = questions[window.question].answers
    if not answers:
        return 0, 0
    text, start = answers[0].text, answers[0].start
    begin = start + len(text) - len(text.lstrip())
    return window.label(begin, start + len(text.rstrip()))


def _lost(
    inputs: list[LabelledInput], windows: list[AnswerWindow], questions: list[Question]
) -> int:
    """Questions with an answer that no window holds."""
    answerable = {i for i, question in enumerate(questions) if question.answers}
    held = {w.question for w, given in zip(windows, inputs, strict=True) if given.label != (0, 0)}
    return len(answerable - held)


def _measure(
    outputs: list[Output],
    windows: list[AnswerWindow],
    questions: list[Question],
    rules: AnswerRules,
) -> Validation:
    contexts = [question.context for question in questions]
    found = [answers[0].text for answers in best_answers(outputs, windows, contexts, rules)]
    scores = score_answers(found, [[a.text for a in question.answers] for question in questions])
    metrics = {"f1": scores.f1, "exact_match": scores.exact_match, DISTINCT: len(set(found))}
    samples: list[str] = []
    for question, answer in list(zip(questions, found, strict=True))[:N_SAMPLES]:
        right = question.answers[0].text if question.answers else "(none)"
        samples += [f"- input: {question.question}", f"  label: {right}", f"  output: {answer}"]
    return Validation(metrics, samples)
