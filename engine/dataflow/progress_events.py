"""What a program that watches a query is told, about ten times a second and once more at the end: figures that do not change."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .progress import QueryProgress, SiteProgress


@dataclass(frozen=True, slots=True)
class OperatorProgress:
    """One semantic operator, now. Names are those of ``SiteProgress``, where they are explained.

    Parameters
    ----------
    rows_total : rows that will reach it; ``None``: unknown. exact : whether that is known, or DuckDB's or our guess.
    cost_usd : US dollars; ``None``: some call has no known price.
    eta_s : seconds that are left if it goes on as until now; ``None``: unknown.
    """

    site: str
    function: str
    model: str
    rows_in: int
    rows_done: int
    rows_total: int | None
    exact: bool
    calls: int
    cached: int
    shared: int
    retries: int
    failed: int
    in_flight: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """A query, now.

    Parameters
    ----------
    query_id : as in ``llm_calls()``. elapsed_s : seconds since it began. finished : there will be no further event.
    operators : in the order in which rows meet them. notices : what the user should read beside the result, so far.
    """

    query_id: str
    elapsed_s: float
    finished: bool
    operators: tuple[OperatorProgress, ...]
    notices: tuple[str, ...]

    @property
    def calls(self) -> int:
        """Requests to models, over all operators."""
        return sum(operator.calls for operator in self.operators)

    @property
    def cached(self) -> int:
        """Questions that the store has answered."""
        return sum(operator.cached for operator in self.operators)

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return sum(operator.tokens_in + operator.tokens_out for operator in self.operators)

    @property
    def cost_usd(self) -> float | None:
        """Money in US dollars; ``None`` when some call has no known price."""
        known = [operator.cost_usd for operator in self.operators if operator.cost_usd is not None]
        return sum(known) if len(known) == len(self.operators) else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that are left, by the slowest operator; ``None`` where one is unknown."""
        left = [operator.eta_s for operator in self.operators if operator.eta_s is not None]
        return max(left) if left and len(left) == len(self.operators) else None


Watcher = Callable[[ProgressEvent], object]


def progress_event(progress: QueryProgress, now: Callable[[], float] = time.monotonic) -> ProgressEvent:
    """The figures of this moment.

    >>> progress_event(QueryProgress("q", 10.0), lambda: 12.0).elapsed_s
    2.0
    """
    elapsed = (progress.finished or now()) - progress.started
    operators: list[OperatorProgress] = []
    sites = list(progress.sites.values())
    for site in (site for site in sites if not site.arm):
        total, exact = _total(site, operators[-1] if operators else None)
        arms = [arm for arm in sites if arm.arm and arm.site == f"{site.site} by {arm.arm}"]
        operators.append(_operator([site, *arms], total, exact, elapsed))
    return ProgressEvent(
        progress.query_id, elapsed, progress.finished is not None, tuple(operators), tuple(progress.notices)
    )


def _total(site: SiteProgress, below: OperatorProgress | None) -> tuple[int | None, bool]:
    """Rows that will reach an operator: as many as its input has, or as many of the rows below as have come until now."""
    if site.rows_total is not None:
        return site.rows_total, site.total_is_exact
    if below is None or below.rows_total is None or not below.rows_done:
        return None, False
    done = below.exact and below.rows_done == below.rows_total
    return site.rows_in if done else round(site.rows_in * below.rows_total / below.rows_done), done


def _operator(sites: Sequence[SiteProgress], total: int | None, exact: bool, elapsed: float) -> OperatorProgress:
    """A call site and its arms: rows are those of the site, calls those of all."""
    site = sites[0]
    total = None if total is None else max(total, site.rows_in)
    eta = None
    if total is not None and (site.rows_done or not total):
        eta = (total - site.rows_done) * elapsed / max(1, site.rows_done)
    return OperatorProgress(
        site.site, site.function, site.model, site.rows_in, site.rows_done, total, exact,
        sum(s.calls - s.waiting for s in sites), sum(s.cached for s in sites), sum(s.shared for s in sites),
        sum(s.retries for s in sites), sum(s.failed for s in sites),
        sum(s.in_flight - s.waiting for s in sites),
        sum(s.tokens_in for s in sites), sum(s.tokens_out for s in sites),
        None if any(s.unpriced for s in sites) else sum(s.cost_usd for s in sites), eta,
    )  # fmt: skip
