"""Right answers read from the user's database, before the query that they are for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...optimizer.search.agreement import agreement
from ...udfs.spec import DYNAMIC
from ..errors import BindError
from ..plan.nodes import Expr, Plan, SemanticCall
from ..plan.truth import LABEL
from ..plan.walk import calls, names
from .carried import carried
from .duck import Duck
from .operators.answers import inputs_of
from .operators.judged import Labels
from .operators.questions import key_of, preview_of


def read_labels(duck: Duck, call: SemanticCall) -> Labels:
    """The labels of a call by its inputs.

    Raises
    ------
    BindError : an input has two different ones.
    """
    truth = call.truth
    assert truth is not None
    types = (t for t, value in zip(call.argument_types, call.constants, strict=True) if value is DYNAMIC)
    items = [f"CAST({name} AS {carried(kind)}) AS {name}" for name, kind in zip(truth.inputs, types, strict=True)]
    table = duck.table(f"SELECT {', '.join([*items, LABEL])} FROM ({truth.sql}) AS __labels")
    as_read = replace(call, arguments=truth.inputs, guard=None)
    found: dict[str | bytes, Any] = {}
    for batch in table.to_batches():
        inputs = inputs_of(as_read, batch, aggregate=False)
        for values, label in zip(inputs, batch.column(LABEL).to_pylist(), strict=True):
            assert values is not None  # the query has no NULLs
            key = key_of(values)
            known = found.setdefault(key, label)
            if agreement(known, label) < 1.0:
                raise BindError(
                    f"{truth.table} has two different labels for {preview_of(values)!r}: {known!r} and {label!r}. Keep one for each input, "
                    f"in a view: SELECT …, mode({LABEL}) AS {LABEL} FROM {truth.table} GROUP BY ….",
                    name=truth.table,
                )
    return found


def has_label(below: Plan, above: Plan) -> Expr | None:
    """Of the rows that ``below`` gives to the calls of ``above``: whether a call has a label for them. ``None``: no call has any."""
    available, tests = names(below), []
    used: set[str] = set()
    for call in (node.call for node in calls(above)):
        if call.truth is None or not set(call.arguments) <= available:
            continue
        pairs = " AND ".join(
            f"__gold.{mine} = {theirs}" for mine, theirs in zip(call.truth.inputs, call.arguments, strict=True)
        )
        tests.append(f"EXISTS (SELECT 1 FROM ({call.truth.sql}) AS __gold WHERE {pairs})")
        used |= set(call.arguments)
    return Expr(" OR ".join(tests), frozenset(used), "labelled") if tests else None
