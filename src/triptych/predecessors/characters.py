"""A word from its characters — Kim et al. 2016, §2.2 and 2.3, as in Peters et al. 2018, §3.1.

Shapes: U words, C characters of a word, D width of a character, K filters of all widths together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.errors import ConfigError

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "tanh": torch.tanh}
PLACES_TOGETHER = 8
"""Places of characters are as many or a multiple: libraries make code for each new shape."""
PADDING = 0
"""The character of a place where there is no word; its embedding is zero."""
CARRY_BIAS = -2.0
"""Of a gate at the beginning: most of what comes in goes through (Srivastava et al. 2015, §4.1)."""


@dataclass(frozen=True, kw_only=True)
class CharacterConfig:
    """How a word is read — by default as in Peters et al. 2018."""

    n_characters: int = 262
    """Entries of the table: 256 bytes, five marks, and `PADDING`."""
    max_characters: int = 50
    """Characters of a word [C], the marks of its beginning and end included."""
    d_character: int = 16
    """Width of a character's vector [D]."""
    filters: tuple[tuple[int, int], ...] = (
        (1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024),
    )  # fmt: skip
    """(characters seen at once, how many such filters)."""
    n_highway: int = 2
    """Highway layers."""
    activation: str = "relu"
    """Of the filters: relu or tanh."""

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ConfigError(f"activation is {self.activation!r}; choose one of {known}")
        for name in ("n_characters", "max_characters", "d_character"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.n_highway < 0:
            raise ConfigError(f"n_highway is {self.n_highway}; choose 0 or more")
        if not self.filters:
            raise ConfigError("there are no filters; name at least one (width, how many)")
        for width, count in self.filters:
            if not 1 <= width <= self.max_characters or count < 1:
                raise ConfigError(
                    f"a filter is {(width, count)}; its width must be 1 to max_characters "
                    f"({self.max_characters}), and there must be at least one"
                )

    @property
    def n_filters(self) -> int:
        """Filters of all widths together [K]."""
        return sum(count for _, count in self.filters)


def highway(x: Tensor, transformed: Tensor, gate: Tensor) -> Tensor:
    """y = T(x) ⊙ H(x) + (1 − T(x)) ⊙ x — Srivastava et al. 2015, equation 3."""
    return gate * transformed + (1 - gate) * x


class Highway(nn.Module):
    """x [..., K] -> [..., K]: H is a layer of ReLU, T one of sigmoids."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        with torch.no_grad():
            self.gate.bias.fill_(CARRY_BIAS)

    def forward(self, x: Tensor) -> Tensor:
        return highway(x, F.relu(self.transform(x)), torch.sigmoid(self.gate(x)))


class CharacterCnn(nn.Module):
    """Embedding, filters of several widths, the maximum over the word, highways, a projection."""

    def __init__(self, config: CharacterConfig, d_projection: int) -> None:
        super().__init__()
        c = self.config = config
        self.embedding = nn.Embedding(c.n_characters, c.d_character, padding_idx=PADDING)
        self.filters = nn.ModuleList(
            nn.Conv1d(c.d_character, count, width) for width, count in c.filters
        )
        self.highways = nn.ModuleList(Highway(c.n_filters) for _ in range(c.n_highway))
        self.projection = nn.Linear(c.n_filters, d_projection)

    def forward(self, character_ids: Tensor) -> Tensor:
        """character_ids [U, C] -> [U, d_projection]."""
        activation = ACTIVATIONS[self.config.activation]
        x = self.embedding(self.shortened(character_ids)).transpose(1, 2)  # [U, D, C]
        # Both activations are monotone: their maximum is that of what they are given.
        x = torch.cat([activation(f(x).amax(dim=2)) for f in self.filters], dim=1)  # [U, K]
        for layer in self.highways:
            x = layer(x)
        return self.projection(x)  # type: ignore[no-any-return]

    def shortened(self, character_ids: Tensor) -> Tensor:
        """Without the end that the longest word leaves empty, but for a filter's width of it or a
        little more (`PLACES_TOGETHER`).

        Every window beyond holds the same padding as the last one kept, and a maximum does not
        count: the result is that of all C places.
        """
        if not len(character_ids):
            return character_ids
        last = character_ids[:, -1:]  # of a word that fills its places no padding
        differs = (character_ids != last).any(dim=0)
        n_used = int(differs.nonzero()[-1]) + 1 if bool(differs.any()) else 1
        widest = max(width for width, _ in self.config.filters)
        return character_ids[:, : -(-(n_used + widest) // PLACES_TOGETHER) * PLACES_TOGETHER]
