"""``SET llm_guarantee``: what is promised of a query's answers holds for every call of which it can be proved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...engine.plan.cascade import Cascade, Guarantee
from ...engine.plan.nodes import Call, Demand, Plan, Relation, SemanticCall, Unnest
from ...engine.plan.walk import children, walk, with_children
from ...engine.sql.guarantee import guarantee_of
from ...engine.types.promise import read_promise
from ...udfs.spec import DYNAMIC
from ..context import Context
from ..kinds_of_prompt import alone
from ..proxies import proxy_of
from ..rule import Rule

FUNCTIONS = frozenset({"LLM_CLASSIFY", "LLM_FILTER"})


def guarantee(plan: Plan, context: Context) -> Plan | None:
    """Puts the promise of the setting on each call that can carry it.

    What: ``SET llm_guarantee = 'accuracy >= 0.95'``: ``WHERE LLM_FILTER('the customer is angry', body)``, also over the pairs of a join,
    and classifications with one label a row: a proxy (``llm_guarantee_proxy``) answers the rows for which a sample proves
    that the promise is kept; the call's own model answers the others. Precision and recall are promised of filters alone.
    Why correct: it is not, row by row: answers differ from the reference's as far as the user allowed, with the probability that
    he allowed. The proof is per call: what several calls lose together is said beside it, and not promised.
    Wrong for: a LIMIT, for which all rows would be read; lists that become rows; answers whose failures are part of the result;
    several rows a prompt; labels of the user's own, which are another truth; estimates, which ask a sample already; a budget with
    ``llm_on_budget = 'partial'``, whose first rows are wanted first.
    """
    promised = context.settings.llm_guarantee
    if promised is None or context.settings.llm_on_budget == "partial":
        return None
    targets = guarantee_of(read_promise(promised))
    if any(isinstance(node, Unnest) or (isinstance(node, Relation) and node.pop) for node in walk(plan)):
        return None
    result = _marked(plan, targets, context)
    return None if result == plan else result


def _marked(plan: Plan, promise: Guarantee, context: Context) -> Plan:
    """All of it that is read to its end."""
    if isinstance(plan, Demand) or (isinstance(plan, Relation) and plan.sampling is not None):
        return plan
    below = with_children(plan, tuple(_marked(child, promise, context) for child in children(plan)))
    if not isinstance(below, Call) or not _fits(below.call, promise, context):
        return below
    kind, name = proxy_of(context.settings.llm_guarantee_proxy, context)
    if name and name.casefold() == str(below.call.options["model"]).casefold():
        return below
    return replace(below, call=replace(below.call, cascade=Cascade(promise, kind, name)))


def _fits(call: SemanticCall, promise: Guarantee, context: Context) -> bool:
    """Whether each answer is one that is the reference's or is not."""
    on_error = call.options.get("on_error") or context.settings.llm_on_error
    single = call.function in FUNCTIONS and call.output.type in ("BOOLEAN", "VARCHAR") and alone(call)
    counted = promise.accuracy is not None or call.output.type == "BOOLEAN"
    question = call.function != "LLM_FILTER" or call.constants[0] is not DYNAMIC
    asks = question and bool(call.arguments)
    return single and counted and asks and on_error == "null" and all(mark is None for mark in _marks(call))


def _marks(call: SemanticCall) -> Iterator[object]:
    """Other ways to be answered."""
    yield from (call.cascade, call.truth, call.arms, call.top_k, call.pairs, call.merge, call.online)


RULE = Rule("guarantee", guarantee, changes_answers=True, setting="llm_guarantee")
