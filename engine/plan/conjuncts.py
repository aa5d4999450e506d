"""Filters one above the other that are each no more than a call's answer, and what they stand on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .nodes import Call, Compute, Conjunction, Filter, Keep, Plan, SemanticCall
from .walk import reads


@dataclass(frozen=True, slots=True)
class Conjuncts:
    """A row stays if the answers of all ``calls`` are TRUE.

    Parameters
    ----------
    calls : in the order of the text. computes : what is computed between them, the lowest first. base : what the lowest stands on.
    """

    calls: tuple[SemanticCall, ...]
    computes: tuple[Compute, ...]
    base: Plan

    @property
    def below(self) -> Plan:
        """The rows with all that the calls read."""
        plan = self.base
        for compute in self.computes:
            plan = replace(compute, input=plan)
        return plan


def as_written(calls: Iterable[SemanticCall]) -> tuple[SemanticCall, ...]:
    """In the order of the text: what earlier queries taught of a static order must not change what a rerun asks."""
    return tuple(sorted(calls, key=lambda call: (len(call.site.partition(":")[0]), call.site)))


def conjuncts(plan: Plan) -> Conjuncts:
    """The filters from ``plan`` (or from below a ``Conjunction``) down to what is none, or whose answer is read by another."""
    base = plan.input if isinstance(plan, Conjunction) else plan
    calls: list[SemanticCall] = []
    between: list[Compute] = []
    read: frozenset[str] = frozenset()
    node, passed = base, list[Compute]()
    while (unit := _unit(node)) is not None:
        read = read.union(*map(reads, passed))
        if unit.call.output.name in read:
            break
        calls.append(unit.call)
        between += passed
        base, read = unit.input, read | reads(unit)
        node, passed = _computed(base)
    return Conjuncts(as_written(calls), tuple(reversed(between)), base)


def _unit(node: Plan) -> Call | None:
    """The call whose answer a filter is."""
    if not isinstance(node, Filter) or not isinstance(node.input, Call):
        return None
    output = node.input.call.output
    return node.input if node.predicate.sql == output.name and output.type == "BOOLEAN" else None


def _computed(node: Plan) -> tuple[Plan, list[Compute]]:
    """What is below computed columns, and these."""
    computes: list[Compute] = []
    while isinstance(node, Compute | Keep):
        if isinstance(node, Compute):
            computes.append(node)
        node = node.input
    return node, computes
