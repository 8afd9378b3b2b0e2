"""Greedy and beam search against transformers' `generate`, on the same random weights.

Three settings of theirs differ from ours by name, and are stated in each test:

- they remove no token before the softmax and ban padding after it: `banned_ids=(pad,)`;
- `early_stopping=True` is patience 1; `"never"` is infinite patience. Their default, False, stops
  by the score at the present length, which later texts may exceed: we have no such rule;
- a text cut at the limit: without `forced_eos_token_id` it is our `unfinished`. With it, they give
  the forced token probability 1, we what the model gives it.
"""

import math

import pytest
import torch
from torch import Tensor

from triptych.convert.marian import from_marian
from triptych.convert.marian_config import config_from_json
from triptych.decoding.beam import BeamOptions, beam_search
from triptych.decoding.candidates import TokenRoles
from triptych.decoding.greedy import greedy_search
from triptych.models.encoder_decoder import EncoderDecoder

transformers = pytest.importorskip("transformers", reason="the oracle is transformers")

PAD, EOS, V, LIMIT = 119, 0, 120, 14
ROLES = TokenRoles(start_id=PAD, eos_id=EOS, banned_ids=(PAD,))


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    config = transformers.MarianConfig(
        vocab_size=V, decoder_vocab_size=V, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
        decoder_ffn_dim=64, max_position_embeddings=64, scale_embedding=True,
        activation_function="swish", pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None,
        decoder_start_token_id=PAD, forced_eos_token_id=None, dropout=0.0,
    )  # fmt: skip
    model = transformers.MarianMTModel(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embed" not in name and "shared" not in name:
                weight.mul_(8)  # far from uniform, so that texts differ and end
        model.model.shared.weight.normal_(std=0.5)
        model.model.shared.weight[PAD] = 0
        model.final_logits_bias[0, EOS] = 5.0
    return model


@pytest.fixture(scope="module")
def ours(theirs) -> EncoderDecoder:
    config = config_from_json(theirs.config.to_dict(), "the oracle")
    model = EncoderDecoder(config)
    model.load_state_dict(from_marian(theirs.state_dict(), config, "the oracle"))
    return model.eval()


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(1, PAD, (24, 12), generator=generator)
    lengths = torch.randint(2, 13, (24, 1), generator=generator)
    valid = torch.arange(12) < lengths
    return torch.where(valid, ids, PAD), valid


def generate(theirs, batch, settings: dict) -> tuple[list[tuple[int, ...]], Tensor | None]:
    ids, valid = batch
    out = theirs.generate(
        input_ids=ids,
        attention_mask=valid.long(),
        max_new_tokens=LIMIT,
        do_sample=False,
        bad_words_ids=[[PAD]],
        return_dict_in_generate=True,
        output_scores=True,
        **settings,
    )
    texts = []
    for row in out.sequences[:, 1:].tolist():
        texts.append(tuple(row[: row.index(EOS) + 1] if EOS in row else row))
    return [tuple(t for t in text if t != PAD) for text in texts], out.get("sequences_scores")


def test_greedy_ids(theirs, ours, batch):
    expected, _ = generate(theirs, batch, {"num_beams": 1})
    with torch.no_grad():
        cache = ours.start_decoding(*batch)
        found = greedy_search(ours.next_logits, cache, ROLES, [LIMIT] * 24, at_limit="unfinished")
    assert [h.token_ids for h in found] == expected
    assert len({len(text) for text in expected}) > 4
    assert any(len(text) == LIMIT and text[-1] != EOS for text in expected)


def test_greedy_ids_with_a_forced_end(theirs, ours, batch):
    expected, _ = generate(theirs, batch, {"num_beams": 1, "forced_eos_token_id": EOS})
    with torch.no_grad():
        cache = ours.start_decoding(*batch)
        found = greedy_search(ours.next_logits, cache, ROLES, [LIMIT] * 24)
    assert [h.token_ids for h in found] == expected
    assert all(h.finished for h in found)


@pytest.mark.parametrize("beam_size", [2, 4, 6])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize(("early_stopping", "patience"), [(True, 1.0), ("never", math.inf)])
def test_beam_ids_and_scores(theirs, ours, batch, beam_size, alpha, early_stopping, patience):
    expected, scores = generate(
        theirs,
        batch,
        {
            "num_beams": beam_size,
            "num_return_sequences": beam_size,
            "length_penalty": alpha,
            "early_stopping": early_stopping,
        },
    )
    options = BeamOptions(
        beam_size=beam_size,
        n_best=beam_size,
        length_penalty="length",
        alpha=alpha,
        patience=patience,
        at_limit="unfinished",
    )
    with torch.no_grad():
        cache = ours.start_decoding(*batch)
        found = beam_search(ours.next_logits, cache, ROLES, [LIMIT] * 24, options=options)
    hypotheses = [h for of_row in found for h in of_row]
    assert [h.token_ids for h in hypotheses] == expected
    assert torch.tensor([h.score for h in hypotheses]) == pytest.approx(scores, abs=1e-4)
