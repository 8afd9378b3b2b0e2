"""Blocks that keep less while training: activation checkpointing (Chen et al. 2016, §4)."""

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from triptych.core.blocks import Block, CrossBlock


def checkpoint_blocks(model: nn.Module) -> nn.Module:
    """Let every block keep only what enters it, and compute the rest again for the gradient.

    Losses and gradients stay the same to the bit: the random numbers of dropout are drawn again
    from the saved state of their generator. A training step costs about one more forward pass of
    the blocks; without gradients nothing changes. Changes the model in place and returns it; its
    parameters keep their names.
    """
    for part in model.modules():
        if isinstance(part, Block | CrossBlock):
            again = partial(checkpoint, part.forward, use_reentrant=False)
            part.forward = again  # type: ignore[method-assign]
    return model
