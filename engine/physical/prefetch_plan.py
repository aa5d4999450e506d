"""Whether DuckDB's own plan of a statement allows a first run: nothing stops early, changes data or comes out differently."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import duckdb
import pyarrow as pa

from ..plan.nodes import Relation
from ..sql.first_run import ORDER_FREE
from .duck import Duck
from .embedded import create_lookup, function_name
from .stages import Stages

_WRITES = frozenset((
    "BATCH_COPY_TO_FILE", "BATCH_CREATE_TABLE_AS", "BATCH_INSERT", "COPY_TO_FILE", "CREATE_TABLE_AS", "DELETE", "INSERT",
    "UPDATE",
))  # fmt: skip
_READS_ALL = frozenset((
    "BLOCKWISE_NL_JOIN", "COLUMN_DATA_SCAN", "CROSS_PRODUCT", "CTE", "CTE_SCAN", "DELIM_SCAN", "DUMMY_SCAN", "EMPTY_RESULT",
    "EXPRESSION_SCAN", "FILTER", "HASH_GROUP_BY", "HASH_JOIN", "IE_JOIN", "INOUT_FUNCTION", "LEFT_DELIM_JOIN",
    "NESTED_LOOP_JOIN", "ORDER_BY", "PANDAS_SCAN", "PARQUET_SCAN", "PARTITIONED_AGGREGATE", "PERFECT_HASH_GROUP_BY",
    "PIECEWISE_MERGE_JOIN", "PROJECTION", "RANGE", "GENERATE_SERIES", "READ_PARQUET", "RIGHT_DELIM_JOIN", "SEQ_SCAN",
    "UNGROUPED_AGGREGATE", "UNION", "UNNEST",
))  # fmt: skip
"""Operators that read their inputs to the end, and give the same rows when they run again."""
_LIMITS = re.compile(r"LIMIT|TOP_N")
_FIRST_MATCH = re.compile(r"SEMI|ANTI|MARK|SINGLE")
_COMPARES = re.compile(r"\S.* (?:=|<>|!=|<=?|>=?|IS (?:NOT )?DISTINCT FROM) ")
_NUMBERED = re.compile(r"#\[?[\d.]+\]?")
_OF_THE_SELECT = frozenset(("CTE Index", "CTE Name", "Estimated Cardinality", "Projections", "Table Index"))
_CALLED = re.compile(r'(\w+)"?\s*\(')
_TABLE_FUNCTIONS = (
    "('generate_series', 'json_each', 'json_tree', 'parquet_scan', 'range', 'read_parquet', 'repeat', 'unnest')"
)

Node = dict[str, Any]


def refusal(duck: Duck, plan: Relation) -> str:
    """Why a statement whose look-ups are registered gets no first run after all; "": it does."""
    if not plan.prefetch:
        return plan.first_run.refusal or "the rule prefetch is off"
    if _in_transaction(duck):
        return "an error of its first run would end the transaction"
    if reason := _differs(duck, plan.first_run.sql):
        return reason
    try:
        first = list(_nodes(_explained(duck, plan.first_run.sql)))
        whole = first if plan.sql == plan.first_run.sql else list(_nodes(_explained(duck, plan.sql)))
    except duckdb.Error as error:
        return f"DuckDB does not plan its first run: {str(error).splitlines()[0]}"
    if reason := next(filter(None, map(_objection, first)), ""):
        return reason
    return "" if _shape(whole) == _shape(first) else "DuckDB plans the statement in another way than its first run"


@contextmanager
def standing_in(duck: Duck, stages: Stages, plan: Relation) -> Iterator[None]:
    """Functions in the place of the look-ups, for EXPLAIN: DuckDB plans with them, and nobody calls them."""
    owner = object()
    for call in plan.embedded:
        name, kind = function_name(call), stages.stage(call).field().type
        inert = partial(_nothing, kind)
        duck.create_function(name, owner, partial(create_lookup, duck.connection, name, inert, kind))
    try:
        yield
    finally:
        duck.remove_functions([function_name(call) for call in plan.embedded], owner)


def _nothing(kind: pa.DataType, *columns: Any) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(len(columns[0]) if columns else 1, kind)])


def _in_transaction(duck: Duck) -> bool:
    """Whether the user has begun one: a statement by itself is a transaction of its own."""
    return bool(duck.value("SELECT system.main.txid_current()") == duck.value("SELECT system.main.txid_current()"))


def _differs(duck: Duck, sql: str) -> str:
    """Why a query may give other rows when it runs again."""
    bodies = _views(duck, sql)
    if bodies and (reason := _reorders(duck, bodies)):
        return reason
    sql = f"{sql} {bodies}"
    changing = sorted(_called(sql) & _changing())
    if changing:
        return f"{changing[0].lower()}() may give another value"
    # A macro with a name that is no word escapes ``names_redefined``, which need not see what no other connection can bind.
    odd = any(_stands_in(name, sql.upper()) for name in duck.redefined() if not re.fullmatch(r"\w+", name))
    return "a function of yours or of the session may give another value" if odd or duck.names_redefined(sql) else ""


def _views(duck: Duck, sql: str) -> str:
    """The texts of all views that a query may read."""
    rows = duck.execute("SELECT view_name, sql FROM duckdb_views() WHERE NOT internal").fetchall()
    found, texts = list[str](), [sql]
    while texts:
        text = texts.pop().upper()
        mentioned = [row for row in rows if _stands_in(row[0].upper(), text)]
        rows = [row for row in rows if row not in mentioned]
        found += [body for _, body in mentioned]
        texts += [body for _, body in mentioned]
    return " ".join(found)


def _stands_in(name: str, text: str) -> bool:
    """Whether a name stands in a text, both upper case; a quoted name may be anything."""
    quoted = name.replace('"', '""')
    return quoted in text and re.search(rf"(?<!\w){re.escape(quoted)}(?!\w)", text) is not None


def _reorders(duck: Duck, bodies: str) -> str:
    names = _called(bodies) & (duck.aggregates() - ORDER_FREE)
    on = re.search(r"\bDISTINCT\s+ON\b", bodies, re.IGNORECASE)
    return "the rows of a view may come in another order" if names or on else ""


def _called(sql: str) -> frozenset[str]:
    return frozenset(name.upper() for name in _CALLED.findall(sql))


@cache
def _changing() -> frozenset[str]:
    """DuckDB's functions with a value of their own at every call, and sources that may be read only once."""
    with duckdb.connect() as bare:
        rows = bare.execute(
            "SELECT DISTINCT upper(function_name) FROM duckdb_functions() WHERE stability <> 'CONSISTENT' "
            f"OR (function_type = 'table' AND function_name NOT IN {_TABLE_FUNCTIONS})"
        ).fetchall()
    return frozenset(name for (name,) in rows) | {"AGE"}


def _explained(duck: Duck, sql: str) -> list[Node]:
    plan: list[Node] = json.loads(duck.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1])
    return plan


def _nodes(plan: list[Node]) -> Iterator[Node]:
    """Every operator, those above first, without what writes."""
    for node in plan:
        if node["name"].strip() not in _WRITES:
            yield node
        yield from _nodes(node["children"])


def _objection(node: Node) -> str:
    name, info = node["name"].strip(), node.get("extra_info", {})
    if _LIMITS.search(name):
        return "DuckDB stops as soon as it has enough rows"
    if name not in _READS_ALL:
        return f"DuckDB's plan has {name}"
    if changing := sorted(_called(str(info)) & _changing()):  # of a generated column, which no text shows
        return f"{changing[0].lower()}() may give another value"
    if _FIRST_MATCH.search(str(info.get("Join Type", ""))) and not all(map(_compares, _conditions(info))):
        return "DuckDB asks about a row's partners until one is right"
    return ""


def _conditions(info: Node) -> list[str]:
    found: str | list[str] = info.get("Conditions") or info.get("Condition") or []
    return [found] if isinstance(found, str) else found


def _compares(condition: str) -> bool:
    """Whether both sides are computed once a row. What is called by a name alone may hide a call."""
    return "__anser_" not in condition and _COMPARES.match(condition) is not None


def _shape(plan: list[Node]) -> list[tuple[str, str]]:
    """What decides which rows reach a call; the columns that travel do not."""
    shown = [(n["name"].strip(), n.get("extra_info", {})) for n in plan]
    return [
        (name, _NUMBERED.sub("#", repr(sorted((k, str(v)) for k, v in info.items() if k not in _OF_THE_SELECT))))
        for name, info in shown
        if name != "PROJECTION"
    ]
