"""Sizes of ELMo: the published ones, and two for a computer without a GPU."""

from collections.abc import Callable

from triptych.errors import ConfigError
from triptych.predecessors.characters import CharacterConfig
from triptych.predecessors.elmo import ElmoConfig


def elmo_original(vocab_size: int) -> ElmoConfig:
    """Peters et al. 2018, §3.4: 4096 cells, 512 wide; 93.6 M parameters without the softmax."""
    return ElmoConfig(vocab_size=vocab_size)


def elmo_medium(vocab_size: int) -> ElmoConfig:
    """Published beside it: 2048 cells, 256 wide, one highway layer; 28.0 M."""
    return _elmo(vocab_size, d_cell=2048, d_projection=256, characters=CharacterConfig(n_highway=1))


def elmo_small(vocab_size: int) -> ElmoConfig:
    """Published beside it: 1024 cells, 128 wide, one highway layer; 13.6 M."""
    return _elmo(vocab_size, d_cell=1024, d_projection=128, characters=CharacterConfig(n_highway=1))


def elmo_tiny(vocab_size: int) -> ElmoConfig:
    """512 cells, 128 wide, 256 filters: for a corpus of millions of words on two cores."""
    filters = ((1, 16), (2, 16), (3, 32), (4, 64), (5, 128))
    characters = CharacterConfig(filters=filters, n_highway=1)
    return _elmo(vocab_size, d_cell=512, d_projection=128, characters=characters)


def elmo_nano(vocab_size: int) -> ElmoConfig:
    """128 cells, 64 wide, 96 filters: learns storybook in minutes."""
    filters = ((1, 8), (2, 8), (3, 16), (4, 32), (5, 32))
    characters = CharacterConfig(filters=filters, n_highway=1)
    return _elmo(vocab_size, d_cell=128, d_projection=64, characters=characters)


def _elmo(
    vocab_size: int, *, d_cell: int, d_projection: int, characters: CharacterConfig
) -> ElmoConfig:
    return ElmoConfig(
        vocab_size=vocab_size, d_cell=d_cell, d_projection=d_projection, characters=characters
    )


ELMO_PRESETS: dict[str, Callable[[int], ElmoConfig]] = {
    "nano": elmo_nano,
    "tiny": elmo_tiny,
    "small": elmo_small,
    "medium": elmo_medium,
    "original": elmo_original,
}


def elmo_preset(name: str, vocab_size: int) -> ElmoConfig:
    """The named preset for a vocabulary; raises ConfigError for an unknown name."""
    if name not in ELMO_PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(ELMO_PRESETS)}")
    return ELMO_PRESETS[name](vocab_size)
