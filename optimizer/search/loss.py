"""The disagreement that a whole plan may have, shared by its call sites."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add

PARTS = 40
"""Losses are given out in fortieths of the total, and a proof is rounded up to the next."""
SLIGHTLY = 1e-9


@dataclass(slots=True)
class Kept:
    """1 − F1 of the rows that a plan keeps: what its filters lose adds up, about. The first that decides takes what it needs,
    which is what its arm seems to lose and not what it might, so that most is left for others."""

    total: float
    _taken: dict[str, float] = field(default_factory=dict)
    _then: dict[str, float] | None = None

    def room(self, site: str) -> float:
        """What others have left; in rounds, had left at the last exchange."""
        taken = self._taken if self._then is None else self._then
        return max(0.0, self.total - sum(lost for name, lost in taken.items() if name != site))

    def exchange(self) -> None:
        """See :meth:`LossBudget.exchange`. If those that have decided since the last one take more than there is, those that
        take least stand, and the others give way."""
        self._then, free = {}, self.total
        for name, lost in sorted(self._taken.items(), key=lambda taken: (taken[1], taken[0])):
            if lost <= free + SLIGHTLY:
                self._then[name] = lost
                free -= lost

    def take(self, site: str, lost: float) -> None:
        """A filter has decided for an arm that seems to lose so much."""
        self._taken[site] = lost


@dataclass(slots=True)
class LossBudget:
    """What the answers of a plan may lose against the reference plan, as a share of the source's rows.

    A row of the result is as the reference's unless one of its calls disagreed, so losses of sites add up
    (union bound); no call sees more rows than the source has. Sites that know what a loss would save them say so
    (:meth:`offer`), and it goes where it saves most. What a site leaves is free for those that decide later.

    Parameters
    ----------
    total : 1 − ``llm_min_quality``. sites : how many share it.

    Attributes
    ----------
    kept : what filters may lose of F1.

    >>> budget = LossBudget(0.1, 2)
    >>> budget.room("a")
    0.05
    >>> budget.take("a", 0.02)
    >>> round(budget.room("b"), 2)
    0.08
    """

    total: float
    sites: int
    kept: Kept = field(init=False)
    _taken: dict[str, float] = field(default_factory=dict)
    _offers: dict[str, Sequence[float]] = field(default_factory=dict)
    _rooms: dict[str, float] | None = None
    _known: dict[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = Kept(self.total)

    @property
    def levels(self) -> tuple[float, ...]:
        """Losses that a site may use, ascending."""
        return tuple(self.total * part / PARTS for part in range(1, PARTS + 1))

    def offer(self, site: str, saved: Sequence[float]) -> None:
        """What each of the :attr:`levels` would save a site, in one unit for all sites."""
        self._offers[site] = saved

    def room(self, site: str) -> float:
        """What a site may lose: what is best for all by what they offer, of what others have not taken.

        It may be less than the site took: then others need it more, and it is to prove less or to give way. So nothing is put
        aside for sites that have offered nothing yet. In rounds it is what the last exchange gave it.
        """
        if self._rooms is not None:
            return self._rooms.get(site, self.total / self.sites)
        others = {name: loss for name, loss in self._taken.items() if name != site}
        free = max(0.0, self.total - sum(others.values()))
        if site not in self._offers:
            waiting = [name for name in self._offers if name not in others]
            silent = self.sites - len({*others, *waiting, site})
            free -= free * silent / max(1, self.sites - len(others))
            return free / (1 + len(waiting))
        rest = [saved for name, saved in self._offers.items() if name != site]
        return min(free, self.total / PARTS * _share(PARTS, self._offers[site], rest))

    def spare(self, site: str) -> tuple[float, float]:
        """What a site should lose if all were decided anew, and what that would save: it may have taken more than it needs."""
        taken = self._taken.get(site, 0.0)
        if site not in self._offers or not taken:
            return self.total, 0.0
        offers = self._offers if self._rooms is None else self._known
        rest, mine = [saved for name, saved in offers.items() if name != site], self._offers[site]
        parts, held = _share(PARTS, mine, rest), math.ceil(min(1.0, taken / self.total) * PARTS - 1e-9)
        most = _most(rest)
        now = _saves(mine, held) + most[PARTS - held]
        return self.total / PARTS * parts, max(0.0, _saves(mine, parts) + most[PARTS - parts] - now)

    def take(self, site: str, loss: float) -> None:
        """A site has decided for an arm that may lose so much."""
        self._taken[site] = loss

    def exchange(self) -> None:
        """From now on sites share in rounds: what each may lose is fixed until the next exchange, by what all have said until this one.
        So if it is made between two rows, when all sites have decided what they decide by the rows before, nothing depends on who
        decides first.
        """
        self._rooms, self._known = self._shares(), dict(self._offers)
        self.kept.exchange()

    def _shares(self) -> dict[str, float]:
        """Of each site that has made an offer. Nobody gets more before others have given way; silent ones keep equal parts."""
        names = sorted(self._offers)
        silent = max(0, self.sites - len(names))
        left = math.floor(PARTS * (1 - silent / self.sites) + SLIGHTLY)
        free = self.total * left / PARTS - sum(self._taken.get(name, 0.0) for name in names)
        shares = {}
        for place, name in enumerate(names):
            rest = [self._offers[other] for other in names[place + 1 :]]
            part = _share(left, self._offers[name], rest) if rest else left
            left -= part
            taken, wanted = self._taken.get(name, 0.0), self.total * part / PARTS
            more = min(max(0.0, wanted - taken), max(0.0, free))
            free -= more
            shares[name] = min(wanted, taken + more)
        return shares


def _share(parts: int, mine: Sequence[float], others: Sequence[Sequence[float]]) -> int:
    """Parts for one of several, so that all save most; parts that save nobody anything are its, too."""
    most = _most(others)
    return max(range(parts + 1), key=lambda its: (_saves(mine, its) + most[parts - its], its))


def _most(offers: Sequence[Sequence[float]]) -> list[float]:
    """What sites save at most, by how many parts they have together."""
    most = [0.0] * (PARTS + 1)
    for saved in offers:
        each = [_saves(saved, its) for its in range(PARTS + 1)]
        most = [max(map(add, most[: all_ + 1], each[all_::-1])) for all_ in range(PARTS + 1)]
    return most


def _saves(saved: Sequence[float], parts: int) -> float:
    return saved[parts - 1] if parts else 0.0
