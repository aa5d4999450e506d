"""Queries of several calls whose answers are replayed: what a small backend really scored and a large one really said, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anserdb.optimizer.routing.evidence import Said
from anserdb.optimizer.routing.router import Router
from anserdb.optimizer.routing.site import Outcome, SiteRouter, Visit

Rows = NDArray[np.int64]
Costs = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Backends:
    """Two backends of one call. ``odds`` : of TRUE by the small one. ``true`` : what the large one said."""

    name: str
    odds: NDArray[np.float64]
    true: NDArray[np.bool_]

    @classmethod
    def of(cls, name: str, score: Any, true: Any) -> Backends:
        """From a probability."""
        shares = np.clip(np.asarray(score, dtype=np.float64), 1e-9, 1 - 1e-9)
        return cls(name, np.log(shares / (1 - shares)), np.asarray(true, dtype=np.bool_))

    @property
    def agreement(self) -> float:
        """Of the small one with the large one."""
        return float(np.mean((self.odds > 0) == self.true))

    def drawn(self, rows: int, chance: np.random.Generator) -> Rows:
        """So many rows in an order of chance, none twice unless there are fewer."""
        if rows <= len(self.true):
            return chance.permutation(len(self.true))[:rows]
        return chance.integers(0, len(self.true), rows)

    def thinned(self, positives: float, chance: np.random.Generator, rows: int) -> Rows:
        """So many rows, drawn again and again, of which about that share is TRUE."""
        kept = chance.random(rows) < positives
        yes, no = np.flatnonzero(self.true), np.flatnonzero(~self.true)
        return np.where(kept, yes[chance.integers(0, len(yes), rows)], no[chance.integers(0, len(no), rows)])


@dataclass
class Call:
    """One call of a query: its backends, the rows of them that it meets, the policy (``None``: the large one answers all), and its books.

    Parameters
    ----------
    odd : what the small backend is made to say instead of what it said, by the row's number; ``None``: what it said.
    mute : its probabilities are not used.
    """

    backends: Backends
    at: Rows
    costs: Costs
    site: SiteRouter | None
    odd: Callable[[int, float], float] = lambda _, odds: odds
    mute: bool = False
    asked: int = 0
    wrong: list[int] = field(default_factory=list)
    by_small: list[int] = field(default_factory=list)
    cost: float = 0.0

    def answer(self, number: int) -> bool:
        """Of a row."""
        right = bool(self.backends.true[self.at[number]])
        self.asked += 1
        if self.site is None:
            self.cost += self.costs[0]
            return right
        odds = self.odd(number, float(self.backends.odds[self.at[number]]))
        small = Said(odds > 0, None if self.mute else odds)
        visit = self.site.visit(f"{self.backends.name} {number}", [""])
        outcome = routed(self.site, visit, small, Said(right))
        self.site.ended(visit, outcome)
        self.cost += sum(self.costs[arm] for arm in outcome.asked)
        if not outcome.taken:
            return right
        self.by_small.append(number)
        if small.answer != right:
            self.wrong.append(number)
        return bool(small.answer)

    @property
    def accuracy(self) -> float:
        """Agreement with the large backend, over the rows that were asked."""
        return 1.0 - len(self.wrong) / max(1, self.asked)


def routed(site: SiteRouter, visit: Visit, small: Said, right: Said) -> Outcome:
    """What becomes of a row."""
    if visit.audit:
        return Outcome({1: small}, right, 0, [0, 1])
    if not visit.start:
        return Outcome({}, right, 0, [0])
    if site.accepts(visit, 1, small):
        return Outcome({1: small}, None, 1, [1])
    return Outcome({1: small}, right, 0, [1, 0])


def query(parts: Sequence[tuple[Backends, Rows, Costs]], quality: float, seed: int, **more: Any) -> list[Call]:
    """The calls of a query under one router."""
    router = Router(quality, seed=seed)
    return [
        Call(
            backends,
            at,
            costs,
            router.site(f"{n}:{backends.name}", ("large", "small"), lambda costs=costs: costs),
            **more,
        )
        for n, (backends, at, costs) in enumerate(parts)
    ]


def mixed(parts: Sequence[tuple[Backends, Rows, Costs]], spend: float) -> float:
    """Accuracy of the best mix, in hindsight, of fixed choices that costs so much a row: each call's rows split, by a coin, between the
    small and the large backend. Money goes first where it mends most."""
    agrees = [float(np.mean((b.odds[at] > 0) == b.true[at])) for b, at, _ in parts]
    left = spend - sum(small for _, _, (_, small) in parts)
    right = list(agrees)
    for call in sorted(
        range(len(parts)), key=lambda call: -(1 - agrees[call]) / (parts[call][2][0] - parts[call][2][1])
    ):
        large, small = parts[call][2]
        share = min(1.0, max(0.0, left / (large - small)))
        right[call] += share * (1 - agrees[call])
        left -= share * (large - small)
    return math.fsum(right) / len(right)


def thresholds(parts: Sequence[tuple[Backends, Rows, Costs]], spend: float) -> float:
    """Accuracy of the best limits of confidence, in hindsight, for that money: the small backend asked about every row, those of
    which it is least sure passed on."""
    best = np.concatenate([_in_turn(backends, at) for backends, at, _ in parts])
    share = np.concatenate([np.full(len(at), (costs[0]) / len(at)) for _, at, costs in parts])
    errors = np.concatenate([np.full(len(at), 1 / len(at)) for _, at, _ in parts])
    order = np.argsort(-best, kind="stable")
    left = spend - sum(costs[1] for _, _, costs in parts)
    asked = order[: int(np.searchsorted(np.cumsum(share[order]), left))]
    wrong = np.concatenate([(b.odds[at] > 0) != b.true[at] for b, at, _ in parts])
    wrong[asked] = False
    return 1.0 - float(errors @ wrong) / len(parts)


def _in_turn(backends: Backends, at: Rows) -> NDArray[np.float64]:
    """Per row, how likely its answer is wrong by isotonic regression on the rows themselves, a side at a time: the least certain first."""
    from sklearn.isotonic import IsotonicRegression

    odds, wrong = backends.odds[at], (backends.odds[at] > 0) != backends.true[at]
    doubt = np.zeros(len(at))
    for side in (odds > 0, odds <= 0):
        if side.any():
            fit = IsotonicRegression(increasing=False).fit(np.abs(odds[side]), wrong[side])
            doubt[side] = fit.predict(np.abs(odds[side]))
    return doubt
