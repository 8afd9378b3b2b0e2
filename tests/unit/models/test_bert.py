"""The encoder: shapes, what may influence what, and what is refused."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from triptych.errors import ConfigError, DataError
from triptych.models.bert import Bert, BertConfig
from triptych.models.heads import HEADS, BertWithHeads, BertWithHeadsConfig

CONFIG = BertConfig(
    vocab_size=40, d_model=16, d_ff=24, n_heads=4, n_layers=3, max_seq_len=12, pad_id=0
)


@pytest.fixture(scope="module")
def bert() -> Bert:
    torch.manual_seed(0)
    model = Bert(CONFIG).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    valid = torch.arange(10) < torch.tensor([10, 4, 7])[:, None]
    return torch.randint(1, 40, (3, 10), generator=generator).masked_fill(~valid, 0), valid


def test_padding_and_neighbours_change_nothing(bert: Bert) -> None:
    ids, valid = inputs()
    together = bert(ids, valid)
    other = ids.masked_fill(~valid, 17)
    torch.testing.assert_close(bert(other, valid)[valid], together[valid], rtol=0, atol=0)
    for row, n in enumerate(valid.sum(dim=1).tolist()):
        alone = bert(ids[row : row + 1, :n], valid[row : row + 1, :n])
        torch.testing.assert_close(alone[0], together[row, :n], rtol=1e-5, atol=1e-5)


def test_every_token_sees_every_other(bert: Bert) -> None:
    """No causal mask: a change at the end reaches the beginning."""
    ids, valid = inputs()
    changed = ids.clone()
    changed[0, 9] = (ids[0, 9] + 1) % 40
    difference = (bert(changed, valid) - bert(ids, valid)).abs().amax(dim=-1)
    assert (difference[0] > 1e-6).all()
    assert (difference[1:] == 0).all()


def test_order_and_segments_matter(bert: Bert) -> None:
    ids, valid = inputs()
    plain = bert(ids, valid)
    torch.testing.assert_close(plain, bert(ids, valid, torch.zeros_like(ids)))
    assert not torch.allclose(plain, bert(ids, valid, torch.ones_like(ids)))
    turned = ids.clone()
    turned[0] = ids[0].flip(0)
    assert not torch.allclose(plain[0].flip(0), bert(turned, valid)[0], atol=1e-3)


def test_layers_end_in_the_forward_pass(bert: Bert) -> None:
    ids, valid = inputs()
    states = bert.layers(ids, valid)
    assert len(states) == 1 + CONFIG.n_layers
    assert torch.equal(states[0], bert.embed(ids))
    assert torch.equal(states[-1], bert(ids, valid))


def test_too_long_is_refused(bert: Bert) -> None:
    ids = torch.ones(1, 13, dtype=torch.int64)
    with pytest.raises(DataError, match="13 tokens is longer than this model's limit of 12"):
        bert(ids, ids > 0)


def test_weights_begin_as_published() -> None:
    torch.manual_seed(1)
    model = BertWithHeads(BertWithHeadsConfig(
        trunk=replace(CONFIG, d_model=128, vocab_size=4000), heads=HEADS[:3]
    ))  # fmt: skip
    weight = model.bert.token_embedding.weight.detach()
    assert not weight[0].any()  # padding
    assert weight[1:].abs().max() <= 0.04
    assert weight[1:].std() == pytest.approx(0.88 * 0.02, rel=0.01)  # a normal's, cut at two
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all(), name
        elif name.endswith("bias"):
            assert not parameter.any(), name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"activation": "mish"}, "activation is 'mish'"),
        ({"d_model": 17}, r"d_model \(17\) must be a multiple"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"attention_dropout": 1.0}, "attention_dropout is 1.0"),
        ({"pad_id": 40}, "pad_id is 40, outside the vocabulary of 40"),
    ],
)
def test_impossible_shapes_are_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        replace(CONFIG, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("heads", "labels", "expected"),
    [
        (("tagger",), (), "no head 'tagger'"),
        (("next_sentence",), (), "add pooler"),
        (("classifier",), (), "a classifier needs some"),
        (("pooler",), ("yes",), "and only it"),
    ],
)
def test_impossible_heads_are_refused(
    heads: tuple[str, ...], labels: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        BertWithHeadsConfig(trunk=CONFIG, heads=heads, labels=labels)


def test_a_classifier_reads_the_pooled_vector_or_each_token() -> None:
    ids, valid = inputs()
    for heads, shape in ((("pooler", "classifier"), (3, 2)), (("classifier",), (3, 10, 2))):
        config = BertWithHeadsConfig(trunk=CONFIG, heads=heads, labels=("no", "yes"))
        model = BertWithHeads(config).eval()
        assert model.classify(model(ids, valid)).shape == shape
