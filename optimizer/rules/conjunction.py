"""Several questions that a row has to pass are asked in an order that is found out as it goes."""

from __future__ import annotations

from ...engine.plan.conjuncts import Conjuncts, conjuncts
from ...engine.plan.nodes import Condition, Conjunction, Plan, Unnest
from ...engine.plan.walk import calls, children, walk, with_children
from ..asked import plain
from ..context import Context
from ..expressions import may_fail, movable
from ..ordering.subsets import MOST_PREDICATES
from ..paths import types
from ..rule import Rule


def conjunction(plan: Plan, context: Context) -> Plan | None:
    """Filters that are nothing but a call's answer, one above the other, are marked to be run as one.

    What: ``WHERE LLM_FILTER('p', t) AND LLM_FILTER('q', u) AND …``: which answers are rare and which prompts are short is learnt
    from the first rows, and the others are asked in the order that costs least. Nothing has to be known beforehand.
    Why correct: a row stays if all answers are TRUE, in any order; an answer depends on its row alone; and what is computed
    between the filters can neither fail nor reads an answer. Which rows are asked does change.
    Wrong for: ``on_error := 'fail'``, where the rows that are asked decide whether the query fails; for ``llm_on_budget =
    'partial'``, which wants the first rows first; and where rows share prompts or their beginnings.
    """
    if context.settings.llm_on_budget == "partial" or any(isinstance(n, Unnest) for n in walk(plan)):
        return None
    result = _marked(plan, context)
    return None if result == plan else result


def _marked(plan: Plan, context: Context) -> Plan:
    if isinstance(plan, Condition | Conjunction):
        return plan
    if _together(conjuncts(plan), context):
        return Conjunction(plan)
    return with_children(plan, tuple(_marked(child, context) for child in children(plan)))


def _together(found: Conjuncts, context: Context) -> bool:
    """Whether nothing but cost depends on the order."""
    if not 2 <= len(found.calls) <= MOST_PREDICATES or calls(found.base):
        return False
    return all(plain(call, context) and call.guard is None for call in found.calls) and _harmless(found)


def _harmless(found: Conjuncts) -> bool:
    """Whether what is computed between the calls can be computed below all of them."""
    known = types(found.below)
    return all(movable(c.expr) and not may_fail(c.expr, known) for compute in found.computes for c in compute.columns)


RULE = Rule("conjunction", conjunction)
