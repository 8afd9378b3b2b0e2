"""A tokenizer that needs no training, and a small model for it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from triptych.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig

EOS, UNK, PAD = 0, 1, 58
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,\n"


class LetterTokenizer:
    """One token a letter; a space belongs to the letter after it (and is a token of its own)."""

    vocab_size, pad_id, eos_id, unk_id = PAD + 1, PAD, EOS, UNK
    space = 2

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        return [
            [self.space if x == " " else LETTERS.index(x) + 3 if x in LETTERS else UNK for x in t]
            + [EOS]
            for t in (text.replace("\u00ad", "") for text in texts)
        ]

    encode_target = encode_source

    def decode_target(self, token_ids: Sequence[int]) -> str:
        return "".join(self.target_tokens([i for i in token_ids if i not in (EOS, UNK, PAD)]))

    def source_tokens(self, token_ids: Sequence[int]) -> list[str]:
        names = {EOS: "</s>", UNK: "<unk>", PAD: "<pad>", self.space: " "}
        return [names.get(i) or LETTERS[i - 3] for i in token_ids]

    target_tokens = source_tokens

    def source_words(self, token_ids: Sequence[int]) -> list[int]:
        words, word = [], 0
        for i in token_ids:
            word += i == self.space
            words.append(-1 if i in (EOS, UNK, PAD) else word)
        return words

    target_words = source_words

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@pytest.fixture(scope="session")
def letters() -> LetterTokenizer:
    return LetterTokenizer()


@pytest.fixture(scope="session")
def letter_model() -> EncoderDecoder:
    """Random weights, far from uniform, that end a text now and then."""
    torch.manual_seed(5)
    config = EncoderDecoderConfig(
        vocab_size=PAD + 1, d_model=32, d_ff=64, n_heads=4, n_encoder_layers=2,
        n_decoder_layers=2, dropout=0.3, max_seq_len=48, pad_id=PAD, eos_id=EOS, start_id=PAD,
    )  # fmt: skip
    model = EncoderDecoder(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "embedding" not in name:
                weight.mul_(8)
            if name.endswith(("w_q.weight", "w_k.weight", "w_v.weight")):
                weight.mul_(2**0.5)
            if name.startswith("decoder") and name.endswith("residual_1.norm.weight"):
                weight.mul_(0.2)  # what it has said counts less than what it reads
        model.final_logits_bias[EOS] = 2.0
    return model
