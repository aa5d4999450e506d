"""The ``anser`` command. Only light modules are imported here: ``anser --version`` must not wait for an engine."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from .explain_cli import app as explain_app
from .models_cli import app as models_app

if TYPE_CHECKING:
    from .shell.entry import Order

_EPILOG = "Also: anser models list | pull NAME | path NAME (a database called models is ./models); anser explain -h."
BROKEN_PIPE = 141  # what a shell reports of a process that SIGPIPE ended
app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anser {version('anserdb')} (DuckDB {version('duckdb')})")
        raise typer.Exit


def _known_format(value: str) -> str:
    from .shell.formats import FORMATS

    if value not in FORMATS:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(FORMATS)}.")
    return value


@app.command(epilog=_EPILOG)
def anser(
    database: Annotated[str, typer.Argument(help="DuckDB file; created if it is not there.")] = ":memory:",
    command: Annotated[
        list[str] | None, typer.Option("-c", metavar="SQL", help="Run SQL and leave; repeatable.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option("-f", metavar="FILE", help="Run a script and leave; - is standard input.")
    ] = None,
    output: Annotated[
        str,
        typer.Option("--format", callback=_known_format, help="table, csv, json, jsonl, markdown or line."),
    ] = "table",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, such as llm_model=large.")
    ] = None,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Print nothing while a query runs.")] = False,
    echo: Annotated[bool, typer.Option("--echo", help="Print statements before they run.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print versions and leave.")
    ] = False,
) -> None:
    """SQL over DuckDB with semantic operators: a shell, or a script run (-c, -f, standard input)."""
    del show_version
    from .shell.entry import Order

    raise typer.Exit(_run(Order(database, command or (), file or (), setting or (), output, not no_progress, echo)))


def _run(order: Order) -> int:
    from ..errors import Error
    from .connection import connect
    from .shell.entry import SQL_ERROR, carry_out

    try:
        connection = connect(order.database)
        connection.sees_variables = False  # the caller is the command line's own code
    except (Error, OSError) as error:
        typer.echo(f"anser: {order.database} cannot be opened: {error}", err=True)
        return SQL_ERROR
    try:
        return carry_out(order, connection)
    except BrokenPipeError:
        _silence()
        return BROKEN_PIPE
    finally:
        connection.close()


def main() -> None:
    """Entry point of ``anser`` and ``python -m anserdb``. Exit status: 0 fine, 1 SQL error, 2 usage, 130 Ctrl-C."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["models"]:
        models_app(args=arguments[1:], prog_name="anser models")
    elif arguments[:1] == ["explain"]:
        explain_app(args=arguments[1:], prog_name="anser explain")
    else:
        app(args=arguments, prog_name="anser")


def _silence() -> None:
    """Whoever read our output has left: what is still buffered must not raise again at exit."""
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(sink, stream.fileno())
