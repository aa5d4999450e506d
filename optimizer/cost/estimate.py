"""How many rows, calls, tokens and dollars each node of a plan will take, and how anybody knows.

Nothing here measures: the session samples the relational parts and passes what it found. What was neither measured nor
learnt comes from a stated prior, and what cannot be told is ``None``, never a made-up number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from ...engine.plan.nodes import (
    Call,
    Compute,
    Condition,
    Conjunction,
    Demand,
    Filter,
    Keep,
    Plan,
    Relation,
    SemanticCall,
    Sort,
    Source,
    Unnest,
)
from ...engine.plan.render import Path
from ..context import NoStatistics, Statistics
from ..paths import path
from .figure import Figure, dollars, duration, exactly, guess, joined, total
from .reach import reached, together
from .sampled import Flow, Prompts, SourceSample, mean_in, questions, times
from .shares import SEMANTIC_SELECTIVITY, selectivity
from .wall import StageTime, alone

ROWS_PER_ROW = 4.0
FEW_TIMES = 4.0
"""Factor by which a stated guess of a length may be wrong either way."""
A_MILLION = 1e6
"""Tokens of which a price is told: the list takes whole ones."""
__all__ = [
    "SEMANTIC_SELECTIVITY",
    "TOKENS_OUT",
    "TOKENS_OUT_OTHER",
    "Clock",
    "NodeEstimate",
    "Price",
    "Service",
    "estimate",
]

TOKENS_OUT = {"LLM_FILTER": 1.0, "LLM_CLASSIFY": 4.0, "LLM_SCORE": 3.0, "LLM_EMBED": 0.0, "LLM_SIMILARITY": 0.0}
TOKENS_OUT_OTHER = 64.0
ASK_NOBODY = frozenset({"LLM_COUNT_TOKENS"})

Price = Callable[[str, float, float], float | None]
"""US dollars for (model, input tokens, output tokens); ``None``: no price is known."""
Service = Callable[[SemanticCall, float], Figure | None]
"""Seconds of one call of so many tokens; ``None``: nothing is known of the model's times."""
Clock = Callable[[SemanticCall, Figure, Figure, Figure, float], StageTime]
"""The time of a call site by its calls, seconds of all, seconds of one, and tokens."""


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """Expectations for one node. ``None``: cannot be told. ``tokens_in``, ``tokens_out``, ``money`` (US dollars)
    and ``seconds`` (by the clock, as if there were no other call) are totals; ``time`` is what these follow from."""

    rows_in: Figure | None
    rows_out: Figure | None
    calls: Figure | None = None
    tokens_in: Figure | None = None
    tokens_out: Figure | None = None
    money: Figure | None = None
    seconds: Figure | None = None
    time: StageTime | None = None

    def lines(self) -> tuple[str, ...]:
        """For EXPLAIN, for instance ``rows≈1,000 calls≈50 tokens≈12,000 (sample of 2,000 rows)``.

        >>> NodeEstimate(None, Figure(1000.0, "DuckDB estimate")).lines()
        ('rows≈1,000 (DuckDB estimate)',)
        """
        shown = [
            ("rows", self.rows_out),
            ("calls", self.calls),
            ("tokens in", self.tokens_in),
            ("tokens out", self.tokens_out),
        ]
        parts = [(f"{name}≈{m.value:,.0f}", m.source) for name, m in shown if m is not None]
        if self.money is not None:
            parts.append((dollars(self.money), self.money.source))
        elif self.calls is not None:
            parts.append(("cost unknown", ""))
        if self.seconds is not None:
            parts.append((f"time≈{duration(self.seconds)}", self.seconds.source))
        sources = list(dict.fromkeys(s for _, source in parts for s in source.split("; ") if s))
        return (" ".join(p for p, _ in parts) + f" ({'; '.join(sources)})",) if sources else ()


def _no_price(model: str, tokens_in: float, tokens_out: float) -> float | None:
    del model, tokens_in, tokens_out
    return None


def _no_service(call: SemanticCall, tokens: float) -> Figure | None:
    del call, tokens
    return None


def _one_by_one(call: SemanticCall, calls: Figure, work: Figure, a_call: Figure, tokens: float) -> StageTime:
    del tokens
    return StageTime(str(call.options.get("model", "")), 1.0, calls.value, work, a_call)


def estimate(
    plan: Plan,
    samples: Mapping[Path, SourceSample],
    price: Price = _no_price,
    statistics: Statistics | None = None,
    service: Service = _no_service,
    clock: Clock = _one_by_one,
) -> dict[Path, NodeEstimate]:
    """An estimate for every node, by its path from the root.

    Parameters
    ----------
    samples : by path of the topmost node of a relational part (a Source, or the plain filters over it).
    price : see :data:`Price`. statistics : selectivities, tokens and times learnt from earlier queries.
    service : see :data:`Service`; asked where no statistics are known. clock : see :data:`Clock`.
    """
    walker = _Walker(samples, price, statistics or NoStatistics(), service, clock)
    walker.visit(plan, (), None)
    return walker.found


@dataclass(frozen=True, slots=True)
class _Walker:
    samples: Mapping[Path, SourceSample]
    price: Price
    statistics: Statistics
    service: Service
    clock: Clock
    found: dict[Path, NodeEstimate] = field(default_factory=dict)
    flows: dict[Path, Flow] = field(default_factory=dict)

    def visit(self, plan: Plan, at: Path, demand: float | None) -> Flow:
        """``demand``: rows after which the reader above stops (``None``: it reads all)."""
        match plan:
            case Source():
                flow, node = self._source(plan, at)
            case Relation():
                flow, node = self._relation(plan, at)
            case Filter():
                flow, node = self._filter(plan, at, demand)
            case Call():
                below = self.visit(plan.input, (*at, 0), demand)
                flow, node = below, self._call(plan, below)
            case Unnest():
                flow, node = self._unnest(plan, at, demand)
            case Demand() | Sort():
                flow, node = self._cut(plan, at, demand)
            case Compute() | Keep() | Conjunction() | Condition():
                flow = self.visit(plan.input, (*at, 0), demand)
                node = NodeEstimate(flow.rows, flow.rows)
                if isinstance(plan, Conjunction | Condition):
                    self._decide(plan, at)
            case _:
                assert_never(plan)
        self.found[at], self.flows[at] = node, flow = self._measured(at, node, flow, demand)
        return flow

    def _measured(self, at: Path, node: NodeEstimate, flow: Flow, demand: float | None) -> tuple[NodeEstimate, Flow]:
        """A node by what was measured of it, and as far as it is read."""
        if at in self.samples:
            flow = Flow(self.samples[at].rows, self.samples[at])
            node = replace(node, rows_out=self.samples[at].whole or flow.rows)
        if demand is not None and flow.rows is not None and flow.rows.value > demand:
            flow = Flow(exactly(demand, joined(flow.rows.source, "stops at LIMIT")), flow.sample)
            node = replace(node, rows_out=flow.rows)
        return node, flow

    def _decide(self, plan: Conjunction | Condition, at: Path) -> None:
        """Calls below, each about as many rows as the cheapest order leaves it, and not as the text would."""
        one = together(plan)
        base = None if one is None else self.flows.get((*at, *[0] * _depth(plan, one.base)))
        if one is None or base is None or base.rows is None:
            return
        costs, places = self._costs(one.calls, base.sample), _places(plan, at)
        known = base.sample.known.get(plan.condition.sql) if base.sample and isinstance(plan, Condition) else None
        shares = reached(one, plan, costs, self.statistics, base.rows.value, known)
        for call, share in zip(one.calls, shares, strict=True):
            few = Flow(base.rows.times(share), base.sample)
            self.found[places[call.output.name]] = self._call(Call(one.base, call), few)

    def _costs(self, calls: Sequence[SemanticCall], sample: SourceSample | None) -> list[float]:
        """Of a question, by call: in money where the price of every one is known, else in tokens."""
        sizes = []
        for call in calls:
            learnt, written = (
                self.statistics.tokens_in(call),
                self.statistics.tokens_out(call) or _tokens_out_prior(call),
            )
            guessed = 1.0 if sample is None else sample.tokens_in.get(call.site, 1.0)
            sizes.append((guessed if learnt is None else learnt.value, written.value))
        usd = [
            self.price(str(call.options.get("model", "")), read * A_MILLION, written * A_MILLION)
            for call, (read, written) in zip(calls, sizes, strict=True)
        ]
        known = [each for each in usd if each]
        return known if len(known) == len(usd) else [read + written for read, written in sizes]

    def _source(self, plan: Source, at: Path) -> tuple[Flow, NodeEstimate]:
        for index, item in enumerate(plan.inputs):
            self.visit(item.plan, (*at, index), None)
        limit = None if plan.limit is None else exactly(float(plan.limit), "LIMIT")
        return Flow(limit, None), NodeEstimate(None, limit)

    def _relation(self, plan: Relation, at: Path) -> tuple[Flow, NodeEstimate]:
        flows = [self.visit(item.plan, (*at, index), None) for index, item in enumerate(plan.inputs)]
        rows = flows[0].rows if len(flows) == 1 else None
        out = _at_most(rows, plan.limit) if plan.rowwise else None
        return Flow(out, None), NodeEstimate(rows, out)

    def _filter(self, plan: Filter, at: Path, demand: float | None) -> tuple[Flow, NodeEstimate]:
        share = selectivity(plan, self.statistics)
        below = self.visit(plan.input, (*at, 0), None if demand is None else demand / max(share.value, 1e-6))
        out = times(below.rows, share)
        return Flow(out, below.sample), NodeEstimate(below.rows, out)

    def _unnest(self, plan: Unnest, at: Path, demand: float | None) -> tuple[Flow, NodeEstimate]:
        """What the sample measured is not known of the rows above."""
        below = self.visit(plan.input, (*at, 0), None if demand is None else demand / ROWS_PER_ROW)
        out = times(below.rows, guess(ROWS_PER_ROW, f"prior: {ROWS_PER_ROW:g} rows of one", FEW_TIMES))
        return Flow(out, None), NodeEstimate(below.rows, out)

    def _cut(self, plan: Demand | Sort, at: Path, demand: float | None) -> tuple[Flow, NodeEstimate]:
        """A Sort has to see all rows before its first; a Demand stops what is below it."""
        own = float(plan.rows) if isinstance(plan, Demand) else None
        wanted = own if demand is None or own is None else min(own, demand)
        below = self.visit(plan.input, (*at, 0), wanted)
        out = _at_most(below.rows, plan.rows if isinstance(plan, Demand) else plan.limit)
        return Flow(out, below.sample), NodeEstimate(below.rows, out)

    def _call(self, plan: Call, below: Flow) -> NodeEstimate:
        call, sample = plan.call, below.sample
        if call.function in ASK_NOBODY:
            nothing = exactly(0.0, "asks no model")
            return NodeEstimate(below.rows, below.rows, nothing, nothing, nothing, nothing)
        asked = questions(plan, below)
        calls = self._calls(call, asked, sample)
        read = self.statistics.tokens_in(call) or mean_in(call, asked, calls, sample)
        written = self.statistics.tokens_out(call) or _tokens_out_prior(call)
        tokens_in, tokens_out = times(asked, read), times(asked, written)
        time, money = self._time(call, calls, tokens_in, tokens_out), self._money(call, asked, read, written)
        seconds = None if time is None else alone(time)
        node = NodeEstimate(below.rows, below.rows, calls, tokens_in, tokens_out, money, seconds, time)
        join = None if sample is None else sample.joins.get(call.site)
        return (
            node if join is None or not join.beside.calls.value else self._with_prompts(call, node, join.beside, sample)
        )

    def _with_prompts(
        self, call: SemanticCall, node: NodeEstimate, many: Prompts, sample: SourceSample | None
    ) -> NodeEstimate:
        """And prompts about many rows; what a server counts for a row alone tells how long its tokens are."""
        if node.calls is None or node.tokens_in is None or node.tokens_out is None:
            return node
        learnt, guessed = self.statistics.tokens_in(call), sample.tokens_in.get(call.site) if sample else None
        longer = learnt.value / guessed if learnt is not None and guessed else 1.0
        read, written = many.tokens_in.scaled(longer), many.tokens_out.scaled(longer)
        usd, time = self.price(str(call.options.get("model", "")), read.value, written.value), node.time
        money = None if usd is None or node.money is None else node.money.plus(_as(read, usd))
        calls = node.calls.plus(many.calls)
        tokens_in, tokens_out = node.tokens_in.plus(read), node.tokens_out.plus(written)
        if time is not None:
            a_prompt = self.service(call, (read.value + written.value) / many.calls.value) or time.a_call
            work = time.work.plus(many.calls.times(a_prompt))
            a_call = work.scaled(1 / calls.value)
            time = self.clock(call, calls, work, a_call, tokens_in.value + tokens_out.value)
        seconds = None if time is None else alone(time)
        return NodeEstimate(node.rows_in, node.rows_out, calls, tokens_in, tokens_out, money, seconds, time)

    def _calls(self, call: SemanticCall, asked: Figure | None, sample: SourceSample | None) -> Figure | None:
        """Prompts for so many questions."""
        learnt = self.statistics.calls(call)
        if learnt is not None and learnt.value != 1:
            return times(asked, learnt)
        given = call.options.get("batch_rows")
        rows = sample.rows_a_call.get(call.site) if sample is not None else given if isinstance(given, int) else None
        if asked is None or rows is None:
            return asked
        return Figure(float(math.ceil(asked.value / rows)), asked.source, *_ends(asked, 1 / rows))

    def _money(
        self, call: SemanticCall, asked: Figure | None, mean_in: Figure | None, mean_out: Figure
    ) -> Figure | None:
        """How many are asked is the same for what goes in and what comes out; how long these are is not."""
        if asked is None or mean_in is None:
            return None
        model, source = str(call.options.get("model", "")), joined(asked.source, mean_in.source, mean_out.source)
        read = self.price(model, asked.value * mean_in.value, 0.0)
        written = self.price(model, 0.0, asked.value * mean_out.value)
        if read is None or written is None:
            return None
        each = total([_as(mean_in, read), _as(mean_out, written)])
        return replace(each.times(_as(asked, 1.0)), source=source)

    def _time(
        self, call: SemanticCall, calls: Figure | None, tokens_in: Figure | None, tokens_out: Figure | None
    ) -> StageTime | None:
        if calls is None or not calls.value:
            return None
        each = (tokens_in.value if tokens_in else 0.0) + (tokens_out.value if tokens_out else 0.0)
        learnt, asked = self.statistics.seconds(call), self.statistics.calls(call)
        if learnt is not None and asked is not None and asked.value:
            a_call: Figure | None = learnt.scaled(1 / asked.value)
        else:
            a_call = None if tokens_in is None else self.service(call, each / calls.value)
        return None if a_call is None else self.clock(call, calls, calls.times(a_call), a_call, each)


def _tokens_out_prior(call: SemanticCall) -> Figure:
    mean = TOKENS_OUT.get(call.function, TOKENS_OUT_OTHER)
    return guess(mean, f"prior: {mean:g} tokens an answer", FEW_TIMES)


def _depth(plan: Plan, base: Plan) -> int:
    """How far below."""
    return next(depth for depth, node in enumerate(path(plan)) if node is base)


def _places(plan: Plan, at: Path) -> dict[str, Path]:
    """Where the calls of a path stand, by the names of their answers."""
    nodes = enumerate(path(plan))
    return {node.call.output.name: (*at, *[0] * depth) for depth, node in nodes if isinstance(node, Call)}


def _as(figure: Figure, value: float) -> Figure:
    """The same relative errors of another number."""
    return replace(figure.scaled(value / figure.value), value=value) if figure.value else exactly(value, figure.source)


def _ends(figure: Figure, factor: float) -> tuple[float | None, float | None]:
    scaled = figure.scaled(factor)
    return scaled.low, scaled.high


def _at_most(rows: Figure | None, limit: int | None) -> Figure | None:
    if limit is None or (rows is not None and rows.value <= limit):
        return rows
    return exactly(float(limit), "LIMIT" if rows is None else joined(rows.source, "LIMIT"))
