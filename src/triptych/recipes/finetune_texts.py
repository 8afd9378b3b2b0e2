"""Classification and regression of texts and of pairs of texts, ready to be fine-tuned."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from triptych.data.finetuning_batches import LabelledInput
from triptych.data.labelled_texts import (
    Columns,
    LabelledText,
    known_label,
    ordered_labels,
    read_labelled_texts,
)
from triptych.errors import ConfigError, DataError
from triptych.evaluation.classification import score_classes
from triptych.evaluation.correlation import score_values
from triptych.recipes.encoding import EncoderInput, pair_inputs
from triptych.recipes.finetune_run import ClassificationRun, RegressionRun, TextColumns
from triptych.recipes.finetune_task import (
    DISTINCT,
    N_SAMPLES,
    FinetuneTask,
    Output,
    entropy,
    held_out,
)
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.objectives import HeadObjective, label_loss, value_loss
from triptych.training.task import Validation

HEADS = ("pooler", "classifier")


def classification_task(run: ClassificationRun, tokenizer: WordPiece) -> FinetuneTask:
    """Read and encode the examples. Raises DataError with the place of what cannot be used."""
    train, valid = _examples(run, numeric=False)
    labels = ordered_labels([example.label for example in train])
    if len(labels) < 2:
        raise DataError(
            f"{train[0].place}: {labels[0]!r} is the label of every training example; give "
            "examples of at least two"
        )
    gold = [known_label(example.label, labels, example.place) for example in valid]
    numbers = [labels.index(example.label) for example in train]
    if run.training.select == "f1" and len(labels) != 2:
        raise ConfigError(
            f"select is 'f1', which needs two labels, and there are {len(labels)}; macro_f1 is for "
            "any number"
        )
    return FinetuneTask(
        kind="classification",
        heads=HEADS,
        labels=labels,
        train=_inputs(train, numbers, tokenizer, run.data.max_seq_len),
        valid=_inputs(valid, gold, tokenizer, run.data.max_seq_len),
        objective=HeadObjective(lambda model, hidden, valid: model.classify(hidden), label_loss),
        measure=partial(_measure_labels, gold=gold, labels=labels, examples=valid),
        select=run.training.select or "accuracy",
        guess_loss=entropy(list(Counter(numbers).values())),
        panels={"Accuracy": {"valid_accuracy": "validation"}},
        extras={"task": "classification", "pairs": train[0].pair is not None},
    )


def regression_task(run: RegressionRun, tokenizer: WordPiece) -> FinetuneTask:
    """As `classification_task`, for labels that are numbers."""
    train, valid = _examples(run, numeric=True)
    values, gold = [e.value for e in train], [e.value for e in valid]
    if len(set(values)) < 2:
        raise DataError(
            f"{train[0].place}: {values[0]} is the value of every training example; give examples "
            "that differ"
        )
    return FinetuneTask(
        kind="regression",
        heads=HEADS,
        labels=("value",),
        train=_inputs(train, values, tokenizer, run.data.max_seq_len),
        valid=_inputs(valid, gold, tokenizer, run.data.max_seq_len),
        objective=HeadObjective(
            lambda model, hidden, valid: model.classify(hidden)[:, 0], value_loss
        ),
        measure=partial(_measure_values, gold=gold, examples=valid),
        select=run.training.select or "spearman",
        guess_loss=float(np.var(values)),
        panels={
            "Correlation": {"valid_spearman": "Spearman's ρ", "valid_pearson": "Pearson's r"},
        },
        extras={"task": "regression", "pairs": train[0].pair is not None},
    )


def columns_of(given: TextColumns) -> Columns:
    """The options as the reader takes them."""
    return Columns(
        text=given.text_column,
        pair=given.pair_column,
        label=given.label_column,
        header=given.header,
    )


def text_inputs(
    examples: Sequence[LabelledText], tokenizer: WordPiece, max_seq_len: int
) -> list[EncoderInput]:
    """The input of each text or pair. Raises DataError, with the place, for one without tokens."""
    first = [example.text for example in examples]
    second = [e.pair for e in examples if e.pair is not None] or None
    inputs = pair_inputs(first, second, tokenizer, max_seq_len, place=lambda i: examples[i].place)
    for example, given in zip(examples, inputs, strict=True):
        n_second = sum(given.segment_ids)  # with the [SEP] after it
        if len(given.token_ids) == n_second + 2:
            raise _no_tokens(example.place, "text", example.text, "--text-column")
        if example.pair is not None and n_second == 1:
            raise _no_tokens(example.place, "second text", example.pair, "--pair-column")
    return inputs


def _no_tokens(place: str, name: str, text: str, option: str) -> DataError:
    return DataError(
        f"{place}: the {name} has no tokens ({text[:40]!r}); remove the row, or name another "
        f"column with {option}"
    )


def _examples(
    run: ClassificationRun | RegressionRun, numeric: bool
) -> tuple[list[LabelledText], list[LabelledText]]:
    columns = columns_of(run.columns)
    train = read_labelled_texts(run.data.train, columns, numeric=numeric)
    if run.data.valid:
        valid = read_labelled_texts(run.data.valid, columns, numeric=numeric)
        if (train[0].pair is None) != (valid[0].pair is None):
            raise DataError(
                f"{valid[0].place}: training and validation do not both have pairs; name the "
                "columns with --text-column and --pair-column"
            )
        return train, valid
    rows = held_out(len(train), run.data.holdout_every, train[0].place)
    return [train[i] for i in rows[0]], [train[i] for i in rows[1]]


def _inputs(
    examples: list[LabelledText],
    labels: Sequence[int] | Sequence[float],
    tokenizer: WordPiece,
    max_seq_len: int,
) -> list[LabelledInput]:
    inputs = text_inputs(examples, tokenizer, max_seq_len)
    return [
        LabelledInput(given.token_ids, given.segment_ids, label)
        for given, label in zip(inputs, labels, strict=True)
    ]


def _measure_labels(
    outputs: list[Output],
    gold: list[int],
    labels: tuple[str, ...],
    examples: list[LabelledText],
) -> Validation:
    predicted = [int(output.argmax()) for output in outputs]
    scores = score_classes(predicted, gold, len(labels))
    metrics = {"accuracy": scores.accuracy}
    if scores.f1 is not None:
        metrics["f1"] = scores.f1
    metrics |= {
        "macro_f1": scores.macro_f1,
        "matthews": scores.matthews,
        DISTINCT: len(set(predicted)),
    }
    return Validation(metrics, _samples(examples, [labels[i] for i in predicted]))


def _measure_values(
    outputs: list[Output], gold: list[float], examples: list[LabelledText]
) -> Validation:
    predicted = [float(output) for output in outputs]
    scores = score_values(predicted, gold)
    metrics = {
        "spearman": scores.spearman,
        "pearson": scores.pearson,
        DISTINCT: len({round(value / (np.std(gold) or 1.0), 2) for value in predicted}),
    }
    return Validation(metrics, _samples(examples, [f"{value:.3f}" for value in predicted]))


def _samples(examples: list[LabelledText], predicted: list[str]) -> list[str]:
    lines: list[str] = []
    for example, output in list(zip(examples, predicted, strict=True))[:N_SAMPLES]:
        lines.append(f"- input: {example.text}")
        lines += [f"  pair: {example.pair}"] if example.pair is not None else []
        lines += [f"  label: {example.label}", f"  output: {output}"]
    return lines
