"""What the user is told of estimates: a notice with the result, and ``llm_estimates()``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyarrow as pa

from ..dataflow.estimates import EstimatedNumber
from ..dataflow.run import QueryRun
from ..plan.nodes import Relation
from ..plan.walk import calls
from .estimated import Estimated

SHOWN = 5
TABLE = pa.schema(
    [
        ("query_id", pa.string()),
        ("group", pa.string()),
        ("number", pa.string()),
        ("estimate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("rows_asked", pa.int64()),
        ("rows", pa.int64()),
    ]
)


def report(estimated: Estimated, plan: Relation, run: QueryRun) -> None:
    """Keep the intervals of a run, and add its notice; nothing where every row was asked."""
    groups = estimated.groups()
    asked = [estimated.sampler.asked(at) for at in range(len(groups))]
    drawn, size = sum(a for a, _ in asked), sum(n for _, n in asked)
    said = f"{drawn:,} of {size:,} rows asked"
    site = run.progress.sites.get(calls(plan)[0].call.site)
    if site is not None:
        site.notes["sample"] = said
    if drawn == size:
        return
    labels = [plan.columns[at].label for at in estimated.sampled]
    numbers = [
        EstimatedNumber(group, label, found.value, found.low, found.high, *asked[at])
        for at, group in enumerate(groups)
        for label, found in zip(labels, estimated.sampler.estimates(at), strict=True)
    ]
    run.estimates.extend(numbers)
    run.notice(_notice([n for n in numbers if n.rows_asked < n.rows], said), about="estimates")


def estimates_table(query_id: str, numbers: Sequence[EstimatedNumber]) -> pa.Table:
    """``llm_estimates()``: the intervals of a query."""
    rows = [
        {
            "query_id": query_id,
            "group": n.group,
            "number": n.label,
            "estimate": _known(n.value),
            "low": _known(n.low),
            "high": _known(n.high),
            "rows_asked": n.rows_asked,
            "rows": n.rows,
        }
        for n in numbers
    ]
    return pa.Table.from_pylist(rows, schema=TABLE)


def _known(number: float) -> float | None:
    """The mean of nothing is NULL."""
    return None if math.isnan(number) else number


def _notice(numbers: Sequence[EstimatedNumber], said: str) -> str:
    shown = [n.words() for n in numbers[:SHOWN]]
    rest = len(numbers) - len(shown)
    more = f"; {rest:,} more" if rest else ""
    return f"Estimated: {'; '.join(shown)}{more} (95% each), {said}: see llm_estimates()."
