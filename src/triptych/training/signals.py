"""SIGTERM and SIGINT ask a run to stop; it saves first."""

import signal
from types import FrameType, TracebackType

EXIT_STATUS = {signal.SIGTERM: 75, signal.SIGINT: 130}


class StopRequest:
    """`with StopRequest() as stop:` … `if stop.signal: save and leave`.

    A second SIGINT leaves at once, with KeyboardInterrupt. In a thread other than the main
    one no signal can be caught, and none is.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    def __enter__(self) -> "StopRequest":
        try:
            for number in EXIT_STATUS:
                self._before[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread
            self._before.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
