"""Columns that crossed Arrow and came back as something else: put their DuckDB types back."""

from __future__ import annotations

from ..plan.nodes import Plan
from ..plan.walk import columns
from .carried import arriving, carrying


def travelling(sql: str, plan: Plan) -> str:
    """``sql``, which yields the columns of ``plan``, in types that survive the next crossing."""
    names, types = [c.name for c in columns(plan)], [c.type for c in columns(plan)]
    return carrying(names, types, f"({sql}) AS __here") or sql


def restored(name: str, plan: Plan) -> str:
    """A query over the Arrow relation ``name`` that yields the columns of ``plan`` in their own types."""
    answers = {c.name for c in columns(plan) if c.name.startswith("__s")}
    items = [
        f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' if _changed(c.type) and c.name not in answers else f'"{c.name}"'
        for c in columns(plan)
    ]
    return f"SELECT {', '.join(items) or '*'} FROM {name}"


def survives(type_text: str) -> bool:
    """Whether values of a type come out of Arrow as what they went in."""
    return not _changed(type_text)


def _changed(type_text: str) -> bool:
    return type_text == "JSON" or arriving(type_text) != type_text
