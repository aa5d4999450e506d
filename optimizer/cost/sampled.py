"""What was measured of the rows that come to a call, and what follows for the questions that it is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...engine.plan.nodes import Call, SemanticCall
from .figure import Figure, exactly, guess
from .shares import prior_share

GUARD_SELECTIVITY = 0.5
TWICE, THUMB, COUNTED = 2.0, 1.4, 1.2
"""Factors by which a stated guess may be wrong either way: of a number of rows, of characters in a token, of tokens that were counted
(other rows are longer or shorter, and a chat template adds some)."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts about many rows at once, beside those about one: how many, and the tokens of all of them."""

    calls: Figure
    tokens_in: Figure
    tokens_out: Figure


@dataclass(frozen=True, slots=True)
class Joined:
    """A join of which not every pair is asked alone.

    Parameters
    ----------
    pairs : distinct ones. alone : of these, how many are asked alone. beside : prompts about many pairs.
    """

    pairs: float
    alone: Figure
    beside: Prompts

    def line(self) -> str:
        """For EXPLAIN.

        >>> few = exactly(2.0, "")
        >>> Joined(2500.0, Figure(90.0, "prior", 50.0, 400.0), Prompts(few, few, few)).line()
        'join: ≈90 (50 to 400) of 2,500 distinct pairs alone, ≈2 prompts about many'
        """
        pairs, prompts = (
            f"≈{f.value:,.0f}" + (f" ({f.range})" if f.range else "") for f in (self.alone, self.beside.calls)
        )
        return f"join: {pairs} of {self.pairs:,.0f} distinct pairs alone, {prompts} prompts about many"


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
    joins : per call site that is a join's condition, what it is expected to ask.
    known : per condition, by its text, the share of rows of each combination of its parts that no answer is needed for.
    tokenised : per call site whose model's own tokenizer has counted, the rows of which prompts were made.
    whole : the rows that there are, where ``rows`` are only those of them that a sample takes (``None``: these are all).
    """

    rows: Figure
    sampled: int
    distinct: Mapping[str, float] = field(default_factory=dict)
    tokens_in: Mapping[str, float] = field(default_factory=dict)
    rows_a_call: Mapping[str, float] = field(default_factory=dict)
    tokens_a_call: Mapping[str, float] = field(default_factory=dict)
    questions_a_row: Mapping[str, float] = field(default_factory=dict)
    guarded: Collection[str] = ()
    joins: Mapping[str, Joined] = field(default_factory=dict)
    known: Mapping[str, Mapping[tuple[bool | None, ...], float]] = field(default_factory=dict)
    tokenised: Mapping[str, int] = field(default_factory=dict)
    whole: Figure | None = None

    @property
    def source(self) -> str:
        """In words."""
        return f"sample of {self.sampled:,} rows"


@dataclass(frozen=True, slots=True)
class Flow:
    """Rows leaving a node, and the sample at the bottom of its path."""

    rows: Figure | None
    sample: SourceSample | None


def questions(plan: Call, below: Flow) -> Figure | None:
    """How many a call puts: its distinct inputs; of a join, the pairs that it asks alone; of a ranking, what that takes."""
    call, sample = plan.call, below.sample
    if sample is not None and below.rows is not None and (join := sample.joins.get(call.site)) is not None:
        return join.alone.scaled(below.rows.value / sample.rows.value if sample.rows.value else 0.0)
    asked = _inputs(plan, below)
    most = sample.questions_a_row.get(call.site) if sample is not None else None
    return asked if most is None else times(asked, exactly(most, f"at most, by {call.options['ranking']}"))


def _inputs(plan: Call, below: Flow) -> Figure | None:
    call, rows = plan.call, below.rows
    if call.guard is not None and (below.sample is None or call.site not in below.sample.guarded):
        rows = times(rows, prior_share(GUARD_SELECTIVITY, "guard"))
    if not call.arguments and call.distinct:
        return None if rows is None else exactly(min(1.0, rows.value), rows.source)
    ratio = None if below.sample is None else below.sample.distinct.get(call.site)
    if call.distinct and ratio is not None and below.sample is not None:
        whole = below.rows is not None and below.sample.sampled >= below.rows.value
        # Repeats that a sample has not met yet may come; more inputs than rows cannot.
        return times(rows, exactly(ratio, below.sample.source) if whole else _as_seen(ratio, below.sample.source))
    return rows


def mean_in(
    call: SemanticCall, asked: Figure | None, calls: Figure | None, sample: SourceSample | None
) -> Figure | None:
    """Tokens for one input, by how long its text is, with its share of what comes once a prompt."""
    mean = None if sample is None else sample.tokens_in.get(call.site)
    if mean is None or sample is None or asked is None or calls is None:
        return None
    once = calls.value * sample.tokens_a_call.get(call.site, 0.0) / asked.value if asked.value else 0.0
    if rows := sample.tokenised.get(call.site):
        return guess(mean + once, f"{rows:,} rows, tokenised", COUNTED)
    return guess(mean + once, sample.source, THUMB)


def times(number: Figure | None, factor: Figure | None) -> Figure | None:
    """Of two independent factors, if both are known."""
    return None if number is None or factor is None else number.times(factor)


def _as_seen(ratio: float, source: str) -> Figure:
    return Figure(ratio, source, ratio / TWICE, min(1.0, ratio * TWICE))
