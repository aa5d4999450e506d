"""``labels := 'gold'``: a table with right answers for some inputs of a call, found and checked when the call is bound.

Inputs are columns of the table that are called as the call's inputs are (``body`` for ``t.body``), or else, where there are as
many besides ``label``, its columns in their order. A row with NULL in one of them, or for a label, is not labelled yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from ..errors import BindError, Position
from ..plan.nodes import Column
from ..plan.truth import LABEL, Truth
from ..types import EXACT_KINDS, SqlType, parse_type, quote
from .catalog import Catalog
from .keys import name_of
from .locate import LocatedCall, position
from .tokens import Text

if TYPE_CHECKING:
    from .bind_block import BlockBinder
    from .bind_call import BoundCall

_COLUMN = re.compile(r'(?:(?:"(?:[^"]|"")+"|[^\W\d]\w*)\.)*("(?:[^"]|"")+"|[^\W\d]\w*)')
_WHOLE = frozenset(f"{sign}{size}int" for sign in ("", "u") for size in ("tiny", "small", "big", "huge")) | {
    "integer",
    "uinteger",
}
_FRACTION = frozenset(("decimal", "float", "double"))
_TEXT = frozenset(("varchar", "enum"))

Described = Sequence[tuple[str, str]]
"""Columns of a table, and their types."""


def check_labels(
    text: Text, located: LocatedCall, table: str, result: SqlType, catalog: Catalog, *, details: bool
) -> None:
    """Whether a call's answers can be compared with the labels of a table.

    Parameters
    ----------
    result : the type of an answer. details : answers come with what failed (``on_error := 'details'``).

    Raises
    ------
    BindError : they cannot be compared with anything, there is no such table, it has no labels, or labels of another type.
    """
    name, place = located.function.sql_name, position(text, located.options["labels"])
    if result.kind not in EXACT_KINDS and not located.function.closed_answers:
        raise BindError(
            f"{name} gives {result} here, which is not compared with labels: two good answers may share no word. Leave labels "
            "out, or have it give a type such as 'BOOLEAN' or an ENUM (returns := '…').",
            place,
            name,
        )
    if details:
        message = f"{name}: answers with details of failures (on_error 'details') are not compared with labels: choose one of the two."
        raise BindError(message, place, name)
    columns = _columns(table, catalog, place)
    found = next(((n, kind) for n, kind in columns if n.lower() == LABEL), None)
    if found is None:
        raise BindError(
            f"{table} has no column {LABEL}, where labels := '{table}' looks for the right answers; it has {_listed(columns)}. "
            f"Name it in a view: CREATE VIEW labelled AS SELECT *, … AS {LABEL} FROM {table}.",
            place,
            LABEL,
        )
    _check_type(found, result, f"{name} gives", table, place)


def truth_of(binder: BlockBinder, bound: BoundCall, inputs: Mapping[int, Column]) -> Truth | None:
    """The labels of a call that has found its place; ``None``: it has none.

    Parameters
    ----------
    inputs : the column per dynamic position.

    Raises
    ------
    BindError : the table's columns are not the call's inputs, or no row of it is labelled.
    """
    table = bound.labels
    if table is None:
        return None
    place = position(binder.text, bound.located.options["labels"])
    words = [bound.arguments.texts[index] for index in inputs]
    described = [(n, kind) for n, kind in _columns(table, binder.catalog, place) if n.lower() != LABEL]
    chosen = _by_name(words, described) or _by_position(words, described)
    if chosen is None or not words:
        raise BindError(
            f"{table} does not have the inputs of {bound.located.function.sql_name}, which {_are(words)}; besides {LABEL} it has "
            f"{_listed(described)}. Give it columns of these names, or as many as there are inputs, in their order.",
            place,
            table,
        )
    columns = list(inputs.values())
    for found, word, column in zip(chosen, words, columns, strict=True):
        _check_type(found, parse_type(column.type), f"the input {word} is", table, place)
    names = tuple(f"i{number}" for number in range(len(columns)))
    items = [
        f"TRY_CAST({quote(n)} AS {c.type}) AS {as_}" for (n, _), c, as_ in zip(chosen, columns, names, strict=True)
    ]
    sql = _labelled(table, [*items, f"TRY_CAST({LABEL} AS {bound.type.text}) AS {LABEL}"], (*names, LABEL))
    return Truth(table, names, sql, _digest(sql, (*names, LABEL), table, binder.catalog, place))


def _columns(table: str, catalog: Catalog, place: Position) -> Described:
    try:
        return catalog.describe(f"SELECT * FROM {table}")
    except duckdb.Error as error:
        raise BindError(
            f"labels := '{table}' names no table or view that can be read: {_why(error)}. It takes one of the database, with columns "
            f"for the call's inputs and a column {LABEL}.",
            place,
            table,
        ) from None


def _by_name(words: Sequence[str], described: Described) -> Described | None:
    known = {name.lower(): (name, kind) for name, kind in described}
    names = [name_of(found[1]) for word in words if (found := _COLUMN.fullmatch(word.strip()))]
    every = len(names) == len(words) == len(set(names)) and known.keys() >= set(names)
    return [known[name] for name in names] if every else None


def _by_position(words: Sequence[str], described: Described) -> Described | None:
    return described if len(described) == len(words) else None


def _check_type(found: tuple[str, str], wanted: SqlType, who: str, table: str, place: Position) -> None:
    name, kind = found
    if kind != wanted.text and not _fits(parse_type(kind), wanted):
        raise BindError(
            f"{name} in {table} is {kind}, but {who} {wanted}: cast it in a view, CREATE VIEW labelled AS SELECT * REPLACE "
            f"(CAST({quote(name)} AS {wanted}) AS {quote(name)}) FROM {table}.",
            place,
            name,
        )


def _fits(theirs: SqlType, ours: SqlType) -> bool:
    """Whether values of one type are as good as those of another."""
    if theirs.kind in _WHOLE | _FRACTION:
        return ours.kind in _FRACTION or (theirs.kind in _WHOLE and ours.kind in _WHOLE)
    if theirs.kind in _TEXT:
        return ours.kind in _TEXT
    if theirs.kind != ours.kind:
        return False
    mine = {name.lower(): kind for name, kind in ours.fields}
    fields = {name.lower(): kind for name, kind in theirs.fields}
    return fields.keys() == mine.keys() and all(_fits(fields[name], mine[name]) for name in mine)


def _labelled(table: str, items: Sequence[str], names: Sequence[str]) -> str:
    known = " AND ".join(f"{name} IS NOT NULL" for name in names)
    return f"SELECT * FROM (SELECT {', '.join(items)} FROM {table}) AS __labels WHERE {known}"


def _digest(sql: str, names: Sequence[str], table: str, catalog: Catalog, place: Position) -> str:
    """Of the labelled rows, in whatever order."""
    try:
        found: Any = catalog.constant(f"(SELECT {{n: count(*), x: bit_xor(hash({', '.join(names)}))}} FROM ({sql}))")
    except duckdb.Error as error:
        raise BindError(f"labels := '{table}' cannot be read: {_why(error)}.", place, table) from None
    if not found["n"]:
        raise BindError(f"No row of {table} is labelled: in each, {LABEL} or an input is NULL.", place, table)
    return f"{found['n']}-{found['x']:x}"


def _why(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].rstrip(".!")


def _are(words: Sequence[str]) -> str:
    if not words:
        return "reads no column"
    return f"is {words[0]}" if len(words) == 1 else f"are {', '.join(words)}"


def _listed(columns: Described) -> str:
    return ", ".join(name for name, _ in columns) or "none"
