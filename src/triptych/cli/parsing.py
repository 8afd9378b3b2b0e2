"""The words of a command line, and the file of `--config`, as a verb's options.

argparse cuts the line into words. What a word may be is decided by `triptych.config`, which reads
run.toml as well: an option and a key of the file have one type, one range and one message.
"""

import argparse
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from triptych.cli.options import Keys, Option, options_of
from triptych.config import from_dict, read_toml
from triptych.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")

CONFIG, RUN = ("config",), "run"
"""The option that names a file, and the field of options that the file fills."""


def parse_options(cls: type[C], words: Sequence[str], command: str, summary: str) -> C:
    """The words of a command line as a `cls`; prints help and leaves if they ask for it.

    Raises UsageError in one sentence: an option that is not known, lacks its value, is missing,
    or has a value that `triptych.config` refuses.
    """
    options = options_of(cls)
    parser = _parser(options, command, summary)
    _check_spelling(words, parser, command)
    found, strange = parser.parse_known_args(words)
    if strange:
        raise UsageError(f"{command} has no use for {strange[0]!r}; see {command} --help")
    given = {
        option.keys: _from_words(option, vars(found)[option.name])
        for option in options
        if option.name in vars(found)
    }
    return _build(cls, options, given, command)


def did_you_mean(word: str, known: Sequence[str], command: str) -> str:
    """ "; did you mean …?", or where help is to be had."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; see {command} --help"


def _build(cls: type[C], options: Sequence[Option], given: Mapping[Keys, Any], command: str) -> C:
    """The dataclass of what was given, on top of the file if one was named."""
    flags = {option.keys: option.flag for option in options}
    content: dict[str, Any] = {}
    in_file = None
    if CONFIG in given:
        content[RUN], in_file = read_toml(given[CONFIG])
    for keys, value in given.items():
        _put(content, keys, value)

    def place(keys: Keys) -> str:
        if in_file is not None and keys[:1] == (RUN,) and keys not in given:
            return in_file(keys[1:])
        return flags.get(keys, command)

    _check_complete(options, content, command)
    return from_dict(cls, content, place)


def _put(content: dict[str, Any], keys: Keys, value: Any) -> None:
    for key in keys[:-1]:
        content = content.setdefault(key, {})
        if not isinstance(content, dict):
            return  # no table in the file: `from_dict` says so
    content[keys[-1]] = value


def _check_complete(options: Sequence[Option], content: Mapping[str, Any], command: str) -> None:
    missing = [
        option
        for option in options
        if option.default is dataclasses.MISSING and not _holds(content, option.keys)
    ]
    if missing:
        *most, last = [option.flag for option in missing]
        names = f"{', '.join(most)} and {last}" if most else last
        file = " or a file with --config" if any(len(o.keys) > 2 for o in missing) else ""
        raise UsageError(f"{command} needs {names}{file}; see {command} --help")


def _holds(content: object, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(content, Mapping):
            return True  # another mistake, which `from_dict` tells
        if key not in content:
            return False
        content = content[key]
    return True


def _from_words(option: Option, words: Any) -> Any:
    """A number where one is wanted and given; else the word, for `config` to judge."""
    if not isinstance(words, str):
        return words
    for kind in (int, float):
        if kind in option.kinds:
            try:
                return kind(words)
            except ValueError:
                continue
    return words


# -- argparse -----------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Its mistakes are ours to tell."""

    def error(self, message: str) -> NoReturn:
        needs = "the following arguments are required: "
        if message.startswith(needs):
            message = f"needs {message.removeprefix(needs)}"
        raise UsageError(f"{self.prog} {message.removeprefix('argument ')}; see {self.prog} --help")


def _parser(options: Sequence[Option], command: str, summary: str) -> _Parser:
    parser = _Parser(
        prog=command,
        usage=" ".join([command, *_usage(options)]),
        description=summary,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
        formatter_class=partial(argparse.HelpFormatter, max_help_position=28),
    )
    groups: dict[str, Any] = {}
    for option in options:
        title = option.group.rstrip(".") if len(option.keys) > 1 else "options"
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add(groups[title], option)
    others = groups.get("options", parser)
    others.add_argument("-h", "--help", action="help", help="Show this and leave.")
    others.add_argument("--traceback", action="store_true", help="Show where an error arose.")
    return parser


def _usage(options: Sequence[Option]) -> list[str]:
    """What cannot be left out, as it is written."""
    needed = [option for option in options if option.default is dataclasses.MISSING]
    words = [
        option.flag if option.is_positional else f"{option.flag} {option.metavar}"
        for option in sorted(needed, key=lambda option: not option.is_positional)
    ]
    return [*words, "[options]"]


def _add(group: Any, option: Option) -> None:
    text = option.help.replace("%", "%%")
    if option.is_positional:
        group.add_argument(option.name, metavar=option.flag, help=text)
    elif option.is_switch and len(option.keys) == 1:
        group.add_argument(option.flag, dest=option.name, action="store_true", help=text)
    elif option.is_switch:  # a file may have switched it on
        both = argparse.BooleanOptionalAction
        group.add_argument(option.flag, dest=option.name, action=both, help=text)
    elif option.takes_many:
        group.add_argument(
            option.flag, dest=option.name, metavar="F", nargs="+", action="extend", help=text
        )
    else:
        group.add_argument(option.flag, dest=option.name, metavar=option.metavar, help=text)


def _check_spelling(words: Sequence[str], parser: _Parser, command: str) -> None:
    known = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    for word in words:
        if word == "--":
            return
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            raise UsageError(f"{command} has no option {flag}{did_you_mean(flag, known, command)}")
