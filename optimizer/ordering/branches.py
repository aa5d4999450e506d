"""Which predicate of a condition of AND, OR and NOT is asked after which answers: a plan of branches, as an order is of a chain.

A context is what a row has answered so far: per predicate nothing, TRUE or not TRUE, as a number to the base of three. Which
predicate comes next is decided for each context, by dynamic programming over them; shares may differ between contexts, so
that predicates that have to do with each other are no exception. Up to six predicates there are at most 729 contexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .levels import Level, levels
from .predicate import Answer, Keep, Predicate
from .subsets import Shares
from .trees import Tree, answered, leaves, negated_leaves

MOST_BRANCHED = 6
"""Predicates whose branches are solved within milliseconds; each more takes three times as long."""
DONE = -1


@dataclass(frozen=True, slots=True)
class BestBranches:
    """The cheapest branches in each world. ``cost`` : by world, a row. ``first`` : ``[context, world]``, what to ask in it."""

    cost: NDArray[np.float64]
    first: NDArray[np.intp]

    def order(self, world: int) -> tuple[int, ...]:
        """By context, what to ask; ``DONE`` where a row never comes, or is decided."""
        column = self.first[:, world]
        found = np.full(len(column), DONE, dtype=np.intp)
        waiting = [0]
        while waiting:
            context = waiting.pop()
            found[context] = place = column[context]
            if place != DONE:
                waiting += [context + 3**place, context + 2 * 3**place]
        return tuple(int(place) for place in found)


@dataclass(frozen=True)
class Branches:
    """The shape of a condition.

    Parameters
    ----------
    tree : the condition; its predicates are 0, 1, …, each once. keep : what is asked of it.

    Raises
    ------
    ValueError : there are more than ``MOST_BRANCHED``, or one is there twice.

    >>> from anserdb.optimizer.ordering.trees import Junction, Leaf
    >>> either = Branches(Junction("or", (Leaf(0), Leaf(1))))
    >>> [either.next(either.written, answers) for answers in ({}, {0: True}, {0: False})]
    [0, None, 1]
    """

    tree: Tree
    keep: Keep = "true"

    def __post_init__(self) -> None:
        if self.predicates > MOST_BRANCHED or sorted(leaves(self.tree)) != list(range(self.predicates)):
            raise ValueError(f"{self.tree}: at most {MOST_BRANCHED} predicates can be ordered, each once.")

    @cached_property
    def predicates(self) -> int:
        """How many."""
        return sum(1 for _ in leaves(self.tree))

    @cached_property
    def contexts(self) -> int:
        """How many."""
        return int(3**self.predicates)

    @property
    def levels(self) -> Sequence[Level]:
        """See ``levels``."""
        return levels(self.predicates, 2)

    @cached_property
    def written(self) -> tuple[int, ...]:
        """The branches of asking as written, from left to right."""
        return self.in_order(range(self.predicates))

    def in_order(self, order: Sequence[int]) -> tuple[int, ...]:
        """The branches of asking in one order, without what cannot matter any more."""
        wanted = _wanted(self)[:, list(order)]
        first = np.where(wanted.any(axis=1), np.array(order)[wanted.argmax(axis=1)], DONE)
        return BestBranches(np.zeros(1), first[:, None]).order(0)

    def step(self, place: int, goes_on: bool) -> int:
        """How far an answer moves the context."""
        return int(3**place) * (1 if goes_on else 2)

    def goes_on(self, place: int, answer: Answer) -> bool:
        """Whether an answer counts as TRUE; where only TRUE is asked for, a NULL under NOT does."""
        return answer is True or (answer is None and place in self._lenient)

    def going_on(self, place: int, predicate: Predicate) -> float:
        """The share of answers that count as TRUE."""
        return sum(predicate.share(answer) for answer in (True, None) if self.goes_on(place, answer))

    def next(self, order: Sequence[int], answers: Mapping[int, Answer], *, full: bool = False) -> int | None:
        """The predicate to ask now; ``None``: the condition is decided (``full`` : all are answered)."""
        if full:
            return next((place for place in range(self.predicates) if place not in answers), None)
        left = set(leaves(answered(self.tree, answers, self.keep)))
        context = sum(self.step(place, self.goes_on(place, answer)) for place, answer in answers.items())
        planned = order[context]
        # A NULL that is shown leaves more to ask than FALSE would, and an answer known beforehand may be on no branch.
        return planned if planned in left else min(left, default=None)

    def best(self, costs: NDArray[np.float64], shares: Shares) -> BestBranches:
        """The branches of least expected cost in each world. ``shares`` : ``[context, predicate, world]`` of TRUE."""
        worlds, wanted = shares.shape[2], _wanted(self)
        cost = np.zeros((self.contexts, worlds))
        first = np.full((self.contexts, worlds), DONE, dtype=np.intp)
        for at in reversed(_by_answered(self.predicates)):
            ways = np.full((len(at), self.predicates, worlds), np.inf)
            for place in range(self.predicates):
                asked = wanted[at, place]
                ways[asked, place] = self._way(at[asked], place, costs, shares, cost)
            open_ = wanted[at].any(axis=1)
            chosen = ways[open_].argmin(axis=1)
            first[at[open_]] = chosen
            cost[at[open_]] = np.take_along_axis(ways[open_], chosen[:, None], axis=1)[:, 0]
        return BestBranches(cost[0], first)

    def cost(self, costs: NDArray[np.float64], shares: Shares, order: Sequence[int]) -> NDArray[Any]:
        """Expected cost a row of one plan of branches, by world."""
        total = np.zeros(shares.shape[2])
        waiting = [(0, np.ones(shares.shape[2]))]
        while waiting:
            context, reached = waiting.pop()
            if (place := order[context]) == DONE:
                continue
            total += reached * costs[place]
            share = shares[context, place]
            waiting.append((context + 3**place, reached * share))
            waiting.append((context + 2 * 3**place, reached * (1 - share)))
        return total

    @cached_property
    def _lenient(self) -> frozenset[int]:
        return frozenset() if self.keep == "value" else negated_leaves(self.tree, under=self.keep == "false")

    def _way(
        self, at: NDArray[np.intp], place: int, costs: NDArray[np.float64], shares: Shares, cost: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        share = shares[at, place]
        way: NDArray[np.float64] = costs[place] + share * cost[at + 3**place] + (1 - share) * cost[at + 2 * 3**place]
        return way


@lru_cache(maxsize=64)
def _wanted(shape: Branches) -> NDArray[np.bool_]:
    """``[context, predicate]``: whether its answer can matter yet."""
    found = np.zeros((shape.contexts, shape.predicates), dtype=bool)
    for context in range(shape.contexts):
        digits = [context // 3**place % 3 for place in range(shape.predicates)]
        known = {place: digit == 1 for place, digit in enumerate(digits) if digit}
        found[context, list(leaves(answered(shape.tree, known, shape.keep)))] = True
    return found


@lru_cache(maxsize=8)
def _by_answered(count: int) -> list[NDArray[np.intp]]:
    """Contexts by how many predicates are answered in them."""
    numbers = np.arange(3**count)
    answers = sum((numbers // 3**place % 3 > 0).astype(int) for place in range(count))
    return [np.flatnonzero(answers == level) for level in range(count + 1)]
