"""What DuckDB has against a text: its message, and where in the text, without disturbing the user's transaction."""

from __future__ import annotations

import json

import duckdb

from ..sql.catalog import Diagnosis
from .duck import Duck


def parse(duck: Duck, sql: str) -> None:
    """Have DuckDB read a statement, no more. Raises ``duckdb.ParserException`` about the user's own words."""
    with duck.lock:
        duck.native(duck.connection.extract_statements, sql)


def bound_columns(duck: Duck, query: str) -> list[tuple[str, str]]:
    """Names and types of a query's result. Unlike DESCRIBE, this leaves the transaction alive where the query does not
    bind, and keeps the case of aliases."""
    if "NEXTVAL" in query.upper():  # of a query that changes a sequence, DuckDB makes a relation by running it
        return [(str(r[0]), str(r[1])) for r in duck.native(duck.connection.sql, f"DESCRIBE {query}").fetchall()]
    relation = duck.native(duck.connection.sql, query)
    return [(str(n), str(t)) for n, t in zip(relation.columns, relation.types, strict=True)]


def diagnose(duck: Duck, sql: str, error: duckdb.Error) -> Diagnosis:
    """More about ``error``, which DuckDB raised for ``sql``."""
    message = str(error).split("\n\nLINE")[0].strip()
    literal = sql.replace("'", "''")
    found = json.loads(duck.value(f"SELECT json_serialize_plan('{literal}')"))
    if "location" not in found:
        return Diagnosis(message, str(found.get("name", "")))
    start, length = json.loads(found["location"])
    before = sql.encode()[:start].decode(errors="ignore")
    return Diagnosis(message, str(found.get("name", "")), len(before), length)
