"""What every rule must leave true, checked after each of them."""

from __future__ import annotations

from collections import Counter

from ..engine.plan.nodes import Call, Demand, Plan, Relation, Source
from ..engine.plan.walk import calls, children, columns, names, reads, walk


def faults(plan: Plan) -> list[str]:
    """Why ``plan`` is not well formed: a node reads a column that its input lacks, or yields a name twice."""
    found: list[str] = []
    for node in walk(plan):
        if not isinstance(node, Source):
            given = frozenset[str]().union(*(names(child) for child in children(node)))
            missing = sorted(reads(node) - given)
            found += (
                [f"{type(node).__name__} reads {', '.join(missing)}, which its input does not yield"] if missing else []
            )
        if not found:  # the columns of a broken node cannot be told
            twice = sorted(name for name, n in Counter(c.name for c in columns(node)).items() if n > 1)
            twice = [] if isinstance(node, Relation) else twice  # a user's SELECT may repeat a name
            found += [f"{type(node).__name__} yields {', '.join(twice)} twice"] if twice else []
        found += _empty(node)
    return found


def difference(before: Plan, after: Plan) -> list[str]:
    """What a rewrite changed although it must not: the root's columns, or call sites that were not there (or not as often)."""
    found = faults(after)
    if not found and _shape(before) != _shape(after):
        found.append(f"the result's columns were {_shape(before)} and are {_shape(after)}")
    new = Counter(c.call.site for c in calls(after)) - Counter(c.call.site for c in calls(before))
    return found + [f"call {site} was added" for site in sorted(new)]


def _shape(plan: Plan) -> list[tuple[str, str]]:
    """Names and types; in order where order can be seen (elsewhere columns are addressed by name)."""
    shape = [(c.name, c.type) for c in columns(plan)]
    return shape if isinstance(plan, Relation) else sorted(shape)


def _empty(node: Plan) -> list[str]:
    match node:
        case Demand(rows=rows) if rows < 0:
            return [f"Demand of {rows} rows"]
        case Source(items=()):
            return ["Source without items"]
        case Call() if node.call.output.name in names(node.input):
            return [f"Call {node.call.site} overwrites {node.call.output.name}"]
        case _:
            return []
