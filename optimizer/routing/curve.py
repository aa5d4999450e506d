"""What became of rows, in their order: who answered, what it cost, and how often audits found a wrong answer."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .belief import Floats

FIFTHS = 5


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the rows. ``shares`` : of rows, by arm. audits, wrong : audited rows, and those that would have been answered wrongly."""

    rows: int
    shares: dict[int, float]
    cost: float
    audits: int
    wrong: float


class Curve:
    """Two numbers a row, and one an audit."""

    def __init__(self) -> None:
        self._taken, self._costs = array("h"), array("d")
        self._audits: list[tuple[int, float]] = []
        self.asked: Counter[int] = Counter()

    def add(self, taken: int, asked: Sequence[int], costs: Sequence[float] | Floats, lost: float | None) -> None:
        """One more row: whose answer it has, who was asked at which costs, and, if it was audited, what would have been lost."""
        if lost is not None:
            self._audits.append((len(self._taken), lost))
        self._taken.append(taken)
        self._costs.append(float(sum(costs[arm] for arm in asked)))
        self.asked.update(asked)

    @property
    def rows(self) -> int:
        """So far."""
        return len(self._taken)

    @property
    def served(self) -> tuple[int, float]:
        """Audited rows, and those of them that would have been answered wrongly."""
        return len(self._audits), sum(wrong for _, wrong in self._audits)

    @property
    def cost(self) -> float:
        """Of all rows."""
        return sum(self._costs)

    def stretches(self, parts: int = FIFTHS) -> list[Stretch]:
        """The rows in so many parts, the first ones first."""
        ends = [round(self.rows * part / parts) for part in range(parts + 1)]
        return [self._stretch(begin, end) for begin, end in pairwise(ends) if end > begin]

    def _stretch(self, begin: int, end: int) -> Stretch:
        rows, counted = end - begin, Counter(self._taken[begin:end])
        lost = [wrong for number, wrong in self._audits if begin <= number < end]
        shares = {arm: count / rows for arm, count in sorted(counted.items())}
        return Stretch(rows, shares, sum(self._costs[begin:end]) / rows, len(lost), sum(lost))
