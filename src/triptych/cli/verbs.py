"""Every verb, with the module that does it; a module is imported when its verb is called."""

from typing import NamedTuple


class Verb(NamedTuple):
    """`module` holds the dataclass `Options`, and `run(options)`, which returns the exit status."""

    module: str
    summary: str


VERBS: dict[tuple[str, ...], Verb] = {
    ("demo",): Verb("demo", "Train and look at a translator in a few minutes, on a built-in text."),
    ("train", "translation"): Verb(
        "train_translation", "Train an encoder-decoder on sentence pairs, or go on with a run."
    ),
    ("train", "bert"): Verb("train_bert", "Pretrain an encoder on documents, or go on with a run."),
    ("train", "gpt"): Verb("train_gpt", "Train a generator on text, or go on with a run."),
    ("finetune", "classification"): Verb(
        "finetune_classification", "Teach an encoder to label texts, with several seeds."
    ),
    ("finetune", "regression"): Verb(
        "finetune_regression", "Teach an encoder to give texts a value, with several seeds."
    ),
    ("finetune", "tagging"): Verb(
        "finetune_tagging", "Teach an encoder to tag words, with several seeds."
    ),
    ("finetune", "qa"): Verb(
        "finetune_qa", "Teach an encoder to find answers in a context, with several seeds."
    ),
    ("translate",): Verb("translate", "Translate text: one line out for each line in."),
    ("score",): Verb("score", "The log-probability a model gives to given translations."),
    ("generate",): Verb("generate", "Go on with a text, or with each line of a file."),
    ("fill",): Verb("fill", "What may stand at each [MASK] of a text."),
    ("embed",): Verb("embed", "One vector a line of text, as a NumPy file."),
    ("search",): Verb("search", "The lines of a file nearest in meaning to a query."),
    ("similarity",): Verb("similarity", "The cosine of two texts."),
    ("evaluate", "translation"): Verb(
        "evaluate_translation", "BLEU and chrF of a model on a test set."
    ),
    ("evaluate", "classification"): Verb(
        "evaluate_classification", "Accuracy, F1 and Matthews' correlation of a classifier."
    ),
    ("evaluate", "sts"): Verb(
        "evaluate_sts", "How well values, or cosines, follow those of people."
    ),
    ("tokenizer", "train"): Verb(
        "tokenizer_train", "Learn a vocabulary from text: a joint BPE, or WordPiece."
    ),
    ("tokenizer", "show"): Verb("tokenizer_show", "How a tokenizer cuts a text."),
    ("plan",): Verb("plan", "What a training run will take: memory, operations, time, disk."),
    ("convert",): Verb("convert", "Write a model as other programs read it."),
}


def groups() -> set[str]:
    """First words that need a second: train, finetune, evaluate, tokenizer."""
    return {words[0] for words in VERBS if len(words) > 1}
