"""Every verb, with the module that does it; a module is imported when its verb is called."""

from typing import NamedTuple


class Verb(NamedTuple):
    """`module` holds the dataclass `Options`, and `run(options)`, which returns the exit status."""

    module: str
    summary: str


VERBS: dict[tuple[str, ...], Verb] = {
    ("demo",): Verb(
        "demo", "Train a translator, a BERT and a GPT on a built-in corpus, and look inside."
    ),
    ("train", "translation"): Verb(
        "train_translation", "Train an encoder-decoder on sentence pairs, or go on with a run."
    ),
    ("train", "bert"): Verb("train_bert", "Pretrain an encoder on documents, or go on with a run."),
    ("train", "gpt"): Verb("train_gpt", "Train a generator on text, or go on with a run."),
    ("train", "elmo"): Verb(
        "train_elmo", "Train ELMo, vectors of words in their sentences, or go on with a run."
    ),
    ("train", "word2vec"): Verb(
        "train_word2vec", "Train one vector a word, by skip-gram or CBOW (through gensim)."
    ),
    ("train", "glove"): Verb("train_glove", "Train one vector a word, by GloVe."),
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
    ("score",): Verb("score", "The log-probability a model gives to given translations, or texts."),
    ("generate",): Verb("generate", "Go on with a text, or with each line of a file."),
    ("fill",): Verb("fill", "What may stand at each [MASK] of a text."),
    ("embed",): Verb("embed", "One vector a line of text, as a NumPy file."),
    ("search",): Verb("search", "The lines of a file nearest in meaning to a query."),
    ("similarity",): Verb("similarity", "The cosine of two texts."),
    ("senses",): Verb("senses", "The occurrences of a word in clusters, and their picture."),
    ("neighbors",): Verb("neighbors", "The words nearest to a word, by their vectors."),
    ("analogy",): Verb("analogy", "A is to b as c is to what, by word vectors."),
    ("evaluate", "translation"): Verb(
        "evaluate_translation", "BLEU and chrF of a model on a test set."
    ),
    ("evaluate", "classification"): Verb(
        "evaluate_classification", "Accuracy, F1 and Matthews' correlation of a classifier."
    ),
    ("evaluate", "sts"): Verb(
        "evaluate_sts", "How well values, or cosines, follow those of people."
    ),
    ("evaluate", "perplexity"): Verb(
        "evaluate_perplexity", "Perplexity by token and by word, and bits per byte, of a generator."
    ),
    ("evaluate", "lambada"): Verb(
        "evaluate_lambada", "How often a generator guesses the last word of a passage."
    ),
    ("evaluate", "blimp"): Verb(
        "evaluate_blimp", "How often a generator finds the grammatical sentence likelier."
    ),
    ("evaluate", "zero-shot"): Verb(
        "evaluate_zero_shot", "GPT-2's published figures, and those of a generator beside them."
    ),
    ("evaluate", "senses"): Verb(
        "evaluate_senses", "How well the vectors of words tell their senses, by layer."
    ),
    ("evaluate", "word-similarity"): Verb(
        "evaluate_word_similarity", "How well cosines of word vectors follow people's ratings."
    ),
    ("evaluate", "analogies"): Verb(
        "evaluate_analogies", "How many analogies word vectors solve, by section."
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
