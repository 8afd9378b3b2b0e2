"""A token embedding that begins from word vectors, which a pass over the text gives for little."""

import numpy as np
import torch
from torch import nn

from triptych.errors import ConfigError
from triptych.files.notices import notice
from triptych.predecessors.vectors import WordVectors
from triptych.tokenizers.wordpiece import WordPiece


def check_width(vectors: WordVectors, d_model: int) -> None:
    """Raises ConfigError for vectors of another width than the model's."""
    if vectors.d_model != d_model:
        raise ConfigError(
            f"the word vectors are {vectors.d_model} wide and the model {d_model}; train them with "
            f"--d-model {d_model}"
        )


@torch.no_grad()
def begin_from_vectors(
    embedding: nn.Embedding, tokenizer: WordPiece, vectors: WordVectors, std: float
) -> None:
    """Give each token [V, E] that is a word its vector, and say how many there were.

    The vectors are moved and scaled as a whole to mean zero and deviation `std`, the law of all
    other first weights. Pieces that go on with a word, and words without a vector, keep theirs.

    Raises ConfigError for vectors of another width, of none of the tokens, or all alike.
    """
    check_width(vectors, embedding.embedding_dim)
    whole = np.flatnonzero(~tokenizer.is_continuation).tolist()
    tokens = zip(whole, tokenizer.tokens(whole), strict=True)
    found = [(i, row) for i, token in tokens if (row := vectors.find(token)) is not None]
    if not found:
        raise ConfigError("no token has a word vector; are they of another language?")
    token_ids, rows = (list(column) for column in zip(*found, strict=True))
    chosen = vectors.vectors[rows].astype(np.float64)
    chosen -= chosen.mean(axis=0)
    spread = float(chosen.std())
    if not spread > 0:
        raise ConfigError(f"the word vectors of all {len(found):,} tokens are alike; train others")
    chosen *= std / spread
    embedding.weight[token_ids] = torch.from_numpy(chosen).to(embedding.weight)
    notice(f"{len(found):,} of {tokenizer.vocab_size:,} tokens begin from word vectors")
