"""How to go on with a text: the choices of a person, and those a model folder brings along."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from triptych.decoding.sampling import Sampling
from triptych.errors import ModelFileError, UsageError

OnTooLong = Literal["refuse", "window"]

FROM_FOLDER = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_new_tokens")
"""Settings of a generation_config.json that have our names and our meaning."""


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """How texts go on. By default tokens are drawn from the distribution of the model itself."""

    max_new_tokens: int = 64
    """Most tokens of a text, its end included."""
    temperature: float = 1.0
    """Divides the scores; below 1 favors what is likely, and 0 is greedy."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens only."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that make up this probability together."""
    min_p: float = 0.0
    """Draw from tokens at least this times as probable as the likeliest."""
    repetition_penalty: float = 1.0
    """Above 1 makes every token of the prompt and of the text so far less likely."""
    presence_penalty: float = 0.0
    """Taken from the score of every token of the text so far, the prompt not counted."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the scores of these ids; -inf forbids one."""
    stop: tuple[str, ...] = ()
    """A text ends before the first of these."""
    seed: int = 1
    """The same seed gives the same prompt the same text; prompts that are alike get others."""
    best_of: int = 1
    """Texts drawn for a prompt, of which that with the highest mean log-probability is kept."""
    on_too_long: OnTooLong = "refuse"
    """What exceeds the model's context: refuse such a prompt and end such a text, or let the
    beginning go out of the model's sight, which is said."""

    def __post_init__(self) -> None:
        self.sampling()
        for name in ("max_new_tokens", "best_of"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if isinstance(self.stop, str):
            raise UsageError(f"stop is one text, {self.stop!r}; give a tuple of them")
        if "" in self.stop:
            raise UsageError("stop has an empty string, which every text holds; leave it out")
        if self.best_of > 1 and self.temperature == 0:
            raise UsageError(
                f"best_of is {self.best_of} and temperature 0, which draws one text only; "
                "raise the temperature"
            )
        if self.on_too_long not in ("refuse", "window"):
            raise UsageError(f"on_too_long is {self.on_too_long!r}; choose refuse or window")

    def sampling(self) -> Sampling:
        """The part that every draw is told."""
        return Sampling(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            logit_bias=self.logit_bias,
        )


def changed(options: GenerateOptions, given: Mapping[str, Any]) -> GenerateOptions:
    """`options` with those given, that are not None, in their place. Raises UsageError."""
    return replace(options, **{name: value for name, value in given.items() if value is not None})


def generation_options(generation: Mapping[str, Any], place: str) -> GenerateOptions:
    """The options that a model's generation_config.json asks for; the rest as usual.

    `do_sample`, where it stands, says whether to draw or to be greedy. A `top_k` of 0 is none.
    Raises ModelFileError for a value out of range.
    """
    given = {name: generation[name] for name in FROM_FOLDER if generation.get(name) is not None}
    if given.get("top_k") == 0:
        del given["top_k"]
    if generation.get("do_sample") is False:
        given["temperature"] = 0.0
    for name, value in given.items():
        whole = name in ("top_k", "max_new_tokens")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            kind = "a whole number" if whole else "a number"
            raise ModelFileError(f"{place}: {name} is {value!r}; it should be {kind}")
    try:
        return GenerateOptions(**given)
    except UsageError as error:
        raise ModelFileError(f"{place}: {error}") from error
