"""The loop of the shell, and the loop over a pipe."""

from __future__ import annotations

from collections.abc import Iterable

from .commands import Commands
from .prompt import Reader
from .runner import Outcome
from .scan import is_finished


def converse(reader: Reader, commands: Commands) -> None:
    """Read, run, print until Ctrl-D or ``.quit``. Errors and interrupts end a statement, not the shell."""
    err = commands.runner.screen.err
    while True:
        try:
            text = reader.read()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        try:
            if commands.run_text(text) is Outcome.QUIT:
                return
        except KeyboardInterrupt:
            err.line("Interrupted.", "yellow")


def drain(lines: Iterable[str], commands: Commands, source: str) -> Outcome:
    """Run statements as they arrive over a pipe, so that a program can talk to the shell; stop at the first error."""
    pending, first = "", 1
    for number, line in enumerate(lines, 1):
        pending += line
        if (";" in line or line.lstrip().startswith(".")) and is_finished(pending):
            outcome = commands.run_text("\n" * (first - 1) + pending, source)
            if outcome is not Outcome.OK:
                return outcome
            pending, first = "", number + 1
    return commands.run_text("\n" * (first - 1) + pending, source)
