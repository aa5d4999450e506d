"""Columns that crossed Arrow and came back as something else: put their DuckDB types back."""

from __future__ import annotations

from ..plan.nodes import Plan
from ..plan.walk import columns

# DuckDB exports these as strings or decimals. (BIT is exported damaged and VARIANT raw: nothing here can mend them.)
_LOSSY = ("HUGEINT", "UHUGEINT", "UUID", "JSON", "TIME WITH TIME ZONE")


def restored(name: str, plan: Plan) -> str:
    """A query over the Arrow relation ``name`` that yields the columns of ``plan`` in their own types."""
    answers = {c.name for c in columns(plan) if c.name.startswith("__s")}
    items = [
        f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' if c.type in _LOSSY and c.name not in answers else f'"{c.name}"'
        for c in columns(plan)
    ]
    return f"SELECT {', '.join(items) or '*'} FROM {name}"
