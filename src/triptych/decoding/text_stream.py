"""Text as it grows, token by token: never half a character, never part of a stop string."""

import codecs
from collections.abc import Callable, Sequence

DecodeBytes = Callable[[Sequence[int]], bytes]
"""The bytes of some tokens: those of each, one after the other."""


class TextStream:
    """The text of one row of a batch. `push` gives what each token adds and can no longer change.

    A token need not end where a character does, nor where a stop string begins; what may still
    become part of either is held back. The text ends before the first of the stop strings, that
    which begins first where a token completes several.
    """

    def __init__(self, decode_bytes: DecodeBytes, stop: Sequence[str] = ()) -> None:
        self.decode_bytes, self.stop = decode_bytes, tuple(stop)
        self.text = ""
        """What has been given."""
        self.found: str | None = None
        """The stop string that ended the text."""
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def push(self, token_id: int) -> str:
        """The text that is certain now and was not before."""
        return self._add(self._characters.decode(self.decode_bytes([token_id])))

    def finish(self) -> str:
        """The rest, when no token will follow: bytes that are no character become U+FFFD."""
        last = self._add(self._characters.decode(b"", final=True))
        return last if self.found is not None else last + self._give(len(self._held))

    def _add(self, new: str) -> str:
        if self.found is not None:
            return ""
        self._held += new
        places = [(self._held.find(stop), stop) for stop in self.stop if stop in self._held]
        if not places:
            return self._give(len(self._held) - self._possible())
        place, self.found = min(places)
        piece = self._give(place)
        self._held = ""
        return piece

    def _give(self, length: int) -> str:
        piece, self._held = self._held[:length], self._held[length:]
        self.text += piece
        return piece

    def _possible(self) -> int:
        """How many of the last characters held may be the beginning of a stop string."""
        longest = max((len(stop) for stop in self.stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self.stop):
                return length
        return 0
