"""How well an encoder labels texts, and how closely its values or cosines follow people's."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from triptych.data.labelled_texts import known_label, read_labelled_texts
from triptych.errors import DataError, ModelFileError
from triptych.evaluation.classification import ClassificationScores, score_classes
from triptych.evaluation.correlation import CorrelationScores, score_values
from triptych.recipes.classify import classify_inputs, gives_values, value_inputs
from triptych.recipes.encoder import Encoder
from triptych.recipes.finetune_run import TextColumns
from triptych.recipes.finetune_texts import columns_of, text_inputs


@dataclass(frozen=True)
class ClassificationReport:
    """Scores of one classifier on one test set."""

    scores: ClassificationScores
    labels: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {
            **asdict(self.scores),
            "positive": self.labels[1] if len(self.labels) == 2 else None,
            "labels": list(self.labels),
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        s = self.scores
        lines = [f"accuracy {s.accuracy:.4f}"]
        if s.f1 is not None:
            lines.append(f"F1       {s.f1:.4f}   of {self.labels[1]}")
        lines += [f"macro F1 {s.macro_f1:.4f}", f"Matthews {s.matthews:.4f}"]
        return "\n".join([*lines, f"{s.n:,} texts, {self.seconds:.1f} s"])


@dataclass(frozen=True)
class SimilarityReport:
    """Correlations of one model's values with those of people."""

    scores: CorrelationScores
    by: str
    """"value", of a regression, or "cosine", of two vectors."""
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Fixed keys, described in `docs/evaluate.md`."""
        return {**asdict(self.scores), "by": self.by, "seconds": round(self.seconds, 3)}

    def __str__(self) -> str:
        s = self.scores
        return (
            f"Pearson  {s.pearson:.4f}\nSpearman {s.spearman:.4f}\n"
            f"{s.n:,} pairs by {self.by}, {self.seconds:.1f} s"
        )


def evaluate_classification(
    encoder: Encoder, files: tuple[str, ...], columns: TextColumns
) -> ClassificationReport:
    """Label the texts or pairs of some tables and score the labels.

    Raises DataError for tables that cannot be used, with a text without tokens or with a label that
    the model does not have, ModelFileError for a model that is no classifier.
    """
    if gives_values(encoder.model):
        raise ModelFileError("this model gives values, not labels; use triptych evaluate sts")
    examples = read_labelled_texts(files, columns_of(columns))
    labels = encoder.model.config.labels
    began = time.monotonic()
    inputs = text_inputs(examples, encoder.tokenizer, encoder.max_seq_len)
    found = classify_inputs(encoder.twin, inputs, encoder.batch_tokens)
    seconds = time.monotonic() - began
    gold = [known_label(example.label, labels, example.place) for example in examples]
    predicted = [labels.index(each.label) for each in found]
    return ClassificationReport(score_classes(predicted, gold, len(labels)), labels, seconds)


def evaluate_sts(
    encoder: Encoder, files: tuple[str, ...], columns: TextColumns
) -> SimilarityReport:
    """Correlate a regression's values, or the cosines of any encoder's vectors, with the labels.

    Raises DataError for tables that cannot be used, with a text without tokens or, for cosines,
    without pairs.
    """
    examples = read_labelled_texts(files, columns_of(columns), numeric=True)
    pairs = [example.pair for example in examples if example.pair is not None]
    began = time.monotonic()
    if gives_values(encoder.model):
        inputs = text_inputs(examples, encoder.tokenizer, encoder.max_seq_len)
        by, values = "value", value_inputs(encoder.twin, inputs, encoder.batch_tokens)
    elif not pairs:
        raise DataError(
            f"{examples[0].place}: there is one text and no pair, so no cosine; name the second "
            "column with --pair-column"
        )
    else:
        texts = [example.text for example in examples]
        by = "cosine"
        values = encoder.similarity(texts, pairs, place=lambda i: examples[i].place)
    seconds = time.monotonic() - began
    gold = [example.value for example in examples]
    return SimilarityReport(score_values(values, gold), by, seconds)
