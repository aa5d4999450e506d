"""A dumb reference evaluator of plans (DuckDB for fragments, a hash for models), and a catalog for the real binder."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from anserdb.engine.plan.nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Filter,
    Input,
    Keep,
    Plan,
    Relation,
    SemanticCall,
    Sort,
    Source,
    Unnest,
)
from anserdb.engine.plan.walk import columns
from anserdb.engine.session import Session
from anserdb.engine.settings import Settings
from anserdb.engine.sql.bind import bind
from anserdb.engine.store import Store
from anserdb.engine.types import parse_type, quote
from anserdb.udfs.models.base import Capabilities

TABLES = """
CREATE TABLE tickets (id INTEGER, customer_id INTEGER, subject VARCHAR, body VARCHAR, year INTEGER, price VARCHAR);
INSERT INTO tickets VALUES
    (1, 1, 'broken', 'it fell apart', 2021, '12'), (2, 2, 'late', 'where is it', 2022, '7'),
    (3, 1, 'late', 'where is it', 2020, 'free'),   (4, 3, 'thanks', NULL, 2023, NULL),
    (5, 4, 'broken', 'It Fell Apart', 2022, '30'), (6, 2, 'refund', 'money back', 2021, '1'),
    (7, NULL, 'refund', 'money back', 2024, '99'), (8, 4, 'late', 'still waiting', 2022, '7');
CREATE TABLE customers (customer_id INTEGER, name VARCHAR, tier VARCHAR, notes VARCHAR);
INSERT INTO customers VALUES (1, 'Ada', 'gold', 'x'), (2, 'Bo', 'silver', 'y'), (3, 'Cy', 'gold', NULL), (4, 'Di', NULL, 'z');
"""


STORE = Store.open(None)


def database() -> duckdb.DuckDBPyConnection:
    """Tickets and customers in memory; one thread, so that rows keep their order."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(TABLES)
    return connection


class ConnectionCatalog(Session):
    """The session's own catalog, except that every model exists."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        super().__init__(connection, Settings(), STORE, empty=True)

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(embeds=True, dimension=3)


def naive_plan(sql: str, connection: duckdb.DuckDBPyConnection) -> Plan:
    """The real binder's plan."""
    bound = bind(sql, ConnectionCatalog(connection))
    assert bound is not None, "no semantic call in it"
    return bound.plan


Key = tuple[str, str, str]


@dataclass
class Evaluator:
    """Runs a plan node by node; ``asked`` has an entry per row asked, whatever ``distinct`` says."""

    connection: duckdb.DuckDBPyConnection
    asked: list[Key] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def rows(self, plan: Plan) -> list[tuple[Any, ...]]:
        """The plan's rows, in order."""
        name = self._materialise(plan)
        return self.connection.execute(f"SELECT * FROM {name}").fetchall()

    def _materialise(self, plan: Plan) -> str:
        match plan:
            case Source():
                return self._source(plan)
            case Relation():
                self._name_inputs(plan.inputs)
                return self._relation(plan)
            case Compute():
                made = ", ".join(f"{c.expr.sql} AS {c.column.name}" for c in plan.columns)
                return self._table(f"SELECT *, {made} FROM {self._materialise(plan.input)}")
            case Filter():
                return self._table(f"SELECT * FROM {self._materialise(plan.input)} WHERE {plan.predicate.sql}")
            case Keep():
                return self._table(f"SELECT {', '.join(plan.names)} FROM {self._materialise(plan.input)}")
            case Sort():
                limit = "" if plan.limit is None else f" LIMIT {plan.limit}"
                return self._table(f"SELECT * FROM {self._materialise(plan.input)} ORDER BY {plan.keys.sql}{limit}")
            case Demand():
                return self._table(f"SELECT * FROM {self._materialise(plan.input)} LIMIT {plan.rows}")
            case Conjunction() | Condition():
                return self._materialise(plan.input)
            case Call() | Unnest():
                return self._call(plan) if isinstance(plan, Call) else self._unnest(plan)

    def _source(self, plan: Source) -> str:
        self._name_inputs(plan.inputs)
        limit = "" if plan.limit is None else f" LIMIT {plan.limit}"
        names = ", ".join(c.name for c in columns(plan))
        inner = f"{plan.prelude}SELECT {', '.join(i.sql for i in plan.items)} FROM {plan.from_sql}"
        return self._table(f"SELECT * FROM ({inner}{limit}) AS __source({names})")

    def _relation(self, plan: Relation) -> str:
        """A first run must see, without any answer, what the statement will ask."""
        if not plan.prefetch:
            self._look_up(plan.embedded, self._answer)
            return self._table(plan.sql)
        seen: list[Key] = []
        self._look_up(plan.embedded, lambda call, row, kind: self._answer(call, row, kind, seen) and None)
        self.connection.execute(plan.first_run.sql).fetchall()
        asked, self.asked = self.asked, []
        self._look_up(plan.embedded, self._answer)
        name = self._table(plan.sql)
        assert set(seen) == set(self.asked)
        self.asked = asked + self.asked
        return name

    def _look_up(self, calls: tuple[SemanticCall, ...], answer: Callable[..., Any]) -> None:
        for call in calls:
            name, kind = f"__anser_{call.output.name}", self._kind(call)
            with contextlib.suppress(duckdb.Error):
                self.connection.remove_function(name)
            self.connection.create_function(
                name,
                _vectorised(call, kind, answer),
                None,
                call.output.type,
                type=PythonUDFType.ARROW,
                null_handling=FunctionNullHandling.SPECIAL,
                side_effects=True,
            )

    def _kind(self, call: SemanticCall) -> pa.DataType:
        return (
            self.connection.cursor().sql(f"SELECT NULL::{call.output.type} AS x").to_arrow_table().schema.field(0).type
        )

    def _name_inputs(self, inputs: tuple[Input, ...]) -> None:
        for item in inputs:
            table = self._materialise(item.plan)
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {item.name} AS SELECT * FROM {table}")

    def _table(self, sql: str) -> str:
        name = f"__step{next(self.numbers)}"
        self.connection.execute(f"CREATE TEMP TABLE {name} AS {sql}")
        return name

    def _call(self, plan: Call) -> str:
        below = self.connection.sql(f"SELECT * FROM {self._materialise(plan.input)}").to_arrow_table()
        kind = self._kind(plan.call)
        answers = [self._answer(plan.call, row, kind) for row in below.to_pylist()]
        answered = below.append_column(plan.call.output.name, pa.array(answers, kind))
        self.connection.register("__answered", answered)
        name = self._table("SELECT * FROM __answered")
        self.connection.unregister("__answered")
        return name

    def _unnest(self, plan: Unnest) -> str:
        below = self._materialise(plan.input)
        made = next(c.type for c in columns(plan.input) if c.name == plan.column)
        values = ["__e"] if plan.whole else [f"__e.{quote(name)}" for name, _ in parse_type(made).child.fields]
        values += ["__n"] if plan.ordinal == "counted" else []
        fields = ", ".join(f"{value} AS {c.name}" for value, c in zip(values, plan.outputs, strict=True))
        lists = (
            f"CASE WHEN len({plan.column}) > 0 THEN {plan.column} ELSE [NULL] END" if plan.keep_empty else plan.column
        )
        rows = f"(SELECT *, unnest({lists}) AS __e, unnest(range(1, len({plan.column}) + 1)) AS __n FROM {below})"
        return self._table(f"SELECT * EXCLUDE ({plan.column}, __e, __n), {fields} FROM {rows}")

    def _answer(
        self, call: SemanticCall, row: dict[str, Any], kind: pa.DataType, asked: list[Key] | None = None
    ) -> Any:
        values = [row[name] for name in call.arguments]
        if (call.guard is not None and row[call.guard] is not True) or any(v is None for v in values):
            return None
        question = (call.function, repr((call.constants, sorted(call.options.items()))), repr(values))
        (self.asked if asked is None else asked).append(question)
        return scripted(question, kind)


def _vectorised(call: SemanticCall, kind: pa.DataType, answer: Callable[..., Any]) -> Callable[..., pa.Array]:
    def function(*columns: Any) -> pa.Array:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        return pa.array([answer(call, dict(zip(call.arguments, row, strict=True)), kind) for row in rows], kind)

    return function


def scripted(question: Key, kind: pa.DataType) -> Any:
    """A pure function of the question; one in nine answers fails (NULL)."""
    number = int.from_bytes(hashlib.sha256(repr(question).encode()).digest()[:4], "big")
    if number % 9 == 0:
        return None
    if pa.types.is_boolean(kind):
        return number % 3 != 1
    if pa.types.is_floating(kind):
        return number % 1000 / 1000
    if pa.types.is_string(kind):
        return f"word{number % 4}"
    if pa.types.is_integer(kind):
        return number % 5
    if pa.types.is_list(kind):
        return [scripted((*question[:2], f"{question[2]}{i}"), kind.value_type) for i in range(1 + number % 3)]
    if pa.types.is_struct(kind):
        return {f.name: scripted((*question[:2], f.name), f.type) for f in kind}
    return None
