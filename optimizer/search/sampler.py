"""Which rows of a table are asked next, and what is known of each group's numbers by then. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .estimation import PILOT, Floats, Interval, Looked, close_enough, delta_of, interval, looks, rows_needed

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is estimated in every group.

    Parameters
    ----------
    total : it is a sum over the group's rows, or else a mean over those that count. counts : it is how many rows count.
    lows, highs : by group, the bounds of a row's value.
    """

    total: bool
    counts: bool
    lows: Floats
    highs: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float


@dataclass(slots=True)
class _Group:
    """A group's rows in the order in which they are drawn."""

    order: Ints
    looks: tuple[int, ...]
    looked: int = 0
    enough: bool = False
    found: list[Interval] = field(default_factory=list)

    @property
    def drawn(self) -> int:
        """Rows asked."""
        return self.looks[self.looked - 1] if self.looked else 0

    @property
    def complete(self) -> bool:
        """Whether all have been asked."""
        return self.drawn == len(self.order)


class Sampler:
    """Draws rows of all groups, each group until its numbers are known well enough.

    Parameters
    ----------
    groups : per row the number of its group, from 0. numbers : what is estimated. share : how far an estimate may be off.
    seed : of the order in which rows are drawn.
    """

    def __init__(self, groups: Ints, numbers: Sequence[Number], share: float, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(groups))
        order = order[np.argsort(groups[order], kind="stable")]
        sizes = np.bincount(groups) if len(groups) else np.zeros(0, np.int64)
        parts = np.split(order, np.cumsum(sizes)[:-1]) if len(sizes) else []
        self._groups = [_Group(rows, (min(PILOT, len(rows)),)) for rows in parts]
        self._numbers, self._share = numbers, share
        self._values = np.zeros((len(numbers), len(groups)))
        self._weights = np.zeros((len(numbers), len(groups)))

    def draw(self) -> Ints:
        """Rows to ask next; none once enough is known."""
        drawn = [np.zeros(0, np.int64)]
        for group in self._groups:
            if not (group.enough or group.complete):
                before = group.drawn
                group.looked += 1
                drawn.append(group.order[before : group.drawn])
        return np.sort(np.concatenate(drawn))

    def see(self, number: int, rows: Ints, values: Floats) -> None:
        """The rows drawn last that count in a number, and their values. Others do not count."""
        self._values[number, rows] = values
        self._weights[number, rows] = 1.0

    def judge(self) -> None:
        """Look at the groups whose rows were drawn."""
        for at, group in enumerate(self._groups):
            if group.complete or group.enough:
                continue
            if group.looked == 1:
                samples = [self._looked(number, at, group) for number in range(len(self._numbers))]
                needed = max(rows_needed(sample, self._share) for sample in samples)
                group.looks += looks(len(group.order), needed)
            else:
                self._look(at, group)

    @property
    def whole(self) -> bool:
        """Whether every row has been asked."""
        return all(group.complete for group in self._groups)

    def asked(self, group: int) -> tuple[int, int]:
        """Rows of a group that were asked, and all of them."""
        return self._groups[group].drawn, len(self._groups[group].order)

    def factors(self) -> list[float]:
        """By how much a sum over a group's sample is to be multiplied."""
        return [len(group.order) / group.drawn for group in self._groups]

    def estimates(self, group: int) -> list[Estimate]:
        """A group's numbers; of one that was asked whole, without any margin."""
        here = self._groups[group]
        found = []
        for at, number in enumerate(self._numbers):
            size = float(len(here.order)) if number.total else 1.0
            mean = self._looked(at, group, here).mean
            part = Interval(mean, mean) if here.complete else here.found[at]
            # What earlier looks refuted stays so; that the estimate is among it happens where one of them was wrong.
            found.append(Estimate(mean * size, min(part.low, mean) * size, max(part.high, mean) * size))
        return found

    def _look(self, at: int, group: _Group) -> None:
        delta = delta_of(group.looked - 1)
        enough = True
        for index in range(len(self._numbers)):
            looked = self._looked(index, at, group)
            now = interval(looked, delta)
            if len(group.found) <= index:
                group.found.append(now)
            group.found[index] = now.within(group.found[index])
            enough = enough and close_enough(group.found[index], looked.mean, self._share)
        group.enough = enough

    def _looked(self, number: int, at: int, group: _Group) -> Looked:
        rows, kind = group.order[: group.drawn], self._numbers[number]
        weights = np.ones(len(rows)) if kind.total else self._weights[number, rows]
        low, high = float(kind.lows[at]), float(kind.highs[at])
        if kind.total:
            low, high = min(low, 0.0), max(high, 0.0)
        return Looked(
            self._values[number, rows], weights, len(group.order), low, high, kind.counts, min(PILOT, len(rows))
        )
