"""Columns that crossed Arrow and came back as something else: put their DuckDB types back."""

from __future__ import annotations

from collections.abc import Sequence

from ..plan.nodes import Plan
from ..plan.walk import columns
from .carried import arriving, carrying


def travelling(sql: str, plan: Plan, also: Sequence[str] = ()) -> str:
    """``sql``, which yields the columns of ``plan`` and ``also`` some BIGINTs, in types that survive the next crossing."""
    names, types = (
        [*(c.name for c in columns(plan)), *also],
        [*(c.type for c in columns(plan)), *["BIGINT"] * len(also)],
    )
    return carrying(names, types, f"({sql}) AS __here") or sql


def restored(name: str, plan: Plan, also: Sequence[str] = ()) -> str:
    """A query over the Arrow relation ``name`` that yields the columns of ``plan`` in their own types, and ``also`` others."""
    answers = {c.name for c in columns(plan) if c.name.startswith("__s")}
    items = [
        f'CAST("{c.name}" AS {c.type}) AS "{c.name}"' if _changed(c.type) and c.name not in answers else f'"{c.name}"'
        for c in columns(plan)
    ]
    return f"SELECT {', '.join([*items, *also]) or '*'} FROM {name}"


def survives(type_text: str) -> bool:
    """Whether values of a type come out of Arrow as what they went in."""
    return not _changed(type_text)


def _changed(type_text: str) -> bool:
    return type_text == "JSON" or arriving(type_text) != type_text
