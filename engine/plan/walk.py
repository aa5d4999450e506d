"""Moving about in plans: children, rebuilding, columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import assert_never

from .nodes import (
    Call,
    Column,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Filter,
    Input,
    Keep,
    Plan,
    Relation,
    Sort,
    Source,
    Unnest,
)


def children(plan: Plan) -> tuple[Plan, ...]:
    """The plans that ``plan`` reads."""
    match plan:
        case Source() | Relation():
            return tuple(i.plan for i in plan.inputs)
        case Compute() | Filter() | Call() | Unnest() | Keep() | Sort() | Demand() | Conjunction() | Condition():
            return (plan.input,)
        case _:
            assert_never(plan)


def with_children(plan: Plan, new: tuple[Plan, ...]) -> Plan:
    """``plan`` reading ``new`` instead; the same object when nothing changed."""
    if all(a is b for a, b in zip(children(plan), new, strict=True)):
        return plan
    match plan:
        case Source() | Relation():
            return replace(plan, inputs=tuple(Input(i.name, p) for i, p in zip(plan.inputs, new, strict=True)))
        case Compute() | Filter() | Call() | Unnest() | Keep() | Sort() | Demand() | Conjunction() | Condition():
            return replace(plan, input=new[0])
        case _:
            assert_never(plan)


def transform_up(plan: Plan, visit: Callable[[Plan], Plan | None]) -> Plan:
    """Rebuild bottom-up; ``visit`` returns a replacement, or ``None`` to leave a node as it is."""
    rebuilt = with_children(plan, tuple(transform_up(c, visit) for c in children(plan)))
    return visit(rebuilt) or rebuilt


def walk(plan: Plan) -> Iterator[Plan]:
    """Every node, the root first."""
    yield plan
    for child in children(plan):
        yield from walk(child)


def calls(plan: Plan) -> list[Call]:
    """Every semantic call, in the order in which rows meet them."""
    return [n for n in walk(plan) if isinstance(n, Call)][::-1]


def columns(plan: Plan) -> tuple[Column, ...]:
    """The columns that ``plan`` yields, in order."""
    match plan:
        case Source():
            return tuple(c for item in plan.items for c in item.columns)
        case Relation():
            return plan.columns
        case Compute():
            return columns(plan.input) + tuple(c.column for c in plan.columns)
        case Call():
            return (*columns(plan.input), plan.call.output)
        case Unnest():
            return (*(c for c in columns(plan.input) if c.name != plan.column), *plan.outputs)
        case Keep():
            keep = {c.name: c for c in columns(plan.input)}
            return tuple(keep[name] for name in plan.names)
        case Filter() | Sort() | Demand() | Conjunction() | Condition():
            return columns(plan.input)
        case _:
            assert_never(plan)


def names(plan: Plan) -> frozenset[str]:
    """Names of the columns that ``plan`` yields."""
    return frozenset(c.name for c in columns(plan))


def reads(plan: Plan) -> frozenset[str]:
    """Columns of its input that the node itself reads (not its descendants)."""
    match plan:
        case Source():
            return frozenset()
        case Relation():
            return plan.uses
        case Compute():
            return frozenset().union(*(c.expr.uses for c in plan.columns))
        case Filter():
            return plan.predicate.uses
        case Call():
            guard = (plan.call.guard,) if plan.call.guard else ()
            score = (plan.call.cascade.column,) if plan.call.cascade and plan.call.cascade.column else ()
            return frozenset((*plan.call.arguments, *guard, *score))
        case Unnest():
            return frozenset({plan.column})
        case Keep():
            return frozenset(plan.names)
        case Sort():
            return plan.keys.uses
        case Demand() | Conjunction() | Condition():
            return frozenset()
        case _:
            assert_never(plan)
