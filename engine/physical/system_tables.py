"""``llm_models()``, ``llm_calls()`` and the other system tables, as Arrow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pyarrow as pa

from ...udfs.functions import functions
from ..errors import InternalError
from ..settings import Settings
from ..store import Store
from ..store.views import ViewName
from .model_pool import ModelPool

_PROMPTS = pa.schema(
    [
        ("name", pa.string()),
        ("version", pa.int64()),
        ("text", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("current", pa.bool_()),
    ]
)
_STORED: Mapping[str, ViewName] = {
    "llm_calls": "calls",
    "llm_usage": "usage_by_query",
    "llm_errors": "errors",
    "llm_stage_trace": "stage_trace",
    "llm_statistics": "statistics",
    "llm_certificates": "certificates",
}
"""Those that are views of the store."""


def table(name: str, store: Store, pool: ModelPool, settings: Settings) -> pa.Table:
    """A system table by its function's lower-case name."""
    if name in _STORED:
        return store.query(_STORED[name])
    match name:
        case "llm_models":
            return models(pool)
        case "llm_prompts":
            return _prompts(store)
        case "llm_settings":
            return _settings(settings)
        case "llm_functions":
            return _functions()
    raise InternalError(f"There is no system table {name}.")


def models(pool: ModelPool) -> pa.Table:
    """``SHOW MODELS``: name, provider, options as JSON."""
    specs = sorted(pool.specs().values(), key=lambda s: s.name)
    rows = [
        {"name": s.name, "provider": s.provider, "options": json.dumps(dict(s.options), ensure_ascii=False)}
        for s in specs
    ]
    return pa.Table.from_pylist(rows, schema=_strings("name", "provider", "options"))


def current_prompts(store: Store) -> pa.Table:
    """``SHOW PROMPTS``: the newest version of each."""
    table = _prompts(store)
    return table.filter(table.column("current")).drop_columns(["current"])


def _prompts(store: Store) -> pa.Table:
    rows = [
        {
            "name": p.name,
            "version": p.version,
            "text": p.text,
            "created_at": datetime.fromtimestamp(p.created_at, UTC),
            "current": p.current,
        }
        for p in store.prompts.all()
    ]
    return pa.Table.from_pylist(rows, schema=_PROMPTS)


def _settings(settings: Settings) -> pa.Table:
    rows = [
        {"name": n, "value": None if (v := getattr(settings, n)) is None else str(v), "description": f.description}
        for n, f in type(settings).model_fields.items()
    ]
    return pa.Table.from_pylist(rows, schema=_strings("name", "value", "description"))


def _functions() -> pa.Table:
    unique = {f.sql_name: f for f in functions().values()}
    rows = [
        {
            "name": f.sql_name,
            "aliases": ", ".join(f.aliases),
            "kind": f.kind,
            "summary": f.summary,
            "example": f.example,
        }
        for _, f in sorted(unique.items())
    ]
    return pa.Table.from_pylist(rows, schema=_strings("name", "aliases", "kind", "summary", "example"))


def _strings(*names: str) -> pa.Schema:
    return pa.schema([(n, pa.string()) for n in names])
