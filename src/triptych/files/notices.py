"""Things worth telling a user once."""

import logging

_said: set[str] = set()
_logger = logging.getLogger("triptych")


def notice(message: str, *, key: str | None = None) -> None:
    """Say it once a process for each key (by default the message itself), on standard error."""
    key = message if key is None else key
    if key not in _said:
        _said.add(key)
        _logger.warning(message)
