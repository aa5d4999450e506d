"""Run one statement for a person: rows to the screen, progress and the bill beside it, errors in words."""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from ....udfs.models.weights import set_progress
from ...errors import Error, Interrupted
from ..confirming import Declined
from .cells import Rows
from .ctrl_c import interruptible
from .formats import FORMATS, write_raw
from .live import Live, bill
from .ports import Connection, Result
from .screen import Screen

_BLANK = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_EXPLAIN = re.compile(_BLANK + r"EXPLAIN\b", re.IGNORECASE | re.DOTALL)
_READS = re.compile(_BLANK + r"(?:\(|(?:SELECT|FROM|WITH|VALUES|TABLE|PIVOT|UNPIVOT)\b)", re.IGNORECASE | re.DOTALL)
_NO_ANSWER = (["Count"], ["Success"])
"""The columns of DuckDB's "result" of a change or a command: nobody asked for it."""
_OWN_LABEL = re.compile(r"[A-Z][\w ]* (Error|exception):", re.IGNORECASE)


class Outcome(enum.Enum):
    """How a statement or command ended."""

    OK = "ok"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    QUIT = "quit"


@dataclass(slots=True)
class Runner:
    """Runs statements on a connection.

    Parameters
    ----------
    mode : name of the output format. timer : print wall time after every statement. progress : draw while running.
    ask : puts a question to the person at the terminal; ``None``: nobody is there.
    """

    connection: Connection
    screen: Screen
    mode: str = "table"
    timer: bool = False
    progress: bool = True
    echo: bool = False
    ask: Callable[[str], bool] | None = None

    def run(self, sql: str, place: str = "") -> Outcome:
        """Run ``sql``; ``place`` (``file:line``) goes in front of an error."""
        if self.echo:
            self.screen.out.line(f"{sql};", "dim")
        live = Live(self.screen, self.progress)
        started = time.monotonic()
        rows, notices, outcome = None, list[str](), Outcome.OK
        with interruptible(lambda: self._stop(live)) as pressed:
            try:
                rows, notices = self._fetch(sql, live)
            except BrokenPipeError:
                raise  # nobody reads us any more: not the statement's fault
            except Declined as no:
                self.screen.err.line(str(no), "yellow")
                outcome = Outcome.INTERRUPTED
            except (KeyboardInterrupt, Interrupted):
                outcome = self._interrupted(live)
            except Exception as error:
                outcome = self._interrupted(live) if pressed.is_set() else self.complain(error, place)
        self._account(live, rows, notices, time.monotonic() - started)
        return outcome

    def show(self, table: pa.Table) -> None:
        """Print a finished table in the current mode."""
        FORMATS[self.mode](Rows.of(table), self.screen)

    def complain(self, error: Exception, place: str = "") -> Outcome:
        """Print an error, with its place."""
        self.screen.err.line(f"{place + ': ' if place else ''}{_words(error)}", "red")
        return Outcome.ERROR

    def _fetch(self, sql: str, live: Live) -> tuple[int | None, list[str]]:
        """Run and print; the number of rows (``None``: the statement has no result) and the notices."""
        self.connection.progress_listener = live.update
        self.connection.confirm = self.ask
        set_progress(live.fetch)
        try:
            result = self.connection.sql(sql)
            if result is None:
                return None, _notices(live)
            rows = Rows(result.columns, result.types, _watched(result, live))
            count = self._write(sql, rows)
            live.latest = result.progress or live.latest
            return count, list(result.notices)
        finally:
            self.connection.progress_listener = None
            self.connection.confirm = None
            set_progress(None)
            live.stop()

    def _write(self, sql: str, rows: Rows) -> int | None:
        if list(rows.columns) in _NO_ANSWER and not _READS.match(sql):
            for _ in rows.batches:
                pass
            return None
        if self.mode == "table" and _EXPLAIN.match(sql):
            write_raw(rows, self.screen)
            return None
        return FORMATS[self.mode](rows, self.screen)

    def _stop(self, live: Live) -> None:
        live.freeze()
        self.connection.interrupt()

    def _interrupted(self, live: Live) -> Outcome:
        kept = (live.kept or 0) if self.connection.settings.llm_cache else 0
        answers = "1 answer is" if kept == 1 else f"{kept:,} answers are"
        said = f" {answers} kept; the same query goes on from there." if kept else ""
        self.screen.err.line(f"Interrupted.{said}", "yellow")
        return Outcome.INTERRUPTED

    def _account(self, live: Live, rows: int | None, notices: list[str], seconds: float) -> None:
        for notice in notices:
            self.screen.err.line(notice, "yellow")
        asked = live.latest is not None and any(site.asked for site in live.latest.sites.values())
        if live.latest is not None and (rows is not None or asked):  # money is spent by what fails, too
            self.screen.err.line(bill(live.latest, rows, seconds), "dim")
        elif self.timer:
            self.screen.err.line(f"Run time: {seconds:.3f} s", "dim")


def _watched(result: Result, live: Live) -> Iterator[pa.RecordBatch]:
    for batch in result.batches():
        with live.held():
            yield batch
    live.stop()


def _notices(live: Live) -> list[str]:
    return list(live.latest.notices) if live.latest else []


def _words(error: Exception) -> str:
    """The message, labelled with its kind unless DuckDB did so; an error that is nobody's announced one names its class."""
    message = str(error) or type(error).__name__
    if _OWN_LABEL.match(message):
        return message
    if isinstance(error, Error):
        return f"Error: {message}"
    return f"{type(error).__name__}: {message}"
