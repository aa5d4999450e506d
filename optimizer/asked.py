"""The calls that a condition is decided by, made independent of each other: what each needs stands below all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..engine.plan.conjuncts import as_written
from ..engine.plan.nodes import Call, Column, Compute, Computed, Expr, Filter, Keep, Plan, SemanticCall
from ..engine.plan.walk import columns, names
from ..udfs.functions import functions
from .conditions import Parsed, columns_of, compares, harmless, known_before, parsed, without
from .context import Context
from .ordering.trees import Tree, renumbered
from .paths import types


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for a condition.

    Parameters
    ----------
    calls : in the order of the text. Their guards are what does not depend on answers of each other.
    leaves : per call, the text of the leaf that reads its answer.
    known : columns of ``below`` with the values of the other leaves, whose numbers follow those of the calls.
    tree : the condition. below : the rows with all that the calls and ``known`` read. base : what the lowest call stands on.
    made : columns that are made on the way up from ``base``.
    """

    calls: tuple[SemanticCall, ...]
    leaves: tuple[str, ...]
    known: tuple[str, ...]
    tree: Tree
    below: Plan
    base: Plan
    made: frozenset[str]


def asked(plan: Plan, condition: Expr, keep: Literal["true", "value"]) -> Asked | None:
    """The calls from ``plan`` down, as far as the condition reads their answers; ``None``: they need each other, or a leaf is
    neither an answer compared with literals nor known before. ``keep`` : see ``Condition``.
    """
    found = _passed(plan, condition, keep)
    if len(found.calls) < 2:
        return None
    base = found.calls[0].input
    written = as_written(node.call for node in found.calls)
    outputs = {call.output.name: call.output for call in written}
    guards = frozenset(node.call.guard for node in found.calls if node.call.guard)
    below = _below(base, found.computes, frozenset(outputs), guards)
    given = parsed(condition.sql)
    places = _places(given, outputs, {} if below is None else types(below))
    if below is None or places is None:
        return None
    calls = tuple(replace(call, guard=call.guard if call.guard in names(below) else None) for call in written)
    leaves = tuple(given.leaves[places.index(place)] for place in range(len(calls)))
    below, known = _with_known(
        below, [leaf for leaf, place in zip(given.leaves, places, strict=True) if place >= len(calls)]
    )
    made = frozenset(c.column.name for compute in found.computes for c in compute.columns) | frozenset(outputs)
    return Asked(calls, leaves, known, renumbered(given.tree, places), below, base, made)


@dataclass(frozen=True, slots=True)
class _Passed:
    """Calls, the lowest first, and what is computed between them."""

    calls: tuple[Call, ...]
    computes: tuple[Compute, ...]


def _passed(plan: Plan, condition: Expr, keep: Literal["true", "value"]) -> _Passed:
    calls: list[Call] = []
    computes: list[Compute] = []
    between: list[Compute] = []
    node = plan
    while isinstance(node, Call | Compute | Keep | Filter):
        if isinstance(node, Call):
            if node.call.output.name not in condition.uses:
                break
            calls.append(node)
            computes += between
            between = []
        elif isinstance(node, Compute):
            between.append(node)
        elif isinstance(node, Filter) and not (keep == "true" and _is_part(node.predicate.sql, condition.sql)):
            break
        node = node.input
    return _Passed(tuple(reversed(calls)), tuple(reversed(computes)))


def _is_part(predicate: str, condition: str) -> bool:
    return predicate == condition or f"({predicate})" in condition


def _below(base: Plan, computes: Sequence[Compute], answers: frozenset[str], guards: frozenset[str]) -> Plan | None:
    """``base`` with what is computed between calls, as far as no answer is needed for it."""
    plan, gone = base, frozenset[str]()
    for compute in computes:
        kept: list[Computed] = []
        for one in compute.columns:
            made = _independent(one, answers, gone, guards)
            if made is None:
                gone |= {one.column.name}
            elif harmless(made.expr, types(plan)) and made.expr.uses <= names(plan):
                kept.append(made)
            else:
                return None
        plan = Compute(plan, tuple(kept)) if kept else plan
    return plan


def _independent(
    one: Computed, answers: frozenset[str], gone: frozenset[str], guards: frozenset[str]
) -> Computed | None:
    """The column without the answers; ``None``: it is a guard, and nothing is left of it."""
    sql = one.expr.sql
    if one.column.name in guards and one.expr.uses & answers:
        sql = without(sql, answers)
    for guard in (gone | guards) & one.expr.uses:
        sql = sql.removeprefix(f"CASE WHEN {guard} THEN ").removesuffix(" END")
    return replace(one, expr=Expr(sql, columns_of(sql), one.expr.label)) if sql else None


def _places(given: Parsed, outputs: Mapping[str, Column], before: Mapping[str, str]) -> list[int] | None:
    """Per leaf the place of its call, or one after those of the calls; each call has one leaf."""
    calls, found, others = list(outputs), list[int](), len(outputs)
    for leaf in given.leaves:
        read = columns_of(leaf) & frozenset(outputs)
        if len(read) == 1 and compares(leaf, outputs[min(read)]):
            found.append(calls.index(min(read)))
        elif not read and known_before(leaf, before):
            found.append(others)
            others += 1
        else:
            return None
    return found if sorted(found) == list(range(others)) else None


def _with_known(plan: Plan, leaves: Sequence[str]) -> tuple[Plan, tuple[str, ...]]:
    """The plan with a column for each leaf."""
    taken = {c.name for c in columns(plan)}
    found: list[str] = []
    computed: list[Computed] = []
    for number, leaf in enumerate(leaves):
        if leaf in taken:
            found.append(leaf)
            continue
        found.append(f"__known{number}")
        computed.append(Computed(Column(found[-1], "BOOLEAN", leaf), Expr(f"({leaf})", columns_of(leaf), leaf)))
    return (Compute(plan, tuple(computed)) if computed else plan), tuple(found)


def plain(call: SemanticCall, context: Context) -> bool:
    """Whether each row has a prompt of its own and one way to be answered, and a failed row is NULL and no more."""
    function = functions().get(call.function)
    if function is None or function.kind != "scalar" or function.to_many or function.model_kind != "generate":
        return False
    if (call.options.get("on_error") or context.settings.llm_on_error) != "null":
        return False
    special = call.arms or call.top_k or call.pairs or call.merge or call.rows_by_prefix or call.inputs_by_prefix
    return not special and call.online is None and call.cascade is None and call.options.get("batch_rows", 1) == 1
