"""One stage of quickselect: a segment of the order, its pivot, and what two looks at everybody in it make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice

from .court import Court
from .judge import Pair
from .round_robin import round_pairs
from .strengths import by_strength

FEW = 24
"""A segment of so many rows is ordered by all pairs."""
MANY = 1_000
"""More rows than these are parted again, however few questions are left: a race of all of them would be chance."""
SAMPLE = 40
"""Rows whose order a pivot is chosen from."""
MEETINGS = 5
"""Others of the sample that each of them meets."""
LEADERS = 12
"""The best of a sample, which meet each other once more."""
AIM = 36
"""Rows that a stage leaves, or more where more are wanted: a pivot nearer to the best is not sure to be worse than they are."""


@dataclass(slots=True)
class Segment:
    """Rows that stand together in the order, between better and worse ones.

    Parameters
    ----------
    rows : in no order among themselves. sample : some of them, best first: pivots are chosen from it.
    pool : of how many it is a sample.
    done : it is not parted further. shaky : rows that are in it although they lost a comparison.
    """

    rows: list[int]
    sample: list[int] = field(default_factory=list)
    pool: int = 0
    done: bool = False
    shaky: frozenset[int] = frozenset()

    def draw(self, court: Court, rows: Sequence[int] = ()) -> list[Pair]:
        """The questions that order a sample of the rows; :meth:`seat` reads their answers."""
        pool = rows or self.rows
        self.pool = len(pool)
        self.sample = court.random.sample(pool, min(len(pool), max(FEW // 2, min(SAMPLE, len(pool) // 12))))
        return list(court.first_look(islice(round_pairs(self.sample), len(self.sample) * MEETINGS // 2)))

    def seat(self, court: Court) -> None:
        """Orders what is left of the sample in this segment."""
        inside = set(self.rows)
        self.sample = [row for row in by_strength(court, self.sample) if row in inside]

    def lead(self, court: Court) -> list[Pair]:
        """The questions that order the best of the sample better: all pairs among them."""
        self.seat(court)
        return list(court.first_look(combinations(self.leaders, 2)))

    @property
    def leaders(self) -> list[int]:
        """The best of the sample."""
        return self.sample[: max(8, min(LEADERS, len(self.sample) // 2))]

    def pivot(self, wanted: int) -> int:
        """The row of the sample with about as many better ones in the segment as are wanted, and some to choose from."""
        goal = min(self.pool / 2, max(wanted * 1.2, AIM))
        place = round((len(self.sample) + 1) * goal / self.pool) - 1
        return self.sample[max(0, min(place, len(self.sample) - 2))]


@dataclass(slots=True)
class Stage:
    """A segment being parted by its pivot; ``wanted``: how many of its rows are among those looked for."""

    segment: Segment
    wanted: int
    pivot: int
    drawn: Segment | None = None

    @property
    def others(self) -> list[int]:
        """Everybody but the pivot."""
        return [row for row in self.segment.rows if row != self.pivot]

    def first(self, court: Court) -> list[Pair]:
        """Everybody meets the pivot."""
        return list(court.first_look((row, self.pivot) for row in self.others))

    def second(self, court: Court) -> list[Pair]:
        """Who left a doubt, or lost before a noisy judge, meets it again in the other order; meanwhile a sample is drawn.

        A noisy judge turns away one good row in ten at one look, one in a hundred at two. Rows that are here although they
        lost before get one look only.
        """
        lost = [row for row in self.others if court.favour(row, self.pivot) < 0.5 and row not in self.segment.shaky]
        again = court.second_look((row, self.pivot) for row in lost) if court.noisy else []
        return [*again, *court.doubts((row, self.pivot) for row in self.others), *self._next_sample(court)]

    def _next_sample(self, court: Court) -> list[Pair]:
        ahead = [row for row in self.others if court.favour(row, self.pivot) > 0.5]
        inside = set(ahead)
        side = ahead if len(ahead) >= self.wanted else [row for row in self.others if row not in inside]
        if len(side) <= (MANY if court.noisy else FEW):  # what comes next needs no pivot
            return []
        self.drawn = Segment(side)
        return self.drawn.draw(court, [row for row in side if row not in self.segment.shaky])

    def parts(self, court: Court) -> list[Segment]:
        """The segment in two or three: better than the pivot, equal to it, worse."""
        equal = {row for row in self.others if court.indifferent(row, self.pivot)}
        upper = [row for row in self.others if row not in equal and self._wins(court, row) > 0]
        lower = [row for row in self.others if row not in equal and not self._wins(court, row) > 0]
        shaky = frozenset(row for row in upper if self._wins(court, row) < 1)
        middle = [row for row in self.segment.rows if row == self.pivot or row in equal]
        if equal or not lower:
            parts = [Segment(upper, shaky=shaky), Segment(middle, done=True), Segment(lower)]
        else:
            # The pivot itself may be among the best: it stays with those it was measured against.
            parts = [Segment([*upper, self.pivot], shaky=shaky), Segment(lower)]
        return [self._seated(court, part) for part in parts if part.rows]

    def _wins(self, court: Court, row: int) -> float:
        """The share of looks that the row has won."""
        forth, back = court.answers.get((row, self.pivot)), court.answers.get((self.pivot, row))
        looks = [p for p in (forth, None if back is None else 1.0 - back) if p is not None]
        if not looks:
            return court.favour(row, self.pivot)
        return sum(p > 0.5 for p in looks) / len(looks)

    def _seated(self, court: Court, part: Segment) -> Segment:
        if self.drawn is not None:
            part.sample, part.pool = list(self.drawn.sample), self.drawn.pool
            part.seat(court)
        return part


def overlapping(segments: Sequence[Segment], wanted: int) -> Iterable[tuple[Segment, int]]:
    """The segments in which some of the first ``wanted`` rows stand, each with how many of these are still missing at it."""
    before = 0
    for segment in segments:
        if before < wanted:
            yield segment, min(wanted - before, len(segment.rows))
        before += len(segment.rows)
