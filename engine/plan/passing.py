"""Texts of DuckDB's that do nothing with their rows but to name the columns."""

from __future__ import annotations

import re

from .nodes import Relation, Source

_ITEM = r'(__[a-z]\d+) AS (?:"(?:[^"]|"")+"|\w+)'
_PLAIN = re.compile(rf"SELECT {_ITEM}(?:, {_ITEM})* FROM \w+", re.IGNORECASE)
_WORD = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_ALIAS = rf"(?:\s+(?:AS\s+)?{_WORD})?"
_REFERENCE = re.compile(rf"(?:{_WORD}\s*\.\s*)?({_WORD})")


def passed_columns(plan: Relation) -> tuple[str, ...] | None:
    """The columns of its input that a result consists of, if it only names them; ``None``: DuckDB has something to do."""
    if not plan.rowwise or not _PLAIN.fullmatch(plan.sql):
        return None
    found = tuple(match[1] for match in re.finditer(_ITEM, plan.sql, re.IGNORECASE))
    return found if len(found) == len(plan.columns) else None


def passed_through(source: Source) -> tuple[Relation, tuple[str, ...]] | None:
    """The query whose rows a source consists of, and per column of the source the column below that query.

    ``None``: the source does something with them (a join, an expression), or the query does.
    """
    relation = _only_input(source)
    below = None if relation is None else passed_columns(relation)
    if relation is None or below is None:
        return None
    named = {c.name.lower(): name for c, name in zip(relation.columns, below, strict=True)}
    found = [named.get(_column(item.sql)) for item in source.items]
    columns = tuple(name for name in found if name is not None)
    single = all(len(item.columns) == 1 for item in source.items)
    return (relation, columns) if single and len(columns) == len(found) else None


def _only_input(source: Source) -> Relation | None:
    if len(source.inputs) != 1 or source.limit is not None:
        return None
    (item,) = source.inputs
    whole = rf"\(\s*SELECT \* FROM {item.name}\s*\)"
    if not source.prelude:
        read = re.fullmatch(rf"\s*{whole}{_ALIAS}\s*", source.from_sql, re.IGNORECASE)
    else:
        cte = re.fullmatch(rf"WITH ({_WORD}) AS {whole}\s*", source.prelude, re.IGNORECASE)
        read = cte and re.fullmatch(rf"\s*{re.escape(cte[1])}{_ALIAS}\s*", source.from_sql, re.IGNORECASE)
    return item.plan if read and isinstance(item.plan, Relation) and len(item.plan.inputs) == 1 else None


def _column(sql: str) -> str:
    match = _REFERENCE.fullmatch(sql.strip())
    word = match[1] if match else ""
    return (word[1:-1].replace('""', '"') if word.startswith('"') else word).lower()
