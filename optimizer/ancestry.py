"""Which groupings go back to the row that their rows were made of, inferred from the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..engine.plan.nodes import Call, Compute, Expr, Filter, Keep, Plan, Pop, Relation, Source, Unnest
from ..engine.plan.passing import passed_through
from ..engine.plan.walk import calls, walk
from .context import Statistics
from .expressions import movable


@dataclass(frozen=True, slots=True)
class Barrier:
    """A grouping that needs all rows before its first group.

    Parameters
    ----------
    reason : in words for EXPLAIN.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class _Traced:
    """Where columns come from.

    Parameters
    ----------
    source : at the bottom. columns : those that are still the source's as they were, and its names for them.
    ordinals : per level that was made, the column that numbers its rows; "": it is gone.
    check : what a grouping further down already relies on.
    """

    source: Source
    columns: dict[str, str]
    ordinals: tuple[str, ...] = ()
    check: tuple[str, ...] | None = None


def ancestry(grouping: Plan, statistics: Statistics, shared: frozenset[str] = frozenset()) -> Pop | Barrier | None:
    """How far a grouping goes back; ``None``: there are no levels below it.

    Parameters
    ----------
    shared : names of inputs that are read more than once.

    Why it is correct: if the keys of a group determine the row of the source, no group has rows of two of them, so it is complete
    when all rows that were made of that one are there. With the ordinals of further levels among the keys, the same holds for
    the parts.
    """
    if not isinstance(grouping, Relation) or not grouping.session or len(grouping.inputs) != 1:
        return None
    below = grouping.inputs[0].plan
    if not _has_levels(below):
        return None
    parts = grouping.grouping
    if parts is None:
        return Barrier("it has no plain GROUP BY, or needs your connection")
    traced = _trace(below, shared)
    if isinstance(traced, Barrier):
        return traced
    if (words := of_session(below, statistics)) is not None:
        return Barrier(f"{words} needs your connection, which is busy with the rows below")
    keys = frozenset(parts.keys)
    of_source = tuple(sorted(keys & frozenset(traced.columns)))
    check = _check(traced, of_source, statistics)
    if isinstance(check, Barrier):
        return check
    if check and not _repeatable(below):
        return Barrier("what is read below is drawn anew each time, so that no key can be looked for first")
    length = 1
    while length < len(traced.ordinals) and traced.ordinals[length - 1] in keys:
        length += 1
    return Pop(length, check)


def of_session(plan: Plan, statistics: Statistics) -> str | None:
    """What stands above calls on this path and means something on the user's connection alone, in the user's words."""
    while isinstance(plan, Compute | Filter | Call | Keep | Unnest):
        if calls(plan):
            words = next((e.label for e in _expressions(plan) if statistics.of_session(e.sql)), None)
            if words is not None:
                return words
        plan = plan.input
    return None


def passing(plan: Plan) -> Plan | None:
    """A source whose rows are those of a query, as one through which they pass."""
    passes = isinstance(plan, Source) and not plan.passes and passed_through(plan) is not None
    return replace(plan, passes=True) if passes and isinstance(plan, Source) else None


def _has_levels(plan: Plan) -> bool:
    while isinstance(plan, Compute | Filter | Call | Keep):
        plan = plan.input
    if isinstance(plan, Source) and (through := passed_through(plan)) is not None:
        return _has_levels(through[0].inputs[0].plan)
    return isinstance(plan, Unnest) or (isinstance(plan, Relation) and plan.pop is not None)


def _check(traced: _Traced, columns: tuple[str, ...], statistics: Statistics) -> tuple[str, ...] | Barrier:
    """What is to be checked as the source is read, for these columns to be its key."""
    source, words = traced.source, ", ".join(_labels(traced.source, frozenset(traced.columns[c] for c in columns)))
    if not columns:
        return Barrier(f"no key of {source.from_sql or 'the source'} is among the groups' keys")
    names = frozenset(traced.columns[c] for c in columns)
    check = () if statistics.unique(source, names) else tuple(sorted(names))
    if check and not statistics.rereadable(source):
        return Barrier(f"{words} is no declared key of {source.from_sql}, which can be read only once")
    if traced.check is not None and traced.check != check:
        return Barrier("the groups below it rely on another key")
    return check


def _labels(source: Source, names: frozenset[str]) -> list[str]:
    return [c.label for item in source.items for c in item.columns if c.name in names]


def _trace(plan: Plan, shared: frozenset[str]) -> _Traced | Barrier:
    match plan:
        case Source():
            return _of_query(plan, shared) if plan.inputs else _of_source(plan)
        case Relation():
            return _of_groups(plan, shared)
        case Unnest():
            below = _trace(plan.input, shared)
            if isinstance(below, Barrier):
                return below
            number = "" if plan.ordinal == "none" else plan.outputs[-1].name
            return replace(below, ordinals=(*below.ordinals, number))
        case Compute() | Filter() | Call() | Keep():
            return _trace(plan.input, shared)
        case _:
            return Barrier("its rows are ordered or limited first")


def _of_source(source: Source) -> _Traced | Barrier:
    if source.prelude or source.limit is not None:
        return Barrier("it reads a WITH or a LIMIT")
    return _Traced(source, {c.name: c.name for item in source.items for c in item.columns})


def _of_query(source: Source, shared: frozenset[str]) -> _Traced | Barrier:
    """A source that reads a query with calls, and nothing else."""
    through = passed_through(source)
    if through is None or source.inputs[0].name in shared:
        return Barrier("it reads a query with calls that does more than to name columns, or is read elsewhere, too")
    relation, names = through
    below = _trace(relation.inputs[0].plan, shared)
    return below if isinstance(below, Barrier) else _renamed(below, dict(zip(names, _names(source), strict=True)))


def _names(source: Source) -> list[str]:
    return [item.columns[0].name for item in source.items]


def _of_groups(plan: Relation, shared: frozenset[str]) -> _Traced | Barrier:
    if plan.pop is None or plan.grouping is None:
        return Barrier("it groups what was grouped without a key")
    below = _trace(plan.inputs[0].plan, shared)
    if isinstance(below, Barrier):
        return below
    popped = replace(below, ordinals=(*below.ordinals[: plan.pop.length - 1], ""), check=plan.pop.check)
    return _renamed(popped, dict(zip(plan.grouping.items, (c.name for c in plan.columns), strict=True)))


def _renamed(traced: _Traced, names: dict[str, str]) -> _Traced:
    """With the columns that go on, under their new names."""
    columns = {names[name]: origin for name, origin in traced.columns.items() if name in names}
    return replace(traced, columns=columns, ordinals=tuple(names.get(name, "") for name in traced.ordinals))


def _repeatable(plan: Plan) -> bool:
    """Whether what is read below the calls is the same each time."""
    return all(movable(expr) for node in walk(plan) if not calls(node) for expr in _expressions(node))


def _expressions(node: Plan) -> list[Expr]:
    match node:
        case Compute():
            return [c.expr for c in node.columns]
        case Filter():
            return [node.predicate]
        case Source():
            return [Expr(item.sql, frozenset(), "") for item in node.items if len(item.columns) == 1]
        case _:
            return []
