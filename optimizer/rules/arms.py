"""Other models may answer where they have proved to agree."""

from __future__ import annotations

from dataclasses import replace

from ...engine.plan.nodes import Arm, Arms, Call, Plan, SemanticCall
from ...engine.plan.walk import transform_up, walk
from ...engine.types import parse_type
from ...udfs.functions import functions
from ..allowance import allowance
from ..arms import kinds
from ..context import Context
from ..rule import Rule
from ..search.agreement import comparable


def arms(plan: Plan, context: Context) -> Plan | None:
    """Puts on each call the arms that may take its place. Which one does is found out while rows are answered.

    What: ``SET llm_min_quality = 0.9``: a call on ``large`` may be answered by ``small``, or by either with several rows in a
    prompt, as soon as that arm has proved, on rows that both answered, to agree in nine of ten.
    Why correct: it is not, row by row: answers change, as far as the user allowed. The allowance holds for the whole plan:
    its calls share it, because a row is as the reference's unless one of its calls disagreed.
    Lists that become rows agree as far as their rows do: F1 of rows as multisets, which is the row's share of one in what is allowed.
    Wrong for: free text, where two good answers share no word; aggregates, whose groups are few; and under
    ``llm_objective = 'quality'``, where nothing agrees with the reference as well as itself.
    """
    if context.policy.objective == "quality":
        return None
    armed = {c.output.name: found for c in _calls(plan) if (found := arms_of(c, context))}
    if not armed:
        return None
    objective = context.policy.objective
    loss = allowance(plan, context)

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call) or node.call.output.name not in armed or node.call.arms is not None:
            return None
        others, compared = armed[node.call.output.name], context.statistics.compared
        earlier = tuple(compared(node.call, arm.name, node.input) for arm in others)
        chosen = Arms(others, objective, loss, len(armed), earlier if any(map(any, earlier)) else ())
        return replace(node, call=replace(node.call, arms=chosen))

    result = transform_up(plan, visit)
    return None if result == plan else result


def arms_of(call: SemanticCall, context: Context) -> tuple[Arm, ...]:
    """Every arm of a call; none if agreement would mean nothing."""
    function = functions().get(call.function)
    if function is None or function.model_kind != "generate" or "model" not in call.options:
        return ()
    if call.merge is not None:  # its arms answer several calls
        return ()
    if call.cascade is not None:  # what is promised of it is proved of its own proxy
        return ()
    if (
        call.pairs is not None or call.online is not None
    ):  # its recall is of the reference's matches; students answer for it
        return ()
    if call.options.get("on_error") == "details" or not comparable(function, parse_type(call.output.type)):
        return ()
    found = (arm for kind in kinds().values() for arm in kind(call, context))
    # A row that becomes many has its own prompt, and all of its text in it, whoever answers.
    return tuple(arm for arm in found if not function.to_many or (arm.plain and "batch_rows" not in arm.options))


def _calls(plan: Plan) -> list[SemanticCall]:
    return [node.call for node in walk(plan) if isinstance(node, Call)]


RULE = Rule("arms", arms, changes_answers=True)
