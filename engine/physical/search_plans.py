"""The plans that a query has: arms of its calls and orders of them, what each would cost, and which one is wanted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...optimizer.arms.code import LEFT_OPEN
from ...optimizer.context import Context, Statistics
from ...optimizer.cost.estimate import estimate
from ...optimizer.cost.figure import Figure, exactly, guess, joined, total
from ...optimizer.search.memo import MOST_SITES, ArmCost, Memo, Site, cost_of
from ...optimizer.search.point import Point, Step, frontier
from ...optimizer.search.policy import Policy
from ...optimizer.search.rejected import Rejected, neighbours, rejected
from ..dataflow.run import QueryRun
from ..plan.nodes import Relation, SemanticCall
from ..plan.render import nodes_with_paths
from ..plan.walk import calls, names
from .arm_costs import usd_a_question
from .duck import Duck
from .estimates import TOKENISED_ROWS, price_of, samples_of
from .fragments import relational_sql
from .grouped_plans import Group, groups_of, with_group
from .model_pool import ModelPool
from .operators.call_stage import CallStage
from .profiling import with_arms
from .stages import Stages
from .streams_of_calls import Least, Stream, stream_of

NOTHING = exactly(0.0, "an expression costs nothing")


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """What is known of one arm of a call. ``None``: nobody knows.

    Parameters
    ----------
    money, seconds : a question. agreement : with the reference (of the reference itself it is 1), or with labels.
    at_once : questions that it answers at the same time. model : its name in the catalogue.
    """

    name: str
    model: str
    money: Figure | None
    seconds: Figure | None
    agreement: Figure | None
    at_once: int


@dataclass(frozen=True, slots=True)
class Plans:
    """What the search found.

    Parameters
    ----------
    points : the frontier, cheapest first. chosen : what the policy takes of the plans in the order in which the query runs;
        where none is feasible, the nearest. others : the best of the rest, and why they are not chosen.
    unmeasured : by call, arms that no sample has compared. figures : by call, what is known of its arms.
    least : by call, how many questions it puts at least.
    priced, timed : whether money, seconds are known; where they are not, they are 0 in all points. problem : why there is nothing.
    against : by call with labels, what its quality is agreement with. unknown : those of them whose own models nobody has
        compared with the labels.
    """

    points: tuple[Point, ...] = ()
    chosen: Point | None = None
    others: tuple[Rejected, ...] = ()
    unmeasured: Mapping[str, tuple[str, ...]] | None = None
    figures: Mapping[str, tuple[ArmFigures, ...]] | None = None
    least: Mapping[str, Least] | None = None
    priced: bool = True
    timed: bool = True
    source: str = ""
    problem: str = ""
    against: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()


def search_plans(
    duck: Duck, plan: Relation, stages: Stages, pool: ModelPool, statistics: Statistics, policy: Policy
) -> Plans:
    """Search. Nothing is asked of a model; sources are looked at, as EXPLAIN does.

    Parameters
    ----------
    plan : with all arms that its calls may have.
    """
    samples = samples_of(duck, plan, stages, statistics)
    figures = estimate(plan, samples, price_of(pool), statistics)
    stream = stream_of(plan, figures)
    if isinstance(stream, str):
        return Plans(problem=stream)
    if len(stream.calls) > MOST_SITES:
        return Plans(problem=f"plans of more than {MOST_SITES} calls are not searched")
    rows = _rows(duck, plan, stream)
    found = {call.site: tuple(_arms(stages.stage(call), rows, pool, statistics)) for call in stream.calls}
    groups = {group: _of_group(group, pool, statistics) for group in groups_of(stream.calls, stages)}
    source = joined(*(f.source for f in (stream.rows, *_sources(found))))
    against = {call.site: call.truth.words for call in stream.calls if call.truth is not None}
    unknown = frozenset(c.site for c in stream.calls if c.site in against and _with_labels(c, statistics) is None)
    plans = _searched(stream, found, groups, policy, source, as_written=bool(against) and policy.min_quality is None)
    return replace(plans, against=against, unknown=unknown)


def _of_group(group: Group, pool: ModelPool, statistics: Statistics) -> tuple[ArmFigures, ...]:
    """What is known of one prompt for several calls: what earlier queries taught."""
    return tuple(
        ArmFigures(
            name,
            str(call.options["model"]),
            _learnt_money(call, pool, statistics),
            statistics.seconds(call),
            statistics.agreement(group.reference, name),
            at_once,
        )
        for name, call, at_once in group.ways
    )


def _searched(
    stream: Stream,
    found: Mapping[str, tuple[ArmFigures, ...]],
    groups: Mapping[Group, tuple[ArmFigures, ...]],
    policy: Policy,
    source: str,
    *,
    as_written: bool,
) -> Plans:
    """``as_written`` : answers may not change, though labels may say that another plan is better."""
    measured = {site: tuple(arm for arm in arms if arm.agreement is not None) for site, arms in found.items()}
    unmeasured = {site: tuple(a.name for a in arms if a.agreement is None) for site, arms in found.items()}
    priced = all(arm.money is not None for arms in measured.values() for arm in arms)
    timed = all(arm.seconds is not None for arms in measured.values() for arm in arms)
    sites = tuple(
        replace(site, arms=tuple(_cost(arm, priced, timed) for arm in measured[site.label])) for site in stream.sites
    )
    rows = stream.rows.value
    ways = [sites, *_grouped(sites, groups, priced, timed)]
    points = frontier(point for way in ways for point in Memo(way, rows).plans())
    in_order = frontier(point for way in ways for point in Memo(_as_it_runs(way), rows).plans())
    own_models = [Step(site.label, site.arms[0].name) for site in sites]
    best = replace(policy, best_effort=True).choose
    chosen = cost_of(own_models, sites, rows) if as_written else best(in_order)
    own = next(way for way in ways if {site.label for site in way} == {step.site for step in chosen.steps})
    others = rejected(policy, chosen, [*points, *in_order, *neighbours(chosen, own, rows)])
    return Plans(points, chosen, others, unmeasured, measured, stream.least, priced, timed, source)


def _grouped(
    sites: tuple[Site, ...], groups: Mapping[Group, tuple[ArmFigures, ...]], priced: bool, timed: bool
) -> Iterator[tuple[Site, ...]]:
    """The sites with one prompt in the place of several calls, for each group of which as much is known as of its calls."""
    for group, ways in groups.items():
        known = [w for w in ways if w.agreement and (w.money or not priced) and (w.seconds or not timed)]
        if known and (found := with_group(sites, group, tuple(_cost(way, priced, timed) for way in known))):
            yield found


def _as_it_runs(sites: Sequence[Site]) -> tuple[Site, ...]:
    """Each behind the one before."""
    labels = [site.label for site in sites]
    return tuple(replace(site, needs=frozenset(labels[:at])) for at, site in enumerate(sites))


def _cost(arm: ArmFigures, priced: bool, timed: bool) -> ArmCost:
    """Agreement counts with its lower end: what was seen on few rows promises little."""
    assert arm.agreement is not None
    least = arm.agreement.value if arm.agreement.low is None else arm.agreement.low
    money = arm.money.value if priced and arm.money is not None else 0.0
    seconds = arm.seconds.value if timed and arm.seconds is not None else 0.0
    return ArmCost(arm.name, money, seconds, max(0.0, 1.0 - least), arm.at_once)


def _arms(
    stage: CallStage, rows: Sequence[Mapping[str, Any]], pool: ModelPool, statistics: Statistics
) -> Iterator[ArmFigures]:
    # Where nobody has compared the reference with labels, no arm has been either: it may stand for itself.
    same = _with_labels(stage.call, statistics) or Figure(1.0, "", 1.0, 1.0)
    reference = _figures(stage, str(stage.call.options["model"]), same, rows, pool, statistics)
    yield reference
    if stage.armed is not None:
        for name, made in zip(stage.armed.names[1:], stage.armed.stages, strict=True):
            agreement = statistics.agreement(replace(stage.call, arms=None), name)
            members = (replace(made, beside=()), *made.beside)
            figures = _mixed([_figures(one, name, agreement, rows, pool, statistics) for one in members])
            checks = None if made.screened is None else _checks(stage, made, statistics)
            yield figures if checks is None else _checked(figures, reference, checks)


def _with_labels(call: SemanticCall, statistics: Statistics) -> Figure | None:
    """How far the call's own model agrees with labels; ``None``: there are none, or nobody has looked."""
    return None if call.truth is None else statistics.agreement(replace(call, arms=None), str(call.options["model"]))


def _mixed(members: Sequence[ArmFigures]) -> ArmFigures:
    """The figures of models that are asked the same at once; mostly it is one."""
    if len(members) == 1:
        return members[0]
    usd = [member.money for member in members if member.money is not None]
    service = [member.seconds for member in members if member.seconds is not None]
    money = total(usd) if len(usd) == len(members) else None
    seconds = max(service, key=lambda each: each.value) if len(service) == len(members) else None
    return replace(members[0], money=money, seconds=seconds, at_once=min(member.at_once for member in members))


def _checks(reference: CallStage, arm: CallStage, statistics: Statistics) -> Figure:
    """The share of rows for which an arm asks the reference, too: what a screen keeps, what a mixture differs in."""
    call = replace(reference.call, arms=None)
    if arm.written is not None:
        return guess(LEFT_OPEN, "prior: an expression leaves a tenth of the rows open", 3.0)
    if not arm.beside:
        return statistics.selectivity(call) or guess(0.5, "prior: half of the rows are checked", 2.0)
    known = [statistics.agreement(call, str(one.call.options["model"])) for one in (arm, *arm.beside)]
    shares = [figure.value for figure in known if figure is not None]
    if len(shares) < len(known):
        return guess(0.25, "prior: models differ in a quarter of the rows", 2.0)
    return guess(1.0 - math.prod(shares), "agreements of models, as if they erred independently", 2.0)


def _checked(screen: ArmFigures, reference: ArmFigures, kept: Figure) -> ArmFigures:
    """The screen's figures, and the reference's for the rows that are checked."""

    def both(mine: Figure | None, theirs: Figure | None) -> Figure | None:
        return None if mine is None or theirs is None else total((mine, theirs.times(kept)))

    money, seconds = both(screen.money, reference.money), both(screen.seconds, reference.seconds)
    return replace(screen, money=money, seconds=seconds)


def _figures(
    stage: CallStage,
    name: str,
    agreement: Figure | None,
    rows: Sequence[Mapping[str, Any]],
    pool: ModelPool,
    statistics: Statistics,
) -> ArmFigures:
    call = replace(stage.call, arms=None)
    if stage.written is not None:
        return ArmFigures(name, str(call.options["model"]), NOTHING, NOTHING, agreement, stage.caller.concurrency)
    money = _learnt_money(call, pool, statistics) or _sampled_money(stage, rows)
    model = str(call.options["model"])
    return ArmFigures(name, model, money, statistics.seconds(call), agreement, stage.caller.concurrency)


def _learnt_money(call: SemanticCall, pool: ModelPool, statistics: Statistics) -> Figure | None:
    read, written = statistics.tokens_in(call), statistics.tokens_out(call)
    if read is None or written is None:
        return None
    ends = ((read.value, written.value), (read.low, written.low), (read.high, written.high))
    # A million of them, because the price list takes whole tokens.
    million = 1_000_000.0
    price, model = price_of(pool), str(call.options["model"])
    value, low, high = (None if i is None or o is None else price(model, i * million, o * million) for i, o in ends)
    if value is None:
        return None
    least, most = (None if end is None else end / million for end in (low, high))
    return Figure(value / million, joined(read.source, written.source), least, most)


def _sampled_money(stage: CallStage, rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    """By the prompts of a sample and the price list; without an interval, because answers have a length that is a guess."""
    if not rows or not set(stage.call.arguments) <= rows[0].keys():
        return None
    values = [tuple(row[name] for name in stage.call.arguments) for row in rows]
    asked = [row for row in values if None not in row]
    usd = [usd_a_question(stage, row) for row in asked]
    known = [each for each in usd if each is not None]
    if not known or len(known) < len(usd):
        return None
    return Figure(sum(known) / len(known), f"prompts of {len(known)} rows; prior: length of answers")


def _rows(duck: Duck, plan: Relation, stream: Stream) -> list[Mapping[str, Any]]:
    """Some rows as they reach the lowest call."""
    bottom = dict(nodes_with_paths(plan))[stream.bottom]
    relational = relational_sql(bottom)
    wanted = {name for call in stream.calls for name in call.arguments} & names(bottom)
    if relational is None or not wanted or any(calls(item.plan) for item in relational[1].inputs):
        return []
    chosen = ", ".join(sorted(wanted))
    sql = f"SELECT {chosen} FROM ({relational[0]}) AS __part LIMIT {TOKENISED_ROWS}"
    return list(duck.table(sql).to_pylist())


def _sources(found: Mapping[str, tuple[ArmFigures, ...]]) -> Iterator[Figure]:
    for arms in found.values():
        for arm in arms:
            yield from (f for f in (arm.money, arm.seconds, arm.agreement) if f is not None)


def plans_of(duck: Duck, plan: Relation, context: Context, run: QueryRun, pool: ModelPool) -> Plans:
    """Search the plans of a statement.

    Parameters
    ----------
    context : its candidates are added as arms, also where the settings do not allow them. run : a query that asks nothing.
    """
    armed = with_arms(plan, context) if context.candidates else plan
    return search_plans(duck, armed, Stages(run, pool), pool, context.statistics, context.policy)
