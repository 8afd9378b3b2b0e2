"""`triptych demo`: train, measure, show, write the report, say what to try next."""

import json
import shlex
import sys
from pathlib import Path

from triptych.files.atomic import write_file
from triptych.recipes.demo import FULL, QUICK, TranslationDemo, translation_panel
from triptych.recipes.demo_report import two_senses, write_demo_report


def run_demo(out: Path, *, quick: bool = False, seed: int = 1, device: str = "cpu") -> None:
    """Everything the demo does, into the folder `out`; what it found goes to standard output."""
    _say(f"1/3  Writing storybook and training a translator in {out} …")
    panel = translation_panel(out, QUICK if quick else FULL, seed, device)
    _say("2/3  Translating sentences that it has never seen …")
    print(summary(panel))
    _say("3/3  Drawing …")
    following = next_commands(panel, out)
    write_demo_report(panel, out / "report.html", following)
    write_file(out / "results.json", json.dumps(panel.to_json(), indent=1) + "\n")
    print(f"\nThe report: {out / 'report.html'}\n\nTry next:")
    for purpose, command in following.items():
        print(f"  # {purpose}\n  {command}")


def summary(panel: TranslationDemo) -> str:
    """The translations that show most, and the scores."""
    lines = []
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


def next_commands(panel: TranslationDemo, out: Path) -> dict[str, str]:
    """What a curious person would do now, ready to copy."""
    model, data = shlex.quote(str(panel.model)), shlex.quote(str(out / "data"))
    first = shlex.quote(panel.split.test[0].english)
    return {
        "translate a sentence": f"echo {first} | triptych translate {model}",
        "measure it again": f"triptych evaluate translation {model} "
        f"--source {data}/test.en --target {data}/test.de",
        "see how a sentence is cut": f"triptych tokenizer show {model} {first}",
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
