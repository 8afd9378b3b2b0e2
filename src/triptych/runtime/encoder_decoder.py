"""An encoder-decoder for use and not for training: a fast twin of `EncoderDecoder`, on a CPU.

Weights are packed for their product (`runtime/packed.py`). The source goes through without padding
(`runtime/post_norm.py`). Keys and values of the source are computed once a sentence and stand once
a sentence: the beams of a sentence ask them together, as a query each, so nothing of the source is
copied when a search repeats or reorders its rows.

Shapes: B sentences, K beams of each, R = B · K rows, T new target positions, S source positions,
E model width, H heads, D head width, V vocabulary.
"""

import torch
from torch import Tensor, nn

from triptych.core.blocks import CrossBlock
from triptych.core.cache import KeysAndValues
from triptych.core.masks import padding_mask
from triptych.models.encoder_decoder import EncoderDecoder
from triptych.runtime.freed import give_back, one_by_one
from triptych.runtime.packed import Precision
from triptych.runtime.parts import (
    FastFeedForward,
    Kit,
    additive,
    affine,
    attend,
    attend_one,
    joined,
    merge,
    packed_kit,
    scaled_queries,
    split,
    steps_kit,
)
from triptych.runtime.past import Past, Places
from triptych.runtime.post_norm import PostNormStack
from triptych.runtime.steps import for_steps


class FastEncoderDecoder:
    """`FastEncoderDecoder(module)` translates and scores as `module` does, in evaluation and
    without gradients.

    It keeps packed copies of the weights: a module that is trained further, or moved, needs a new
    twin. Embeddings are the module's own.
    """

    def __init__(self, module: EncoderDecoder, precision: Precision = "fp32") -> None:
        self.module, self.precision = module, precision
        self.encoder = PostNormStack(module.encoder, packed_kit(precision))
        kit = steps_kit(precision)
        self.blocks = one_by_one(lambda block: _FastCrossBlock(block, kit), module.decoder)
        weight, bias = module.output_projection
        self.head = for_steps(weight, bias, precision)
        give_back()

    @torch.inference_mode()
    def __call__(self, source_ids: Tensor, source_valid: Tensor, target_ids: Tensor) -> Tensor:
        """source_ids [B, S], source_valid [B, S], target_ids [B, T] -> hidden [B, T, E]."""
        return self._decode(target_ids, self.start_decoding(source_ids, source_valid))

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """hidden [..., E] -> [..., V], in float32."""
        return self.head(hidden).float()

    @torch.inference_mode()
    def start_decoding(self, source_ids: Tensor, source_valid: Tensor) -> "FastCache":
        """Encode once; the cache then carries all that `next_logits` needs."""
        hidden = self.encoder(self.module.embed(source_ids).float(), source_valid)
        held = [block.keys_and_values(hidden) for block in self.blocks]
        return FastCache(SourceMemory(held, source_valid), self.blocks[0].n_heads)

    @torch.inference_mode()
    def next_logits(self, token_ids: Tensor, cache: "FastCache") -> Tensor:
        """token_ids [R, 1] new target tokens -> [R, V], scores of what follows them."""
        return self.logits(self._decode(token_ids, cache)[:, -1])

    def _decode(self, token_ids: Tensor, cache: "FastCache") -> Tensor:
        """token_ids [R, T], more than one only at the beginning -> hidden [R, T, E]."""
        assert token_ids.size(1) == 1 or cache.length == 0
        x = self.module.embed(token_ids, cache.length).float()
        cache.places.extend(*token_ids.shape)
        for number, block in enumerate(self.blocks):
            x = block(x, cache, number)
        return x


class SourceMemory:
    """What the decoder sees of the source: keys and values of each layer, once a sentence."""

    def __init__(self, held: list[KeysAndValues], valid: Tensor) -> None:
        """held: k and v of each layer, [B, H, S, D] each; valid [B, S]."""
        self.held = held
        self.mask = None if bool(valid.all()) else additive(padding_mask(valid))  # [B, 1, 1, S]
        self.n_sentences, self.n_beams = len(valid), 1

    def attend(self, q: Tensor, layer: int) -> Tensor:
        """q [R, T, E], scaled, sentence by sentence -> values [R, T, E]."""
        k, v = self.held[layer]
        n_rows, n_new, width = q.shape
        if n_new == 1:
            return attend_one(q.view(n_rows, k.size(1), 1, -1), k, v, self.mask)
        together = q.view(self.n_sentences, self.n_beams * n_new, -1, k.size(-1))  # [B, K·T, H, D]
        values = attend(together.transpose(1, 2), k, v, self.mask)
        return merge(values).view(n_rows, n_new, width)

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows; rows is [R'] int64, of any order."""
        sentences, counts = torch.unique_consecutive(rows // self.n_beams, return_counts=True)
        if bool((counts == counts[0]).all()):
            self.n_beams = int(counts[0])
        else:  # not as many rows of each: every row has the source for itself
            sentences, self.n_beams = rows // self.n_beams, 1
        if not torch.equal(sentences, torch.arange(self.n_sentences)):
            self.held = [(k[sentences], v[sentences]) for k, v in self.held]
            self.mask = None if self.mask is None else self.mask[sentences]
        self.n_sentences = len(sentences)


class FastCache:
    """What each block remembers of the target so far, and the source."""

    def __init__(self, source: SourceMemory, n_heads: int) -> None:
        self.source, self.places = source, Places()
        self.pasts = [Past(n_heads) for _ in source.held]

    @property
    def length(self) -> int:
        """Target positions already seen."""
        return self.places.length

    def select(self, rows: Tensor) -> None:
        """Keep, repeat or reorder rows; rows is [R'] int64, with values below the present R."""
        self.reorder(rows)
        self.source.select(rows)

    def reorder(self, rows: Tensor) -> None:
        """As `select`, where each row follows one of the same sentence: the source stays."""
        self.places.select(rows)


class _FastCrossBlock:
    """Self-attention, attention over the source, feed-forward; a norm after each, x [R, T, E]."""

    def __init__(self, block: nn.Module, kit: Kit) -> None:
        assert isinstance(block, CrossBlock)
        own, cross = block.self_attention, block.cross_attention
        self.n_heads = own.n_heads
        self.w_qkv = joined(kit, scaled_queries(own), affine(own.w_k), affine(own.w_v))
        self.w_o = kit.product(*affine(own.w_o), None)
        self.w_q = kit.product(*scaled_queries(cross), None)
        self.w_kv = joined(kit, affine(cross.w_k), affine(cross.w_v))  # E -> 2E
        self.cross_w_o = kit.product(*affine(cross.w_o), None)
        self.feed_forward = FastFeedForward(kit, block.feed_forward)
        residuals = (block.residual_1, block.residual_2, block.residual_3)
        self.norms = [kit.norm(residual.norm) for residual in residuals]

    def keys_and_values(self, memory: Tensor) -> KeysAndValues:
        """memory [B, S, E] -> k and v [B, H, S, D] each."""
        k, v = split(self.w_kv(memory).float(), 2, self.n_heads)
        return k.contiguous(), v.contiguous()

    def __call__(self, x: Tensor, cache: FastCache, layer: int) -> Tensor:
        """x is overwritten."""
        norm_1, norm_2, norm_3 = self.norms
        own = cache.pasts[layer].attend(self.w_qkv(x).float(), cache.places)
        x = norm_1(x.add_(self.w_o(own)))
        x = norm_2(x.add_(self.cross_w_o(cache.source.attend(self.w_q(x).float(), layer))))
        return norm_3(x.add_(self.feed_forward(x)))
