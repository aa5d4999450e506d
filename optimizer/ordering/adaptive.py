"""Learns the order of a chain's predicates while it asks them. A state machine: it asks nobody and reads no clock.

``ticket`` says for a row which predicates to ask in which order; ``seen`` takes what came of it. Rows come in micro-batches
that share an order. What a micro-batch is asked in depends on the seed, the rows and the answers of earlier
micro-batches, never on which answer came first, so that a query repeated is the same query.

Until an order is the best with probability ``confidence``, each micro-batch is asked in the best order of one draw of the
posterior (Thompson, 1933). A few rows, chosen by their hash before anything is known of them, are asked everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .branches import Branches
from .chains import Chain
from .counts import Asked, Counts
from .drift import History
from .posterior import draw, mean_costs
from .predicate import Answer, Logic, Predicate
from .standing import Judge, Standing
from .subsets import MOST_PREDICATES


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is traded for what.

    Parameters
    ----------
    first, settled : rows of a micro-batch while an order is sought (the first; then twice as many, up to four times) and
        the most once one is found.
    lag : micro-batches that may be under way besides the one that begins: with 0, each waits for all answers before it.
    audited, audit_share : at most this share of rows is asked everything, and at most this share of what the rest costs is
        spent on it.
    judge : when an order is settled. draws : of the posterior, a micro-batch.
    """

    first: int = 16
    settled: int = 256
    lag: int = 1
    audited: float = 0.02
    audit_share: float = 0.02
    judge: Judge = field(default_factory=Judge)
    draws: int = 64


FEW_ROWS = Tuning(first=64, audited=0.0)
"""For no more rows than are asked at once anyway: what they say of an order would come too late for them."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """How one row is asked. ``full`` : everything, also what cannot matter to the row any more."""

    batch: int
    order: tuple[int, ...]
    full: bool
    logic: Logic | Branches

    def next(self, answers: Mapping[int, Answer]) -> int | None:
        """The predicate to ask now, given those answered; ``None``: the row is done."""
        return self.logic.next(self.order, answers, full=self.full)


@dataclass(slots=True)
class _Batch:
    """A micro-batch under way."""

    order: tuple[int, ...]
    size: int
    audit: float
    counts: Counts
    begun: int = 0
    ended: int = 0


@dataclass(slots=True)
class AdaptiveOrder:
    """The state machine.

    Parameters
    ----------
    predicates : as expected beforehand, in the order in which they are written; shares are worth two rows, costs four.
    logic : what joins them; of a condition of AND, OR and NOT its ``Branches``, of which an order is then one. seed : of all that is drawn, at least 0. tuning : see there.

    Raises
    ------
    ValueError : there are more than ``MOST_PREDICATES``, or none.

    >>> machine = AdaptiveOrder([Predicate(30.0, true=0.5), Predicate(10.0, true=0.5)])
    >>> ticket = machine.ticket(b"row 1")
    >>> ticket.next({}), ticket.next({1: False})
    (1, None)
    >>> machine.seen(ticket, [Asked(predicate=1, goes_on=False, cost=12.0)])
    """

    predicates: Sequence[Predicate]
    logic: Logic | Branches = field(default_factory=lambda: Logic("and"))
    seed: int = 0
    tuning: Tuning = field(default_factory=Tuning)
    standing: Standing = field(init=False)
    audited: int = field(default=0, init=False)
    _shape: Chain | Branches = field(init=False)
    _history: History = field(init=False)
    _batches: dict[int, _Batch] = field(default_factory=dict, init=False)
    _number: int = field(default=-1, init=False)
    _folded: int = field(default=0, init=False)
    _size: int = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.predicates) <= MOST_PREDICATES:
            raise ValueError(f"{len(self.predicates)} predicates: 1 to {MOST_PREDICATES} can be ordered together.")
        self._shape = self.logic if isinstance(self.logic, Branches) else Chain(self.logic, len(self.predicates))
        self._history = History(len(self.predicates), self._shape.contexts)
        self._size = self.tuning.first
        self.standing = Standing(self._shape.written)

    def ticket(self, row: bytes) -> Ticket | None:
        """How to ask a row; ``None``: answers under way have to be seen first.

        Parameters
        ----------
        row : what tells it from others, such as a digest of its inputs.
        """
        batch = self._batches.get(self._number)
        if batch is None or batch.begun == batch.size:
            if not self._begin():
                return None
            batch = self._batches[self._number]
        batch.begun += 1
        full = _uniform(self.seed, row) < batch.audit
        self.audited += full
        return Ticket(self._number, batch.order, full, self.logic)

    def seen(self, ticket: Ticket, row: Sequence[Asked]) -> None:
        """What came of a row, its questions in the order asked; empty for a row that was given up."""
        batch = self._batches[ticket.batch]
        batch.ended += 1
        if row:
            batch.counts.add(row, ticket.full and len(row) == len(self.predicates), self._shape.step)

    def _begin(self) -> bool:
        """A new micro-batch, if those it depends on are answered."""
        number = self._number + 1
        needed = range(self._folded, max(self._folded, number - self.tuning.lag))
        if any(self._batches[n].ended < self._batches[n].size for n in needed):
            return False
        for n in needed:
            self._fold(self._batches.pop(n).counts)
        self._folded = needed.stop
        self._number = number
        self._batches[number] = self._planned(number)
        return True

    def _fold(self, counts: Counts) -> None:
        if self._history.add(counts):
            self.standing = Standing(self.standing.order, restarts=self.standing.restarts + 1)
            self._size = self.tuning.first

    def _planned(self, number: int) -> _Batch:
        seen = self._history.total()
        costs = mean_costs(seen, [p.cost for p in self.predicates])
        going_on = [self._shape.going_on(place, p) for place, p in enumerate(self.predicates)]
        generator = np.random.default_rng([self.seed, number])
        shares = draw(seen, going_on, self.tuning.draws, generator, self._shape.levels)
        best = self._shape.best(costs, shares)
        self.standing = self.tuning.judge.judged(self.standing, costs, shares, best, self._shape.cost)
        order = self.standing.order if self.standing.settled else best.order(0)
        spare = float(costs.sum()) - self.standing.cost
        audit = self.tuning.audit_share * self.standing.cost / spare if spare > 0 else 1.0
        counts = Counts.none(len(self.predicates), self._shape.contexts)
        return _Batch(order, self._next_size(), min(self.tuning.audited, audit), counts)

    def _next_size(self) -> int:
        size = self._size
        most = self.tuning.settled if self.standing.settled else 4 * self.tuning.first
        self._size = min(most, 2 * size)
        return size


def _uniform(seed: int, row: bytes) -> float:
    """A number in [0, 1) that belongs to the row: known before the row is."""
    digest = hashlib.blake2b(row, digest_size=8, salt=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / 2**64
