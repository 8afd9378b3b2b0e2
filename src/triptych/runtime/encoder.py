"""The encoder's trunk for use and not for training: a fast twin of `Bert.forward`.

Its blocks are a `PostNormStack`; products are those of `runtime/linear.py`. Weights are the
module's own, but for the joined ones, which are made once from them: a model that is trained
further, or moved, needs a new twin.

Shapes: B batch, T positions, E model width.
"""

import torch
from torch import Tensor

from triptych.models.bert import Bert
from triptych.runtime.parts import plain_kit
from triptych.runtime.post_norm import PostNormStack


class FastBert:
    """`FastBert(bert)(token_ids, valid, segment_ids)` is `bert(…)`, without gradients.

    What stands where nothing is real means nothing, here as there, but other numbers.
    """

    def __init__(self, bert: Bert) -> None:
        self.bert = bert
        self.stack = PostNormStack(bert.blocks, plain_kit())

    @torch.inference_mode()
    def __call__(self, token_ids: Tensor, valid: Tensor, segment_ids: Tensor) -> Tensor:
        """[B, T] each -> hidden [B, T, E]."""
        return self.stack(self.bert.embed(token_ids, segment_ids), valid)
