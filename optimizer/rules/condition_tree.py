"""Conditions of AND, OR and NOT over several questions are decided in an order that is found out as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from ...engine.plan.nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Expr,
    Filter,
    Keep,
    Plan,
    Relation,
    Sort,
    Unnest,
)
from ...engine.plan.walk import calls, children, reads, walk, with_children
from ..asked import Asked, asked, plain
from ..conditions import columns_of, conditions_in, joined, parsed
from ..context import Context
from ..ordering.branches import MOST_BRANCHED
from ..ordering.trees import Junction, Leaf
from ..rule import Rule


def condition_tree(plan: Plan, context: Context) -> Plan | None:
    """The calls of a condition over several answers are marked to be asked row by row, until its value is known.

    What: ``WHERE (LLM_FILTER('p', t) OR LLM_CLASSIFY(t, […]) = 'x') AND NOT LLM_FILTER('q', u)``, and such conditions in SELECT
    lists and CASE: which answers decide most rows for their tokens is learnt from the first rows, per branch of the condition, and a
    row is asked no more once its value is known. What costs nothing comes first. A conjunction of bare answers is ``conjunction``'s.
    Why correct: AND, OR and NOT are monotone where NULL stands for what is not known. So a condition over some of the answers,
    NULL for the others, has the value that it has over all of them as soon as no answer can change it. Every leaf is NULL if
    its answer is; an answer depends on its row alone; nobody else reads the answers; what is computed for them cannot fail.
    Wrong for: ``coalesce(LLM_FILTER('p', t), true) OR …``, whose value over NULL is not unknown; ``on_error := 'fail'``, where the
    rows that are asked decide whether the query fails; for ``llm_on_budget = 'partial'``, which wants the first rows first; and
    where rows share prompts or their beginnings.
    """
    if context.settings.llm_on_budget == "partial" or any(isinstance(n, Unnest) for n in walk(plan)):
        return None
    result = _marked(plan, (), context)
    return None if result == plan else result


def _marked(plan: Plan, above: Sequence[str], context: Context) -> Plan:
    """``above`` : the texts that read this plan's columns."""
    if isinstance(plan, Condition | Conjunction):
        return plan
    found = _filters(plan, above, context) or _value(plan, above, context)
    if found is not None:
        marked, base = found
        read = [*above, *(text for node in _between(marked.input, base) for text in _texts(node))]
        below = _on(marked.input, base, _marked(base, read, context))
        return Condition(below, marked.condition, marked.keep)
    own = list(_texts(plan))
    read = own if isinstance(plan, Relation) else [*above, *own]
    return with_children(plan, tuple(_marked(child, read, context) for child in children(plan)))


def _filters(plan: Plan, above: Sequence[str], context: Context) -> tuple[Condition, Plan] | None:
    """As many filters, one above the other, as are parts of one condition."""
    found: tuple[Condition, Plan] | None = None
    parts: list[Expr] = []
    node = plan
    while isinstance(node, Filter):
        parts.append(node.predicate)
        condition = joined(parts[::-1])
        together = asked(plan, condition, "true")
        if (
            together is not None
            and _legal(together, context)
            and not _read(together, above, _got(together, condition.sql))
        ):
            found = Condition(plan, condition, "true"), together.base
        node = node.input
        while isinstance(node, Call | Compute | Keep):
            node = node.input
    return None if found is None or _is_conjunction(*found) else found


def _value(plan: Plan, above: Sequence[str], context: Context) -> tuple[Condition, Plan] | None:
    """A condition that somebody above reads, and this is the topmost of its calls."""
    if not isinstance(plan, Call):
        return None
    answer = plan.call.output.name
    for home in above:
        for sql in conditions_in(home):
            uses = columns_of(sql)
            if answer not in uses:
                continue
            condition = Expr(sql, uses, sql)
            together = asked(plan, condition, "value")
            rest = [(text.replace(sql, "", 1) if text is home else text).replace(f"({sql})", "") for text in above]
            if together is not None and _legal(together, context) and not _read(together, rest):
                return Condition(plan, condition, "value"), together.base
    return None


def _legal(found: Asked, context: Context) -> bool:
    return len(found.calls) <= MOST_BRANCHED and all(plain(call, context) for call in found.calls)


def _read(found: Asked, texts: Sequence[str], there: frozenset[str] = frozenset()) -> bool:
    """Whether somebody reads what is there only where it is needed. ``there`` : columns that each row which leaves has got."""
    return any(columns_of(text) & found.made - there for text in texts)


def _got(found: Asked, condition: str) -> frozenset[str]:
    """The answers that are there in each row that stays: those read by a leaf that must be TRUE."""
    given = parsed(condition)
    tree = given.tree
    parts = tree.parts if isinstance(tree, Junction) and tree.connective == "and" else (tree,)
    leaves = (given.leaves[part.predicate] for part in parts if isinstance(part, Leaf))
    return frozenset(call.output.name for call in found.calls).intersection(
        chain.from_iterable(map(columns_of, leaves))
    )


def _is_conjunction(condition: Condition, base: Plan) -> bool:
    """Whether ``conjunction`` has it: answers and nothing else, over rows that come from no call."""
    given = parsed(condition.condition.sql)
    bare = all(columns_of(leaf) == {leaf} for leaf in given.leaves)
    tree = given.tree
    flat = isinstance(tree, Junction) and tree.connective == "and" and all(isinstance(p, Leaf) for p in tree.parts)
    return bare and flat and not calls(base)


def _between(plan: Plan, base: Plan) -> Iterator[Plan]:
    while plan is not base:
        yield plan
        (plan,) = children(plan)


def _on(plan: Plan, base: Plan, new: Plan) -> Plan:
    """``plan`` on another base."""
    return new if plan is base else with_children(plan, (_on(children(plan)[0], base, new),))


def _texts(plan: Plan) -> Iterator[str]:
    """What a node reads of its input, as text."""
    match plan:
        case Relation():
            yield plan.sql
        case Filter():
            yield plan.predicate.sql
        case Compute():
            yield from (c.expr.sql for c in plan.columns)
        case Sort():
            yield plan.keys.sql
        case Call():
            yield from reads(plan)
        case _:
            return


RULE = Rule("condition_tree", condition_tree)
