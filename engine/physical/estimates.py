"""EXPLAIN: the plan with what it will cost, from a sample of its relational parts; nothing is asked of a model."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...optimizer.ancestry import Barrier, ancestry
from ...optimizer.context import Measured
from ...optimizer.cost.estimate import NodeEstimate, Price, SourceSample, estimate
from ...optimizer.pipeline import Optimized
from ...udfs.models.base import Embed, Generate, Request
from ...udfs.models.prices import estimate_usd
from ...udfs.prompts.batched import instruction, together
from ..dataflow.progress import QueryProgress, SiteProgress
from ..plan.nodes import Call, Plan, Relation, SemanticCall
from ..plan.render import Path, nodes_with_paths, render, to_json
from ..plan.walk import calls, names
from .arm_notes import arm_lines
from .declared_keys import DeclaredKeys
from .duck import Duck
from .energy_notes import energy_of
from .fragments import relational_sql
from .model_pool import ModelPool
from .plan_graph import stage_graph
from .prefetch_plan import refusal, standing_in
from .stages import Stages

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


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan for people (``text``) and for programs (``json``)."""

    text: str
    json: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a call site asks before its first row. ``money`` in US dollars, ``None`` if unknown."""

    calls: int
    tokens_in: float
    money: float | None

    def line(self) -> str:
        return f"calibration: {self.calls:,} more calls, tokens in≈{self.tokens_in:,.0f}, once for this instruction and model"


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


def explain(duck: Duck, planned: Planned, stages: Stages, pool: ModelPool, progress: QueryProgress | None) -> Explained:
    """Explain a plan.

    Parameters
    ----------
    progress : the figures of a finished run, for ANALYZE; ``None``: estimates only.
    """
    plan = planned.plan
    samples = samples_of(duck, plan, stages)
    figures = estimate(plan, samples, price_of(pool))
    calibrations = {} if progress is not None else calibrations_of(figures, plan, stages, price_of(pool))
    shared = {site: rows for sample in samples.values() for site, rows in sample.rows_a_call.items()}
    notes = {path: _notes(node, figures.get(path), stages, progress, shared) for path, node in nodes_with_paths(plan)}
    for path, reason in _barriers(plan, duck).items():
        notes[path].append(f"barrier: all rows come first, because {reason}")
    for path, calibration in calibrations.items():
        notes[path].append(calibration.line())
    before = {path: (calibration.tokens_in, float(calibration.calls)) for path, calibration in calibrations.items()}
    taken, energy = energy_of(plan, figures, stages, before, progress)
    for path, call in taken.items():
        notes[path].append(call.line())
    chosen = _mode(duck, planned, stages)
    head = [f"mode: {chosen}", f"rules: {', '.join(planned.optimized.fired) or 'none fired'}"]
    head += [_embedded_line(c, progress) for c in plan.embedded]
    foot = _total(figures, plan, calibrations.values()) if progress is None else _actual_total(progress)
    also = [] if energy is None else [f"       {energy.line()}"]
    said = [f"notice: {notice}" for notice in planned.notices]
    text = "\n".join([*head, "", render(plan, notes), "", foot, *also, *said])
    document = {
        "mode": chosen,
        "rules": planned.optimized.fired,
        "notices": list(planned.notices),
        "plan": json.loads(to_json(plan, notes)),
        "total": foot,
        "energy": None if energy is None else energy.json(),
        "stages": json.loads(stage_graph(plan, figures).to_json()),
    }
    return Explained(text, json.dumps(document, ensure_ascii=False, indent=2))


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


def samples_of(duck: Duck, plan: Plan, stages: Stages) -> dict[Path, SourceSample]:
    """Measure every relational part that feeds a call and needs no answers itself."""
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
        found[path] = _sample(duck, relational[0], above, stages)
    return found


def _feeds_calls(plan: Plan, path: Path) -> bool:
    node: Plan = plan
    met = False
    from ..plan.walk import children

    for step in path:
        met = met or isinstance(node, Call)
        node = children(node)[step]
    return met


def _sample(duck: Duck, sql: str, above: Sequence[SemanticCall], stages: Stages) -> SourceSample:
    rows = duck.table(f"SELECT * FROM ({sql}) AS __part LIMIT {SAMPLE_ROWS}").to_pylist()
    count = Measured(float(len(rows)), "exact count") if len(rows) < SAMPLE_ROWS else cardinality(duck, sql)
    distinct, tokens, shared, once = {}, {}, {}, {}
    for call in above:
        inputs = [tuple(r[a] for a in call.arguments) for r in rows]
        asked = [i for i in inputs if all(v is not None for v in i)]
        unique = {repr(i): i for i in asked}
        distinct[call.site] = len(unique) / len(rows) if rows else 0.0
        requests = _requests(list(unique.values())[:TOKENISED_ROWS], call, stages)
        batching = stages.stage(call).batching
        if batching is None:
            tokens[call.site] = _mean_tokens(requests)
            continue
        texts = [r for asked_of in requests for r in asked_of if isinstance(r, Generate)]
        shared[call.site] = batching.size.mean(texts)
        tokens[call.site], once[call.site] = _shares(texts)
    return SourceSample(count, len(rows), distinct, tokens, shared, once)


def cardinality(duck: Duck, sql: str) -> Measured:
    """How many rows DuckDB expects of a query."""
    plan = json.loads(duck.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()[0][1])
    node: Any = plan[0]
    while node and "Estimated Cardinality" not in node.get("extra_info", {}):
        node = node["children"][0] if node.get("children") else None
    if node is None:
        return Measured(float(SAMPLE_ROWS), "at least")
    return Measured(float(str(node["extra_info"]["Estimated Cardinality"]).lstrip("~")), "DuckDB estimate")


def _requests(inputs: list[tuple[Any, ...]], call: SemanticCall, stages: Stages) -> list[Sequence[Request]]:
    task = stages.stage(call).task
    return [task.requests(row) for row in inputs]


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
        lines = [f"estimated: {line}" for line in lines] + [f"actual: {_actual(site)}"] if site is not None else lines
        noted = dict(stages.stage(node.call).task.notes()) | (dict(site.notes) if site is not None else {})
        lines += [f"{key}: {value}" for key, value in noted.items()]
        if (armed := stages.stage(node.call).armed) is not None:
            lines += arm_lines(armed, stages.stage(node.call).call, ran=site is not None)
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
    return f"call: {call.site} model={call.options['model']}" + (f"  actual: {_actual(site)}" if site else "")


def _actual(site: SiteProgress) -> str:
    cost = "cost unknown" if site.unpriced else f"${site.cost_usd:,.4f}"
    return (
        f"rows={site.rows_in:,} calls={site.calls:,} cached={site.cached:,} shared={site.shared:,} failed={site.failed:,} "
        f"tokens in={site.tokens_in:,} tokens out={site.tokens_out:,} {cost}"
    )


def _total(figures: Mapping[Path, NodeEstimate], plan: Plan, calibrations: Collection[Calibration]) -> str:
    made = [figures[p] for p, n in nodes_with_paths(plan) if isinstance(n, Call) and p in figures]
    known = [f.calls.value for f in made if f.calls is not None]
    if len(known) < len(made) or not made:
        return "total: calls cannot be estimated before the rows are known"
    extra = sum(c.calls for c in calibrations)
    tokens = sum(f.tokens_in.value for f in made if f.tokens_in is not None) + sum(c.tokens_in for c in calibrations)
    prices = [None if f.money is None else f.money.value for f in made] + [c.money for c in calibrations]
    money = [price for price in prices if price is not None]
    cost = f"${sum(money):,.4f}" if len(money) == len(prices) else "cost unknown"
    aside = f" ({extra:,} of them to calibrate)" if extra else ""
    return (
        f"total: calls≈{sum(known) + extra:,.0f}{aside} tokens in≈{tokens:,.0f} {cost} "
        "(before the cache; answers in the store are free)"
    )


def _actual_total(progress: QueryProgress) -> str:
    seconds = (progress.finished or progress.started) - progress.started
    cost = "cost unknown" if progress.cost_usd is None else f"${progress.cost_usd:,.4f}"
    sites = progress.sites.values()
    source = f" ({progress.price_source})" if progress.price_source else ""
    return (
        f"total: calls={progress.calls:,} cached={sum(s.cached for s in sites):,} tokens in={sum(s.tokens_in for s in sites):,} "
        f"tokens out={sum(s.tokens_out for s in sites):,} {cost}{source} in {seconds:.2f} s"
    )
