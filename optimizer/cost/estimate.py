"""How many rows, calls, tokens and dollars each node of a plan will take, and how anybody knows.

Nothing here measures: the session samples the relational parts and passes what it found. What was neither measured nor
learnt comes from a stated prior, and what cannot be told is ``None``, never a made-up number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from ...engine.plan.nodes import Call, Compute, Demand, Filter, Keep, Plan, Relation, SemanticCall, Sort, Source, Unnest
from ...engine.plan.render import Path
from ..context import Measured, NoStatistics, Statistics
from ..paths import answers, path

SEMANTIC_SELECTIVITY = 0.5
RELATIONAL_SELECTIVITY = 0.2
GUARD_SELECTIVITY = 0.5
ROWS_PER_ROW = 4.0
TOKENS_OUT = {"LLM_FILTER": 1.0, "LLM_CLASSIFY": 4.0, "LLM_SCORE": 3.0, "LLM_EMBED": 0.0, "LLM_SIMILARITY": 0.0}
TOKENS_OUT_OTHER = 64.0
ASK_NOBODY = frozenset({"LLM_COUNT_TOKENS"})

Price = Callable[[str, float, float], float | None]
"""US dollars for (model, input tokens, output tokens); ``None``: no price is known."""


@dataclass(frozen=True, slots=True)
class SourceSample:
    """What the session measured of the relational part at the bottom of a path.

    Parameters
    ----------
    rows : rows that leave it, with the number's source (``sample of 2,000 rows``, ``DuckDB estimate``, ``exact count``).
    sampled : rows that the ratios below were measured on.
    distinct : per call site, distinct non-NULL inputs per row (0..1).
    tokens_in : per call site, mean tokens of a request; of several rows in one prompt, a row's share.
    rows_a_call, tokens_a_call : per call site whose rows share prompts, how many do, and tokens that come once a prompt.
    """

    rows: Measured
    sampled: int
    distinct: Mapping[str, float] = field(default_factory=dict)
    tokens_in: Mapping[str, float] = field(default_factory=dict)
    rows_a_call: Mapping[str, float] = field(default_factory=dict)
    tokens_a_call: Mapping[str, float] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """In words."""
        return f"sample of {self.sampled:,} rows"


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """Expectations for one node. ``None``: cannot be told. ``tokens_in``, ``tokens_out`` and ``money`` (US dollars) are totals."""

    rows_in: Measured | None
    rows_out: Measured | None
    calls: Measured | None = None
    tokens_in: Measured | None = None
    tokens_out: Measured | None = None
    money: Measured | None = None

    def lines(self) -> tuple[str, ...]:
        """For EXPLAIN, for instance ``rows≈1,000 calls≈50 tokens≈12,000 (sample of 2,000 rows)``.

        >>> NodeEstimate(None, Measured(1000.0, "DuckDB estimate")).lines()
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
            parts.append((f"${self.money.value:,.4f}", self.money.source))
        elif self.calls is not None:
            parts.append(("cost unknown", ""))
        sources = list(dict.fromkeys(s for _, source in parts for s in source.split("; ") if s))
        return (" ".join(p for p, _ in parts) + f" ({'; '.join(sources)})",) if sources else ()


@dataclass(frozen=True, slots=True)
class _Flow:
    """Rows leaving a node, and the sample at the bottom of its path."""

    rows: Measured | None
    sample: SourceSample | None


def _no_price(model: str, tokens_in: float, tokens_out: float) -> float | None:
    del model, tokens_in, tokens_out
    return None


def estimate(
    plan: Plan,
    samples: Mapping[Path, SourceSample],
    price: Price = _no_price,
    statistics: Statistics | None = None,
) -> dict[Path, NodeEstimate]:
    """An estimate for every node, by its path from the root.

    Parameters
    ----------
    samples : by path of the topmost node of a relational part (a Source, or the plain filters over it).
    price : see :data:`Price`. statistics : selectivities and answer lengths learnt from earlier queries.
    """
    walker = _Walker(samples, price, statistics or NoStatistics())
    walker.visit(plan, (), None)
    return walker.found


@dataclass(frozen=True, slots=True)
class _Walker:
    samples: Mapping[Path, SourceSample]
    price: Price
    statistics: Statistics
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
            case Compute() | Keep():
                flow = self.visit(plan.input, (*at, 0), demand)
                node = NodeEstimate(flow.rows, flow.rows)
            case _:
                assert_never(plan)
        if at in self.samples:
            flow = _Flow(self.samples[at].rows, self.samples[at])
            node = replace(node, rows_out=flow.rows)
        if demand is not None and flow.rows is not None and flow.rows.value > demand:
            flow = _Flow(Measured(demand, _and(flow.rows.source, "stops at LIMIT")), flow.sample)
            node = replace(node, rows_out=flow.rows)
        self.found[at] = node
        return flow

    def _source(self, plan: Source, at: Path) -> tuple[_Flow, NodeEstimate]:
        for index, item in enumerate(plan.inputs):
            self.visit(item.plan, (*at, index), None)
        limit = None if plan.limit is None else Measured(float(plan.limit), "LIMIT")
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
        out = _times(below.rows, Measured(ROWS_PER_ROW, f"prior: {ROWS_PER_ROW:g} rows of one"))
        return _Flow(out, None), NodeEstimate(below.rows, out)

    def _cut(self, plan: Demand | Sort, at: Path, demand: float | None) -> tuple[_Flow, NodeEstimate]:
        """A Sort has to see all rows before its first; a Demand stops what is below it."""
        own = float(plan.rows) if isinstance(plan, Demand) else None
        wanted = own if demand is None or own is None else min(own, demand)
        below = self.visit(plan.input, (*at, 0), wanted)
        out = _at_most(below.rows, plan.rows if isinstance(plan, Demand) else plan.limit)
        return _Flow(out, below.sample), NodeEstimate(below.rows, out)

    def _selectivity(self, plan: Filter) -> Measured:
        made = {n.call.output.name: n.call for n in path(plan.input) if isinstance(n, Call)}
        read = [made[name] for name in sorted(plan.predicate.uses & made.keys())]
        learnt = self.statistics.selectivity(read[0]) if len(read) == 1 else None
        if learnt is not None and plan.predicate.sql == read[0].output.name:
            return learnt
        semantic = bool(plan.predicate.uses & answers(plan.input))
        prior = SEMANTIC_SELECTIVITY if semantic else RELATIONAL_SELECTIVITY
        return Measured(prior, f"prior: selectivity {prior:g}")

    def _call(self, plan: Call, below: _Flow) -> NodeEstimate:
        call, sample = plan.call, below.sample
        if call.function in ASK_NOBODY:
            nothing = Measured(0.0, "asks no model")
            return NodeEstimate(below.rows, below.rows, nothing, nothing, nothing, nothing)
        asked = _asked(plan, below)
        calls = _calls(call, asked, sample)
        tokens_in = None if sample is None else _tokens_in(call, asked, calls, sample)
        tokens_out = _times(asked, self.statistics.tokens_out(call) or _tokens_out_prior(call))
        return NodeEstimate(
            below.rows, below.rows, calls, tokens_in, tokens_out, self._money(call, tokens_in, tokens_out)
        )

    def _money(self, call: SemanticCall, tokens_in: Measured | None, tokens_out: Measured | None) -> Measured | None:
        if tokens_in is None or tokens_out is None:
            return None
        dollars = self.price(str(call.options.get("model", "")), tokens_in.value, tokens_out.value)
        return None if dollars is None else Measured(dollars, _and(tokens_in.source, tokens_out.source))


def _asked(plan: Call, below: _Flow) -> Measured | None:
    call, rows = plan.call, below.rows
    if call.guard is not None:
        rows = _times(rows, Measured(GUARD_SELECTIVITY, f"prior: guard {GUARD_SELECTIVITY:g}"))
    if not call.arguments and call.distinct:
        return None if rows is None else Measured(min(1.0, rows.value), rows.source)
    ratio = None if below.sample is None else below.sample.distinct.get(call.site)
    if call.distinct and ratio is not None and below.sample is not None:
        return _times(rows, Measured(ratio, below.sample.source))
    return rows


def _calls(call: SemanticCall, asked: Measured | None, sample: SourceSample | None) -> Measured | None:
    """Prompts for so many questions."""
    given = call.options.get("batch_rows")
    rows = sample.rows_a_call.get(call.site) if sample is not None else given if isinstance(given, int) else None
    return asked if asked is None or rows is None else Measured(float(math.ceil(asked.value / rows)), asked.source)


def _tokens_in(
    call: SemanticCall, asked: Measured | None, calls: Measured | None, sample: SourceSample
) -> Measured | None:
    mean = sample.tokens_in.get(call.site)
    if mean is None or asked is None or calls is None:
        return None
    once = calls.value * sample.tokens_a_call.get(call.site, 0.0)
    return Measured(asked.value * mean + once, _and(asked.source, sample.source))


def _tokens_out_prior(call: SemanticCall) -> Measured:
    mean = TOKENS_OUT.get(call.function, TOKENS_OUT_OTHER)
    return Measured(mean, f"prior: {mean:g} tokens an answer")


def _times(number: Measured | None, factor: Measured) -> Measured | None:
    return None if number is None else Measured(number.value * factor.value, _and(number.source, factor.source))


def _at_most(rows: Measured | None, limit: int | None) -> Measured | None:
    if limit is None or (rows is not None and rows.value <= limit):
        return rows
    return Measured(float(limit), "LIMIT" if rows is None else _and(rows.source, "LIMIT"))


def _and(*sources: str) -> str:
    return "; ".join(dict.fromkeys(part for source in sources for part in source.split("; ") if part))
