"""Every error a user can meet, and the exit status each one gives.

    TriptychError            1   a fault of ours
    ├── UsageError           2   a wrong argument
    │   └── ConfigError      2   a wrong key or value in a configuration
    ├── DataError            3   a text, table or corpus that cannot be used
    ├── ModelFileError       3   a model folder that is damaged, incomplete or of another kind
    ├── DivergedError        4   training produced a value that is not a number
    └── MachineError         5   the machine refused: memory, port
        ├── DiskFullError    5
        └── LockedError      5   another process holds the run folder

A message is one sentence with the value, the place and the remedy.
"""


class TriptychError(Exception):
    """Base of all errors raised on purpose; `exit_status` is what the command line returns."""

    exit_status = 1


class UsageError(TriptychError):
    """An argument that cannot be honoured."""

    exit_status = 2


class ConfigError(UsageError):
    """A configuration key or value that is not understood."""


class DataError(TriptychError):
    """Text or tables that cannot be used as they are."""

    exit_status = 3


class ModelFileError(TriptychError):
    """A model folder or a file in it that is damaged, incomplete or of another kind."""

    exit_status = 3


class DivergedError(TriptychError):
    """A loss or gradient that is not finite; nothing was updated with it."""

    exit_status = 4


class MachineError(TriptychError):
    """The machine could not do what was asked."""

    exit_status = 5


class DiskFullError(MachineError):
    """No room left where a file had to be written."""


class LockedError(MachineError):
    """The run folder belongs to a process that is still alive."""
