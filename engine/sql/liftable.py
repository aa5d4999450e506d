"""What makes a block unfit for being taken apart although it parses: words and columns that would mean something else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from ..plan.nodes import Column
from .catalog import Catalog
from .query import Block, subqueries
from .scope import NotLiftableError, Scope
from .tokens import Range, Text

_CHANGED_KINDS = {"UNION": "a UNION", "VARIANT": "a VARIANT", "AGGREGATE_STATE": "the state of an aggregate"}
_CHANGED = re.compile(rf"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b({"|".join(_CHANGED_KINDS)})\b""")
_COLLATED_TABLES = "(SELECT count(*) FROM duckdb_tables() WHERE sql ILIKE '%COLLATE%')"


def check_words(text: Text, block: Block) -> None:
    """Refuse what reads the columns of FROM by pattern, or an expression by its words.

    Raises
    ------
    NotLiftableError : COLUMNS(…) stands outside the select list, or alias(…) anywhere.
    """
    for clause, where in block.clauses.items():
        for index in _own_calls(text, where):
            if text.word(index) == "COLUMNS" and clause != "SELECT":
                raise NotLiftableError(f"COLUMNS(…) stands in {clause}")
            if text.word(index) == "ALIAS":
                raise NotLiftableError("alias(…) tells what an expression is called")


def check_collations(text: Text, from_sql: str, scope: Scope, catalog: Catalog) -> None:
    """Refuse columns with a collation, which no Arrow type and no DESCRIBE carries.

    Raises
    ------
    NotLiftableError : FROM has one, or may have one.
    """
    if not from_sql:
        return
    query = f"{scope.binding_prelude()}SELECT * FROM {from_sql}".replace("'", "''")
    plan = json.loads(catalog.constant(f"json_serialize_plan('{query}')"))
    if _may_collate(text, catalog) if plan["error"] else any(_collations(plan)):
        raise NotLiftableError("a column has a collation")


def _may_collate(text: Text, catalog: Catalog) -> bool:
    """Of a FROM that DuckDB cannot write down (files, frames). The look through the catalogue is slow at first: not for every query."""
    return any(token.word == "COLLATE" for token in text.tokens) or bool(catalog.constant(_COLLATED_TABLES))


def check_types(columns: Iterable[Column]) -> None:
    """Refuse values that Arrow would change.

    Raises
    ------
    NotLiftableError : a column is, or holds, a UNION (of a NULL, Arrow forgets which member it is), a VARIANT (numbers come
        out in other types) or the state of an aggregate.
    """
    for column in columns:
        for match in _CHANGED.finditer(column.type):
            if kind := match[1]:
                raise NotLiftableError(f"a column is {_CHANGED_KINDS[kind]}")


def _own_calls(text: Text, where: Range) -> Iterator[int]:
    """Tokens outside subqueries that an opening parenthesis follows."""
    inner = subqueries(text, where)
    for index in range(where.lo, where.hi):
        if text.word(index + 1) == "(" and not any(s.lo <= index < s.hi for s in inner):
            yield index


def _collations(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("collation"):
            yield node["collation"]
        for value in node.values():
            yield from _collations(value)
    elif isinstance(node, list):
        for value in node:
            yield from _collations(value)
