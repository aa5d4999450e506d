"""Runs the rules: their order, switching off by name, timing, tracing, and the check that blames one by name."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..engine.errors import BindError, InternalError, RuleBug
from ..engine.plan.nodes import Plan
from ..engine.plan.render import render
from ..engine.settings import Settings
from .check import difference, faults
from .context import Context
from .rule import Rule
from .rules import all_rules

# Filters sink before equal calls are sought (fewer nodes between them), conjuncts are put in order while they are neighbours
# (no pruning stands between them yet) and no answer is there twice, columns are pruned once calls are final,
# a limit is pushed past what is left (and needs the sort in place), and how calls ask is decided last.
ORDER = (
    "relational_first",
    "parents_first",
    "common_call",
    "conjunct_order",
    "sort_first",
    "prune_columns",
    "limit_demand",
    "distinct_gather",
    "approximate",
    "guarantee",
    "proxy_choice",
    "semantic_join",
    "join_classification",
    "join_keys",
    "screened_top_k",
    "online_cascade",
    "arms",
    "merged_calls",
    "routed",
    "nested_ancestry",
    "early_parts",
    "prefix_order",
    "condition_tree",
    "conjunction",
    "prefetch",
)

MAX_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One run of one rule: whether it changed the plan, seconds spent, and the trees when asked for (else "")."""

    rule: str
    fired: bool
    seconds: float
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Optimized:
    """A plan and how it came about."""

    plan: Plan
    trace: tuple[Step, ...]

    @property
    def fired(self) -> tuple[str, ...]:
        """Names of the rules that changed the plan, each once, in order of first firing."""
        return tuple(dict.fromkeys(step.rule for step in self.trace if step.fired))


def optimize(
    plan: Plan,
    context: Context,
    *,
    with_trees: bool = False,
    rules: Mapping[str, Rule] | None = None,
    order: Sequence[str] = ORDER,
) -> Optimized:
    """Rewrite ``plan`` until no rule has anything to do (at most ``MAX_ROUNDS`` rounds).

    Parameters
    ----------
    with_trees : keep the rendered plan before and after each rule that fired.
    rules, order : others than the built-in ones, for tests and experiments.

    Raises
    ------
    BindError : ``llm_disabled_rules`` names a rule that does not exist.
    RuleBug : a rule raised, or broke the plan; it is named.
    InternalError : ``plan`` was broken before any rule ran.
    """
    if wrong := faults(plan):
        raise InternalError(f"The plan is broken before optimization: {'; '.join(wrong)}. Please report this query.")
    catalogue = all_rules() if rules is None else rules
    chosen = [catalogue[name] for name in order if name not in disabled(context.settings, order)]
    trace: list[Step] = []
    for _ in range(MAX_ROUNDS):
        round_start = len(trace)
        for rule in chosen:
            plan, step = _run(rule, plan, context, with_trees)
            trace.append(step)
        if not any(step.fired for step in trace[round_start:]):
            break
    return Optimized(plan, tuple(trace))


def disabled(settings: Settings, order: Sequence[str] = ORDER) -> frozenset[str]:
    """The rules that ``llm_disabled_rules`` leaves out.

    >>> sorted(disabled(Settings(llm_disabled_rules="common_call, limit_demand")))
    ['common_call', 'limit_demand']
    """
    asked = {word.strip().lower() for word in settings.llm_disabled_rules.split(",") if word.strip()}
    if "all" in asked:
        return frozenset(order)
    for name in sorted(asked - set(order)):
        near = difflib.get_close_matches(name, order, n=2)
        known = f"Rules are {', '.join(order)}, or 'all'."
        raise BindError(f"llm_disabled_rules: there is no rule {name}. {known}", name=name, candidates=near)
    return frozenset(asked)


def _run(rule: Rule, plan: Plan, context: Context, with_trees: bool) -> tuple[Plan, Step]:
    start = time.perf_counter()
    result = _apply(rule, plan, context) if _legal(rule, context) else None
    seconds = time.perf_counter() - start
    if result is None or result == plan:
        return plan, Step(rule.name, False, seconds)
    if wrong := difference(plan, result):
        raise _bug(rule, "; ".join(wrong))
    trees = (render(plan), render(result)) if with_trees else ("", "")
    return result, Step(rule.name, True, seconds, *trees)


def _legal(rule: Rule, context: Context) -> bool:
    """Whether the user allowed what the rule may change."""
    if rule.setting:
        return getattr(context.settings, rule.setting) is not None
    return context.policy.may_change_answers or not rule.changes_answers


def _apply(rule: Rule, plan: Plan, context: Context) -> Plan | None:
    try:
        return rule.apply(plan, context)
    except Exception as error:
        raise _bug(rule, f"{type(error).__name__}: {error}") from error


def _bug(rule: Rule, what: str) -> RuleBug:
    advice = f"SET llm_disabled_rules = '{rule.name}' runs the query without it; please report this."
    return RuleBug(f"The optimizer rule {rule.name} broke the plan: {what}. {advice}", rule=rule.name)
