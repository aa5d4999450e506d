"""How many rows, calls, tokens and dollars each node of a plan will take, and how anybody knows.

Nothing here measures: the session samples the relational parts and passes what it found. What was neither measured nor
learnt comes from a stated prior, and what cannot be told is ``None``, never a made-up number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
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
from ..paths import answers, path
from .figure import Figure, dollars, duration, exactly, guess, joined, total
from .wall import StageTime, alone

SEMANTIC_SELECTIVITY = 0.5
RELATIONAL_SELECTIVITY = 0.2
GUARD_SELECTIVITY = 0.5
SOME_SHARE = 0.9
"""A share of which nothing is known lies in the middle nine tenths of what is possible."""
ROWS_PER_ROW = 4.0
FEW_TIMES, TWICE, THUMB = 4.0, 2.0, 1.4
"""Factors by which a stated guess may be wrong either way: of a length, of a number of rows, of characters in a token."""
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
class SourceSample:
    """What the session measured of the relational part at the bottom of a path.

    Parameters
    ----------
    rows : rows that leave it, with the number's source (``sample of 2,000 rows``, ``DuckDB estimate``, ``exact count``).
    sampled : rows that the ratios below were measured on.
    distinct : per call site, distinct non-NULL inputs per row (0..1).
    tokens_in : per call site, mean tokens of a request; of several rows in one prompt, a row's share.
    guarded : call sites of which the rows that their guard lets through were counted, in ``distinct``.
    rows_a_call, tokens_a_call : per call site whose rows share prompts, how many do, and tokens that come once a prompt.
    questions_a_row : per call site that ranks its rows, the most that it asks for one.
    """

    rows: Figure
    sampled: int
    distinct: Mapping[str, float] = field(default_factory=dict)
    tokens_in: Mapping[str, float] = field(default_factory=dict)
    rows_a_call: Mapping[str, float] = field(default_factory=dict)
    tokens_a_call: Mapping[str, float] = field(default_factory=dict)
    questions_a_row: Mapping[str, float] = field(default_factory=dict)
    guarded: Collection[str] = ()

    @property
    def source(self) -> str:
        """In words."""
        return f"sample of {self.sampled:,} rows"


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


@dataclass(frozen=True, slots=True)
class _Flow:
    """Rows leaving a node, and the sample at the bottom of its path."""

    rows: Figure | None
    sample: SourceSample | None


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

    def visit(self, plan: Plan, at: Path, demand: float | None) -> _Flow:
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
            case _:
                assert_never(plan)
        if at in self.samples:
            flow = _Flow(self.samples[at].rows, self.samples[at])
            node = replace(node, rows_out=flow.rows)
        if demand is not None and flow.rows is not None and flow.rows.value > demand:
            flow = _Flow(exactly(demand, joined(flow.rows.source, "stops at LIMIT")), flow.sample)
            node = replace(node, rows_out=flow.rows)
        self.found[at] = node
        return flow

    def _source(self, plan: Source, at: Path) -> tuple[_Flow, NodeEstimate]:
        for index, item in enumerate(plan.inputs):
            self.visit(item.plan, (*at, index), None)
        limit = None if plan.limit is None else exactly(float(plan.limit), "LIMIT")
        return _Flow(limit, None), NodeEstimate(None, limit)

    def _relation(self, plan: Relation, at: Path) -> tuple[_Flow, NodeEstimate]:
        flows = [self.visit(item.plan, (*at, index), None) for index, item in enumerate(plan.inputs)]
        rows = flows[0].rows if len(flows) == 1 else None
        out = _at_most(rows, plan.limit) if plan.rowwise else None
        return _Flow(out, None), NodeEstimate(rows, out)

    def _filter(self, plan: Filter, at: Path, demand: float | None) -> tuple[_Flow, NodeEstimate]:
        share = self._selectivity(plan)
        below = self.visit(plan.input, (*at, 0), None if demand is None else demand / max(share.value, 1e-6))
        out = _times(below.rows, share)
        return _Flow(out, below.sample), NodeEstimate(below.rows, out)

    def _unnest(self, plan: Unnest, at: Path, demand: float | None) -> tuple[_Flow, NodeEstimate]:
        """What the sample measured is not known of the rows above."""
        below = self.visit(plan.input, (*at, 0), None if demand is None else demand / ROWS_PER_ROW)
        out = _times(below.rows, guess(ROWS_PER_ROW, f"prior: {ROWS_PER_ROW:g} rows of one", FEW_TIMES))
        return _Flow(out, None), NodeEstimate(below.rows, out)

    def _cut(self, plan: Demand | Sort, at: Path, demand: float | None) -> tuple[_Flow, NodeEstimate]:
        """A Sort has to see all rows before its first; a Demand stops what is below it."""
        own = float(plan.rows) if isinstance(plan, Demand) else None
        wanted = own if demand is None or own is None else min(own, demand)
        below = self.visit(plan.input, (*at, 0), wanted)
        out = _at_most(below.rows, plan.rows if isinstance(plan, Demand) else plan.limit)
        return _Flow(out, below.sample), NodeEstimate(below.rows, out)

    def _selectivity(self, plan: Filter) -> Figure:
        made = {n.call.output.name: n.call for n in path(plan.input) if isinstance(n, Call)}
        read = [made[name] for name in sorted(plan.predicate.uses & made.keys())]
        if len(read) == 1 and plan.predicate.sql == read[0].output.name:
            learnt = self.statistics.selectivity(read[0], _feeds(plan, read[0]))
            if learnt is not None:
                return learnt
        semantic = bool(plan.predicate.uses & answers(plan.input))
        prior = SEMANTIC_SELECTIVITY if semantic else RELATIONAL_SELECTIVITY
        return _some_share(prior, f"prior: selectivity {prior:g}")

    def _call(self, plan: Call, below: _Flow) -> NodeEstimate:
        call, sample = plan.call, below.sample
        if call.function in ASK_NOBODY:
            nothing = exactly(0.0, "asks no model")
            return NodeEstimate(below.rows, below.rows, nothing, nothing, nothing, nothing)
        asked = _ranked(_asked(plan, below), call, sample)
        calls = self._calls(call, asked, sample)
        mean_in = self.statistics.tokens_in(call) or _mean_in(call, asked, calls, sample)
        mean_out = self.statistics.tokens_out(call) or _tokens_out_prior(call)
        tokens_in, tokens_out = _times(asked, mean_in), _times(asked, mean_out)
        time = self._time(call, calls, tokens_in, tokens_out)
        return NodeEstimate(
            below.rows,
            below.rows,
            calls,
            tokens_in,
            tokens_out,
            self._money(call, asked, mean_in, mean_out),
            None if time is None else alone(time),
            time,
        )

    def _calls(self, call: SemanticCall, asked: Figure | None, sample: SourceSample | None) -> Figure | None:
        """Prompts for so many questions."""
        learnt = self.statistics.calls(call)
        if learnt is not None and learnt.value != 1:
            return _times(asked, learnt)
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


def _asked(plan: Call, below: _Flow) -> Figure | None:
    call, rows = plan.call, below.rows
    if call.guard is not None and (below.sample is None or call.site not in below.sample.guarded):
        rows = _times(rows, _some_share(GUARD_SELECTIVITY, f"prior: guard {GUARD_SELECTIVITY:g}"))
    if not call.arguments and call.distinct:
        return None if rows is None else exactly(min(1.0, rows.value), rows.source)
    ratio = None if below.sample is None else below.sample.distinct.get(call.site)
    if call.distinct and ratio is not None and below.sample is not None:
        whole = below.rows is not None and below.sample.sampled >= below.rows.value
        # Repeats that a sample has not met yet may come; more inputs than rows cannot.
        return _times(rows, exactly(ratio, below.sample.source) if whole else _as_seen(ratio, below.sample.source))
    return rows


def _ranked(asked: Figure | None, call: SemanticCall, sample: SourceSample | None) -> Figure | None:
    most = sample.questions_a_row.get(call.site) if sample is not None else None
    return asked if most is None else _times(asked, exactly(most, f"at most, by {call.options['ranking']}"))


def _as_seen(ratio: float, source: str) -> Figure:
    return Figure(ratio, source, ratio / TWICE, min(1.0, ratio * TWICE))


def _mean_in(
    call: SemanticCall, asked: Figure | None, calls: Figure | None, sample: SourceSample | None
) -> Figure | None:
    """Tokens for one input, by how long its text is, with its share of what comes once a prompt."""
    mean = None if sample is None else sample.tokens_in.get(call.site)
    if mean is None or sample is None or asked is None or calls is None:
        return None
    once = calls.value * sample.tokens_a_call.get(call.site, 0.0) / asked.value if asked.value else 0.0
    return guess(mean + once, sample.source, THUMB)


def _tokens_out_prior(call: SemanticCall) -> Figure:
    mean = TOKENS_OUT.get(call.function, TOKENS_OUT_OTHER)
    return guess(mean, f"prior: {mean:g} tokens an answer", FEW_TIMES)


def _some_share(prior: float, source: str) -> Figure:
    return Figure(prior, source, (1 - SOME_SHARE) / 2, (1 + SOME_SHARE) / 2)


def _feeds(plan: Filter, call: SemanticCall) -> Plan | None:
    """What is below the call that a filter reads."""
    return next((n.input for n in path(plan.input) if isinstance(n, Call) and n.call is call), None)


def _times(number: Figure | None, factor: Figure | None) -> Figure | None:
    return None if number is None or factor is None else number.times(factor)


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
