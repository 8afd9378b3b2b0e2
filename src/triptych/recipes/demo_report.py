"""The demo's report, one HTML file, and the first panel's part of it: the curve, the heads, the
alignment and the samples."""

from dataclasses import dataclass
from pathlib import Path

from triptych.data.storybook import StorySentence
from triptych.inspection.attention_plots import alignment_matrix, heads_grid
from triptych.recipes.demo import TranslationDemo
from triptych.recipes.demo_encoder import EncoderDemo
from triptych.recipes.demo_encoder_report import encoder_sections, sense_picture
from triptych.recipes.demo_generator import GeneratorDemo
from triptych.recipes.demo_generator_report import generator_sections
from triptych.recipes.report import (
    Sample,
    Score,
    Section,
    commands,
    facts,
    figure,
    paragraph,
    samples_table,
    scores,
    write_report,
)
from triptych.recipes.run_curves import TRANSLATION_PANELS, curves
from triptych.recipes.story_gold import gold_alignment, sense_cases
from triptych.recipes.translation import Translation
from triptych.recipes.word_alignment import AlignmentHead, align_pairs, cross_attentions

N_SAMPLES = 12


@dataclass(frozen=True)
class DemoPanels:
    """What the three panels found."""

    translation: TranslationDemo
    encoder: EncoderDemo
    generator: GeneratorDemo


def write_demo_report(panels: DemoPanels, path: Path, next_commands: dict[str, str]) -> None:
    """Write the report and, beside it, the alignment and the senses as pictures of their own."""
    number = picture_sentence(panels.translation)
    picture = alignment_picture(panels.translation, number, "png")
    (path.parent / "alignment.png").write_bytes(picture)
    senses = sense_picture(panels.encoder, "png")
    if senses is not None:
        (path.parent / "senses.png").write_bytes(senses)
    write_report(
        path,
        "A translator, an encoder and a generator, trained just now",
        "An encoder-decoder learned storybook's English and German from sentence pairs; a BERT and "
        "a GPT read English stories. Everything below was measured on stories and sentences held "
        "out.",
        [
            *translation_sections(panels.translation, number),
            *encoder_sections(panels.encoder),
            *generator_sections(panels.generator),
            Section("Try next", commands(next_commands)),
        ],
    )


def translation_sections(panel: TranslationDemo, number: int) -> list[Section]:
    """The first panel's part of the report; it looks into the test sentence of that number."""
    learning = figure(curves(panel.run, TRANSLATION_PANELS), "Loss and BLEU over the updates.")
    return [
        Section("Translator: scores", _scores(panel)),
        Section("Translator: two senses of one word", _senses(panel)),
        Section("Translator: learning", learning),
        Section("Translator: alignment", _alignment(panel, number)),
        Section("Translator: all heads", _heads(panel, number)),
        Section("Translator: translations", samples_table(_samples(panel))),
    ]


def picture_sentence(panel: TranslationDemo) -> int:
    """The test sentence to look into: translated right, aligned crosswise, of middle length."""

    def crossings(sentence: StorySentence) -> int:
        links = sorted(gold_alignment(sentence).sure)
        return sum(a[1] > b[1] for i, a in enumerate(links) for b in links[i + 1 :])

    right = [
        i
        for i, (sentence, found) in enumerate(
            zip(panel.split.test, panel.translations, strict=True)
        )
        if found.text == sentence.german and 8 <= len(sentence.english.split()) <= 13
    ]
    return max(right, key=lambda i: crossings(panel.split.test[i]), default=0)


def alignment_picture(panel: TranslationDemo, number: int, form: str) -> bytes:
    """The chosen head's attention between the words of a pair, with the gold links framed."""
    sentence = panel.split.test[number]
    (found,) = align_pairs(
        panel.translator.module,
        panel.translator.tokenizer,
        [sentence.english],
        [sentence.german],
        panel.head,
    )
    gold = gold_alignment(sentence)
    return alignment_matrix(
        found.weights,
        sentence.english.split(),
        sentence.german.split(),
        found.links,
        gold.sure,
        gold.possible,
        form="png" if form == "png" else "svg",
    )


def _scores(panel: TranslationDemo) -> str:
    n = f"{panel.scores.n} held-out sentences"
    items = [
        Score(f"{panel.scores.bleu.bleu:.1f}", "BLEU", n),
        Score(f"{panel.senses.accuracy:.1%}", "senses right", f"{panel.senses.n} ambiguous words"),
        Score(f"{panel.alignment.aer:.1%}", "alignment error", "against the grammar's own links"),
        Score(f"{panel.seconds:.0f} s", "training", "tokenizer and data included"),
    ]
    summary = {
        "BLEU signature": panel.scores.bleu.signature,
        "chrF": f"{panel.scores.chrf.chrf:.1f}",
        "training pairs": f"{len(panel.split.train):,}",
        "parameters": f"{sum(p.numel() for p in panel.translator.module.parameters()):,}",
        "aligning head": f"{head_name(panel.head)}, chosen on the validation sentences",
    }
    return scores(items) + facts(summary)


def head_name(head: AlignmentHead) -> str:
    """In words; layers and heads are counted from 0."""
    which = "mean of all heads" if head.head is None else f"head {head.head}"
    return f"layer {head.layer}, {which}"


def _senses(panel: TranslationDemo) -> str:
    text = paragraph(
        "The same English word, and a German one that depends on what stands around it. The cue "
        "is in the same sentence; the model was told nothing about senses."
    )
    return text + samples_table([_sample(panel, i) for i in two_senses(panel)])


def two_senses(panel: TranslationDemo, word: str = "bank") -> list[int]:
    """A test sentence for each sense of a word; of another word if this has but one sense there."""
    found: dict[str, dict[str, int]] = {}
    for number, sentence in enumerate(panel.split.test):
        for sense in sentence.senses:
            found.setdefault(sense.word, {}).setdefault(sense.sense, number)
    most = max(found, key=lambda name: (len(found[name]), name == word), default=word)
    chosen = word if len(found.get(word, {})) > 1 else most
    return list(found.get(chosen, {}).values())


def _alignment(panel: TranslationDemo, number: int) -> str:
    caption = (
        f"The cross-attention ({head_name(panel.head)}) read as a word alignment. Frames are the "
        "links that the grammar knows: German moves its verbs, so they leave the diagonal."
    )
    return figure(alignment_picture(panel, number, "svg"), caption)


def _heads(panel: TranslationDemo, number: int) -> str:
    sentence, tokenizer = panel.split.test[number], panel.translator.tokenizer
    source = tokenizer.encode_source([sentence.english])[0]
    target = tokenizer.encode_target([sentence.german])[0]
    (weights,) = cross_attentions(panel.translator.module, [(source, target)])
    picture = heads_grid(
        weights,
        tokenizer.source_tokens(source),
        ["start", *tokenizer.target_tokens(target[:-1])],
        chosen=None if panel.head.head is None else (panel.head.layer, panel.head.head),
    )
    return figure(picture, "Every head of the decoder's cross-attention, layer by layer.")


def _samples(panel: TranslationDemo) -> list[Sample]:
    step = max(1, len(panel.split.test) // N_SAMPLES)
    wrong = [i for i, t in enumerate(panel.translations) if t.text != panel.split.test[i].german]
    shown = wrong[:3] + list(range(0, len(panel.split.test), step))
    return [_sample(panel, i) for i in shown[:N_SAMPLES]]


def _sample(panel: TranslationDemo, number: int) -> Sample:
    sentence: StorySentence = panel.split.test[number]
    output: Translation = panel.translations[number]
    cases = sense_cases(sentence)
    words = {case.word for case in cases}
    return Sample(
        source=sentence.english,
        reference=sentence.german,
        output=output.text,
        right=tuple(words | {form for case in cases for form in case.gold}),
        wrong=tuple({form for case in cases for form in case.other}),
        is_right=(number not in panel.wrong_senses) if cases else None,
    )
