"""`triptych demo`: train, measure, show, write the report, say what to try next."""

import json
import math
import shlex
import sys
from pathlib import Path

from triptych.files.atomic import write_file
from triptych.recipes import demo, demo_encoder, demo_generator
from triptych.recipes.demo import TranslationDemo, translation_panel
from triptych.recipes.demo_encoder import EncoderDemo, encoder_panel
from triptych.recipes.demo_encoder_report import picture_word
from triptych.recipes.demo_generator import GeneratorDemo, generator_panel
from triptych.recipes.demo_report import DemoPanels, two_senses, write_demo_report


def run_demo(out: Path, *, quick: bool = False, seed: int = 1, device: str = "cpu") -> None:
    """Everything the demo does, into the folder `out`; what it found goes to standard output."""
    _say(f"1/4  A translator: writing storybook, training and translating in {out} …")
    translation = translation_panel(out, demo.QUICK if quick else demo.FULL, seed, device)
    print(translation_summary(translation), flush=True)
    _say("2/4  An encoder: reading stories, filling in, comparing …")
    size = demo_encoder.QUICK if quick else demo_encoder.FULL
    encoder = encoder_panel(out, size, seed, device)
    print(encoder_summary(encoder), flush=True)
    _say("3/4  A generator: reading the same stories, scoring, going on …")
    length = demo_generator.QUICK if quick else demo_generator.FULL
    generator = generator_panel(out, encoder.split, length, seed, device)
    print(generator_summary(generator), flush=True)
    _say("4/4  Drawing …")
    finish(DemoPanels(translation, encoder, generator), out)


def finish(panels: DemoPanels, out: Path) -> None:
    """The report, `results.json`, and what to try next."""
    following = {
        **translation_commands(panels.translation, out),
        **encoder_commands(panels.encoder, out),
        **generator_commands(panels.generator),
    }
    write_demo_report(panels, out / "report.html", following)
    found = {name: panel.to_json() for name, panel in vars(panels).items()}
    write_file(out / "results.json", json.dumps(found, indent=1) + "\n")
    print(f"\nThe report: {out / 'report.html'}\n\nTry next:")
    for purpose, command in following.items():
        print(f"  # {purpose}\n  {command}")


def translation_summary(panel: TranslationDemo) -> str:
    """The translations that show most, and the scores."""
    lines = ["", "Encoder-decoder: translate"]
    for number in two_senses(panel):
        lines += ["", f"  {panel.split.test[number].english}"]
        lines += [f"  → {panel.translations[number].text}"]
    lines += [
        "",
        f"  BLEU {panel.scores.bleu.bleu:.1f} on {panel.scores.n} held-out sentences",
        f"  {panel.senses.accuracy:.1%} of {panel.senses.n} ambiguous words in the right sense",
        f"  {panel.alignment.aer:.1%} alignment error rate of the cross-attention",
        f"  trained in {panel.seconds:.0f} s",
    ]
    return "\n".join(lines)


def encoder_summary(panel: EncoderDemo) -> str:
    """Some blanks with the best words, and the scores beside what they are to be compared with."""
    blanks, pairs, senses = panel.blanks, panel.pairs, panel.senses
    lines = ["", "Encoder only: fill in, tell what follows, tell senses", ""]
    for filled in panel.filled[:3]:
        best = ", ".join(
            f"{filling.words[0]} {math.exp(filling.log_probability):.2f}"
            for filling in filled.fillings
        )
        lines += [f"  {filled.text}", f"  → {best}   (hidden: {filled.blank.answer})"]
    layer = senses.layers[senses.chosen]
    beside = (
        f"best possible: {blanks.limit:.1%}; 5-gram model: {blanks.five_gram:.1%}; "
        f"commonest word: {blanks.commonest:.1%}; sentence alone: {blanks.alone:.1%}"
    )
    told = f"{senses.accuracy:.1%} of {senses.n} ambiguous words in the right sense"
    cosines = f"cosine within a sense {layer.within:.2f}, across senses {layer.across:.2f}"
    lines += [
        "",
        f"  {blanks.in_story:.1%} of {blanks.n} blanks in held-out stories filled rightly",
        f"    ({beside})",
        f"  {pairs.anywhere:.1%} of {pairs.n} pairs of a beginning and an end told rightly",
        f"    (chance: 50 %; where the other end is from the same place: {pairs.same_place:.1%})",
        f"  {told} by the nearest vector (most frequent sense: {senses.commonest:.1%})",
        f"    ({cosines})",
        f"  trained in {panel.seconds:.0f} s",
    ]
    return "\n".join(lines)


def generator_summary(panel: GeneratorDemo) -> str:
    """A story that it went on with, and its loss beside the least possible."""
    score, story = panel.score, panel.continued[0]
    own = f"{score.nats / score.n:.2f} nats a story; the grammar's own: {score.limit / score.n:.2f}"
    lines = [
        "",
        "Decoder only: go on with a story",
        "",
        f"  {story.given}",
        f"  → {story.told}",
        "",
        f"  {score.ratio:.3f} times the least loss possible on {score.n} held-out stories",
        f"    ({own}; a 5-gram model: {score.five_gram_ratio:.3f} times)",
        f"  {panel.share_of_stories:.1%} of {len(panel.continued)} stories it drew are grammatical",
        f"  trained in {panel.seconds:.0f} s",
    ]
    return "\n".join(lines)


def translation_commands(panel: TranslationDemo, out: Path) -> dict[str, str]:
    """What a curious person would do now with the translator, ready to copy."""
    model, data = shlex.quote(str(panel.model)), shlex.quote(str(out / "data"))
    first = shlex.quote(panel.split.test[0].english)
    return {
        "translate a sentence": f"echo {first} | triptych translate {model}",
        "measure it again": f"triptych evaluate translation {model} "
        f"--source {data}/test.en --target {data}/test.de",
        "see how a sentence is cut": f"triptych tokenizer show {model} {first}",
    }


def encoder_commands(panel: EncoderDemo, out: Path) -> dict[str, str]:
    """The same with the encoder: blanks, vectors, cosines."""
    model, texts = shlex.quote(str(panel.model)), shlex.quote(str(out / "data" / "test.en"))
    uses = panel.uses[picture_word(panel)].sentences
    pair = shlex.join([uses[0], uses[-1]])
    return {
        "fill in a blank": f"triptych fill {model} {shlex.quote(panel.filled[0].text)}",
        "make vectors of sentences": f"triptych embed {model} --input {texts} "
        f"--out {shlex.quote(str(out / 'vectors.npy'))}",
        "find the sentences nearest to one": f"triptych search {model} --corpus {texts} "
        f"--query {shlex.quote(uses[0])}",
        "compare two sentences": f"triptych similarity {model} {pair}",
    }


def generator_commands(panel: GeneratorDemo) -> dict[str, str]:
    """The same with the generator: another end of a story, and the likeliest."""
    model, given = shlex.quote(str(panel.model)), shlex.quote(panel.continued[0].given)
    return {
        "tell another end of a story": f"triptych generate {model} --prompt {given} --seed 2",
        "tell the likeliest end": f"triptych generate {model} --prompt {given} --temperature 0",
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
