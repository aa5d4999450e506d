"""Relational plans as one DuckDB text: whatever holds no semantic call nests into a single query."""

from __future__ import annotations

from collections.abc import Sequence

from ..plan.nodes import Compute, Demand, Filter, Keep, Plan, Relation, Sort, Source
from ..plan.passing import passed_columns
from ..plan.walk import columns
from .travel import survives


def source_sql(source: Source) -> str:
    """The Source with its outputs renamed to plan columns."""
    names = ", ".join(c.name for c in columns(source))
    items = ", ".join(i.sql for i in source.items)
    from_sql = f" FROM {source.from_sql}" if source.from_sql else ""
    limit = f" LIMIT {source.limit}" if source.limit is not None else ""
    return f"{source.prelude}SELECT * FROM (SELECT {items}{from_sql}) AS __source({names}){limit}"


def over(plan: Compute | Filter | Keep | Sort | Demand, inner: str) -> str:
    """One node over a FROM item."""
    match plan:
        case Compute():
            added = ", ".join(f"{c.expr.sql} AS {c.column.name}" for c in plan.columns)
            return f"SELECT *, {added} FROM {inner}"
        case Filter():
            return f"SELECT * FROM {inner} WHERE {plan.predicate.sql}"
        case Keep():
            return f"SELECT {', '.join(plan.names) or '1 AS __none'} FROM {inner}"
        case Sort():
            limit = f" LIMIT {plan.limit}" if plan.limit is not None else ""
            return f"SELECT * FROM {inner} ORDER BY {plan.keys.sql}{limit}"
        case Demand():
            return f"SELECT * FROM {inner} LIMIT {plan.rows}"


def relational_sql(plan: Plan) -> tuple[str, Source | Relation] | None:
    """The query of a plan without calls down to its leaf, and the leaf (whose inputs are to be had first); else ``None``."""
    match plan:
        case Source() if not plan.passes:
            return source_sql(plan), plan
        case Relation() if plan.pop is None and plan.sampling is None:
            return plan.sql, plan
        case Compute() | Filter() | Keep() | Sort() | Demand():
            below = relational_sql(plan.input)
            return below and (over(plan, f"({below[0]}) AS __below"), below[1])
        case _:
            return None


def unique_sql(sql: str, keys: Sequence[str]) -> str:
    """The query with a column ``__unique``: whether no two of its rows agree in ``keys`` (NULL agrees with NULL).

    One statement reads it twice, so both see the same rows.
    """
    counted = f"SELECT count(*) AS n FROM ({sql}) GROUP BY {', '.join(keys)}"
    return f"SELECT * FROM ({sql}) AS __rows, (SELECT coalesce(max(n), 1) = 1 AS __unique FROM ({counted}))"


def plain_columns(plan: Relation) -> tuple[str, ...] | None:
    """The columns of its input that a result consists of, if it only names them, and Arrow can carry them as they are."""
    return passed_columns(plan) if all(survives(c.type) for c in plan.columns) else None
