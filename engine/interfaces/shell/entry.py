"""What the command line asks the shell to do, done: heavy imports happen here and not before."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import Error
from .asking import yes
from .commands import Commands
from .ports import Connection
from .prompt import is_interactive, reader
from .repl import converse, drain
from .runner import Outcome, Runner
from .screen import Screen
from .vocabulary import Names

OK, SQL_ERROR, USAGE, INTERRUPTED = 0, 1, 2, 130
_STATUS = {Outcome.OK: OK, Outcome.QUIT: OK, Outcome.ERROR: SQL_ERROR, Outcome.INTERRUPTED: INTERRUPTED}
_SETTING = re.compile(r"\w+\Z")
_BARE = re.compile(r"(?:-?\d+(?:\.\d+)?|true|false|null)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Order:
    """A command line.

    Parameters
    ----------
    database : path or ``:memory:``. commands : ``-c`` texts. files : ``-f`` paths, ``-`` for standard input.
    settings : ``name=value`` texts of ``--set``. mode : output format.
    """

    database: str = ":memory:"
    commands: Sequence[str] = ()
    files: Sequence[str] = ()
    settings: Sequence[str] = ()
    mode: str = "table"
    progress: bool = True
    echo: bool = False


class UnusableOrderError(Exception):
    """The command line makes no sense; the message says what to write instead."""


def carry_out(order: Order, connection: Connection) -> int:
    """Run ``order`` on ``connection``; the exit status."""
    runner = Runner(connection, Screen.detect(), mode=order.mode, progress=order.progress, echo=order.echo)
    commands = Commands(runner, Names(connection))
    connection.sql("SET enable_progress_bar = false")  # DuckDB draws it into standard output, amid the data
    try:
        for setting in order.settings:
            _set(connection, setting)
    except UnusableOrderError as refusal:
        runner.screen.err.line(f"anser: {refusal}", "red")
        return USAGE
    if order.commands or order.files:
        return _STATUS[_scripts(order, commands)]
    if is_interactive():
        runner.ask = yes
        _greet(runner.screen, order.database)
        converse(reader(commands.names, commands.summaries), commands)
        return OK
    return _STATUS[drain(sys.stdin, commands, "stdin")]


def _set(connection: Connection, setting: str) -> None:
    name, equals, value = setting.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not _SETTING.match(name):
        raise UnusableOrderError(f"--set {setting}: write --set NAME=VALUE.")
    literal = value if _BARE.match(value) else "'" + value.replace("'", "''") + "'"
    try:
        connection.sql(f"SET {name} = {literal}")
    except Error as error:
        raise UnusableOrderError(f"--set {setting}: {error}") from None


def _scripts(order: Order, commands: Commands) -> Outcome:
    for text in order.commands:
        outcome = commands.run_text(text)
        if outcome is not Outcome.OK:
            return outcome
    for name in order.files:
        outcome = _file(name, commands)
        if outcome is not Outcome.OK:
            return outcome
    return Outcome.OK


def _file(name: str, commands: Commands) -> Outcome:
    if name == "-":
        return drain(sys.stdin, commands, "stdin")
    try:
        text = Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        commands.runner.screen.err.line(f"anser: {name} cannot be read: {error}", "red")
        return Outcome.ERROR
    return commands.run_text(text, name)


def _greet(screen: Screen, database: str) -> None:
    where = "a database in memory: it ends with the shell" if database == ":memory:" else database
    screen.out.line(f"AnserDB on {where}. Type .help for help, .quit to leave.", "dim")
