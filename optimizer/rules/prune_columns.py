"""Columns travel only as far as somebody reads them."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import (
    Call,
    Column,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Expr,
    Filter,
    Input,
    Keep,
    Plan,
    Relation,
    Sort,
    Source,
    SourceItem,
    Unnest,
)
from ...engine.plan.walk import columns, names, reads
from ..context import Context
from ..expressions import movable
from ..rule import Rule

# Types whose values are small: carrying them a little too far costs less than a node in the plan.
_SMALL = (
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    *("UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIME", "TIMESTAMP", "UUID", "INTERVAL", "ENUM"),
)


def prune_columns(plan: Plan, context: Context) -> Plan | None:
    """Unread columns are not made: items leave the Source, computed columns and calls nobody reads go, Keep drops the rest.

    What: from the top, each node asks its input for what it and the nodes above it read. A Keep stands on a star (its
    text cannot be narrowed inside), and under a call or a Relation where text or nested values would travel for nothing.
    Why correct: nobody reads what is dropped, and no rows are: volatile and row-multiplying items of a Source stay.
    Wrong for: ``SELECT unnest(tags), …``, if the unread unnest left; and for the root's own columns, which all stay.
    """
    del context
    result = _block(plan) if isinstance(plan, Relation) else _prune(plan, names(plan))
    return None if result == plan else result


def _block(node: Relation) -> Relation:
    def narrow(plan: Plan) -> Plan:
        if isinstance(
            plan, Relation
        ):  # a lifted query: the text reads its columns by the user's names, not in ``uses``
            return _block(plan)
        need = node.uses & names(plan)
        return _keep(_prune(plan, need), need)

    return replace(node, inputs=tuple(Input(i.name, narrow(i.plan)) for i in node.inputs))


def _prune(plan: Plan, need: frozenset[str]) -> Plan:
    """``plan`` yielding at least the columns in ``need`` (and at least one)."""
    match plan:
        case Source():
            return _narrow(plan, need)
        case Relation():
            return _block(plan)
        case Compute():
            return _compute(plan, need)
        case Call() if plan.call.output.name not in need:
            return _prune(plan.input, need)
        case Call():
            below = (need - {plan.call.output.name}) | reads(plan)
            return replace(plan, input=_keep(_prune(plan.input, below), below))
        case Unnest():
            below = (need - frozenset(c.name for c in plan.outputs)) | {plan.column}
            return replace(plan, input=_keep(_prune(plan.input, below), below))
        case Filter() | Sort():
            return replace(plan, input=_prune(plan.input, need | reads(plan)))
        case Demand() | Conjunction() | Condition():
            return replace(plan, input=_prune(plan.input, need))
        case Keep():
            wanted = frozenset(n for n in plan.names if n in need) or frozenset(plan.names[:1])
            return _keep_only(_prune(plan.input, wanted), wanted)


def _compute(plan: Compute, need: frozenset[str]) -> Plan:
    kept = tuple(c for c in plan.columns if c.column.name in need)
    if not kept:
        return _prune(plan.input, need)
    made = frozenset(c.column.name for c in kept)
    narrowed = replace(plan, columns=kept)
    return replace(narrowed, input=_prune(plan.input, (need - made) | reads(narrowed)))


def _narrow(plan: Source, need: frozenset[str]) -> Plan:
    whole = [
        Input(i.name, _prune(i.plan, names(i.plan))) for i in plan.inputs
    ]  # its text may read any of their columns
    items = tuple(i for i in plan.items if _must_stay(i) or any(c.name in need for c in i.columns)) or plan.items[:1]
    narrowed = replace(plan, items=items, inputs=tuple(whole))
    stars = [i for i in items if len(i.columns) > 1]
    unread = [c for i in stars for c in i.columns if c.name not in need]
    return _keep_only(narrowed, need) if unread else narrowed


def _must_stay(item: SourceItem) -> bool:
    # ``unnest`` and its like are not scalar functions, so they are not movable either.
    return not movable(Expr(item.sql, frozenset(), ""))


def _keep(plan: Plan, need: frozenset[str]) -> Plan:
    """A Keep on top, if it stops a column that is worth stopping."""
    unread = [c for c in columns(plan) if c.name not in need]
    return _keep_only(plan, need) if any(not _small(c) for c in unread) else plan


def _keep_only(plan: Plan, need: frozenset[str]) -> Plan:
    ordered = [c.name for c in columns(plan)]
    wanted = tuple(n for n in ordered if n in need) or tuple(ordered[:1])
    inner = plan.input if isinstance(plan, Keep) else plan
    return plan if wanted == tuple(ordered) else Keep(inner, wanted)


def _small(column: Column) -> bool:
    return column.type.startswith(_SMALL) and not column.type.endswith("]")


RULE = Rule("prune_columns", prune_columns)
