"""Counts, sums and averages over answers are estimated from a sample of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...engine.plan.nodes import (
    Call,
    Compute,
    Conjunction,
    Demand,
    Expr,
    Filter,
    Keep,
    Plan,
    Relation,
    SemanticCall,
    Sort,
    Source,
)
from ...engine.plan.sampling import Estimand, Kind, Sampling
from ...engine.plan.walk import calls, names, transform_up, walk
from ...udfs.functions import functions
from ..aggregates import Aggregate, aggregate_of, split
from ..context import Context
from ..expressions import movable, tokens
from ..paths import path, types
from ..rule import Rule

_NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
)
_MOST_FREE = 2
"""Answers of yes or no in a number whose bounds are found by trying all of them."""


def approximate(plan: Plan, context: Context) -> Plan | None:
    """Marks a grouping to be estimated: its rows are asked in a random order, until its aggregates are known well enough.

    What: ``SET llm_approximate = 0.05``: ``SELECT g, count(*), avg(x) FROM t WHERE LLM_FILTER('…', body) GROUP BY g`` asks about a
    sample of each group, until a 95% interval is no wider than 5% of each number to both sides; a group that is small, or has few
    rows that count, is asked whole.
    Why correct: it is not: numbers are estimates, as the user allowed, and each comes with its interval. What no answer can change
    (groups, ``count(*)`` beside a FILTER) is counted as before.
    Wrong for: aggregates that a sample says little of (``max``, ``count(DISTINCT …)``, lists), groups by an answer, HAVING and whatever
    reads an estimate as if it were the number: another query, a table that is made, a call.
    """
    accuracy = context.settings.llm_approximate
    if accuracy is None or context.policy.may_change_answers or not isinstance(plan, Relation) or plan.session:
        return None
    grouping = _grouping(plan)
    sampling = None if grouping is None else _sampling(grouping, accuracy)
    if grouping is None or sampling is None or sampling == grouping.sampling:
        return None
    return transform_up(plan, lambda node: replace(node, sampling=sampling) if node is grouping else None)


def _grouping(plan: Relation) -> Relation | None:
    """The grouping whose rows are the result's."""
    if len(plan.inputs) != 1:
        return None
    *above, bottom = path(plan.inputs[0].plan)
    plain = all(isinstance(node, Keep | Compute | Sort | Demand) for node in above)
    return bottom if plain and isinstance(bottom, Relation) and len(bottom.inputs) == 1 else None


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is grouped.

    Parameters
    ----------
    base : its columns before anybody is asked. types : of all its columns. thinned : answers decide which rows there are.
    """

    base: frozenset[str]
    types: Mapping[str, str]
    thinned: bool

    def uses(self, *texts: str) -> frozenset[str]:
        """The columns that texts read."""
        return frozenset(word.text for text in texts for word in tokens(text)) & frozenset(self.types)


def _sampling(grouping: Relation, accuracy: float) -> Sampling | None:
    rows, found = _rows(grouping.inputs[0].plan), _items(grouping)
    if rows is None or found is None:
        return None
    items, keys = found
    if not all(_stable(key, rows) and rows.uses(key) <= rows.base for key in keys):
        return None
    kinds = zip(items, grouping.columns, strict=True)
    estimands = [_estimand(item, column.type, keys, rows) for item, column in kinds]
    known = tuple(estimand for estimand in estimands if estimand is not None)
    if len(known) < len(estimands) or not any(estimand.estimated for estimand in known):
        return None
    return Sampling(accuracy, known, keys)


def _items(grouping: Relation) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What a grouping yields and by what it groups, if that is all there is to it."""
    if grouping.grouping is not None:
        parts = grouping.grouping
        return None if parts.having else (parts.items, parts.keys)
    aliases = ", ".join(column.name for column in grouping.columns)
    head, tail = "SELECT * FROM (SELECT ", f" FROM {grouping.inputs[0].name}) AS __groups({aliases})"
    start = grouping.sql.rfind(head)  # WITH … may stand before it
    if start < 0 or not grouping.sql.endswith(tail):
        return None
    items = tuple(split(grouping.sql[start + len(head) : -len(tail)]))
    return (items, ()) if len(items) == len(grouping.columns) else None


def _rows(plan: Plan) -> _Rows | None:
    """The rows of a grouping, if each is there or not, and is what it is, whatever other rows are asked."""
    asked = list(path(plan))
    lowest = max((index for index, node in enumerate(asked) if isinstance(node, Call)), default=-1)
    if lowest < 0:
        return None
    above, base = asked[: lowest + 1], asked[lowest + 1]
    if not all(isinstance(node, Call | Filter | Compute | Keep | Conjunction) for node in above) or not _plain(base):
        return None
    if not all(_alone(node.call) for node in above if isinstance(node, Call)):
        return None
    return _Rows(names(base), types(plan), any(isinstance(node, Filter) for node in above))


def _plain(base: Plan) -> bool:
    """Whether it asks nobody itself."""
    nodes = list(walk(base))
    return not calls(base) and not any(
        (isinstance(node, Relation) and node.embedded) or (isinstance(node, Source) and node.passes) for node in nodes
    )


def _alone(call: SemanticCall) -> bool:
    """Whether a row's answer is its own, and by the model that the query names."""
    function = functions().get(call.function)
    others = (call.top_k, call.pairs, call.arms, call.merge, call.online, call.cascade)
    together = any(mark is not None for mark in others)
    return function is not None and function.kind == "scalar" and not function.to_many and not together


def _estimand(item: str, kind: str, keys: tuple[str, ...], rows: _Rows) -> Estimand | None:
    if item in keys:
        return Estimand("key", item)
    found = aggregate_of(item)
    if found is None or not _stable(item, rows) or not (found.name in ("count", "count_if") or _is_number(kind)):
        return None
    if not rows.thinned and rows.uses(item) <= rows.base:
        return Estimand("exact", item)
    free = tuple(sorted(rows.uses(found.argument) - rows.base)) if found.name in ("sum", "avg") else ()
    if len(free) > _MOST_FREE or any(rows.types[name] != "BOOLEAN" for name in free):
        return None
    return Estimand(_kind(found), item, found.present, _value(found), free)


def _kind(found: Aggregate) -> Kind:
    return "count" if found.name == "count_if" else found.name


def _value(found: Aggregate) -> str:
    return f"({found.argument})" if found.name in ("sum", "avg") else "1"


def _stable(sql: str, rows: _Rows) -> bool:
    return movable(Expr(sql, rows.uses(sql), sql))


def _is_number(kind: str) -> bool:
    return kind in (*_NUMBERS, "DOUBLE") or kind.startswith("DECIMAL")


RULE = Rule("approximate", approximate, changes_answers=True, setting="llm_approximate")
