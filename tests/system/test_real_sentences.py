"""The company a sentence is translated in changes nothing: 1,000 real sentences, a trained model.

$TRIPTYCH_MODEL names the folder of a model trained on English and German; without it these
tests are skipped. They take some minutes.
"""

import os
import random
from pathlib import Path

import pytest
import torch

from triptych.checkpoint import load_folder
from triptych.data.batching import collate_pairs
from triptych.decoding.forced import as_hypotheses, forced_log_probs
from triptych.recipes.translate_options import TranslateOptions
from triptych.recipes.translation_search import Searcher
from triptych.recipes.translator import Translator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def translator() -> Translator:
    folder = os.environ.get("TRIPTYCH_MODEL")
    if folder is None:
        pytest.skip("no trained model (set TRIPTYCH_MODEL to a model folder)")
    return Translator.from_folder(load_folder(Path(folder)))


@pytest.fixture(scope="module")
def lines(data_dir: Path) -> list[str]:
    path = data_dir / "multi30k" / "val.en"
    if not path.exists():
        pytest.skip(f"no {path}")
    return path.read_text(encoding="utf-8").splitlines()[:1000]


@pytest.mark.parametrize("beam_size", [1, 4, 8])
def test_batch_size_order_and_padding_change_nothing(translator, lines, beam_size):
    n_ties = 0
    alone = search(translator, lines, beam_size, batch_tokens=1)
    for seed, batch_tokens in ((1, 700), (2, 5_000), (3, 40_000)):
        order = random.Random(seed).sample(range(len(lines)), len(lines))
        found = search(translator, [lines[i] for i in order], beam_size, batch_tokens)
        for i, (source_ids, together) in zip(order, found, strict=True):
            expected = alone[i][1]
            bound = 1e-5 * max(1.0, abs(expected.score))
            assert together.score == pytest.approx(expected.score, abs=bound)
            if together.token_ids != expected.token_ids:
                n_ties += 1
                pairs = [(source_ids, h.token_ids) for h in (together, expected)]
                a, b = (forced(translator, pair) for pair in pairs)
                print(f"tie, line {i + 1}: {a:.7f} and {b:.7f}")
                assert a == pytest.approx(b, abs=bound)
    print(f"beam {beam_size}: {n_ties} ties in {3 * len(lines)} translations")
    assert n_ties <= 3


def search(translator, lines, beam_size, batch_tokens):
    """(source ids, best hypothesis) of each line, as `translate` finds them."""
    found = {}
    inner = Searcher.search

    def keep(self, pieces, options):
        hypotheses = inner(self, pieces, options)
        for piece, of_piece in zip(pieces, hypotheses, strict=True):
            found[piece.line] = (piece.source_ids, of_piece[0])
        return hypotheses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Searcher, "search", keep)
        options = TranslateOptions(beam_size=beam_size, batch_tokens=batch_tokens)
        translator.translate(lines, options=options)
    return [found[i] for i in range(len(lines))]


@torch.inference_mode()
def forced(translator, pair) -> float:
    c = translator.module.config
    batch = collate_pairs([pair], c.pad_id, c.start_id)
    hidden = translator.module(batch.source_ids, batch.source_valid, batch.target_in)
    log_probs = forced_log_probs(
        hidden, translator.module.logits, batch.target_out, translator.roles.outside_ids
    )
    return as_hypotheses(log_probs, [pair[1]], c.eos_id)[0].score
