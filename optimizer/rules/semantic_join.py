"""Of a join's pairs, likely ones are asked alone, the others by a sample or in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from ...engine.plan.nodes import Call, Compute, Demand, Filter, Keep, Plan, SemanticCall, Source, Unnest
from ...engine.plan.pairs import Pairs
from ...engine.plan.walk import calls, transform_up, walk
from ..context import Context
from ..expressions import tokens
from ..paths import path
from ..rule import Rule


def semantic_join(plan: Plan, context: Context) -> Plan | None:
    """Marks a filter that compares columns of two tables, so that pairs which hardly match are answered FALSE without a call.

    What: under ``SET llm_min_quality``, ``FROM a JOIN b ON LLM_FILTER('the same product', a.name, b.title)``: pairs with words in
    common are asked, of the others a random sample or what prompts about many pairs name, whichever is cheaper, until the share of
    matches that are found is proved to be high enough. With such prompts the proof takes it that they overlook no larger share of
    the other matches than of those that were asked alone.
    Why correct: it is not, row by row: matches may be lost, as far as the user allowed, and calls of one plan share the
    allowance. A pair that stays has been asked. NULLs, duplicates and further conditions are as before.
    Wrong for: a condition whose FALSE is seen (``NOT LLM_FILTER(…)``, a SELECT list, an outer join), ``LIMIT``, which asks less than all
    pairs, and ``on_error := 'fail'`` or a budget that may run out, where the rows that are asked decide what the query gives.
    """
    settings, quality = context.settings, context.policy.min_quality
    if quality is None or context.policy.objective == "quality" or settings.llm_on_budget == "partial":
        return None
    if any(isinstance(node, Unnest | Demand) for node in walk(plan)):
        return None
    recall = 1.0 - (1.0 - quality) / max(1, sum(node.call.cascade is None for node in calls(plan)))

    def visit(node: Plan) -> Plan | None:
        call = _conjunct(node)
        if call is None or call.call.pairs is not None or not _plain(call.call, context):
            return None
        sides = _sides(call)
        if sides is None:
            return None
        return _with_call(node, replace(call.call, pairs=Pairs(*sides, recall)))

    result = transform_up(plan, visit)
    return None if result == plan else result


def _conjunct(node: Plan) -> Call | None:
    """The call whose answer is all that a filter reads; columns may be left out in between."""
    if not isinstance(node, Filter):
        return None
    below = node.input.input if isinstance(node.input, Keep) else node.input
    return below if isinstance(below, Call) and node.predicate.sql == below.call.output.name else None


def _with_call(node: Plan, call: SemanticCall) -> Plan:
    if isinstance(node, Call):
        return replace(node, call=call)
    assert isinstance(node, Filter | Keep)
    return replace(node, input=_with_call(node.input, call))


def _plain(call: SemanticCall, context: Context) -> bool:
    """Whether an answer of a pair is its own, and FALSE like any other."""
    on_error = call.options.get("on_error") or context.settings.llm_on_error
    judged = (call.arms, call.truth, call.online, call.cascade)  # its recall is of its own matches, not of the user's
    return call.function == "LLM_FILTER" and all(mark is None for mark in judged) and on_error == "null"


def _sides(node: Call) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The arguments by the table that they are of, if they are of two."""
    table_of = _tables(node)
    tables = [table_of.get(name, "") for name in node.call.arguments]
    if "" in tables or len(set(tables)) != 2:
        return None
    first = tuple(name for name, table in zip(node.call.arguments, tables, strict=True) if table == tables[0])
    return first, tuple(name for name in node.call.arguments if name not in first)


def _tables(node: Call) -> Mapping[str, str]:
    """Per column the table that the user's words name; "" where they name none, or several."""
    *above, source = path(node)
    if not isinstance(source, Source) or not _crossed(source.from_sql):
        return {}
    found = {item.columns[0].name: _qualifier(item.sql) for item in source.items if len(item.columns) == 1}
    for compute in reversed([node for node in above if isinstance(node, Compute)]):
        for column in compute.columns:
            tables = {found.get(name, "") for name in column.expr.uses}
            found[column.column.name] = tables.pop() if len(tables) == 1 else ""
    return found


def _crossed(from_sql: str) -> bool:
    """Whether every row of one side meets every row of the other: a narrower join has few pairs, and all of them are wanted."""
    words = [word.text.upper() for word in tokens(from_sql)]
    narrow = {"USING", "NATURAL", "POSITIONAL", "ASOF", "LATERAL"} & set(words)
    return bool(words) and not narrow and all(after == "TRUE" for word, after in pairwise(words) if word == "ON")


def _qualifier(sql: str) -> str:
    words = tokens(sql)
    return words[-3].text.casefold() if len(words) >= 3 and words[-2].text == "." else ""


RULE = Rule("semantic_join", semantic_join, changes_answers=True)
