"""Fixtures that every test may use."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from triptych.core.attention import MultiHeadAttention
from triptych.core.blocks import Block
from triptych.core.cache import DecoderCache
from triptych.core.feed_forward import FeedForward
from triptych.core.masks import causal_mask
from triptych.core.residual import PreNorm

os.environ.setdefault("OMP_NUM_THREADS", "1")  # runs are compared bit for bit: same threads

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; a test that asks for it skips where there is none."""
    folder = Path(os.environ.get("TRIPTYCH_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set TRIPTYCH_DATA)")
    return folder


class ByteTokenizer:
    """A token a byte, and one for the end of a text."""

    vocab_size, eos_id = 257, 256

    @property
    def token_bytes(self) -> list[bytes]:
        return [*(bytes([i]) for i in range(256)), b"<end>"]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        assert not isinstance(texts, str)
        return [list(text.encode()) for text in texts]

    def decode_bytes(self, token_ids: Sequence[int]) -> bytes:
        return bytes(i for i in token_ids if i != self.eos_id)

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        return ["<end>" if i == self.eos_id else f"<{i}>" for i in token_ids]


class ByteCache(DecoderCache):
    """With what of the past is real, and the number of rows at each step."""

    def __init__(self, n_layers: int, batch: int, room: int) -> None:
        super().__init__(n_layers, room=room)
        self.valid = torch.ones(batch, 0, dtype=torch.bool)
        self.steps: list[tuple[int, ...]] = []

    def select(self, rows: Tensor) -> None:
        super().select(rows)
        self.valid = self.valid[rows]


class ByteGpt(nn.Module):
    """Two pre-norm blocks of real attention, random and sharp; 3 rows that are no tokens."""

    def __init__(self, seed: int, max_seq_len: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = SimpleNamespace(max_seq_len=max_seq_len)
        width, n_rows = 24, ByteTokenizer.vocab_size + 3
        self.token_embedding = nn.Parameter(torch.randn(n_rows, width))
        self.positions = nn.Parameter(torch.randn(max_seq_len, width))
        self.blocks = nn.ModuleList(
            Block(
                attention=partial(MultiHeadAttention, width, 3),
                feed_forward=partial(FeedForward, width, 40, F.gelu),
                residual=partial(PreNorm, width, dropout=0.3),
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.caches: list[ByteCache] = []
        self.asked: list[int | None] = []
        with torch.no_grad():
            for block in self.blocks.parameters():
                block.mul_(2)
            self.norm.weight.mul_(0.4)

    def forward(
        self, token_ids: Tensor, *, valid: Tensor | None = None, cache: ByteCache | None = None
    ) -> Tensor:
        seen = torch.ones_like(token_ids, dtype=torch.bool) if valid is None else valid
        if cache is not None:
            cache.steps.append(tuple(token_ids.shape))
            seen = cache.valid = torch.cat([cache.valid, seen], dim=1)
        n_new, n_all = token_ids.size(1), seen.size(1)
        places = (seen.long().cumsum(1) - 1).clamp(min=0)[:, -n_new:]
        assert int(places.max()) < self.config.max_seq_len
        itself = torch.eye(n_all, dtype=torch.bool)[-n_new:]  # padding sees something
        mask = (causal_mask(n_new, n_all) & seen[:, None, :] | itself)[:, None]
        x = self.token_embedding[token_ids] + self.positions[places]
        for layer, block in enumerate(self.blocks):
            x = block(x, mask, None if cache is None else cache.layers[layer])
        return self.norm(x)

    def project(self, hidden: Tensor) -> Tensor:
        return hidden @ self.token_embedding.T

    def new_cache(self, batch: int, length: int) -> ByteCache:
        self.caches.append(ByteCache(len(self.blocks), batch, length))
        return self.caches[-1]

    def next_logits(
        self,
        token_ids: Tensor,
        cache: ByteCache,
        valid: Tensor | None = None,
        *,
        likeliest: int | None = None,
    ) -> Tensor:
        """Of the others than the likeliest nothing is told, where these alone are asked for."""
        self.asked.append(likeliest)
        hidden = self(token_ids, valid=valid, cache=cache)
        real = torch.ones_like(token_ids) if valid is None else valid.long()
        last = (torch.arange(real.size(1)) * real).argmax(dim=1)
        logits = self.project(hidden[torch.arange(len(hidden)), last])
        if likeliest is None or likeliest >= logits.size(1):
            return logits
        top, ids = logits.topk(likeliest, dim=1)
        return torch.full_like(logits, -torch.inf).scatter_(1, ids, top)


@pytest.fixture
def byte_gpt() -> ByteGpt:
    """A decoder-only model of bytes, with a context of 40."""
    return ByteGpt(1, 40).eval()


@pytest.fixture
def byte_tokenizer() -> ByteTokenizer:
    return ByteTokenizer()
