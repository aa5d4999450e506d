"""A SELECT list above the last operator, and nothing else: it can be done for each batch that comes.

As one query over a reader, DuckDB reads several batches before it gives the first row of the result. With few calls at once
these are several answers, one after the other.
"""

from __future__ import annotations

from ..plan.nodes import Relation
from .carried import carrying, travels
from .operators.fragment import BATCH
from .travel import restored


def projection_sql(plan: Relation) -> str | None:
    """The query for a batch, its columns numbered and in types that travel; ``None``: rows depend on one another."""
    (item,) = plan.inputs
    if not plan.rowwise or plan.order_by is not None or not plan.sql.endswith(f" FROM {item.name}"):
        return None
    if not all(travels(column.type) for column in plan.columns):
        return None
    sql = f"WITH {item.name} AS ({restored(BATCH, item.plan)}) {plan.sql}"
    names = [f"__o{number}" for number in range(len(plan.columns))]  # two columns may have one name
    named = f"SELECT * FROM ({sql}) AS __projected({', '.join(names)})"
    return carrying(names, [column.type for column in plan.columns], f"({named})") or named
