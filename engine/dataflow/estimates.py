"""A number of a result that was estimated from a sample, with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EstimatedNumber:
    """One aggregate of one group.

    Parameters
    ----------
    group : the values of its keys ("": all rows are one group). label : the user's words for the aggregate.
    low, high : the truth is between them with 95%. rows_asked : of the group's ``rows``.
    """

    group: str
    label: str
    value: float
    low: float
    high: float
    rows_asked: int
    rows: int

    def words(self) -> str:
        """For people.

        >>> EstimatedNumber("gold", "count(*)", 1234.0, 1190.0, 1290.0, 400, 10_000).words()
        'gold: count(*) = 1,234 ± 56'
        """
        margin = max(self.high - self.value, self.value - self.low)
        group = f"{self.group}: " if self.group else ""
        return f"{group}{self.label} = {_figure(self.value)} ± {_figure(margin)}"


def _figure(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.3g}"
