"""The dot commands."""

from __future__ import annotations

import difflib
import fnmatch
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...sql.definitions.definition import in_own_words
from .formats import FORMATS
from .help import help_on, overview
from .live import dollars
from .runner import Outcome, Runner
from .scan import pieces
from .vocabulary import Names

_DEEPEST = 16
_COST_COLUMNS = ["model", "function", "calls", "failed_calls", "tokens_in", "tokens_out", "cost_usd"]
_SCHEMA = """
    SELECT sql FROM (
        SELECT schema_name, table_name AS name, sql FROM duckdb_tables() WHERE NOT internal
        UNION ALL SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal
        UNION ALL SELECT schema_name, table_name, sql FROM duckdb_indexes())
    {where} ORDER BY schema_name, name"""


@dataclass(frozen=True, slots=True)
class Command:
    """A dot command: its name, its arguments as shown in help, what it does, and the code."""

    name: str
    arguments: str
    summary: str
    run: Callable[[list[str]], Outcome]


class UsageError(Exception):
    """A dot command was given arguments that it does not take."""


@dataclass(slots=True)
class Commands:
    """The dot commands over a runner. ``names`` are refreshed after every statement."""

    runner: Runner
    names: Names
    table: Mapping[str, Command] = field(init=False)
    _depth: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        commands = (
            Command(".cost", "", "calls, tokens and money so far, by model", self._cost),
            Command(".exit", "", "leave", self._quit),
            Command(".help", "[NAME]", "this list, or help on a function, command or setting", self._help),
            Command(".mode", "FORMAT", f"output format: {', '.join(FORMATS)}", self._mode),
            Command(".models", "", "models that can be used", self._models),
            Command(".quit", "", "leave", self._quit),
            Command(".read", "FILE", "run the statements of a file", self._read),
            Command(".schema", "[TABLE]", "CREATE statements", self._schema),
            Command(".tables", "[LIKE]", "tables and views, by pattern if given (% or *)", self._tables),
            Command(".timer", "on|off", "print the time that every statement takes", self._timer),
        )
        self.table = {command.name: command for command in commands}

    @property
    def summaries(self) -> Mapping[str, str]:
        """Name → summary."""
        return {name: command.summary for name, command in self.table.items()}

    def run(self, line: str, place: str = "") -> Outcome:
        """Run a dot command as typed."""
        try:
            name, *arguments = shlex.split(line.rstrip("; \n"))
            command = self.table.get(name.lower())
            if command is None:
                raise UsageError(self._unknown(name))
            return command.run(arguments)
        except (UsageError, OSError, ValueError) as error:
            self.runner.screen.err.line(f"{place + ': ' if place else ''}{error}", "red")
            return Outcome.ERROR

    def run_text(self, text: str, source: str = "", keep_going: bool = False) -> Outcome:
        """Run a script; ``source`` names it in errors. It stops at the first error unless ``keep_going``."""
        worst = Outcome.OK
        for piece in pieces(text):
            place = f"{source}:{piece.line}" if source else ""
            outcome = self.run(piece.text, place) if piece.command else self.runner.run(piece.text, place)
            self.names.refresh()
            if outcome in (Outcome.QUIT, Outcome.INTERRUPTED) or (outcome is Outcome.ERROR and not keep_going):
                return outcome
            worst = outcome if outcome is not Outcome.OK else worst
        return worst

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name.lower(), self.table, n=1, cutoff=0.4)
        return f"There is no command {name}. " + (f"Did you mean {near[0]}?" if near else "Try .help.")

    def _cost(self, arguments: list[str]) -> Outcome:
        _expect(arguments, 0, ".cost")
        usage = self.runner.connection.usage()
        self.runner.show(usage.select(_COST_COLUMNS))
        known, unknown = (
            sum(value or 0 for value in usage[name].to_pylist()) for name in ("cost_usd", "unknown_cost_calls")
        )
        more = f", and {unknown:,} calls of unknown price" if unknown else ""
        self.runner.screen.err.line(f"Together {dollars(known)}{more}", "dim")
        return Outcome.OK

    def _quit(self, arguments: list[str]) -> Outcome:
        _expect(arguments, 0, ".quit")
        return Outcome.QUIT

    def _help(self, arguments: list[str]) -> Outcome:
        _expect(arguments, 1, ".help [NAME]")
        rows = {name: (command.arguments, command.summary) for name, command in self.table.items()}
        out = self.runner.screen.out
        for line in help_on(arguments[0], rows) if arguments else overview(rows):
            out.line(line)
        return Outcome.OK

    def _mode(self, arguments: list[str]) -> Outcome:
        if not arguments:
            self.runner.screen.out.line(self.runner.mode)
            return Outcome.OK
        _expect(arguments, 1, ".mode FORMAT")
        if arguments[0] not in FORMATS:
            raise UsageError(f"There is no format {arguments[0]}. Known: {', '.join(FORMATS)}.")
        self.runner.mode = arguments[0]
        return Outcome.OK

    def _models(self, arguments: list[str]) -> Outcome:
        _expect(arguments, 0, ".models")
        return self.runner.run("SHOW MODELS")

    def _read(self, arguments: list[str]) -> Outcome:
        if len(arguments) != 1:
            raise UsageError("Usage: .read FILE")
        if self._depth >= _DEEPEST:
            raise UsageError(f".read goes {_DEEPEST} files deep at most: does {arguments[0]} read itself?")
        text = Path(arguments[0]).expanduser().read_text(encoding="utf-8-sig")
        self._depth += 1
        try:
            outcome = self.run_text(text, arguments[0])
        finally:
            self._depth -= 1
        return outcome

    def _schema(self, arguments: list[str]) -> Outcome:
        _expect(arguments, 1, ".schema [TABLE]")
        where = ""
        if arguments:
            schema, _, name = arguments[0].replace("'", "''").lower().rpartition(".")
            where = f"WHERE lower(name) = '{name}'" + (f" AND lower(schema_name) = '{schema}'" if schema else "")
        result = self.runner.connection.sql(_SCHEMA.format(where=where))
        rows = result.fetchall() if result is not None else []
        if arguments and not rows:
            near = difflib.get_close_matches(arguments[0], self.names.tables(), n=1)
            raise UsageError(f"There is no table {arguments[0]}." + (f" Did you mean {near[0]}?" if near else ""))
        for (sql,) in rows:
            self.runner.screen.out.line(in_own_words(str(sql)).rstrip(";") + ";")
        return Outcome.OK

    def _tables(self, arguments: list[str]) -> Outcome:
        _expect(arguments, 1, ".tables [LIKE]")
        pattern = (arguments[0] if arguments else "*").replace("%", "*").replace("_", "?").lower()
        for name in sorted(self.names.tables()):
            if fnmatch.fnmatchcase(name.lower(), pattern):
                self.runner.screen.out.line(name)
        return Outcome.OK

    def _timer(self, arguments: list[str]) -> Outcome:
        if arguments not in (["on"], ["off"]):
            raise UsageError("Usage: .timer on|off")
        self.runner.timer = arguments == ["on"]
        return Outcome.OK


def _expect(arguments: list[str], most: int, usage: str) -> None:
    if len(arguments) > most:
        raise UsageError(f"Usage: {usage}")
