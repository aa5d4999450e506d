"""``anser explain``: the plan of a query, and its frontier as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .connection import Connection

SUFFIXES = (".html", ".png", ".svg")
app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})


def _drawable(value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(f"{value.name} ends in none of {', '.join(SUFFIXES)}.")
    return value


@app.command()
def explain(
    query: Annotated[str, typer.Argument(help="A query with semantic functions; it is not run.")],
    database: Annotated[str, typer.Option("--database", "-d", help="DuckDB file.")] = ":memory:",
    plot: Annotated[
        Path | None,
        typer.Option(callback=_drawable, metavar="FILE", help="Draw the frontier into an .html, .png or .svg file."),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, such as llm_min_quality=0.9.")
    ] = None,
) -> None:
    """EXPLAIN a query; with --plot, draw what its plans cost and how well they agree. Nothing is asked of a model."""
    from ..errors import Error
    from .connection import connect

    try:
        with connect(database) as connection:
            connection.sees_variables = False  # the caller is the command line's own code
            for each in setting or ():
                name, _, value = each.partition("=")
                connection.settings.assign(name.strip(), value.strip())
            _explain(connection, query, plot)
    except (Error, OSError) as error:
        typer.echo(f"anser: {error}", err=True)
        raise typer.Exit(1) from None


def _explain(connection: Connection, query: str, plot: Path | None) -> None:
    if plot is None:
        typer.echo(connection.explain(query))
        return
    from ..errors import NotSupportedError

    draw = _altair()  # before anything else is done in vain
    result = connection.sql(f"SHOW FRONTIER FOR {query}")
    assert result is not None
    rows = result.arrow().to_pylist()
    if all(row["usd"] is None and row["seconds"] is None for row in rows):
        raise NotSupportedError(
            "Neither prices nor seconds are known: PROFILE the query, or declare prices (CREATE MODEL)."
        )
    _save(chart(draw, rows), plot)
    typer.echo(plot)


def _altair() -> Any:
    from importlib import import_module

    from ..errors import NotSupportedError

    try:
        import_module("vl_convert")
        return import_module("altair")
    except ImportError:
        raise NotSupportedError("Plots need two packages more: pip install 'anserdb[plots]'.") from None


def chart(draw: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Quality over money (over seconds where a price is unknown), a point a plan; the chosen one is filled.

    Parameters
    ----------
    draw : the module altair. rows : of SHOW FRONTIER.
    """
    priced = all(row["usd"] is not None for row in rows)
    across = ("usd", "US dollars") if priced else ("seconds", "seconds")
    shown = ["plan", "arms", "usd", "seconds", "quality", "quality_is", "rows", "source"]
    whose = " or ".join(dict.fromkeys(row["quality_is"] for row in rows))
    base = draw.Chart(draw.Data(values=[dict(row) for row in rows])).encode(
        x=draw.X(across[0], type="quantitative", title=across[1]),
        y=draw.Y("quality", type="quantitative", title=f"{whose}, at least", scale=draw.Scale(zero=False)),
        tooltip=[draw.Tooltip(name, type="nominal") for name in shown],
    )
    points = base.mark_point(size=90).encode(
        color=draw.Color("seconds", type="quantitative", title="seconds"),
        fill=draw.condition("datum.chosen", draw.value("black"), draw.value(None)),
    )
    line = base.mark_line(interpolate="step-after", strokeDash=[4, 4], opacity=0.4)
    return (line + points).properties(title="Plans that no other beats", width=560, height=360)


def _save(picture: Any, place: Path) -> None:
    # A page that needs nobody's server to be looked at.
    inline = {"inline": True} if place.suffix.lower() == ".html" else {}
    picture.save(str(place), **inline)
