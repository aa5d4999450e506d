"""Parts of a list are asked about while the model still writes the next ones."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Call, Compute, Filter, Input, Keep, Plan, Relation, SemanticCall, Source, Unnest
from ...engine.plan.walk import children, transform_up, with_children
from ...engine.types import parse_type
from ...udfs.functions import functions
from ...udfs.spec import Arguments, Streams
from ..context import Context
from ..rule import Rule


def early_parts(plan: Plan, context: Context) -> Plan | None:
    """The rows of a list go to the calls above it one by one, as the model writes them, and not when the list is whole.

    What: in ``FROM docs d, LATERAL LLM_SPLIT(d.body, …) s WHERE LLM_FILTER('…', s.part)`` a part is judged while the next is
    being split off; also below a grouping that goes back to the document.
    Why correct: rows are held until their list is final, and given in the same order; what was asked of a part that is not in it
    was in vain, and is dropped.
    Wrong for: a LIMIT (more parts would be asked than it needs), below a call with ``on_error := 'fail'`` (it may fail on a part
    that is not in the list in the end) or one that ranks all rows or is guaranteed over all of them, and for ``llm_on_budget = 'partial'``, whose result must end behind
    a row that was paid for. In vain for a list that is not told bit by bit (several labels, rows that share a prompt).
    """
    if context.settings.llm_on_budget == "partial":
        return None

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Relation | Source):
            return None
        popped = isinstance(node, Relation) and node.pop is not None
        inputs = tuple(Input(i.name, _marked(i.plan, context, called=popped)) for i in node.inputs)
        return with_children(node, tuple(i.plan for i in inputs))

    result = transform_up(plan, visit)
    return None if result == plan else result


def _marked(plan: Plan, context: Context, *, called: bool) -> Plan:
    """Down the path, as long as nothing on it limits, sorts or fails for one row; ``called``: something above can use a part alone."""
    if isinstance(plan, Source) and plan.passes:  # the rows of a query, whose own top is not where they are held
        (relation,) = children(plan)
        below = _marked(children(relation)[0], context, called=called)
        return with_children(plan, (with_children(relation, (below,)),))
    if not isinstance(plan, Call | Compute | Filter | Keep | Unnest):
        return plan
    if isinstance(plan, Call) and _waits(plan.call):
        return plan
    (below,) = children(plan)
    rest = with_children(plan, (_marked(below, context, called=called or isinstance(plan, Call)),))
    return replace(rest, early=True) if called and isinstance(rest, Unnest) and _is_heard(rest, context) else rest


def _waits(call: SemanticCall) -> bool:
    """Whether it reads all rows before it answers one, or fails on a part that is not in the list in the end."""
    return call.top_k is not None or call.cascade is not None or call.options.get("on_error") == "fail"


def _is_heard(plan: Unnest, context: Context) -> bool:
    """Whether the list is that of the call right below, of whose other columns some may be dropped, and known bit by bit."""
    below = plan.input.input if isinstance(plan.input, Keep) else plan.input
    return isinstance(below, Call) and below.call.output.name == plan.column and _streams(below.call, context)


def _streams(call: SemanticCall, context: Context) -> bool:
    """Whether elements are told while the model writes; rows that share a prompt get theirs when it is whole."""
    function = functions().get(call.function)
    if function is None or call.options.get("batch_rows", 1) != 1:
        return False
    types = tuple(parse_type(t) for t in call.argument_types)
    arguments = Arguments(call.constants, types, call.argument_texts, call.options)
    capabilities = context.capabilities(call.options.get("model", ""))
    return isinstance(function.lower(arguments, capabilities), Streams)


RULE = Rule("early_parts", early_parts)
