"""One prompt for several questions about the same input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...engine.plan.nodes import Arm, Arms, Call, Compute, Filter, Keep, Merge, Plan, SemanticCall
from ...engine.plan.walk import calls, transform_up, walk
from ...engine.types import parse_type
from ...udfs.functions import functions
from ...udfs.models.base import Capabilities, Generate
from ...udfs.prompts.merged import merged
from ...udfs.spec import DYNAMIC, Arguments
from ..allowance import allowance
from ..arms import kinds
from ..context import Context
from ..cost.estimate import SEMANTIC_SELECTIVITY, TOKENS_OUT, TOKENS_OUT_OTHER
from ..paths import aliases
from ..rule import Rule
from ..search.agreement import comparable

FUNCTIONS = frozenset({"LLM_EXTRACT", "LLM_CLASSIFY", "LLM_FILTER", "LLM_SENTIMENT", "LLM_COMPLETE"})
"""Those that ask one question a row."""
ALIKE = ("model", "on_error", "cache", "timeout", "temperature", "seed")
INPUT_TOKENS = 200.0
"""Of an input that nothing is known of: a paragraph or two."""
OUT_WEIGHT = 4.0
"""What a token of an answer costs, in tokens of a prompt: the ratio of most price lists."""
CHARACTERS_A_TOKEN = 4.0
ONE_PROMPT = "one prompt"
SURELY = 0.8
"""What is less cheap by an estimate saves less than it costs to compare."""


def merged_calls(plan: Plan, context: Context) -> Plan | None:
    """Calls over the same inputs in one stream of rows may be answered by one prompt that lists their tasks.

    What: ``SELECT LLM_EXTRACT(t, {a: …}), LLM_CLASSIFY(t, […])`` with ``SET llm_min_quality = 0.9``: one prompt with two tasks and t
    once, one JSON object with an answer per task; two filters over t as well. It is an arm of all its calls together: the first rows
    are asked both ways, and it serves once it has proved that all answers together agree with those of the calls as written.
    Why correct: it is not, row by row: a model may answer two questions otherwise than each alone, as far as the user allowed.
    Each answer is read and checked by its own task, and one that is not usable is asked for alone.
    Wrong for: calls with a selective filter between them: most rows are then asked what nobody reads. The two plans are compared
    in tokens: instructions and answers of all for every row, and the input once, or each for the rows it sees. Under guards that
    differ; ``examples``, which show one task's answer; ``batch_rows``. Nor for conditions that another model may screen.
    """
    if context.policy.objective == "quality" or context.settings.llm_router != "none":
        return None  # a row's call is routed alone
    groups = [group for nodes in _streams(plan) for group in _groups(nodes, context)]
    if not groups:
        return None
    in_groups = {site.call.output.name for group in groups for site in group}
    alone = [c.call for c in calls(plan) if c.call.arms is not None and c.call.output.name not in in_groups]
    loss = allowance(plan, context)
    sites = len(groups) + len(alone)  # a group decides once, and shares what may be lost as one call does
    merges = {
        name: merge for group in groups for merge in [_merge(group, sites, loss, context)] for name in merge.sites
    }

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call):
            return None
        if (found := merges.get(node.call.output.name)) is not None:
            return replace(node, call=replace(node.call, arms=None, merge=found))
        arms = node.call.arms
        return None if arms is None else replace(node, call=replace(node.call, arms=replace(arms, sites=sites)))

    return transform_up(plan, visit)


@dataclass(frozen=True, slots=True)
class _Site:
    """A call in a stream of rows.

    Parameters
    ----------
    call : with inputs by the names that repeat no other's. reach : the share of the stream's rows that it sees.
    request : the prompt about some row. tokens_in, tokens_out : of the input, and of the answer.
    """

    call: SemanticCall
    reach: float
    request: Generate
    tokens_in: float
    tokens_out: float

    @property
    def instruction(self) -> float:
        """Tokens of what every row is told."""
        return _tokens(self.request.system + self.request.user)


def _streams(plan: Plan) -> Iterator[list[Plan]]:
    """Runs of nodes that rows pass one by one, the lowest first."""
    inside: set[int] = set()
    for node in walk(plan):
        if id(node) in inside or not isinstance(node, Call | Filter | Compute | Keep):
            continue
        run: list[Plan] = []
        at: Plan = node
        while isinstance(at, Call | Filter | Compute | Keep):
            run.append(at)
            inside.add(id(at))
            at = at.input
        yield run[::-1]


def _groups(nodes: Sequence[Plan], context: Context) -> Iterator[list[_Site]]:
    """Calls that are cheaper asked in one prompt, each in one group at most."""
    left = list(_sites(nodes, context))
    while left:
        group: list[_Site] = [left[0]]
        rest: list[_Site] = []
        for site in left[1:]:
            fits = _alike(group[0].call, site.call) and _cheaper([*group, site])
            (group if fits else rest).append(site)
        left = rest
        if len(group) > 1:
            yield group


def _sites(nodes: Sequence[Plan], context: Context) -> Iterator[_Site]:
    same, reach = aliases(nodes[-1]), 1.0
    known = {node.call.output.name: node.call for node in nodes if isinstance(node, Call)}
    for node in nodes:
        if isinstance(node, Filter):
            reach *= _share(node, known, context)
        if isinstance(node, Call) and not _screened(node.call) and (request := _request(node.call)) is not None:
            arguments = tuple(same.get(a, a) for a in node.call.arguments)
            guard = None if node.call.guard is None else same.get(node.call.guard, node.call.guard)
            call = replace(node.call, arguments=arguments, guard=guard)
            yield _Site(call, reach, request, *_expected(node.call, request, context))


def _screened(call: SemanticCall) -> bool:
    """Whether another model may screen a condition, which saves more than a prompt that it shares."""
    return call.arms is not None and any(arm.checked for arm in call.arms.arms)


def _share(node: Filter, known: dict[str, SemanticCall], context: Context) -> float:
    call = known.get(node.predicate.sql)
    learnt = None if call is None else context.statistics.selectivity(call)
    return SEMANTIC_SELECTIVITY if learnt is None else learnt.value


def _expected(call: SemanticCall, request: Generate, context: Context) -> tuple[float, float]:
    """Tokens of the input and of the answer."""
    tokens_in, tokens_out = context.statistics.tokens_in(call), context.statistics.tokens_out(call)
    told = _tokens(request.system + request.user)
    return (
        INPUT_TOKENS if tokens_in is None else max(0.0, tokens_in.value - told),
        TOKENS_OUT.get(call.function, TOKENS_OUT_OTHER) if tokens_out is None else tokens_out.value,
    )


def _request(call: SemanticCall) -> Generate | None:
    """The prompt about some row; ``None``: the call cannot be asked in company."""
    function = functions().get(call.function)
    if function is None or function.sql_name not in FUNCTIONS or not comparable(function, parse_type(call.output.type)):
        return None
    special = (call.top_k, call.pairs, call.merge, call.truth, call.online, call.cascade, call.options.get("examples"))
    if any(value is not None for value in special) or call.options.get("batch_rows", 1) != 1 or not call.arguments:
        return None
    names = [function.parameters[min(place, len(function.parameters) - 1)].name for place in range(len(call.constants))]
    # A row's instruction is data, and stays in the message; inputs that are literals are not the same in both.
    if any((name == "input") != (value is DYNAMIC) for name, value in zip(names, call.constants, strict=True)):
        return None
    types = tuple(parse_type(text) for text in call.argument_types)
    arguments = Arguments(call.constants, types, call.argument_texts, call.options)
    requests = function.lower(arguments, Capabilities()).requests(["x"] * len(call.arguments))
    (first, *more) = requests
    return first if isinstance(first, Generate) and not more else None


def _alike(one: SemanticCall, other: SemanticCall) -> bool:
    """Whether both are asked about the same rows, of the same model and in the same manner."""
    options = all(one.options.get(name) == other.options.get(name) for name in ALIKE)
    return options and (one.arguments, one.guard) == (other.arguments, other.guard)


def _cheaper(group: Sequence[_Site]) -> bool:
    """Whether one prompt for all costs fewer tokens than each alone for the rows that it sees."""
    return _in_one(group) < _apart(group)


def _in_one(group: Sequence[_Site]) -> float:
    """Tokens a row, if one prompt asks for all."""
    together = merged([site.request for site in group])
    if together is None:
        return math.inf
    told = _tokens(together.request.system + together.request.user)
    return told + _tokens_in(group) + OUT_WEIGHT * sum(site.tokens_out for site in group)


def _apart(group: Sequence[_Site], rows: int = 1) -> float:
    """The same if each is asked for alone, of the rows that it sees, so many of them in a prompt."""
    read = _tokens_in(group)
    costs = (site.reach * (site.instruction / rows + read + OUT_WEIGHT * site.tokens_out) for site in group)
    return sum(costs) / group[0].reach


def _tokens_in(group: Sequence[_Site]) -> float:
    return max(site.tokens_in for site in group)


def _worth(arm: Arm, group: Sequence[_Site]) -> bool:
    """Whether an arm that asks for each call alone may be the cheapest: rows that share prompts save instructions alone."""
    rows = arm.options.get("batch_rows", 1)
    return rows == 1 or _apart(group, rows) < SURELY * _in_one(group)


def _tokens(text: str) -> float:
    return len(text) / CHARACTERS_A_TOKEN


def _merge(group: Sequence[_Site], sites: int, loss: float, context: Context) -> Merge:
    own = str(group[0].call.options["model"])
    models = (own, *(name for name in context.candidates if name.casefold() != own.casefold()))
    one = [Arm(f"{name}, {ONE_PROMPT}", {"model": name}) for name in models]
    # Neither prompts nor options of arms depend on more of a call than its group has in common.
    alone = [
        arm for kind in kinds().values() for arm in kind(group[0].call, context) if arm.plain and _worth(arm, group)
    ]
    together = (*(True for _ in one), *(False for _ in alone))
    objective: Literal["cost", "time"] = "time" if context.policy.objective == "time" else "cost"
    reach = tuple(site.reach / group[0].reach for site in group)
    return Merge(
        tuple(site.call.output.name for site in group), reach, Arms((*one, *alone), objective, loss, sites), together
    )


RULE = Rule("merged_calls", merged_calls, changes_answers=True)
