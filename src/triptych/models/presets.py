"""The papers' tables as functions: what differs between sizes is what you read.

Parameters counted here, and as the papers print them:

    tiny, 9,960 joint entries        2,599,936
    base, 37,000 joint entries      63,082,496    65 M
    big, 37,000 joint entries      214,245,376    213 M
    gpt2, 50,257 entries           124,439,808    117 M
    gpt2-medium                    354,823,168    345 M
    gpt2-large                     774,030,080    762 M
    gpt2-xl                      1,557,611,200    1542 M

Ours hold the embedding once and biases on every projection, as MarianMT's; Vaswani
et al. 2017 say "about 37000" entries and not how they count. Radford et al. 2019 counted
wrongly, as the README of their released code says.
"""

from collections.abc import Callable
from dataclasses import replace

from triptych.errors import ConfigError
from triptych.models.bert import BertConfig
from triptych.models.encoder_decoder import EncoderDecoderConfig
from triptych.models.gpt import GptConfig


def transformer_base(vocab_size: int, pad_id: int, eos_id: int) -> EncoderDecoderConfig:
    """Vaswani et al. 2017, table 3, base."""
    return EncoderDecoderConfig(
        vocab_size=vocab_size, pad_id=pad_id, eos_id=eos_id, start_id=pad_id
    )


def transformer_big(vocab_size: int, pad_id: int, eos_id: int) -> EncoderDecoderConfig:
    """Vaswani et al. 2017, table 3, big (P_drop 0.3, as for English-German)."""
    base = transformer_base(vocab_size, pad_id, eos_id)
    return replace(base, d_model=1024, d_ff=4096, n_heads=16, dropout=0.3)


def transformer_tiny(vocab_size: int, pad_id: int, eos_id: int) -> EncoderDecoderConfig:
    """Wu et al. 2021 (Multi30k): 128 wide, 256 within, 4 heads, 4 + 4 layers, P_drop 0.3."""
    base = transformer_base(vocab_size, pad_id, eos_id)
    narrow = replace(base, d_model=128, d_ff=256, n_heads=4, dropout=0.3)
    return replace(narrow, n_encoder_layers=4, n_decoder_layers=4)


def transformer_nano(vocab_size: int, pad_id: int, eos_id: int) -> EncoderDecoderConfig:
    """Half of tiny's layers: a model for the demo, which learns in two or three minutes."""
    tiny = transformer_tiny(vocab_size, pad_id, eos_id)
    return replace(tiny, n_encoder_layers=2, n_decoder_layers=2, dropout=0.1)


TRANSLATION_PRESETS: dict[str, Callable[[int, int, int], EncoderDecoderConfig]] = {
    "nano": transformer_nano,
    "tiny": transformer_tiny,
    "base": transformer_base,
    "big": transformer_big,
}


def translation_preset(
    name: str, vocab_size: int, pad_id: int, eos_id: int
) -> EncoderDecoderConfig:
    """The named preset for a vocabulary; raises ConfigError for an unknown name."""
    if name not in TRANSLATION_PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(TRANSLATION_PRESETS)}")
    return TRANSLATION_PRESETS[name](vocab_size, pad_id, eos_id)


def bert_base(vocab_size: int, pad_id: int) -> BertConfig:
    """Devlin et al. 2018, §3: 12 layers, 768 wide, 12 heads."""
    return BertConfig(vocab_size=vocab_size, pad_id=pad_id)


def bert_large(vocab_size: int, pad_id: int) -> BertConfig:
    """Devlin et al. 2018, §3: 24 layers, 1024 wide, 16 heads."""
    return _bert(vocab_size, pad_id, n_layers=24, d_model=1024)


def bert_medium(vocab_size: int, pad_id: int) -> BertConfig:
    """Turc et al. 2019: 8 layers, 512 wide."""
    return _bert(vocab_size, pad_id, n_layers=8, d_model=512)


def bert_small(vocab_size: int, pad_id: int) -> BertConfig:
    """Turc et al. 2019: 4 layers, 512 wide."""
    return _bert(vocab_size, pad_id, n_layers=4, d_model=512)


def bert_mini(vocab_size: int, pad_id: int) -> BertConfig:
    """Turc et al. 2019: 4 layers, 256 wide."""
    return _bert(vocab_size, pad_id, n_layers=4, d_model=256)


def bert_tiny(vocab_size: int, pad_id: int) -> BertConfig:
    """Turc et al. 2019: 2 layers, 128 wide."""
    return _bert(vocab_size, pad_id, n_layers=2, d_model=128)


def bert_nano(vocab_size: int, pad_id: int) -> BertConfig:
    """Tiny's work in another shape, for the demo: 3 layers, 128 wide, 256 within, 4 heads.

    With tiny's two layers of two heads, stories are learned sentence by sentence only.
    """
    tiny = bert_tiny(vocab_size, pad_id)
    return replace(tiny, n_layers=3, d_ff=256, n_heads=4)


def _bert(vocab_size: int, pad_id: int, *, n_layers: int, d_model: int) -> BertConfig:
    """What the papers' sizes share: heads of 64, and 4E within."""
    base = bert_base(vocab_size, pad_id)
    return replace(
        base, n_layers=n_layers, d_model=d_model, d_ff=4 * d_model, n_heads=d_model // 64
    )


BERT_PRESETS: dict[str, Callable[[int, int], BertConfig]] = {
    "nano": bert_nano,
    "tiny": bert_tiny,
    "mini": bert_mini,
    "small": bert_small,
    "medium": bert_medium,
    "base": bert_base,
    "large": bert_large,
}


def bert_preset(name: str, vocab_size: int, pad_id: int) -> BertConfig:
    """The named preset for a vocabulary; raises ConfigError for an unknown name."""
    if name not in BERT_PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(BERT_PRESETS)}")
    return BERT_PRESETS[name](vocab_size, pad_id)


def gpt2(vocab_size: int, eos_id: int | None) -> GptConfig:
    """Radford et al. 2019, table 2, the first row: 12 layers, 768 wide, heads of 64."""
    return GptConfig(vocab_size=vocab_size, eos_id=eos_id)


def gpt2_medium(vocab_size: int, eos_id: int | None) -> GptConfig:
    """Radford et al. 2019, table 2: 24 layers, 1024 wide."""
    return _gpt(vocab_size, eos_id, n_layers=24, d_model=1024)


def gpt2_large(vocab_size: int, eos_id: int | None) -> GptConfig:
    """Radford et al. 2019, table 2: 36 layers, 1280 wide."""
    return _gpt(vocab_size, eos_id, n_layers=36, d_model=1280)


def gpt2_xl(vocab_size: int, eos_id: int | None) -> GptConfig:
    """Radford et al. 2019, table 2: 48 layers, 1600 wide."""
    return _gpt(vocab_size, eos_id, n_layers=48, d_model=1600)


def gpt_small(vocab_size: int, eos_id: int | None) -> GptConfig:
    """A third of gpt2, for a night on a laptop: 8 layers, 512 wide, context 512."""
    return replace(_gpt(vocab_size, eos_id, n_layers=8, d_model=512), max_seq_len=512)


def gpt_mini(vocab_size: int, eos_id: int | None) -> GptConfig:
    """nanoGPT's model of Shakespeare's characters: 6 layers, 384 wide, context 256."""
    return replace(_gpt(vocab_size, eos_id, n_layers=6, d_model=384), max_seq_len=256)


def gpt_tiny(vocab_size: int, eos_id: int | None) -> GptConfig:
    """Between mini and nano: 4 layers, 256 wide, context 256."""
    return replace(_gpt(vocab_size, eos_id, n_layers=4, d_model=256), max_seq_len=256)


def gpt_nano(vocab_size: int, eos_id: int | None) -> GptConfig:
    """nanoGPT's model for a CPU: 4 layers, 128 wide, 4 heads; context 256, there 64."""
    narrow = _gpt(vocab_size, eos_id, n_layers=4, d_model=128)
    return replace(narrow, n_heads=4, max_seq_len=256)


def _gpt(vocab_size: int, eos_id: int | None, *, n_layers: int, d_model: int) -> GptConfig:
    """What the paper's sizes share: heads of 64, and 4E within."""
    first = gpt2(vocab_size, eos_id)
    return replace(
        first, n_layers=n_layers, d_model=d_model, d_ff=4 * d_model, n_heads=d_model // 64
    )


GPT_PRESETS: dict[str, Callable[[int, int | None], GptConfig]] = {
    "nano": gpt_nano,
    "tiny": gpt_tiny,
    "mini": gpt_mini,
    "small": gpt_small,
    "gpt2": gpt2,
    "gpt2-medium": gpt2_medium,
    "gpt2-large": gpt2_large,
    "gpt2-xl": gpt2_xl,
}


def gpt_preset(name: str, vocab_size: int, eos_id: int | None = None) -> GptConfig:
    """The named preset for a vocabulary; raises ConfigError for an unknown name."""
    if name not in GPT_PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(GPT_PRESETS)}")
    return GPT_PRESETS[name](vocab_size, eos_id)
