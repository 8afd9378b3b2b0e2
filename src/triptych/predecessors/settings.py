"""What Word2Vec and GloVe can be asked; light to import, for the command line."""

from dataclasses import dataclass
from typing import Literal

from triptych.errors import ConfigError

LARGEST_WINDOW = 20
"""So that sums of 1 / distance are exact: lcm(1 … 20) and 39 billion neighbors fit in 63 bits."""


@dataclass(frozen=True, kw_only=True)
class Word2VecSettings:
    """Word2Vec (Mikolov et al. 2013) with negative sampling; the defaults are gensim's."""

    architecture: Literal["skip-gram", "cbow"] = "skip-gram"
    """A word predicts each neighbor, or the mean of its neighbors predicts the word."""
    d_model: int = 100
    """Width of a vector."""
    window: int = 5
    """Words on either side; for each word a width from 1 to this is drawn."""
    negatives: int = 5
    """Words drawn against each neighbor."""
    subsample: float = 1e-3
    """The share of the text above which a word is passed over at random; 0 keeps all."""
    epochs: int = 5
    """Passes over the text."""
    learning_rate: float = 0.025
    """At the beginning; it falls linearly to 0.0001."""
    workers: int = 1
    """Threads; only one gives the same vectors again."""
    seed: int = 1
    """Of the first vectors and of every draw."""

    def __post_init__(self) -> None:
        if self.architecture not in ("skip-gram", "cbow"):
            raise ConfigError(f"architecture is {self.architecture!r}; choose skip-gram or cbow")
        check_at_least_one(self, "d_model", "window", "negatives", "epochs", "workers")
        _check_share(self.subsample)
        if not 0.0001 <= self.learning_rate <= 1:
            raise ConfigError(f"learning_rate is {self.learning_rate}; choose it in [0.0001, 1]")
        if not 0 <= self.seed < 1 << 32:  # which gensim's numbers need
            raise ConfigError(f"seed is {self.seed}; choose it from 0 to {(1 << 32) - 1}")

    @property
    def method(self) -> str:
        """What a model card calls it."""
        name = {"skip-gram": "Skip-gram", "cbow": "CBOW"}[self.architecture]
        return f"{name} with negative sampling (Mikolov et al. 2013), trained by gensim"


@dataclass(frozen=True, kw_only=True)
class GloveSettings:
    """GloVe (Pennington et al. 2014); the defaults are the paper's for vectors under 300 wide."""

    d_model: int = 100
    """Width of a vector."""
    window: int = 10
    """Words on either side; one at distance d counts 1 / d."""
    x_max: float = 100.0
    """The count from which a pair of words has full weight."""
    alpha: float = 0.75
    """Below that, its weight is (count / x_max) to this power."""
    subsample: float = 0.0
    """The share of the text above which a word is passed over at random, as in Word2Vec; 0 keeps
    all, as the paper does."""
    epochs: int = 50
    """Passes over the counts; the paper's 100 for wider vectors."""
    learning_rate: float = 0.05
    """Of AdaGrad, at the beginning."""
    initial_accumulator: float = 1.0
    """What AdaGrad's sums of squares begin at, in the authors' program 1; below it rare pairs
    learn sooner, which a small text needs."""
    memory: float = 1.0
    """GB for counting; what does not fit lies on the disk beside OUT. Another size gives the same
    counts in another order."""
    workers: int = 1
    """Threads; only one gives the same vectors again."""
    seed: int = 1
    """Of the first vectors and of the order of the counts."""

    def __post_init__(self) -> None:
        check_at_least_one(self, "d_model", "window", "epochs", "workers")
        if self.window > LARGEST_WINDOW:
            raise ConfigError(f"window is {self.window}; choose at most {LARGEST_WINDOW}")
        _check_share(self.subsample)
        if not self.x_max > 0:
            raise ConfigError(f"x_max is {self.x_max}; choose more than 0")
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha is {self.alpha}; choose it in [0, 1]")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"learning_rate is {self.learning_rate}; choose it in (0, 1]")
        if not 0 < self.initial_accumulator <= 1:
            raise ConfigError(
                f"initial_accumulator is {self.initial_accumulator}; choose it in (0, 1]"
            )
        if not 0.001 <= self.memory <= 1000:
            raise ConfigError(f"memory is {self.memory}; choose from 0.001 to 1000 GB")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; choose 0 or more")

    @property
    def method(self) -> str:
        """What a model card calls it."""
        return (
            "GloVe (Pennington et al. 2014); each vector is the sum of the word's and the context's"
        )


def _check_share(subsample: float) -> None:
    if not 0 <= subsample < 1:
        raise ConfigError(f"subsample is {subsample}; choose it in [0, 1)")


def check_at_least_one(settings: object, *names: str) -> None:
    """Raises ConfigError for a field that is 0 or less."""
    for name in names:
        if getattr(settings, name) < 1:
            raise ConfigError(f"{name} is {getattr(settings, name)}; choose 1 or more")
