"""Where an option's value comes from: a flag, else the environment, else a TOML file, else its default.

In: what argparse made of the command line. Out: the same namespace, complete, or a Failure that says which value is
wrong, where it stands, and what would be right.

``--cold-every`` of ``afterglow run`` is AFTERGLOW_RUN_COLD_EVERY in the environment, and ``cold-every`` in the table
``[run]`` of the file. One file serves all verbs; it is named by ``--config`` or AFTERGLOW_CONFIG, never searched for.
"""

import argparse
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from afterglow_layer.failure import usage

PREFIX = "AFTERGLOW_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
SWITCH = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


class Option(NamedTuple):
    """One flag of a verb; ``key`` is the flag without its dashes, as it stands in the file."""

    action: argparse.Action
    default: Any
    key: str


class Verb(NamedTuple):
    """One verb's options by their names in the namespace. ``elsewhere``: those that the verb itself completes."""

    words: tuple[str, ...]
    options: dict[str, Option]
    elsewhere: frozenset[str]
    variables: frozenset[str]

    def variable(self, key: str) -> str:
        """Return an option's environment variable."""
        return PREFIX + "_".join([*self.words, key.replace("-", "_")]).upper()

    @property
    def table(self) -> str:
        """Return the name of the verb's table in the file."""
        return ".".join(self.words)


def adopt(
    parser: argparse.ArgumentParser, *words: str, elsewhere: Collection[str] = (), variables: Collection[str] = ()
) -> None:
    """Let ``complete`` find the options that the parser has now. ``variables``: others that the verb reads."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"a TOML file with settings (default: {CONFIG_VARIABLE}, or none)"
    )
    options = {
        action.dest: Option(action, action.default, next(o[2:] for o in action.option_strings if o.startswith("--")))
        for action in parser._actions  # argparse has no public way to list them
        if action.option_strings and action.dest not in {"help", "config"}
    }
    verb = Verb(words, options, frozenset(elsewhere), frozenset(variables))
    parser.set_defaults(verb=verb, given=frozenset(), settings={})


def complete(
    asked: argparse.Namespace,
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    environ: Mapping[str, str],
) -> None:
    """Fill in what no flag has said; ``given`` then has the flags' names, ``settings`` the verb's table in the file."""
    verb: Verb | None = getattr(asked, "verb", None)
    if verb is None:
        return
    asked.given = _given(verb, parser, arguments)
    asked.settings = _read_table(verb, asked.config, environ)
    _check_names(verb, asked.settings, environ)
    for name, option in verb.options.items():
        if name not in asked.given | verb.elsewhere:
            setattr(asked, name, _found(verb, option, asked.settings, environ))


def _given(verb: Verb, parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> frozenset[str]:
    """Return the names of the flags that were given, by parsing once more, without defaults to be taken for them."""
    for option in verb.options.values():
        option.action.default = argparse.SUPPRESS
    try:
        return frozenset(vars(parser.parse_args(arguments))) & verb.options.keys()
    finally:
        for option in verb.options.values():
            option.action.default = option.default


def _found(verb: Verb, option: Option, table: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    key = option.key
    variable = verb.variable(key)
    if environ.get(variable):
        many = isinstance(option.action, argparse._AppendAction)
        return _value(option, variable, environ[variable].splitlines() if many else environ[variable])
    return _value(option, f"config file: {verb.table}.{key}", table[key]) if key in table else option.default


def _value(option: Option, where: str, said: Any) -> Any:
    """Return the value, checked as argparse would check a flag's."""
    action = option.action
    if isinstance(action, argparse._AppendAction):
        return [_one(action, where, one) for one in (said if isinstance(said, list) else [said])]
    if action.nargs == 0:
        text = str(said).lower()
        if text not in SWITCH:
            raise usage(f"{where} {text!r} is neither on nor off")
        return action.const if SWITCH[text] else option.default
    return _one(action, where, said)


def _one(action: argparse.Action, where: str, said: Any) -> Any:
    if isinstance(said, dict | list):
        raise usage(f"{where}: write one value, not {type(said).__name__}")
    text = str(said).lower() if isinstance(said, bool) else str(said)
    try:
        value = action.type(text) if callable(action.type) else text
    except argparse.ArgumentTypeError as error:
        raise usage(f"{where}: {error}") from None
    except ValueError:
        raise usage(f"{where} {text!r} is no {getattr(action.type, '__name__', 'value')}") from None
    if action.choices is not None and value not in action.choices:
        raise usage(f"{where} {text!r} is not {_or(map(str, action.choices))}")
    return value


def _or(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _check_names(verb: Verb, table: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Refuse a misspelt name: to pass over it would be to guess."""
    keys = {option.key for option in verb.options.values()}
    for key in sorted(table.keys() - keys):
        raise usage(f"config file: no setting of [{verb.table}] is called {key!r}; known: {', '.join(sorted(keys))}")
    variables = {verb.variable(key) for key in keys} | verb.variables
    prefix = verb.variable("")
    for name in sorted(environ):
        if name.startswith(prefix) and name not in variables:
            raise usage(f"{name} is no setting; known: {', '.join(sorted(variables))}")


def _read_table(verb: Verb, path: Path | None, environ: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the verb's table; empty if there is no file, or no such table in it."""
    where = "--config" if path is not None else CONFIG_VARIABLE
    named = path or environ.get(CONFIG_VARIABLE)
    table: Any = _read_toml(where, Path(named)) if named else {}
    for word in verb.words:
        table = table.get(word, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise usage(f"{where} {named}: {verb.table} is no table; write [{verb.table}]")
    return table


def _read_toml(where: str, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - when there is a file to read
    else:
        import tomli as tomllib  # noqa: PLC0415 - the same, before it was in the standard library
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"{where} {path}: {getattr(error, 'strerror', None) or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise usage(f"{where} {path}: not TOML: {error}") from None
    return tables
