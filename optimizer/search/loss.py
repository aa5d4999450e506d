"""The disagreement that a whole plan may have, shared by its call sites."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class LossBudget:
    """What the answers of a plan may lose against the reference plan, as a share of the source's rows.

    A row of the result is as the reference's unless one of its calls disagreed, so losses of sites add up
    (union bound); no call sees more rows than the source has. What a site leaves is free for those that decide later.

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

    def room(self, site: str) -> float:
        """What a site may lose: its share, and what those that have decided left of theirs."""
        others = {name: loss for name, loss in self._taken.items() if name != site}
        undecided = max(1, self.sites - len(others))
        return max(0.0, (self.total - sum(others.values())) / undecided)

    def take(self, site: str, loss: float) -> None:
        """A site has decided for an arm that may lose so much."""
        self._taken[site] = loss
