"""EXPLAIN: the plan with what it will cost, from a sample of its relational parts; nothing is asked of a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Protocol

from ...optimizer.ancestry import Barrier, ancestry
from ...optimizer.context import Statistics
from ...optimizer.cost.estimate import NodeEstimate, Price, estimate
from ...optimizer.cost.figure import Figure, exactly, guess
from ...optimizer.cost.sampled import TWICE, Joined, SourceSample
from ...optimizer.pipeline import Optimized
from ...udfs.models.base import Embed, Generate, Request
from ...udfs.models.prices import estimate_usd
from ...udfs.prompts.batched import instruction, together
from ...udfs.prompts.ranking_option import POINTWISE
from ...udfs.spec import Compares, Task
from ..dataflow.certificates import IssuedCertificate
from ..dataflow.progress import QueryProgress
from ..plan.nodes import Call, Plan, Relation, SemanticCall, TopK
from ..plan.render import Path, nodes_with_paths, render, to_json
from ..plan.walk import calls, children, names
from .arm_notes import arm_lines
from .counted_tokens import counted_tokens
from .declared_keys import DeclaredKeys
from .duck import Duck
from .durations import services, stage_times
from .energy_notes import energy_of
from .expected_cascade import expected_cascades, with_proxies
from .expected_join import expected_join, sides_of
from .expected_sample import planned_rows, thinned
from .fragments import relational_sql
from .guarantee_notes import certificate_notes, certificates_json, promise_lines, query_lines
from .known_parts import known_parts
from .model_pool import ModelPool
from .online_notes import online_lines
from .plan_graph import stage_graph
from .prefetch_plan import refusal, standing_in
from .ranking.top_k import ALGORITHMS
from .routing_notes import routing_lines
from .stages import Stages
from .totals import BEFORE_THE_CACHE, UNKNOWN, Calibration, Total, actual, actual_total, estimates_json, total_of

SAMPLE_ROWS = 2000
TOKENISED_ROWS = 64
CHARACTERS_PER_TOKEN = 4.0
"""A rule of thumb for English in byte-pair vocabularies; figures made with it are marked ≈."""


class Planned(Protocol):
    """What is to be explained."""

    @property
    def plan(self) -> Relation:
        """The plan to run."""
        ...

    @property
    def optimized(self) -> Optimized:
        """The optimizer's result."""
        ...

    @property
    def embedded(self) -> str:
        """Why the calls stay in the text."""
        ...

    @property
    def notices(self) -> Sequence[str]:
        """What the user should know of the statement before it runs."""
        ...

    @property
    def statistics(self) -> Statistics:
        """What was known when it was planned."""
        ...


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan for people (``text``) and for programs (``json``)."""

    text: str
    json: str


def calibrations_of(
    figures: Mapping[Path, NodeEstimate], plan: Plan, stages: Stages, price: Price
) -> dict[Path, Calibration]:
    """Per call that will be made, if it has any."""
    found: dict[Path, Calibration] = {}
    for path, node in nodes_with_paths(plan):
        made = figures[path].calls if path in figures else None
        if not isinstance(node, Call) or made is None or not made.value:
            continue
        requests = stages.stage(node.call).task.preparation()
        if requests:
            tokens = sum(map(characters, requests)) / CHARACTERS_PER_TOKEN
            found[path] = Calibration(
                len(requests), tokens, price(str(node.call.options["model"]), tokens, float(len(requests)))
            )
    return found


def explain(
    duck: Duck,
    planned: Planned,
    stages: Stages,
    pool: ModelPool,
    progress: QueryProgress | None,
    certificates: Sequence[IssuedCertificate] = (),
) -> Explained:
    """Explain a plan.

    Parameters
    ----------
    progress : the figures of a finished run, for ANALYZE; ``None``: estimates only. certificates : what the run has proved.
    """
    plan = planned.plan
    samples = samples_of(duck, plan, stages, planned.statistics)
    price, service = price_of(pool), services(stages.store, stages)
    figures = estimate(plan, samples, price, planned.statistics, service, stage_times(stages))
    proxied = expected_cascades(figures, plan, planned.statistics)
    figures = with_proxies(figures, plan, proxied, price)
    calibrations = {} if progress is not None else calibrations_of(figures, plan, stages, price)
    shared = {site: rows for sample in samples.values() for site, rows in sample.rows_a_call.items()}
    joins = {site: join for sample in samples.values() for site, join in sample.joins.items()}
    notes = {path: _notes(node, figures.get(path), stages, progress, shared) for path, node in nodes_with_paths(plan)}
    for path, node in nodes_with_paths(plan):
        if isinstance(node, Call) and node.call.cascade is not None:
            notes[path] += promise_lines(node.call, proxied.get(path))
            notes[path] += certificate_notes(certificates, node.call.site)
    for path, reason in _barriers(plan, duck).items():
        notes[path].append(f"barrier: all rows come first, because {reason}")
    for path, node in nodes_with_paths(plan):
        if progress is None and isinstance(node, Call) and node.call.site in joins:
            notes[path].append(joins[node.call.site].line())
    for path, calibration in calibrations.items():
        notes[path].append(calibration.line())
    before = {path: (calibration.tokens_in, float(calibration.calls)) for path, calibration in calibrations.items()}
    taken, energy = energy_of(plan, figures, stages, before, progress)
    for path, call in taken.items():
        notes[path].append(call.line())
    chosen = _mode(duck, planned, stages)
    head = [f"mode: {chosen}", f"rules: {', '.join(planned.optimized.fired) or 'none fired'}"]
    head += [_embedded_line(c, progress) for c in plan.embedded]
    expected = total_of(figures, plan, calibrations.values())
    foot = _foot(expected, progress)
    also = [] if energy is None else [f"       {energy.line()}"]
    also += query_lines(certificates, plan, ran=progress is not None)
    said = [f"notice: {notice}" for notice in planned.notices]
    text = "\n".join([*head, "", render(plan, notes), "", *foot, *also, *said])
    document = {
        "mode": chosen,
        "rules": planned.optimized.fired,
        "notices": list(planned.notices),
        "plan": json.loads(to_json(plan, notes)),
        "total": foot[-1],
        "estimates": estimates_json(figures, plan),
        "estimated_total": None if expected is None else expected.json(),
        "certificates": certificates_json(certificates),
        "energy": None if energy is None else energy.json(),
        "stages": json.loads(stage_graph(plan, figures).to_json()),
    }
    return Explained(text, json.dumps(document, ensure_ascii=False, indent=2))


def _foot(expected: Total | None, progress: QueryProgress | None) -> list[str]:
    """The line of the total, and, of a query that ran, what was expected of it."""
    if progress is not None:
        return [*([] if expected is None else [f"estimated: {expected.words()}"]), actual_total(progress)]
    return [UNKNOWN if expected is None else f"total: {expected.words()} {BEFORE_THE_CACHE}"]


def _mode(duck: Duck, planned: Planned, stages: Stages) -> str:
    """STREAM, STAGE, PREFETCH or EMBEDDED, in words."""
    if planned.plan.embedded:
        with standing_in(duck, stages, planned.plan):
            refused = refusal(duck, planned.plan)
        if not refused:
            return (
                f"PREFETCH (a first run finds what is asked, then look-up functions inside DuckDB: {planned.embedded})"
            )
        return f"EMBEDDED (look-up functions inside DuckDB: {planned.embedded}; not asked beforehand: {refused})"
    if planned.plan.session:
        return "STAGE (answers are materialised, then the statement runs on your connection)"
    return "STREAM (your connection → model calls → a private DuckDB connection)"


def samples_of(duck: Duck, plan: Plan, stages: Stages, statistics: Statistics) -> dict[Path, SourceSample]:
    """Measure every relational part that feeds a call and needs no answers itself.

    Parameters
    ----------
    statistics : of earlier queries, which tell how many rows a sample takes, and how many of a join's pairs are asked.
    """
    found: dict[Path, SourceSample] = {}
    tops = [(p, n) for p, n in nodes_with_paths(plan) if _feeds_calls(plan, p) and relational_sql(n) is not None]
    for path, node in tops:
        if any(path[: len(p)] == p and path != p for p, _ in tops):
            continue
        relational = relational_sql(node)
        if relational is None or any(calls(i.plan) for i in relational[1].inputs):
            continue
        above = [
            n.call for _, n in nodes_with_paths(plan) if isinstance(n, Call) and set(n.call.arguments) <= names(node)
        ]
        found[path] = _sample(duck, relational[0], above, stages, statistics)
        rows_sql = f"(SELECT * FROM ({relational[0]}) AS __part LIMIT {SAMPLE_ROWS}) AS __rows"
        found[path] = replace(found[path], known=known_parts(duck, plan, node, rows_sql))
        if way := _estimated(plan, path):
            rows = planned_rows(duck, relational[0], found[path].rows, way, statistics)
            found[path] = thinned(found[path], rows)
    return found


def _estimated(plan: Plan, path: Path) -> Sequence[Plan]:
    """From the grouping that is estimated from a sample of the rows at a path down to these; empty: there is none."""
    way = [plan]
    for step in path:
        way.append(children(way[-1])[step])
    tops = [at for at, node in enumerate(way) if isinstance(node, Relation) and node.sampling is not None]
    return way[tops[-1] : -1] if tops else ()


def _feeds_calls(plan: Plan, path: Path) -> bool:
    node: Plan = plan
    met = False
    for step in path:
        met = met or isinstance(node, Call)
        node = children(node)[step]
    return met


def _sample(
    duck: Duck, sql: str, above: Sequence[SemanticCall], stages: Stages, statistics: Statistics
) -> SourceSample:
    rows = duck.table(f"SELECT * FROM ({sql}) AS __part LIMIT {SAMPLE_ROWS}").to_pylist()
    count = exactly(float(len(rows)), "exact count") if len(rows) < SAMPLE_ROWS else cardinality(duck, sql)
    distinct, tokens, shared, once, ranked = {}, {}, {}, {}, {}
    joins: dict[str, Joined] = {}
    tokenised: dict[str, int] = {}
    for call in above:
        let_through = [r for r in rows if call.guard not in r or r[call.guard]]
        inputs = [tuple(r[a] for a in call.arguments) for r in let_through]
        asked = [i for i in inputs if all(v is not None for v in i)]
        unique = {repr(i): i for i in asked}
        distinct[call.site] = len(unique) / len(rows) if rows else 0.0
        if call.pairs is not None:
            sides = sides_of(duck, sql, call, call.pairs)
            count = exactly(float(sides.total), "exact count") if sides.counted else count
            unique = {repr(i): tuple(i) for i in sides.inputs(call, call.pairs)}
            stage = stages.stage(call)
            joins[call.site] = expected_join(sides, stage, call.pairs, count, statistics, _tokens)
        requests = _requests(list(unique.values())[:TOKENISED_ROWS], call, stages)
        if call.top_k is not None and call.top_k.algorithm != POINTWISE:
            ranked[call.site] = _questions_a_row(call.top_k, count.value * distinct[call.site])
            requests = _pairs(requests, list(unique.values())[:TOKENISED_ROWS], stages.stage(call).task)
        batching = stages.stage(call).batching
        if batching is None:
            counted = counted_tokens(requests, stages.model(call).capabilities)
            tokens[call.site] = _mean_tokens(requests) if counted is None else counted
            tokenised |= {} if counted is None else {call.site: len(requests)}
            continue
        texts = [r for asked_of in requests for r in asked_of if isinstance(r, Generate)]
        shared[call.site] = batching.size.mean(texts)
        tokens[call.site], once[call.site] = _shares(texts)
    guarded = [call.site for call in above if rows and call.guard in rows[0]]
    return SourceSample(count, len(rows), distinct, tokens, shared, once, ranked, guarded, joins, tokenised=tokenised)


def cardinality(duck: Duck, sql: str) -> Figure:
    """How many rows DuckDB expects of a query."""
    plan = json.loads(duck.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1])
    node: Any = plan[0]
    while node and "Estimated Cardinality" not in node.get("extra_info", {}):
        node = node["children"][0] if node.get("children") else None
    if node is None:
        return Figure(float(SAMPLE_ROWS), "at least")
    return guess(float(str(node["extra_info"]["Estimated Cardinality"]).lstrip("~")), "DuckDB estimate", TWICE)


def _requests(inputs: list[tuple[Any, ...]], call: SemanticCall, stages: Stages) -> list[Sequence[Request]]:
    task = stages.stage(call).task
    return [task.requests(row) for row in inputs]


def _questions_a_row(wanted: TopK, rows: float) -> float:
    """The most that a ranking asks, for each of its rows."""
    return ALGORITHMS[wanted.algorithm].bound(round(rows), wanted.rows).calls / rows if rows else 0.0


def _pairs(alone: list[Sequence[Request]], inputs: list[tuple[Any, ...]], task: Task) -> list[Sequence[Request]]:
    """What a ranking asks, dear questions first: those about two rows; about single rows where there is but one."""
    if not isinstance(task, Compares) or len(inputs) < 2:
        return alone
    return [(task.pair(first, second),) for first, second in pairwise(inputs)]


def _mean_tokens(requests: Sequence[Sequence[Request]]) -> float:
    sizes = [sum(map(characters, asked_of)) for asked_of in requests]
    return sum(sizes) / len(sizes) / CHARACTERS_PER_TOKEN if sizes else 0.0


def _shares(requests: Sequence[Generate]) -> tuple[float, float]:
    """Mean tokens of a row's own text, and tokens that come once for all."""
    if not requests:
        return 0.0, 0.0
    whole = characters(together(requests).request)
    once = len(instruction(requests[0]))
    return (whole - once) / len(requests) / CHARACTERS_PER_TOKEN, once / CHARACTERS_PER_TOKEN


def _tokens(request: Request) -> float:
    return characters(request) / CHARACTERS_PER_TOKEN


def characters(request: Request) -> int:
    """What is sent of a request."""
    match request:
        case Generate():
            return len(request.system) + len(request.user)
        case Embed():
            return len(request.text)


def price_of(pool: ModelPool) -> Price:
    """What models cost."""

    def price(model: str, tokens_in: float, tokens_out: float) -> float | None:
        return estimate_usd(pool.find(model), int(tokens_in), int(tokens_out)).usd

    return price


def _notes(
    node: Plan,
    figures: NodeEstimate | None,
    stages: Stages,
    progress: QueryProgress | None,
    shared: Mapping[str, float],
) -> list[str]:
    lines = list(figures.lines()) if figures is not None and (isinstance(node, Call) or progress is None) else []
    if isinstance(node, Call):
        site = progress.sites.get(node.call.site) if progress is not None else None
        lines = [f"estimated: {line}" for line in lines] + [f"actual: {actual(site)}"] if site is not None else lines
        noted = dict(stages.stage(node.call).task.notes()) | (dict(site.notes) if site is not None else {})
        lines += [f"{key}: {value}" for key, value in noted.items()]
        if (armed := stages.stage(node.call).armed) is not None:
            lines += arm_lines(armed, stages.stage(node.call).call, ran=site is not None)
        if node.call.online is not None and (own := stages.stage(node.call).taught) is not None and site is None:
            lines += online_lines(node.call, node.call.online, own.met())
        if (routed := stages.stage(node.call).routed) is not None:
            lines += routing_lines(routed, ran=site is not None)
        if (batching := stages.stage(node.call).batching) is not None:
            lines.append(f"rows a prompt: {batching.size.note(shared.get(node.call.site))}")
    return lines


def _barriers(plan: Plan, duck: Duck) -> dict[Path, str]:
    """Why groupings above lists wait for all rows."""
    keys = DeclaredKeys(duck)
    found = {path: ancestry(node, keys) for path, node in nodes_with_paths(plan)}
    return {path: barrier.reason for path, barrier in found.items() if isinstance(barrier, Barrier)}


def _embedded_line(call: SemanticCall, progress: QueryProgress | None) -> str:
    site = progress.sites.get(call.site) if progress is not None else None
    return f"call: {call.site} model={call.options['model']}" + (f"  actual: {actual(site)}" if site else "")
