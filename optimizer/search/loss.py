"""The disagreement that a whole plan may have, shared by its call sites."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

PARTS = 20
"""Losses are given out in twentieths of the total."""


@dataclass(slots=True)
class LossBudget:
    """What the answers of a plan may lose against the reference plan, as a share of the source's rows.

    A row of the result is as the reference's unless one of its calls disagreed, so losses of sites add up
    (union bound); no call sees more rows than the source has. Sites that know what a loss would save them say so
    (:meth:`offer`), and it goes where it saves most. What a site leaves is free for those that decide later.

    Parameters
    ----------
    total : 1 − ``llm_min_quality``. sites : how many share it.

    >>> budget = LossBudget(0.1, 2)
    >>> budget.room("a")
    0.05
    >>> budget.take("a", 0.02)
    >>> round(budget.room("b"), 2)
    0.08
    """

    total: float
    sites: int
    _taken: dict[str, float] = field(default_factory=dict)
    _offers: dict[str, Sequence[float]] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[float, ...]:
        """Losses that a site may use, ascending."""
        return tuple(self.total * part / PARTS for part in range(1, PARTS + 1))

    def offer(self, site: str, saved: Sequence[float]) -> None:
        """What each of the :attr:`levels` would save a site, in one unit for all sites."""
        self._offers[site] = saved

    def room(self, site: str) -> float:
        """What a site may lose: what is left when others have what they took, and what they should have."""
        others = {name: loss for name, loss in self._taken.items() if name != site}
        free = max(0.0, self.total - sum(others.values()))
        waiting = {name: saved for name, saved in self._offers.items() if name not in self._taken or name == site}
        silent = self.sites - len(set(others) | set(waiting) | {site})
        free -= free * silent / max(1, self.sites - len(others))
        rest = [saved for name, saved in waiting.items() if name != site]
        if site not in waiting:
            return free / (1 + len(rest))
        return self.total / PARTS * _share(int(free / self.total * PARTS + 1e-9), waiting[site], rest) if free else 0.0

    def take(self, site: str, loss: float) -> None:
        """A site has decided for an arm that may lose so much."""
        self._taken[site] = loss


def _share(parts: int, mine: Sequence[float], others: Iterable[Sequence[float]]) -> int:
    """Parts for one of several, so that all save most; parts that save nobody anything are its, too."""
    best = [0.0] * (parts + 1)
    for saved in others:
        best = [max(best[all_ - its] + _saves(saved, its) for its in range(all_ + 1)) for all_ in range(parts + 1)]
    return max(range(parts + 1), key=lambda its: (_saves(mine, its) + best[parts - its], its))


def _saves(saved: Sequence[float], parts: int) -> float:
    return saved[parts - 1] if parts else 0.0
