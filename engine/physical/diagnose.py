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


def diagnose(duck: Duck, sql: str, error: duckdb.Error) -> Diagnosis:
    """More about ``error``, which DuckDB raised for ``sql`` (``DESCRIBE query`` or ``EXPLAIN statement``)."""
    message = str(error).split("\n\nLINE")[0].strip()
    verb, _, query = sql.partition(" ")
    if verb != "DESCRIBE":  # json_serialize_plan takes queries only
        return Diagnosis(message)
    literal = query.replace("'", "''")
    found = json.loads(duck.value(f"SELECT json_serialize_plan('{literal}')"))
    if not found.get("error") or "location" not in found:
        return Diagnosis(message, str(found.get("name", "")))
    start, length = json.loads(found["location"])
    before = query.encode()[:start].decode(errors="ignore")
    return Diagnosis(message, str(found.get("name", "")), len(verb) + 1 + len(before), length)
