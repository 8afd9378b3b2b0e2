"""Tagging of words, ready to be fine-tuned."""

from collections import Counter
from functools import partial

from triptych.data.conll import TaggedSentence, read_tagged
from triptych.data.finetuning_batches import LabelledInput
from triptych.data.labelled_texts import known_label
from triptych.data.word_inputs import WordInput, word_inputs
from triptych.errors import ConfigError, DataError
from triptych.evaluation.classification import accuracy, confusion
from triptych.evaluation.entities import OUTSIDE, are_entity_tags, score_entities
from triptych.files.notices import notice
from triptych.recipes.finetune_run import TaggingRun
from triptych.recipes.finetune_task import (
    DISTINCT,
    N_SAMPLES,
    FinetuneTask,
    Output,
    entropy,
    held_out,
)
from triptych.tokenizers.wordpiece import WordPiece
from triptych.training.objectives import HeadObjective, label_loss
from triptych.training.task import Validation


def tagging_task(run: TaggingRun, tokenizer: WordPiece) -> FinetuneTask:
    """Read and encode the sentences. Raises DataError with the place of what cannot be used."""
    train, valid = _sentences(run)
    tags = {tag for sentence in train for tag in sentence.tags}
    labels = (*([OUTSIDE] if OUTSIDE in tags else []), *sorted(tags - {OUTSIDE}))
    if len(labels) < 2:
        raise DataError(
            f"{train[0].place()}: {labels[0]!r} is the tag of every word; give sentences with at "
            "least two, or name the column with --tag-column"
        )
    numbers, gold = _numbers(train, labels), _numbers(valid, labels)
    has_entities = are_entity_tags(labels)
    select = run.training.select or ("f1" if has_entities else "accuracy")
    if not has_entities and select not in ("accuracy", "loss"):
        raise ConfigError(
            f"select is {select!r}, which is for entities, and the tags ({', '.join(labels[:5])} "
            "…) are not of the form O, B-TYPE, I-TYPE; choose accuracy or loss"
        )
    inputs = [
        _encoded(sentences, tokenizer, run.data.max_seq_len, name)
        for sentences, name in ((train, "training"), (valid, "validation"))
    ]
    return FinetuneTask(
        kind="tagging",
        heads=("classifier",),
        labels=labels,
        train=_labelled(inputs[0], numbers),
        valid=_labelled(inputs[1], gold),
        objective=HeadObjective(lambda model, hidden, valid: model.classify(hidden), label_loss),
        measure=partial(
            _measure, inputs=inputs[1], gold=gold, labels=labels, sentences=valid,
            has_entities=has_entities,
        ),
        select=select,
        guess_loss=entropy(list(Counter(n for row in numbers for n in row).values())),
        panels={"F1 of entities": {"valid_f1": "validation"}}
        if has_entities
        else {"Accuracy": {"valid_accuracy": "validation"}},
        extras={"task": "tagging"},
    )  # fmt: skip


def _sentences(run: TaggingRun) -> tuple[list[TaggedSentence], list[TaggedSentence]]:
    columns = (run.columns.word_column, run.columns.tag_column)
    train = read_tagged(run.data.train, *columns)
    if run.data.valid:
        return train, read_tagged(run.data.valid, *columns)
    rows = held_out(len(train), run.data.holdout_every, train[0].place())
    return [train[i] for i in rows[0]], [train[i] for i in rows[1]]


def _numbers(sentences: list[TaggedSentence], labels: tuple[str, ...]) -> list[list[int]]:
    number = {label: i for i, label in enumerate(labels)}
    return [
        [
            number[tag] if tag in number else known_label(tag, labels, sentence.place(word))
            for word, tag in enumerate(sentence.tags)
        ]
        for sentence in sentences
    ]


def _encoded(
    sentences: list[TaggedSentence], tokenizer: WordPiece, max_seq_len: int, name: str
) -> list[WordInput]:
    inputs = word_inputs([s.words for s in sentences], tokenizer, max_seq_len)
    later = [given for given in inputs if given.first_word > 0]
    if later:
        n_words = sum(len(given.first_pieces) for given in later)
        first = sentences[later[0].sentence].place(later[0].first_word)
        notice(
            f"{name}: sentences longer than {max_seq_len} tokens are split between words; "
            f"{n_words:,} words in {len({given.sentence for given in later}):,} sentences come "
            f"in later parts, the first of them at {first}"
        )
    return inputs


def _labelled(inputs: list[WordInput], numbers: list[list[int]]) -> list[LabelledInput]:
    return [
        LabelledInput(
            given.token_ids, [0] * len(given.token_ids), given.labels(numbers[given.sentence])
        )
        for given in inputs
    ]


def predicted_numbers(
    outputs: list[Output], inputs: list[WordInput], n_sentences: int
) -> list[list[int]]:
    """The class of each word of each sentence, read at its first piece."""
    found: list[list[int]] = [[] for _ in range(n_sentences)]
    for output, given in zip(outputs, inputs, strict=True):
        found[given.sentence] += output[given.first_pieces].argmax(axis=-1).tolist()
    return found


def _measure(
    outputs: list[Output],
    inputs: list[WordInput],
    gold: list[list[int]],
    labels: tuple[str, ...],
    sentences: list[TaggedSentence],
    has_entities: bool,
) -> Validation:
    predicted = predicted_numbers(outputs, inputs, len(sentences))
    flat = [n for row in predicted for n in row]
    counts = confusion(flat, [n for row in gold for n in row], len(labels))
    metrics = {"accuracy": accuracy(counts), DISTINCT: len(set(flat))}
    tags = [[labels[n] for n in row] for row in predicted]
    if has_entities:
        scores = score_entities(tags, [s.tags for s in sentences])
        metrics = {
            "f1": scores.f1, "precision": scores.precision, "recall": scores.recall, **metrics
        }  # fmt: skip
    samples: list[str] = []
    for sentence, its in list(zip(sentences, tags, strict=True))[:N_SAMPLES]:
        samples += [
            f"- input: {' '.join(sentence.words)}",
            f"  label: {' '.join(sentence.tags)}",
            f"  output: {' '.join(its)}",
        ]
    return Validation(metrics, samples)
