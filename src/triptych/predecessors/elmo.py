"""Words in their sentence by two stacks of LSTMs — ELMo, Peters et al. 2018, §3.

Shapes: B sentences, T words with the two marks of the sentence, C characters of a word, P width of
a direction's output, D width of an LSTM's cells, L layers of LSTMs, V vocabulary.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.dropout import Dropout
from triptych.errors import ConfigError, UsageError
from triptych.predecessors.characters import CharacterCnn, CharacterConfig

WORDS_TOGETHER = 128
"""Distinct words are filled up to a multiple of so many: libraries make code for each new shape."""
N_DIRECTIONS = 2
"""Left to right, then right to left."""


@dataclass(frozen=True, kw_only=True)
class ElmoConfig:
    """The shape of a bidirectional language model; by default that of Peters et al. 2018."""

    characters: CharacterConfig = field(default_factory=CharacterConfig)
    """How a word is read."""
    d_cell: int = 4096
    """Cells of an LSTM [D]."""
    d_projection: int = 512
    """Width of a direction's output, and of the words that come in [P]."""
    n_layers: int = 2
    """LSTMs of each direction [L]."""
    cell_clip: float = 3.0
    """Largest absolute value of a cell."""
    projection_clip: float = 3.0
    """Largest absolute value of an output."""
    residuals: bool = True
    """From the second layer on, each one's input is added to its output."""
    vocab_size: int = 0
    """Words that are predicted [V]; none where only vectors are wanted."""
    dropout: float = 0.1
    """Probability of dropping, on what goes into each LSTM and into the softmax."""

    def __post_init__(self) -> None:
        for name in ("d_cell", "d_projection", "n_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("cell_clip", "projection_clip"):
            if not isinstance(getattr(self, name), int | float) or not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.vocab_size < 0:
            raise ConfigError(f"vocab_size is {self.vocab_size}; choose 0 or more")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; choose it in [0, 1)")

    @property
    def d_model(self) -> int:
        """Width of a word's vector at any layer: both directions, 2P."""
        return N_DIRECTIONS * self.d_projection


def lstm_step(gates: Tensor, cell: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """c′ = clip(σ(f) ⊙ c + σ(i) ⊙ tanh(g)), h = σ(o) ⊙ tanh(c′), for gates i, f, g, o [B, 4D].

    Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; gives h and c′ [B, D].
    """
    i, f, g, o = gates.chunk(4, dim=1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    cell = cell.clamp(-clip, clip)
    return o.sigmoid() * cell.tanh(), cell


class State(NamedTuple):
    """Where each direction of each layer is: what a text that goes on begins with."""

    hidden: Tensor
    """[L, 2, B, P]"""
    cells: Tensor
    """[L, 2, B, D]"""


class ProjectedLstm(nn.Module):
    """One layer in one direction; its output is projected and clipped — Sak et al. 2014, §2."""

    def __init__(self, d_projection: int, d_cell: int, *, cell_clip: float, clip: float) -> None:
        super().__init__()
        self.cell_clip, self.clip = cell_clip, clip
        self.w_input = nn.Parameter(torch.empty(4 * d_cell, d_projection))
        self.w_hidden = nn.Parameter(torch.empty(4 * d_cell, d_projection))
        self.bias = nn.Parameter(torch.zeros(4 * d_cell))
        self.w_projection = nn.Parameter(torch.empty(d_projection, d_cell))
        for weight in (self.w_input, self.w_hidden, self.w_projection):
            nn.init.uniform_(weight, -1 / math.sqrt(d_projection), 1 / math.sqrt(d_projection))
        with torch.no_grad():
            self.bias[d_cell : 2 * d_cell] = 1  # Jozefowicz et al. 2015: forget little at first

    def forward(
        self, x: Tensor, valid: Tensor | None, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [B, T, P], valid [B, T] or all real, hidden [B, P], cell [B, D] before the first word
        -> outputs [B, T, P], and hidden and cell after each row's last real word."""
        w_hidden, outputs = self.w_hidden.t(), []
        # All words at once [B, T, 4D]. Unbound, not selected: the gradient of each selection would
        # be as large as the whole, so that the backward pass moved T times as much memory.
        from_input = F.linear(x, self.w_input, self.bias).unbind(1)
        for t, own in enumerate(from_input):
            out, new_cell = lstm_step(own + hidden @ w_hidden, cell, self.cell_clip)
            new_hidden = F.linear(out, self.w_projection).clamp(-self.clip, self.clip)
            if valid is not None:
                real = valid[:, t, None]
                new_hidden = torch.where(real, new_hidden, hidden)
                new_cell = torch.where(real, new_cell, cell)
            hidden, cell = new_hidden, new_cell
            outputs.append(hidden)
        return torch.stack(outputs, dim=1), hidden, cell


class Elmo(nn.Module):
    """A word's characters, then L layers of LSTMs in each direction, which do not see each other.

    Each direction predicts its next word; both read the same words and use the same softmax.
    """

    def __init__(self, config: ElmoConfig) -> None:
        super().__init__()
        c = self.config = config
        self.characters = CharacterCnn(c.characters, c.d_projection)
        self.directions = nn.ModuleList(
            nn.ModuleList(
                ProjectedLstm(
                    c.d_projection, c.d_cell, cell_clip=c.cell_clip, clip=c.projection_clip
                )
                for _ in range(c.n_layers)
            )
            for _ in range(N_DIRECTIONS)
        )
        self.dropout = Dropout(c.dropout)
        self.word_scores = nn.Linear(c.d_projection, c.vocab_size) if c.vocab_size else None
        if self.word_scores is not None:
            nn.init.normal_(self.word_scores.weight, std=1 / math.sqrt(c.d_projection))
            nn.init.zeros_(self.word_scores.bias)

    def forward(self, character_ids: Tensor, valid: Tensor | None = None) -> Tensor:
        """character_ids [B, T, C], valid [B, T] -> the last layer [B, T, 2P], for the softmax."""
        return self.dropout(self.layers(character_ids, valid)[0][-1])  # type: ignore[no-any-return]

    def layers(
        self, character_ids: Tensor, valid: Tensor | None = None, state: State | None = None
    ) -> tuple[list[Tensor], State]:
        """All L + 1 layers [B, T, 2P], the words (twice, once a direction) first; the new state.

        `valid` [B, T] is True on real words, which stand at the beginning of their row; padding
        changes nothing. `state` is that after the sentences before these, row by row: the released
        code read any text so, each direction going on where it was. Without it each row begins
        from zeros.
        """
        words = self.read_words(character_ids)
        state = self.new_state(len(words), words) if state is None else state
        found = [
            self._run(d, words if d == 0 else reversed_within(words, valid), valid, state)
            for d in range(N_DIRECTIONS)
        ]
        outputs, hiddens, cells = zip(*found, strict=True)
        backward = [reversed_within(x, valid) for x in outputs[1]]
        both = [torch.cat(pair, dim=2) for pair in zip(outputs[0], backward, strict=True)]
        return both, State(torch.stack(hiddens, dim=1), torch.stack(cells, dim=1))

    def read_words(self, character_ids: Tensor) -> Tensor:
        """character_ids [B, T, C] -> [B, T, P]; a word that occurs again is read once."""
        n_characters = character_ids.size(2)
        if n_characters != self.config.characters.max_characters:
            raise UsageError(
                f"words have {n_characters} characters here, this model's have "
                f"{self.config.characters.max_characters}; pad them to as many"
            )
        flat = character_ids.reshape(-1, n_characters)  # [B·T, C]
        distinct, numbers = torch.unique(flat, dim=0, return_inverse=True)
        if self.training:
            distinct = F.pad(distinct, (0, 0, 0, -len(distinct) % WORDS_TOGETHER))
        words: Tensor = F.embedding(numbers, self.characters(distinct))
        return words.view(*character_ids.shape[:2], -1)

    def new_state(self, batch: int, like: Tensor) -> State:
        """Zeros, of `like`'s kind and on its device."""
        shape, c = (self.config.n_layers, N_DIRECTIONS, batch), self.config
        return State(like.new_zeros(*shape, c.d_projection), like.new_zeros(*shape, c.d_cell))

    @property
    def output_projection(self) -> tuple[Tensor, Tensor]:
        """weight [V, P] and bias [V] of the softmax. Raises UsageError for a model without one."""
        if self.word_scores is None:
            raise UsageError("this model predicts no words: the published files lack the softmax")
        return self.word_scores.weight, self.word_scores.bias

    def _run(
        self, direction: int, x: Tensor, valid: Tensor | None, state: State
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """The layers of one direction, the words first; hidden [L, B, P] and cells [L, B, D]."""
        outputs, hiddens, cells = [x], [], []
        layers: Any = self.directions[direction]
        for number, lstm in enumerate(layers):
            x = self.dropout(x)
            before = state.hidden[number, direction], state.cells[number, direction]
            y, hidden, cell = lstm(x, valid, *before)
            x = y + x if number and self.config.residuals else y
            outputs.append(x)
            hiddens.append(hidden)
            cells.append(cell)
        return outputs, torch.stack(hiddens), torch.stack(cells)


def reversed_within(x: Tensor, valid: Tensor | None) -> Tensor:
    """x [B, T, P] with the real words of each row in the opposite order; padding stays."""
    if valid is None:
        return x.flip(1)
    place = torch.arange(x.size(1), device=x.device)
    last = valid.sum(dim=1, keepdim=True) - 1
    order = torch.where(valid, last - place, place)  # [B, T]
    return x.gather(1, order[:, :, None].expand_as(x))


def mix_layers(layers: Tensor, scores: Tensor, scale: Tensor) -> Tensor:
    """γ Σ_j softmax(s)_j h_j — Peters et al. 2018, equation 1. layers [L + 1, ..., 2P]."""
    mixed: Tensor = scale * torch.tensordot(scores.softmax(dim=0), layers, dims=1)
    return mixed


class LayerMix(nn.Module):
    """Which layers a task wants: one learned score a layer, and one factor for all — §3.2, eq. 1.

    It begins as the mean of the layers.
    """

    def __init__(self, n_layers: int) -> None:
        """`n_layers` counts the words' own, which is the first."""
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(n_layers))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, layers: Tensor) -> Tensor:
        """layers [L + 1, ..., 2P] -> [..., 2P]. Raises UsageError for another number of layers."""
        if len(layers) != len(self.scores):
            raise UsageError(f"{len(layers)} layers for a mix of {len(self.scores)}; give as many")
        return mix_layers(layers, self.scores, self.scale)
