"""Blocks that group or aggregate: row-level calls below, a grouping in DuckDB, calls on groups above it.

A call belongs below when it stands in WHERE, in GROUP BY (or repeats one of its expressions) or inside an aggregate's
argument; every other call, and every semantic aggregate, asks once per group.
"""

from __future__ import annotations

from ..plan.nodes import Relation, Unnest
from ..plan.walk import walk
from .aggregates_at import aggregate_arguments, aggregates_in
from .bind_block import BlockBinder
from .grouping import bind_grouping, upper_conjuncts
from .keys import key_of
from .scope import NotLiftableError
from .select import bind_rows, fixed_names, project
from .tokens import Range

_GROUPINGS = ("ROLLUP", "CUBE", "GROUPING SETS", "GROUPING", "(")


def is_aggregated(binder: BlockBinder) -> bool:
    """Whether the block has GROUP BY, HAVING or an aggregate function of its own."""
    if binder.block.clause("GROUP BY") or binder.block.clause("HAVING"):
        return True
    return any(aggregates_in(binder, binder.block.clause(c)) for c in ("SELECT", "ORDER BY"))


def bind_aggregate(binder: BlockBinder, conditions: list[Range]) -> Relation:
    """A block that groups."""
    if not binder.items:
        raise NotLiftableError("a FROM-first block that groups")
    groups, plain_groups = _group_items(binder)
    binder.grouped = frozenset(key_of(binder.text.source(g)) for g in groups)
    binder.aggregated = tuple(aggregate_arguments(binder, binder.block.clause("HAVING")))
    below = _calls_below(binder, groups, conditions)
    names = fixed_names(binder)
    over_rows = bool(below or binder.row_calls) or _regroups(binder, plain_groups)
    if over_rows:
        clauses = ("SELECT", "WHERE", "GROUP BY", "HAVING", "QUALIFY", "ORDER BY")
        bind_rows(binder, conditions, [c for c in map(binder.block.clause, clauses) if c] + conditions)
        for start in below:
            binder.resolve_aliases(binder.calls[start].located.whole)
            binder.add_calls(binder.calls[start].located.whole)
    bind_grouping(binder, groups, plain_groups, over_rows=over_rows)
    for conjunct in upper_conjuncts(binder):
        binder.add_conjunct(conjunct)
    return project(binder, names)


def _regroups(binder: BlockBinder, plain: bool) -> bool:
    """Whether the groups are of a query's rows that were made of others: then they may be made as these come."""
    inputs = binder.scope.inputs
    grouped = plain and bool(binder.block.clause("GROUP BY"))
    return grouped and len(inputs) == 1 and any(isinstance(node, Unnest) for node in walk(inputs[0].plan))


def _group_items(binder: BlockBinder) -> tuple[list[Range], bool]:
    """The grouping expressions, with ordinals, aliases and ALL resolved; whether the list of them is all of GROUP BY."""
    clause = binder.block.clause("GROUP BY")
    if not clause:
        return [], True
    if binder.text.source(clause).strip().upper() in ("ALL", "*"):
        return [i.core for i in binder.items if not aggregates_in(binder, i.core)], True
    parts = [_single(binder, p) for p in binder.text.split(clause)]
    if any(binder.text.word(p.lo) in _GROUPINGS for p in parts):
        return binder.references_in(clause), False
    return [_group_item(binder, p) for p in parts], True


def _single(binder: BlockBinder, part: Range) -> Range:
    """``(expr)`` is one expression; ``(a, b)`` and ``()`` are grouping sets."""
    inner = binder.text.unwrap(part)
    return inner if len(binder.text.split(inner)) == 1 else part


def _group_item(binder: BlockBinder, part: Range) -> Range:
    if part.hi - part.lo != 1:
        return part
    word = binder.text.source(part)
    if word.isdigit() and 0 < int(word) <= len(binder.items):
        return binder.items[int(word) - 1].core
    item = binder.alias(part)
    if item is not None and binder.try_describe(word, binder.whole_from_sql()) is None:
        return item.core
    return part


def _calls_below(binder: BlockBinder, groups: list[Range], conditions: list[Range]) -> list[int]:
    inside = [binder.block.clause("WHERE"), *conditions, *groups]
    for clause in ("SELECT", "HAVING", "ORDER BY"):
        inside += aggregate_arguments(binder, binder.block.clause(clause))
    below = [s for s in binder.starts if any(r.lo <= s < r.hi for r in inside if r)]
    aggregates = [s for s in below if binder.calls[s].located.function.kind == "aggregate"]
    if aggregates:
        raise NotLiftableError("a semantic aggregate stands in WHERE, GROUP BY or another aggregate")
    return sorted(below)
