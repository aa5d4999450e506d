"""The store as tables: what ``llm_calls()``, ``llm_usage()``, ``llm_errors()`` and ``llm_models()`` show."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from .records import UsageTotals

ViewName = Literal["calls", "usage", "usage_by_query", "errors", "models", "stage_trace", "statistics", "certificates"]

ROWS_PER_BATCH = 10_000
_TYPES = {
    "text": pa.string(),
    "int": pa.int64(),
    "real": pa.float64(),
    "time": pa.timestamp("us", tz="UTC"),
    "day": pa.date32(),
    "bool": pa.bool_(),
}

_EACH = {
    "calls": "count(*)",
    "failed_calls": "count(*) FILTER (WHERE outcome <> 'ok' AND NOT discarded)",
    "retries": "sum(retries)",
    "seconds": "sum(seconds)",
    "tokens_in": "sum(tokens_in)",
    "tokens_out": "sum(tokens_out)",
    "tokens_cached": "sum(tokens_cached)",
    "cost_usd": "sum(cost_usd)",
    "unknown_token_calls": "count(*) FILTER (WHERE tokens_in IS NULL)",
    "unknown_cost_calls": "count(*) FILTER (WHERE cost_usd IS NULL)",
    "discarded_calls": "count(*) FILTER (WHERE discarded)",
    "energy_j_low": "sum(energy_j_low)",
    "energy_j": "sum(energy_j)",
    "energy_j_high": "sum(energy_j_high)",
    "co2_g": "sum(co2_g)",
    "unknown_energy_calls": "count(*) FILTER (WHERE energy_j IS NULL)",
}
TOTALS = ", ".join(_EACH.values())
SUMS = tuple(_EACH)
"""The names of :data:`TOTALS`, and of the sums that stay of records that have gone."""
AVOIDED = ("cached", "avoided_cost_usd", "avoided_energy_j", "avoided_co2_g")
"""Sums of answers that were found, which made no calls."""


@dataclass(frozen=True, slots=True)
class View:
    """A query, its types, and what to append: columns in the order of ``schema``, the tables' ``at`` in seconds."""

    sql: str
    schema: pa.Schema
    tail: str
    by_query: bool = True


def _schema(columns: str) -> pa.Schema:
    return pa.schema([(name, _TYPES[kind]) for name, kind in (column.split() for column in columns.split(", "))])


def _micros(column: str) -> str:
    return f"CAST(round({column} * 1e6) AS INTEGER)"


def _of_energy(column: str) -> str:
    """Emissions of a bound, which has the intensity of ``energy_j`` (none: of nothing)."""
    return f"CASE energy_j WHEN 0 THEN 0.0 ELSE {column} * co2_g / energy_j END"


_SUMMED = (
    "calls int, failed_calls int, retries int, seconds real, tokens_in int, tokens_out int, tokens_cached int, "
    "cost_usd real, unknown_token_calls int, unknown_cost_calls int, discarded_calls int, energy_j_low real, energy_j real, "
    "energy_j_high real, co2_g real, unknown_energy_calls int, cached int, avoided_cost_usd real, avoided_energy_j real, "
    "avoided_co2_g real"
)
_DAY = "CAST(at AS INTEGER) / 86400"
# What answers that were found add to sums of calls is nothing: NULL, so that an unknown sum stays unknown.
_NO_CALLS = ", ".join("0" if expression.startswith("count") else "NULL" for expression in _EACH.values())
_USAGE = f"""
    SELECT {_DAY} AS day, query_id, model, function, {", ".join(f"{total} AS {name}" for name, total in _EACH.items())},
        {", ".join(f"{'0' if name == 'cached' else 'NULL'} AS {name}" for name in AVOIDED)}
    FROM all_calls GROUP BY 1, 2, 3, 4
    UNION ALL SELECT CAST(julianday(day) - 2440587.5 AS INTEGER), NULL, model, function, {", ".join((*SUMS, *AVOIDED))}
    FROM past_usage
    UNION ALL SELECT {_DAY}, query_id, model, function, {_NO_CALLS}, {", ".join(AVOIDED)} FROM reuses"""
# Where nothing was asked nothing is unknown.
_ADDED = ", ".join(
    [f"CASE sum(calls) WHEN 0 THEN coalesce(sum({name}), 0) ELSE sum({name}) END" for name in SUMS]
    + [f"CASE sum(cached) WHEN 0 THEN 0 ELSE sum({name}) END" for name in AVOIDED]
)
_WHO = "query_id text, call_site text, function text, model text"

VIEWS: dict[ViewName, View] = {
    "calls": View(
        f"""SELECT {_micros("at")}, query_id, call_site, function, model, phase, lower(hex(key)), tokens_in, tokens_out,
            tokens_cached, seconds, queue_seconds, retries, cost_usd, price_source, outcome, error, endpoint, discarded,
            energy_j_low, energy_j, energy_j_high, energy_method, {_of_energy("energy_j_low")}, co2_g,
            {_of_energy("energy_j_high")}, co2_source FROM all_calls""",
        _schema(
            f"called_at time, {_WHO}, phase text, key text, tokens_in int, tokens_out int, tokens_cached int, seconds real, "
            "queue_seconds real, retries int, cost_usd real, price_source text, outcome text, error text, endpoint text, "
            "discarded bool, energy_j_low real, energy_j real, energy_j_high real, energy_method text, co2_g_low real, "
            "co2_g real, co2_g_high real, co2_source text"
        ),
        "ORDER BY at DESC, id DESC",
    ),
    "usage": View(
        f"SELECT model, function, {_ADDED} FROM ({_USAGE})",
        _schema(f"model text, function text, {_SUMMED}"),
        "GROUP BY model, function ORDER BY model, function",
    ),
    "usage_by_query": View(
        f"SELECT day, query_id, model, function, {_ADDED} FROM ({_USAGE})",
        _schema(f"day day, query_id text, model text, function text, {_SUMMED}"),
        "GROUP BY day, query_id, model, function ORDER BY day, query_id, model, function",
    ),
    "errors": View(
        f"SELECT {_micros('at')}, query_id, call_site, function, model, row_number, input_digest, input_preview, "
        "error, tries FROM errors",
        _schema(
            f"failed_at time, {_WHO}, row_number int, input_digest text, input_preview text, error text, tries int"
        ),
        "ORDER BY id DESC",
    ),
    "stage_trace": View(
        f"SELECT query_id, stage, device, model, units, {_micros('queued')}, {_micros('started')}, {_micros('ended')}, "
        "outcome FROM stage_trace",
        _schema(
            "query_id text, stage text, device text, model text, units int, queued time, started time, ended time, "
            "outcome text"
        ),
        "ORDER BY id DESC",
    ),
    "certificates": View(
        f"""SELECT {_micros("at")}, query_id, call_site, function, reference, proxy, metric, target, delta, certified, estimate,
            rows, by_proxy, by_reference, labels, method, sample_digest, reason, scope FROM certificates""",
        _schema(
            "issued_at time, query_id text, call_site text, function text, reference text, proxy text, metric text, target real, "
            "delta real, certified real, estimate real, rows int, by_proxy int, by_reference int, labels int, method text, "
            "sample_digest text, reason text, scope text"
        ),
        "ORDER BY id DESC",
    ),
    "statistics": View(
        f"""SELECT function, model, about, arm, task, data, thinned_by, inputs, rows, rows_true, rows_true / nullif(rows, 0),
            calls, calls / nullif(paid, 0), tokens_in / nullif(paid, 0), tokens_out / nullif(paid, 0),
            seconds / nullif(paid, 0), compared, agreed / nullif(compared, 0), {_micros("updated_at")} FROM statistics""",
        _schema(
            "function text, model text, instruction text, arm text, task text, data text, thinned_by text, inputs real, "
            "rows real, rows_true real, share_true real, calls real, calls_per_input real, tokens_in_per_input real, "
            "tokens_out_per_input real, seconds_per_input real, compared real, agreement real, updated_at time"
        ),
        "ORDER BY function, model, about, arm, data, thinned_by",
        by_query=False,
    ),
    "models": View(
        f"SELECT name, provider, options, {_micros('created_at')} FROM models",
        _schema("name text, provider text, options text, created_at time"),
        "ORDER BY name",
        by_query=False,
    ),
}


def read_view(connection: sqlite3.Connection, name: ViewName, query_id: str | None, limit: int | None) -> pa.Table:
    """Run a view; see :meth:`Store.query`."""
    view = VIEWS[name]
    if query_id is not None and not view.by_query:
        raise ValueError(f"{name!r} does not belong to queries: leave query_id out")
    where, parameters = ("WHERE query_id = ?", [query_id]) if query_id is not None else ("", [])
    rows_at_most = -1 if limit is None else limit
    cursor = connection.execute(f"{view.sql} {where} {view.tail} LIMIT ?", [*parameters, rows_at_most])
    batches = []
    while rows := cursor.fetchmany(ROWS_PER_BATCH):
        columns = zip(zip(*rows, strict=True), view.schema, strict=True)
        batches.append(pa.record_batch([_array(values, field.type) for values, field in columns], schema=view.schema))
    return pa.Table.from_batches(batches, schema=view.schema)


def _array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    return pa.array(map(bool, values) if kind == pa.bool_() else values, kind)


def read_usage(connection: sqlite3.Connection, query_id: str) -> UsageTotals:
    """Totals of one query; all zero if it made no call."""
    row = connection.execute(f"SELECT {TOTALS} FROM all_calls WHERE query_id = ?", [query_id]).fetchone()
    return UsageTotals(*row) if row[0] else UsageTotals(0, 0, 0, 0.0, 0, 0, 0, 0.0, 0, 0)
