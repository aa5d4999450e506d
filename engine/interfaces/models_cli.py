"""``anser models``: model files on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...udfs.models.weights import Progress, ProgressEvent

PLAIN_EVERY_S = 5.0
_STAGES = {
    "checking": "checking",
    "waiting": "waiting for another process that fetches it",
    "downloading": "fetching",
    "assembling": "putting together",
    "ready": "ready",
}
Name = Annotated[str, typer.Argument(metavar="NAME", help="small, large, smollm2, or the path of a .gguf file.")]
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Model files on this machine: list, fetch, find.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def list_models() -> None:
    """Models with files, and which of them are here."""
    import pyarrow as pa

    from ...udfs.models.weights import installed
    from ...udfs.models.weights_catalog import CATALOGUE
    from .shell.cells import Rows
    from .shell.screen import Screen
    from .shell.table import write_table

    rows = [
        {
            "name": w.name,
            "model": w.title,
            "MB": w.size // 1_000_000,
            "licence": w.licence,
            "file": _text(installed(w.name)),
        }
        for w in CATALOGUE.values()
    ]
    write_table(Rows.of(pa.Table.from_pylist(rows)), Screen.detect())


def _text(path: object) -> str | None:
    return None if path is None else str(path)


@app.command()
def pull(
    name: Name,
    offline: Annotated[bool, typer.Option("--offline", help="Only look on this machine.")] = False,
) -> None:
    """Fetch a model's file, or go on where a fetch broke off; its SHA-256 is checked."""
    from ...udfs.models.weights import ensure, installed
    from ...udfs.models.weights_catalog import CATALOGUE

    weights = CATALOGUE.get(name)
    if weights and not offline and not weights.package and installed(name) is None:
        typer.echo(f"Model {name}: {weights.title}, {weights.size / 1e6:,.0f} MB, {weights.licence}.", err=True)
    with _refusals(), _reporting() as progress:
        path = ensure(name, offline=offline, progress=progress)
    typer.echo(path)


@app.command()
def path(name: Name) -> None:
    """Print where a model's file is; exit status 1 if it is not here."""
    from ...udfs.models.weights import ensure

    with _refusals():
        typer.echo(ensure(name, offline=True))


@contextmanager
def _refusals() -> Iterator[None]:
    from ..errors import DownloadError

    try:
        yield
    except DownloadError as error:
        typer.echo(f"anser: {error}", err=True)
        raise typer.Exit(1) from None


@contextmanager
def _reporting() -> Iterator[Progress]:
    """A bar on a terminal, else a line at every stage and every few seconds."""
    from .shell.screen import Screen

    screen = Screen.detect()
    if not screen.live:
        yield plain_progress(lambda line: screen.err.line(line))
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, no_color=not screen.err.colour)
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(event: ProgressEvent) -> None:
            title = describe(event)
            if title not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[title] = bar.add_task(title, total=event.total)
            bar.update(tasks[title], completed=event.done, visible=True)

        yield show


def describe(event: ProgressEvent) -> str:
    """Stage and source in words."""
    source = f" from the {event.source}" if event.stage == "downloading" else ""
    return f"{event.name}: {_STAGES[event.stage]}{source}"


def plain_progress(write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> Progress:
    """Events as lines: each new stage at once, then one every few seconds."""
    last: dict[str, float] = {}

    def show(event: ProgressEvent) -> None:
        title = describe(event)
        if title in last and clock() - last[title] < PLAIN_EVERY_S:
            return
        last[title] = clock()
        write(title if event.stage == "ready" else f"{title}, {event.done / 1e6:,.0f} of {event.total / 1e6:,.0f} MB")

    return show
