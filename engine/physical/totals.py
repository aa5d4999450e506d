"""EXPLAIN's last lines: all calls of a query together, expected or counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...optimizer.cost.estimate import NodeEstimate
from ...optimizer.cost.figure import Figure, dollars, duration, exactly, total
from ...optimizer.cost.wall import together
from ..dataflow.progress import QueryProgress, SiteProgress
from ..plan.nodes import Call, Plan
from ..plan.render import Path, nodes_with_paths

UNKNOWN = "total: calls cannot be estimated before the rows are known"
BEFORE_THE_CACHE = "(before the cache; answers in the store are free)"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a call site asks before its first row. ``money`` in US dollars, ``None`` if unknown."""

    calls: int
    tokens_in: float
    money: float | None

    def line(self) -> str:
        return f"calibration: {self.calls:,} more calls, tokens in≈{self.tokens_in:,.0f}, once for this instruction and model"


@dataclass(frozen=True, slots=True)
class Total:
    """All calls. ``None``: of some it is not known. ``calibrating``: calls before the first row, which are among them."""

    calls: Figure
    tokens_in: Figure
    money: Figure | None
    seconds: Figure | None
    calibrating: int = 0

    def words(self) -> str:
        """For people."""
        aside = f" ({self.calibrating:,} of them to calibrate)" if self.calibrating else ""
        cost = "cost unknown" if self.money is None else dollars(self.money)
        time = "" if self.seconds is None else f" time≈{duration(self.seconds)}"
        return f"calls≈{self.calls.value:,.0f}{aside} tokens in≈{self.tokens_in.value:,.0f} {cost}{time}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        figures = {"calls": self.calls, "tokens_in": self.tokens_in, "money": self.money, "seconds": self.seconds}
        return {name: None if figure is None else asdict(figure) for name, figure in figures.items()}


def total_of(figures: Mapping[Path, NodeEstimate], plan: Plan, calibrations: Collection[Calibration]) -> Total | None:
    """``None``: how many calls there will be cannot be told."""
    made = [figures[p] for p, n in nodes_with_paths(plan) if isinstance(n, Call) and p in figures]
    known = [f.calls for f in made if f.calls is not None]
    if len(known) < len(made) or not made:
        return None
    before = [exactly(float(c.calls), "calibration") for c in calibrations]
    tokens = [f.tokens_in for f in made if f.tokens_in is not None]
    return Total(
        total([*known, *before]),
        total([*tokens, *(exactly(c.tokens_in, "calibration") for c in calibrations)]),
        _money(made, calibrations),
        _seconds(made),
        sum(c.calls for c in calibrations),
    )


def estimates_json(figures: Mapping[Path, NodeEstimate], plan: Plan) -> dict[str, Any]:
    """Every figure of every call, by its site: the value, its 90 % interval and its source."""
    names = ("rows_in", "rows_out", "calls", "tokens_in", "tokens_out", "money", "seconds")
    made = [(n.call.site, figures[p]) for p, n in nodes_with_paths(plan) if isinstance(n, Call) and p in figures]
    return {site: {n: None if (f := getattr(e, n)) is None else asdict(f) for n in names} for site, e in made}


def _money(made: Collection[NodeEstimate], calibrations: Collection[Calibration]) -> Figure | None:
    prices = [f.money for f in made]
    prices += [None if c.money is None else exactly(c.money, "calibration") for c in calibrations]
    known = [price for price in prices if price is not None]
    return total(known) if len(known) == len(prices) else None


def _seconds(made: Collection[NodeEstimate]) -> Figure | None:
    asking = [f for f in made if f.calls is not None and f.calls.value]
    times = [f.time for f in asking if f.time is not None]
    return together(times) if len(times) == len(asking) else None


def actual(site: SiteProgress) -> str:
    """What a call site has asked."""
    cost = "cost unknown" if site.unpriced else f"${site.cost_usd:,.4f}"
    taken = site.moments.span
    phases = (("to calibrate", site.calibration), ("asked again", site.reasks), ("retried", site.retries))
    aside = ", ".join(f"{count:,} {words}" for words, count in phases if count)
    return (
        f"rows={site.rows_in:,} calls={site.calls:,}{f' ({aside})' if aside else ''} cached={site.cached:,} shared={site.shared:,} failed={site.failed:,} "
        f"tokens in={site.tokens_in:,} tokens out={site.tokens_out:,} {cost}"
        + (f" time={taken:.2f} s" if taken else "")
    )


def actual_total(progress: QueryProgress) -> str:
    """What a query has asked."""
    seconds = (progress.finished or progress.started) - progress.started
    cost = "cost unknown" if progress.cost_usd is None else f"${progress.cost_usd:,.4f}"
    sites = progress.sites.values()
    source = f" ({progress.price_source})" if progress.price_source else ""
    return (
        f"total: calls={progress.calls:,} cached={sum(s.cached for s in sites):,} tokens in={sum(s.tokens_in for s in sites):,} "
        f"tokens out={sum(s.tokens_out for s in sites):,} {cost}{source} in {seconds:.2f} s"
    )
