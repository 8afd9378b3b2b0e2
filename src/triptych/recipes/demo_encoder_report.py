"""The second panel in the demo's report: blanks, what follows, senses."""

import math
from collections import Counter

from triptych.inspection.vector_map import vector_map
from triptych.recipes.demo_encoder import EncoderDemo
from triptych.recipes.report import (
    Score,
    Section,
    facts,
    figure,
    paragraph,
    scores,
    table,
)
from triptych.recipes.run_curves import BERT_PANELS, curves
from triptych.recipes.story_pairs import follows, story_pairs
from triptych.recipes.word_vectors import layered_word_vectors


def encoder_sections(panel: EncoderDemo) -> list[Section]:
    """The panel's part of the report."""
    learning = figure(
        curves(panel.run, BERT_PANELS),
        "Loss and both accuracies over the updates, on validation stories by the paper's protocol. "
        "There more than half of the second parts are random, so chance is above 50 % for the next "
        "sentence, and 30 % of the words are hidden at once.",
    )
    return [
        Section("Encoder: scores", _scores(panel)),
        Section("Encoder: filling blanks", _blanks(panel)),
        Section("Encoder: which sentence follows", _pairs(panel)),
        Section("Encoder: one word, two vectors", _senses(panel)),
        Section("Encoder: learning", learning),
    ]


def sense_picture(panel: EncoderDemo, form: str) -> bytes | None:
    """The vectors of one word in held-out sentences; None where there are fewer than three."""
    word = picture_word(panel)
    uses = panel.uses[word]
    if len(uses.sentences) < 3:
        return None
    (vectors,) = layered_word_vectors(
        panel.encoder.model,
        panel.encoder.tokenizer,
        uses.sentences,
        word,
        [panel.senses.chosen],
    )
    labels = [f"{word}: {sense}" for sense in uses.senses]
    return vector_map(vectors, labels, form="png" if form == "png" else "svg")


def picture_word(panel: EncoderDemo, word: str = "bank") -> str:
    """The word; the one with most uses if this has but one sense in the held-out sentences."""
    if word in panel.uses and len(set(panel.uses[word].senses)) > 1:
        return word
    return max(panel.uses, key=lambda name: (len(panel.uses[name].sentences), name))


def _scores(panel: EncoderDemo) -> str:
    blanks, pairs, senses = panel.blanks, panel.pairs, panel.senses
    items = [
        Score(
            f"{blanks.in_story:.1%}",
            "blanks filled",
            f"{blanks.n} held-out stories; nobody can exceed {blanks.limit:.1%} on average",
        ),
        Score(f"{pairs.anywhere:.1%}", "what follows", f"{pairs.n} pairs; chance 50 %"),
        Score(
            f"{senses.accuracy:.1%}",
            "senses by vectors",
            f"{senses.n} uses; most frequent sense {senses.commonest:.1%}",
        ),
        Score(f"{panel.seconds:.0f} s", "training", "tokenizer and data included"),
    ]
    trunk, tokenizer = panel.encoder.module.config, panel.encoder.tokenizer
    words = {word for story in panel.split.train for word in story.text.split()}
    pieces = tokenizer.encode(sorted({word.strip(".,?!") for word in words}))
    summary = {
        "training stories": f"{len(panel.split.train):,}",
        "parameters": f"{sum(p.numel() for p in panel.encoder.model.parameters()):,}",
        "model": f"{trunk.n_layers} layers, {trunk.d_model} wide, {trunk.n_heads} heads",
        "vocabulary": f"{tokenizer.vocab_size:,} entries; "
        f"{sum(len(ids) == 1 for ids in pieces) / len(pieces):.1%} of the words whole",
    }
    return scores(items) + facts(summary)


def _blanks(panel: EncoderDemo) -> str:
    b = panel.blanks
    text = paragraph(
        "Held-out sentences, each on its own with one word hidden, and the five words that the "
        "model finds most probable. They are the first of the test that hide no very common word, "
        "whether filled rightly or not."
    )
    shown = table(
        ["sentence", "hidden", "five best"],
        [
            [
                filled.text,
                filled.blank.answer,
                ", ".join(
                    f"{filling.words[0]} {math.exp(filling.log_probability):.2f}"
                    for filling in filled.fillings
                ),
            ]
            for filled in panel.filled
        ],
    )
    measured = table(
        [f"one blank in each of {b.n} held-out stories", "filled rightly"],
        [
            ["this model, which sees the whole story", f"{b.in_story:.1%}"],
            ["this model, which sees the sentence alone", f"{b.alone:.1%}"],
            ["a 5-gram model, which sees the whole story", f"{b.five_gram:.1%}"],
            ["always the commonest word", f"{b.commonest:.1%}"],
            ["the best possible, on average, given the whole story", f"{b.limit:.1%}"],
        ],
    )
    after = paragraph(
        "The last line is exact: the grammar that wrote the stories gives the probability of every "
        "word in the blank."
    )
    return text + shown + measured + after


def _pairs(panel: EncoderDemo) -> str:
    pairs = panel.pairs
    text = paragraph(
        "Each held-out story is cut in two, and its beginning goes once with its own end and once "
        "with an end of another story. In pretraining the other text begins anywhere in its story; "
        "much can then be told by what comes when in a story. Where both ends come from the same "
        "place, only the names, the home and the things told of tell them apart."
    )
    rows = [
        ["the other end begins anywhere in its story", f"{pairs.anywhere:.1%}"],
        ["the other end begins at the same place", f"{pairs.same_place:.1%}"],
        ["chance", "50.0%"],
    ]
    measured = table([f"{pairs.n} pairs of each kind, half of them own ends", "told rightly"], rows)
    pair_list = story_pairs(panel.split.test, 1, same_place=False)
    middle = len(pair_list) // 4 * 2
    shown = pair_list[middle : middle + 2]  # a beginning with its own end and with another's
    said = follows(panel.encoder, shown)
    examples = [
        [pair.first, pair.second, _yes(pair.follows), _yes(answer)]
        for pair, answer in zip(shown, said, strict=True)
    ]
    return text + measured + table(["beginning", "end", "follows", "the model says"], examples)


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"


def _senses(panel: EncoderDemo) -> str:
    senses, word = panel.senses, picture_word(panel)
    text = paragraph(
        "The vector of an ambiguous word in its sentence. The cosine of two uses of a word, in one "
        "sense and in two, layer by layer (0 is the embeddings, where only the position tells two "
        "uses apart), and how often the nearest of some labelled training sentences has the same "
        "sense. The model was told nothing about senses."
    )
    layers = table(
        ["layer", "cosine in one sense", "across senses", "right sense by nearest"],
        [
            [layer.layer, round(layer.within, 3), round(layer.across, 3), f"{layer.accuracy:.1%}"]
            for layer in senses.layers
        ],
    )
    chosen = paragraph(
        f"Layer {senses.chosen} did best on validation sentences: {senses.accuracy:.1%} of "
        f"{senses.n} uses of {len(senses.by_word)} words in held-out sentences. The most frequent "
        f"sense is right in {senses.commonest:.1%}."
    )
    picture = sense_picture(panel, "svg")
    if picture is None:
        return text + layers + chosen
    counts = Counter(panel.uses[word].senses)
    named = ", ".join(f"{n} times {sense}" for sense, n in counts.most_common())
    caption = (
        f"The vectors of “{word}” in {len(panel.uses[word].sentences)} held-out sentences "
        f"({named}), layer {senses.chosen}, on their two principal axes. Colors and shapes are the "
        "grammar's senses, which the model was never told."
    )
    return text + layers + chosen + figure(picture, caption)
