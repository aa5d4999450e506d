"""The optimizer's statistics: what the store remembers of earlier queries, and what DuckDB's catalogue declares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from ...optimizer.cost.figure import Figure, exactly, mean, share
from ...optimizer.cost.shares import of_tasks
from ..errors import BindError
from ..plan.nodes import Plan, SemanticCall
from ..store import Store
from ..store.statistics import TaskStatistics
from .declared_keys import DeclaredKeys
from .duck import Duck
from .task_keys import Find, compared_as, sites, task_key, thinned_by

ENOUGH = 8
"""Inputs of this data, from which on those of other data are not looked at."""


@dataclass(frozen=True, slots=True)
class Learnt(DeclaredKeys):
    """Answers for one statement: what is in the store when it is first asked about a task.

    Parameters
    ----------
    store : has the sums. find : looks up models. data : by the name of a call's answer, where its inputs come from.
    """

    store: Store = field(kw_only=True)
    find: Find = field(kw_only=True)
    data: Mapping[str, str] = field(kw_only=True, default_factory=dict)
    _known: dict[str, list[TaskStatistics]] = field(kw_only=True, default_factory=dict)
    _usual: dict[str, Figure | None] = field(kw_only=True, default_factory=dict)

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        """See :class:`Statistics`. Filters are not independent of each other, so shares are kept by what filtered before."""
        known = [each for each in self._of(call) if each.rows]
        thinned = thinned_by(below, self.find)
        if alike := [each for each in known if each.thinned_by == thinned]:
            return _share(alike, "")
        whole = [each for each in known if not each.thinned_by]
        return _share(whole or known, " as if filters were independent")

    def usual(self, call: SemanticCall) -> Figure | None:
        """See :class:`Statistics`. Of all tasks of the function, whatever they ask and of whom."""
        if call.function not in self._usual:
            self._usual[call.function] = of_tasks(self.store.statistics.shares(call.function, ENOUGH))
        return self._usual[call.function]

    def tokens_out(self, call: SemanticCall) -> Figure | None:
        """See :class:`Statistics`."""
        return self._mean(call, lambda s: s.tokens_out, lambda s: s.tokens_out_squares)

    def tokens_in(self, call: SemanticCall) -> Figure | None:
        """See :class:`Statistics`."""
        return self._mean(call, lambda s: s.tokens_in, lambda s: s.tokens_in_squares)

    def seconds(self, call: SemanticCall) -> Figure | None:
        """See :class:`Statistics`."""
        return self._mean(call, lambda s: s.seconds, lambda s: s.seconds_squares)

    def calls(self, call: SemanticCall) -> Figure | None:
        """See :class:`Statistics`."""
        known = [each for each in self._of(call) if each.paid]
        paid = sum(each.paid for each in known)
        return exactly(sum(each.calls for each in known) / paid, _source(known, paid)) if paid else None

    def agreement(self, call: SemanticCall, arm: str) -> Figure | None:
        """See :class:`Statistics`."""
        known = [each for each in self._of(call, compared_as(call, arm)) if each.compared]
        compared = sum(each.compared for each in known)
        if not compared:
            return None
        return share(sum(each.agreed for each in known), compared, _source(known, compared))

    def compared(self, call: SemanticCall, arm: str, below: Plan | None) -> tuple[float, float, float]:
        """See :class:`Statistics`. Of this data alone: it is to prove something, not to guess."""
        here, thinned = self.data.get(call.output.name), thinned_by(below, self.find)
        named = compared_as(call, arm)
        known = [s for s in self._of(call, named) if s.compared and s.data == here and s.thinned_by == thinned]
        rows, agreed = sum(s.compared for s in known), sum(s.agreed for s in known)
        if call.truth is not None:  # rows that somebody has labelled may be unlike the others
            return rows, agreed, sum(s.rows_true for s in known)
        kept = self.selectivity(call, below)
        return rows, agreed, rows * kept.value if kept is not None else 0.0

    def arms(self, call: SemanticCall) -> tuple[str, ...]:
        """See :class:`Statistics`."""
        here, aside = self.data.get(call.output.name), compared_as(call, "")
        known = {each.arm for each in self._of_task(call) if each.compared and each.data == here}
        return tuple(sorted(name.removesuffix(aside) for name in known if name.endswith(aside)))

    def asked(self, call: SemanticCall, below: Plan | None) -> bool:
        """See :class:`Statistics`."""
        if not call.options["cache"]:
            return False
        here, thinned = self.data.get(call.output.name), thinned_by(below, self.find)
        return any(known.inputs and known.data == here and known.thinned_by == thinned for known in self._of(call))

    def _mean(
        self, call: SemanticCall, added: Callable[[TaskStatistics], float], squares: Callable[[TaskStatistics], float]
    ) -> Figure | None:
        """Of an input, from what its calls had."""
        known = [each for each in self._of(call) if each.paid and each.calls]
        paid, calls = sum(each.paid for each in known), sum(each.calls for each in known)
        if not paid:
            return None
        sums = sum(map(added, known)), sum(map(squares, known))
        # What will be compared with it is the mean of another query's inputs, of about as many.
        of_call = mean(calls, *sums, _source(known, paid), further=calls)
        return of_call.scaled(calls / paid)

    def _of(self, call: SemanticCall, arm: str = "") -> Sequence[TaskStatistics]:
        """Of this data, or, where too little is known of that, of any."""
        known = [each for each in self._of_task(call) if each.arm == arm]
        here = [each for each in known if each.data == self.data.get(call.output.name)]
        return here if sum(each.inputs + each.compared for each in here) >= ENOUGH else known

    def _of_task(self, call: SemanticCall) -> Sequence[TaskStatistics]:
        """All that is known of what a call asks."""
        try:
            task = task_key(call, self.find(str(call.options.get("model", ""))))
        except BindError:
            return []
        if task not in self._known:
            self._known[task] = self.store.statistics.of(task)
        return self._known[task]


def learnt(duck: Duck, store: Store, find: Find, plan: Plan) -> Learnt:
    """For a plan as it was bound; rules keep the names of answers."""
    data = {site.call.output.name: site.data for site in sites(plan)}
    known = Learnt(duck, store=store, find=cache(find), data=data)
    for site in sites(plan):
        if site.call.output.type == "BOOLEAN" and known.selectivity(site.call, site.below) is None:
            known.usual(site.call)
        known.calls(site.call)  # now: what the statement itself teaches is no expectation of it
    return known


def _share(known: Iterable[TaskStatistics], aside: str) -> Figure | None:
    known = list(known)
    rows = sum(each.rows for each in known)
    if not rows:
        return None
    # Rows that repeat an input prove nothing more.
    distinct = min(rows, sum(each.inputs for each in known))
    said = sum(each.rows_true for each in known) / rows
    return share(said * distinct, distinct, _source(known, distinct) + aside)


def _source(known: Sequence[TaskStatistics], n: float) -> str:
    day = datetime.fromtimestamp(max(each.updated_at for each in known), UTC).date()
    return f"statistics of {n:,.0f} answers, {day.isoformat()}"
