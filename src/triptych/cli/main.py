"""The command line: find the verb, run it, turn what goes wrong into one sentence and a status.

Status: 0 done · 1 a fault of ours · 2 usage or configuration · 3 data or model file · 4 training
diverged · 5 the machine refused · 75 stopped by SIGTERM · 130 by SIGINT.
"""

import atexit
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from triptych import __version__
from triptych.cli.parsing import did_you_mean, parse_options
from triptych.cli.verbs import VERBS, groups
from triptych.errors import MachineError, TriptychError, UsageError

ABOUT = "The Transformer in its three classical forms, from one small core."
INTERRUPTED, TERMINATED = 130, 75
PEER_GONE = (
    *("closed by peer", "reset by peer", "Broken pipe"),
    *("remote process exited", "remote server shutdown"),
)
"""What torch's ways between processes say when the one at the other end is no longer there."""


def program() -> None:
    """`main` as a process of its own, which ends at once when what was registered for its end since
    now is done: to take itself apart, with torch loaded, Python needs another half second."""
    status: list[int] = []
    atexit.register(_end, status)  # the first to be registered is the last to be called
    status.append(main())
    sys.exit(status[0])


def _end(status: list[int]) -> None:
    """`main` has flushed what it wrote; here is what others wrote since."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    if status:
        os._exit(status[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Run `triptych` with these words, sys.argv's by default; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    show_traceback = "--traceback" in words or bool(os.environ.get("TRIPTYCH_TRACEBACK"))
    with _notices_on_stderr(), _terminable():
        try:
            status = _run_or_help(words)
            if sys.stdout is not None:
                sys.stdout.flush()  # so that a closed pipe and a full disk are noticed here
            return status
        except BrokenPipeError:
            return _pipe_closed()
        except BaseException as error:
            status, message = _answer(error)
            if show_traceback:
                traceback.print_exc()
            _say("error", message)
            return status


def _run_or_help(words: Sequence[str]) -> int:
    try:
        return _run(words)
    except SystemExit as stop:  # argparse, after printing help
        return stop.code if isinstance(stop.code, int) else 0


def _run(words: Sequence[str]) -> int:
    if words and words[0] == "--version":
        print(f"triptych {__version__}")
        return 0
    known = next((words[:n] for n in (2, 1) if tuple(words[:n]) in VERBS), None)
    if known is None:
        return _help_or_wrong(words)
    command, verb = " ".join(["triptych", *known]), VERBS[tuple(known)]
    module = importlib.import_module(f"triptych.cli.{verb.module}")
    options = parse_options(module.Options, words[len(known) :], command, verb.summary)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    status: int = module.run(options)
    return status


# -- help ---------------------------------------------------------------------------------------


def _help_or_wrong(words: Sequence[str]) -> int:
    """The list of verbs if it was asked for, or why these words are no verb."""
    asked = any(word in ("-h", "--help") for word in words[:2])
    group = words[0] if words and words[0] in groups() else ""
    if asked and (group or words[0].startswith("-")):
        print(_verb_list(group))
        return 0
    if not words:
        print(_verb_list(), file=sys.stderr)
        return UsageError.exit_status
    command = f"triptych {group}".strip()
    seconds = [verb[-1] for verb in VERBS if verb[0] == group]
    if group and len(words) == 1:
        raise UsageError(f"{command} needs one of {', '.join(seconds)}; see {command} --help")
    if group:
        hint = did_you_mean(words[1], seconds, command)
        raise UsageError(f"{command} has no {words[1]!r}{hint}")
    if words[0].startswith("-"):
        hint = did_you_mean(words[0], ["--help", "--version"], command)
        raise UsageError(f"triptych has no option {words[0]}{hint}")
    firsts = sorted({verb[0] for verb in VERBS})
    raise UsageError(f"there is no triptych {words[0]}{did_you_mean(words[0], firsts, command)}")


def _verb_list(group: str = "") -> str:
    rows = {
        " ".join(words): verb.summary for words, verb in VERBS.items() if group in ("", words[0])
    }
    width = max(map(len, rows))
    lines = [f"usage: triptych {f'{group} …' if group else 'VERB'} [options]", "", ABOUT, ""]
    lines += [f"  {name:<{width}}  {summary}" for name, summary in rows.items()]
    lines += ["", "triptych VERB --help tells a verb's options; triptych --version, the version."]
    return "\n".join(lines)


# -- what goes wrong ----------------------------------------------------------------------------


def _answer(error: BaseException) -> tuple[int, str]:
    """Exit status and sentence for an error."""
    if isinstance(error, TriptychError):
        return error.exit_status, str(error)
    if isinstance(error, _Terminated):
        return TERMINATED, "stopped by SIGTERM"
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "interrupted"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        remedy = "give smaller batches (--batch-tokens) or a narrower model, or a larger machine"
        return MachineError.exit_status, f"there is not enough memory; {remedy}"
    if isinstance(error, OSError):
        return MachineError.exit_status, f"the machine refused: {text}"
    if isinstance(error, RuntimeError) and any(words in text for words in PEER_GONE):
        return MachineError.exit_status, (
            "another process of this run ended or cannot be reached; look for what it said last "
            f"({text[:200]})"
        )
    return 1, (
        f"a fault in triptych itself ({type(error).__name__}: {text[:200]}); "
        "--traceback shows where, for a report"
    )


def _say(kind: str, message: str) -> None:
    print(f"{_colored(kind)}: {message}", file=sys.stderr, flush=True)


def _colored(kind: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    if plain or not sys.stderr.isatty():
        return kind
    return f"\x1b[{'31;1' if kind == 'error' else '33'}m{kind}\x1b[0m"


def _pipe_closed() -> int:
    """The reader has had enough (`| head`): nothing to say, and nothing more to flush."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    return 0


# -- around a run -------------------------------------------------------------------------------


class _Notices(logging.Handler):
    """`triptych` says each notice once; here is where a person sees it."""

    def emit(self, record: logging.LogRecord) -> None:
        _say("note", record.getMessage())


@contextmanager
def _notices_on_stderr() -> Iterator[None]:
    logger, handler = logging.getLogger("triptych"), _Notices()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Terminated(BaseException):
    """SIGTERM outside of training, which has its own way to stop."""


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM as an exception, so that temporary files are cleared away."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    try:
        before = signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    program()
