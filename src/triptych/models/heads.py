"""What is read off an encoder — Devlin et al. 2018, §3.1 and Figure 4. Heads take `hidden`.

Shapes: B batch, T positions, N chosen positions, E model width, K labels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from triptych.core.dropout import Dropout
from triptych.core.initialization import initialize_bert
from triptych.errors import ConfigError
from triptych.models.bert import ACTIVATIONS, Bert, BertConfig


class Pooler(nn.Module):
    """tanh(W h_[CLS] + b): the paper's C, one vector for the whole input."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden [B, T, E] -> [B, E]."""
        return torch.tanh(self.dense(hidden[:, 0]))


class MaskedWordHead(nn.Module):
    """LayerNorm(act(W h + b)), whose product with the token embeddings gives the words' logits.

    Only the positions asked for come here: the product with V rows is most of the work.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.activation = ACTIVATIONS[config.activation]
        self.norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden [N, E] -> [N, E]."""
        return self.norm(self.activation(self.dense(hidden)))  # type: ignore[no-any-return]


class NextSentenceHead(nn.Module):
    """Two logits from the pooled vector: 0, the second sentence follows; 1, it is a random one."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.d_model, 2)

    def forward(self, pooled: Tensor) -> Tensor:
        """pooled [B, E] -> [B, 2]."""
        return self.linear(pooled)  # type: ignore[no-any-return]


class Classifier(nn.Module):
    """K logits from a vector, after dropout: of a text or pair (pooled), or of each token."""

    def __init__(self, config: BertConfig, n_labels: int) -> None:
        super().__init__()
        self.dropout = Dropout(config.dropout)
        self.linear = nn.Linear(config.d_model, n_labels)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., E] -> [..., K]; with K = 1, a regression's value."""
        return self.linear(self.dropout(x))  # type: ignore[no-any-return]


class SpanHead(nn.Module):
    """Two logits a token, S · T_i and E · T_i: an answer begins, or ends, here (§4.2)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.d_model, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden [B, T, E] -> [B, T, 2]."""
        return self.linear(hidden)  # type: ignore[no-any-return]


HEADS = ("pooler", "masked_words", "next_sentence", "classifier", "spans")
"""Names of the heads that a model may have beside its trunk."""


@dataclass(frozen=True, kw_only=True)
class BertWithHeadsConfig:
    """A trunk, and what is read off it."""

    trunk: BertConfig
    heads: tuple[str, ...] = ("pooler",)
    """Some of `HEADS`; a classifier reads the pooled vector if there is one, else each token."""
    labels: tuple[str, ...] = ()
    """The classifier's labels, in the order of its logits; one label means regression."""

    def __post_init__(self) -> None:
        for head in self.heads:
            if head not in HEADS:
                raise ConfigError(f"no head {head!r}; there are {', '.join(HEADS)}")
        if "next_sentence" in self.heads and "pooler" not in self.heads:
            raise ConfigError("the head next_sentence reads the pooled vector: add pooler")
        if ("classifier" in self.heads) != bool(self.labels):
            raise ConfigError(f"labels are {self.labels}; a classifier needs some, and only it")


class BertWithHeads(nn.Module):
    """`bert`, and one module a head, by its name. The forward pass is the trunk's."""

    def __init__(self, config: BertWithHeadsConfig) -> None:
        super().__init__()
        self.config = config
        self.bert = Bert(config.trunk)
        make: dict[str, Callable[[], nn.Module]] = {
            "pooler": lambda: Pooler(config.trunk),
            "masked_words": lambda: MaskedWordHead(config.trunk),
            "next_sentence": lambda: NextSentenceHead(config.trunk),
            "classifier": lambda: Classifier(config.trunk, len(config.labels)),
            "spans": lambda: SpanHead(config.trunk),
        }
        self.heads = nn.ModuleDict({name: make[name]() for name in config.heads})
        initialize_bert(self.heads)

    def forward(
        self, token_ids: Tensor, valid: Tensor, segment_ids: Tensor | None = None
    ) -> Tensor:
        """As the trunk's: [B, T] -> hidden [B, T, E]."""
        return self.bert(token_ids, valid, segment_ids)  # type: ignore[no-any-return]

    @property
    def output_projection(self) -> tuple[Tensor, Tensor]:
        """weight [V, E] (the token embeddings) and bias [V] of the masked words' logits."""
        return self.bert.token_embedding.weight, self.heads["masked_words"].bias  # type: ignore[return-value]

    def word_logits(self, hidden: Tensor) -> Tensor:
        """hidden [N, E] at chosen positions -> [N, V]."""
        weight, bias = self.output_projection
        return nn.functional.linear(self.heads["masked_words"](hidden), weight, bias)

    def classify(self, hidden: Tensor) -> Tensor:
        """hidden [B, T, E] -> [B, K] with a pooler, [B, T, K] without."""
        x = self.heads["pooler"](hidden) if "pooler" in self.heads else hidden
        return self.heads["classifier"](x)  # type: ignore[no-any-return]

    def spans(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """hidden [B, T, E], valid [B, T] -> [B, T, 2]; no answer begins or ends in padding."""
        logits: Tensor = self.heads["spans"](hidden)
        return logits.masked_fill(~valid[..., None], float("-inf"))
