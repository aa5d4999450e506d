"""``ranking := 'refine'``: an ORDER BY … LIMIT by one call, whose first rows are found by comparing rows.

Comparisons give an order and no scores, so nobody but the ORDER BY may read the call, and its block has to be one whose first
rows are those of the rows the call sees. Anything else is refused with the reason: the user asked for it by name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...udfs.prompts.ranking_option import POINTWISE
from ...udfs.spec import DYNAMIC
from ..errors import BindError
from ..plan.nodes import Call, Expr, Input, Relation, SemanticCall, TopK
from ..plan.walk import walk
from .bind_block import BlockBinder
from .bind_call import BoundCall, BoundCalls
from .call_text import position
from .source import order_core
from .tokens import Range, Text


def ranked(binder: BlockBinder, relation: Relation, order: Expr | None, shown: frozenset[str]) -> Relation:
    """The block with its ranked call marked; as it is where no call of it asks for that.

    Parameters
    ----------
    order : its ORDER BY. shown : plan columns that the select list reads.

    Raises
    ------
    BindError : a call asks to be ranked where it cannot be.
    """
    placed = binder.done
    wishes = {placed[start].name: call for start, call in binder.calls.items() if start in placed and _wish(call)}
    for name, bound in wishes.items():
        call = _top_call(relation)
        if reason := _misplaced(relation, call, name, order, shown) or _unfit(call):
            raise _refusal(binder.text, bound, reason)
        top_k = _top_k(binder, relation.limit or 0, str(_wish(bound)))
        only, *others = relation.inputs
        assert call is not None
        assert isinstance(only.plan, Call)
        marked = replace(only.plan, call=replace(call, top_k=top_k))
        relation = replace(relation, inputs=(Input(only.name, marked), *others))
    return relation


def check_ranked(text: Text, calls: BoundCalls, plan: Relation) -> None:
    """Refuse a statement in which a call that is to be ranked is not.

    Raises
    ------
    BindError : there is one.
    """
    ranked_calls = [n for n in walk(plan) if isinstance(n, Call) and n.call.top_k is not None]
    wishes = [bound for bound in calls.values() if _wish(bound)]
    if len(ranked_calls) < len(wishes):
        raise _refusal(text, wishes[0], "its statement cannot be taken apart there")


def refuse_ranked(text: Text, calls: BoundCalls, reason: str) -> None:
    """Refuse what is to be ranked in a statement whose calls stay in the text.

    Raises
    ------
    BindError : a call asks to be ranked.
    """
    for bound in calls.values():
        if _wish(bound):
            raise _refusal(text, bound, f"the calls of this statement stay in its text ({reason})")


def _wish(bound: BoundCall) -> str | None:
    """The algorithm that a call asks for, unless rows are answered one by one anyway."""
    wanted = bound.options.get("ranking", POINTWISE)
    return None if wanted == POINTWISE else str(wanted)


def _top_call(relation: Relation) -> SemanticCall | None:
    """The call whose answers the block reads last: that of its ORDER BY, if there is one."""
    top = relation.inputs[0].plan
    return top.call if isinstance(top, Call) else None


def _misplaced(
    relation: Relation, call: SemanticCall | None, name: str, order: Expr | None, shown: frozenset[str]
) -> str:
    """Why the block's first rows are not the call's; "": they are."""
    if name in shown:
        return "its value is in the SELECT list, and comparisons give an order but no scores"
    if not relation.rowwise:
        return "the query computes with many rows at once (DISTINCT, QUALIFY, a window function), or orders by no column of it"
    if relation.limit is None:
        return "there is no LIMIT by a plain number"
    alone = order is not None and order.uses == {name} and order.sql.split(" ")[0] == name and "," not in order.sql
    if call is None or call.output.name != name or not alone:
        return "it is not the only key of ORDER BY, as it stands"
    return ""


def _unfit(call: SemanticCall | None) -> str:
    """Why the call cannot be compared; "": it can."""
    options: Any = call.options if call is not None else {}
    if call is None or not call.arguments or DYNAMIC not in call.constants:
        return "no column is compared"
    if call.guard is not None:
        return "only some rows are asked"
    if options.get("on_error") == "details":
        return "on_error is 'details'"
    if options.get("batch_rows", 1) != 1:
        return "batch_rows puts several rows in a prompt"
    return "examples show how single rows are answered" if options.get("examples") else ""


def _top_k(binder: BlockBinder, rows: int, algorithm: str) -> TopK:
    """DuckDB says what the words after the key mean: they may be left out, and then settings decide."""
    text, clause = binder.text, binder.block.clause("ORDER BY")
    core = order_core(text, clause)
    words = text.source(Range(core.hi, clause.hi)) if core.hi < clause.hi else ""
    sample = binder.catalog.constant(f"(SELECT list(x ORDER BY x {words}) FROM (VALUES (NULL), (0), (1)) AS t(x))")
    known = [value for value in sample if value is not None]
    return TopK(rows, algorithm, descending=known == [1, 0], nulls_first=sample[0] is None)


def _refusal(text: Text, bound: BoundCall, reason: str) -> BindError:
    wish, name = _wish(bound), bound.located.function.sql_name
    message = (
        f"ranking := '{wish}' does not apply: {reason}. Write ORDER BY {name}(…, ranking := '{wish}') DESC LIMIT 10 in a plain "
        f"SELECT, or leave ranking out."
    )
    return BindError(message, position(text, bound.located.options["ranking"]), "ranking")
