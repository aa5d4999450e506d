"""ORDER BY … LIMIT on plain columns is sorted before anything is asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from ...engine.plan.nodes import Call, Compute, Expr, Filter, Input, Keep, Plan, Relation, Sort, Unnest
from ...engine.plan.walk import children, names, reads, transform_up, with_children
from ..context import Context
from ..expressions import may_fail, movable
from ..paths import path
from ..rule import Rule


def sort_first(plan: Plan, context: Context) -> Plan | None:
    """The order of a top-k over plain columns is made below the calls, so that a demand for k rows can stop them.

    What: under a Relation with ORDER BY and LIMIT k, a Sort by the same keys below the calls whose answers they do not read;
    calls that they do read go lower still (``SELECT LLM_EXTRACT(…) … ORDER BY LLM_SCORE(…) LIMIT 3`` extracts three times).
    Why correct: calls, computed columns, filters and unnested lists keep order, and the Relation sorts again; only ties may fall otherwise,
    which SQL leaves open.
    Wrong for: ``ORDER BY random()`` (sorted twice, two orders), and
    ``WHERE LLM_FILTER('a number', x) ORDER BY x::INTEGER LIMIT 3`` if the cast moved below the filter.
    """
    del context
    result = transform_up(plan, _visit)
    return None if result == plan else result


def _visit(node: Plan) -> Plan | None:
    # LIMIT 0 needs no order, and a key that is an answer would be asked for one.
    if not isinstance(node, Relation) or not node.limit or node.order_by is None or len(node.inputs) != 1:
        return None
    only, keys = node.inputs[0], node.order_by
    if not movable(keys) or any(isinstance(n, Sort) and n.keys == keys for n in path(only.plan)):
        return None
    sunk = _sink(keys, _regroup(keys, only.plan))
    sort = next(n for n in path(sunk) if isinstance(n, Sort) and n.keys == keys)
    if _calls(sort) == _calls(only.plan):
        return None
    return replace(node, inputs=(Input(only.name, sunk),))


def _regroup(keys: Expr, plan: Plan) -> Plan:
    """What the keys need goes below the other calls and computed columns on top of the path, each kind in its old order."""
    run = list(takewhile(lambda n: isinstance(n, Call | Compute), path(plan)))
    bottom = run[-1].input if run and isinstance(run[-1], Call | Compute) else plan
    need, lower, upper = keys.uses, list[Plan](), list[Plan]()
    for node in run:
        made = names(node) - names(children(node)[0])
        (lower if made & need else upper).append(node)
        need |= reads(node) if made & need else frozenset()
    for node in reversed([*upper, *lower]):
        bottom = with_children(node, (bottom,))
    return bottom


def _calls(plan: Plan) -> int:
    return sum(isinstance(n, Call) for n in path(plan))


def _sink(keys: Expr, plan: Plan) -> Plan:
    """``plan`` sorted by ``keys`` below its lowest call that the keys can pass."""
    match plan:
        case Call() | Compute() | Keep() if keys.uses <= names(plan.input):
            return replace(plan, input=_sink(keys, plan.input))
        case Unnest() if keys.uses <= names(plan.input) and (plan.keep_empty or not _keys_may_fail(keys)):
            return replace(plan, input=_sink(keys, plan.input))
        case Filter() if not _keys_may_fail(keys):
            below = _sink(keys, plan.input)
            # Below plain filters alone it would sort more rows for nothing.
            return Sort(plan, keys) if below == Sort(plan.input, keys) else replace(plan, input=below)
        case _:
            return Sort(plan, keys)


def _keys_may_fail(keys: Expr) -> bool:
    # Keys are not compared with each other, so that their types differ means nothing.
    return may_fail(keys, dict.fromkeys(keys.uses, "VARCHAR"))


RULE = Rule("sort_first", sort_first)
