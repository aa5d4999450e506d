"""Prompts that begin alike are asked one after another."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Demand, Plan, Relation, SemanticCall
from ...engine.plan.walk import calls, children, with_children
from ...udfs.functions import functions
from ..context import Context
from ..rule import Rule


def prefix_order(plan: Plan, context: Context) -> Plan | None:
    """Marks calls whose model reuses the beginning of a prompt, so that rows, and if asked for inputs, are put in such an order.

    What: ``FROM reviews JOIN products … WHERE LLM_FILTER('…', p.description, r.review)``: the reviews of one product are asked
    one after another, and its description is read once. Only at the lowest call, where rows are at hand: above it, waiting
    for many would stop the pipeline. Rows not under a LIMIT, where it would ask what nobody wants. The order of inputs
    changes prompts, and a model may answer otherwise: only with ``SET llm_input_order = 'shared'``.
    Why correct: an answer depends on its own row, and the operator gives rows back in their own order, so an ORDER BY, a
    ``list()`` or the order of the table itself are as before.
    Wrong for: several rows in a prompt (``batch_rows``), whose company would change; and at a cap with
    ``llm_on_budget = 'partial'``, where the rows done have to be the first ones; nor for rows that are compared with each other, or sampled for a guarantee; nor below groups that are made one by one
    (``Pop``), where the oldest row goes first.
    """
    result = _marked(plan, context, context.settings.llm_on_budget == "error")
    return None if result == plan else result


def _marked(plan: Plan, context: Context, whole: bool) -> Plan:
    """``whole``: all rows are wanted above, and none before others."""
    whole = whole and not isinstance(plan, Demand) and not (isinstance(plan, Relation) and plan.pop is not None)
    marked = with_children(plan, tuple(_marked(child, context, whole) for child in children(plan)))
    if not isinstance(marked, Call) or calls(marked.input) or not _shareable(marked.call, context):
        return marked
    rows = whole and len(marked.call.arguments) > 1
    inputs = context.settings.llm_input_order == "shared" and _inputs(marked.call) > 1
    return replace(marked, call=replace(marked.call, rows_by_prefix=rows, inputs_by_prefix=inputs))


def _shareable(call: SemanticCall, context: Context) -> bool:
    """Whether prompts of the call may share more than its instruction, with a model that makes use of it."""
    function = functions().get(call.function)
    if function is None or function.kind != "scalar" or function.model_kind != "generate":
        return False
    if not call.arguments or call.options.get("batch_rows", 1) != 1 or call.top_k or call.cascade:
        return False
    return context.capabilities(str(call.options["model"])).prefix_cache


def _inputs(call: SemanticCall) -> int:
    """How many inputs the prompt has, literals among them; a condition is none."""
    parameters = functions()[call.function].parameters
    return sum(parameters[min(place, len(parameters) - 1)].name == "input" for place in range(len(call.constants)))


RULE = Rule("prefix_order", prefix_order)
