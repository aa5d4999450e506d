"""What is estimated from a sample of rows: aggregates whose answer over all rows the user does not insist on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["key", "exact", "count", "sum", "avg"]


@dataclass(frozen=True, slots=True)
class Estimand:
    """One item of a grouping.

    Parameters
    ----------
    kind : a grouping expression, an aggregate that no answer can change, or one that is estimated. item : its text.
    present, value : of an estimated one: whether a row counts in it, and with what number.
    free : columns in ``value`` that hold answers of yes or no.
    """

    kind: Kind
    item: str
    present: str = "TRUE"
    value: str = "1"
    free: tuple[str, ...] = ()

    @property
    def estimated(self) -> bool:
        """Whether it takes answers."""
        return self.kind in ("count", "sum", "avg")


@dataclass(frozen=True, slots=True)
class Sampling:
    """A grouping whose rows are asked in a random order until its aggregates are known well enough.

    Parameters
    ----------
    accuracy : how far an aggregate may be from its value over all rows, as a share of the estimate.
    estimands : per column. keys : the grouping expressions, of columns that are there before anybody is asked.
    """

    accuracy: float
    estimands: tuple[Estimand, ...]
    keys: tuple[str, ...] = ()
