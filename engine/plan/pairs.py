"""A call whose rows are the pairs of a join."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pairs:
    """A call is a join's condition: it may be asked about likely pairs only, where few enough matches are lost.

    Parameters
    ----------
    left, right : its arguments from one side and from the other. recall : share of the matches that has to be found.
    labels : where one side has few short texts, one prompt may ask a row of the other about all of them (set by a rule).
    keys : each row may be asked for short keys, and pairs that agree in one are likely ones, too (set by a rule).
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    recall: float
    labels: bool = False
    keys: bool = False
