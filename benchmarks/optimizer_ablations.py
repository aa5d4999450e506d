"""The engine's search with one of its parts taken out, to see what that part is good for."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from anserdb.optimizer.search.chooser import DELTA, Chooser
from anserdb.optimizer.search.loss import LossBudget
from anserdb.optimizer.search.prospects import Prospects

from .optimizer_engine import Make, engine
from .optimizer_world import Truth

Rows = Callable[[], float | None]


class _ByMean(Chooser):
    """Believes the mean of what it has compared; an arm is as good as it looks."""

    __slots__ = ()

    def _eligible(self, arm: int) -> bool:
        tally = self.tallies[arm]
        return not tally.why and tally.certified is not None and tally.mean() >= 1.0 - self._room

    def _loss(self, arm: int) -> float:
        return 1.0 - self.tallies[arm].mean()


class _AtRandom(Chooser):
    """Tries arms in any order."""

    __slots__ = ()

    def _gains(self, best: int, prospects: Prospects) -> dict[int, float]:
        arms = sorted(super()._gains(best, prospects))
        random.Random(self.seed).shuffle(arms)
        return {arm: 1.0 / at for at, arm in enumerate(arms, 1)}


class _FirstCome(LossBudget):
    """Nothing is put aside for sites that decide later."""

    def exchange(self) -> None:
        """Never."""

    def room(self, site: str) -> float:
        return max(0.0, self.total - sum(loss for name, loss in self._taken.items() if name != site))


class _AtAnyTime(LossBudget):
    """As the engine does unless first runs are to be repeatable: calls share whenever one of them decides."""

    def exchange(self) -> None:
        """Never."""


def _of(kind: type[Chooser]) -> Make:
    def make(call: Truth, budget: LossBudget, rows: Rows, seed: int) -> Chooser:
        costs, label = [arm.money for arm in call.site.arms], call.site.label
        return kind(
            len(costs), lambda: costs, partial(budget.room, label), partial(budget.take, label), rows=rows,
            boolean=call.filters, whole=True, seed=seed, delta=DELTA / budget.sites,
            levels=budget.levels, offers=partial(budget.offer, label),spare=partial(budget.spare, label),
        kept_room=partial(budget.kept.room, label), kept_took=partial(budget.kept.take, label),
        )  # fmt: skip

    return make


def _equally(call: Truth, budget: LossBudget, rows: Rows, seed: int) -> Chooser:
    """The loss is shared equally: no site says what it would save."""
    costs, label = [arm.money for arm in call.site.arms], call.site.label
    return Chooser(
        len(costs), lambda: costs, partial(budget.room, label), partial(budget.take, label), rows=rows,
            boolean=call.filters, whole=True, seed=seed, delta=DELTA / budget.sites,
        levels=budget.levels,
    )  # fmt: skip


ABLATIONS: dict[str, tuple[Make, type[LossBudget]]] = {
    "the engine": (engine, _AtAnyTime),
    "no proof: the mean is believed": (_of(_ByMean), _AtAnyTime),
    "arms tried in any order": (_of(_AtRandom), _AtAnyTime),
    "loss shared equally": (_equally, _AtAnyTime),
    "loss shared in rounds: llm_repeatable_first_runs": (engine, LossBudget),
    "greedy: the first site takes what it wants": (engine, _FirstCome),
}
