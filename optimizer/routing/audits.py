"""Rows that everybody was asked about: what each price of a call would have cost, and lost, on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .belief import STEEP, Floats

KEPT = 1_500
PRICES = np.concatenate([[0.0], np.geomspace(0.0002, 1.0, 36)])
"""Of what the dearest call costs, in wrong rows: 0 asks the reference about every row, 1 never asks it."""
RIDGE = 4.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one policy on the audited rows.

    Parameters
    ----------
    wrong : share of rows that would have had another answer than the reference's. cost : of a row, in the mean.
    unkept : 1 - F1 of the rows that are kept, by estimate; 0 where answers keep no rows.
    """

    wrong: Floats
    cost: Floats
    unkept: Floats


class Audits:
    """The latest audited rows of a call.

    Parameters
    ----------
    width : of contexts. arms : all but the reference.
    """

    def __init__(self, width: int, arms: int) -> None:
        self._contexts = np.zeros((KEPT, width))
        self._doubts, self._wrong = np.ones((KEPT, arms)), np.zeros((KEPT, arms))
        self._heard: list[list[Floats | None]] = []
        self._true: NDArray[np.bool_] | None = None
        self.seen = 0

    def clear(self) -> None:
        """Forget all."""
        self.seen = 0
        self._heard.clear()

    def add(
        self, context: Floats, doubts: Floats, wrong: Floats, true: Any = None, heard: Sequence[Floats | None] = ()
    ) -> None:
        """One more row: per arm how likely its answer was to be wrong, and whether it was.

        Parameters
        ----------
        true : the right answer, if that is TRUE or FALSE. heard : per arm, its answer's features; ``None``: it gave none.
        """
        at = self.seen % KEPT
        self._heard[at : at + 1] = [list(heard)]
        self._contexts[at], self._doubts[at], self._wrong[at] = context, doubts, wrong
        if isinstance(true, bool):
            self._true = np.zeros(KEPT, dtype=np.bool_) if self._true is None else self._true
            self._true[at] = true
        self.seen += 1

    def judge(self, arm: int, weights: Floats) -> None:
        """Doubt an arm's answers as one would now: what was thought of them while little was known says little of what is to come."""
        there = [at for at, heard in enumerate(self._heard) if heard and heard[arm] is not None]
        if there:
            features = np.array([self._heard[at][arm] for at in there])
            self._doubts[there, arm] = 1.0 / (1.0 + np.exp(np.clip(features @ weights, -STEEP, STEEP)))

    @property
    def kept(self) -> int | None:
        """Rows that the reference keeps; ``None``: its answers keep none."""
        return None if self._true is None else int(self._true[: self.rows].sum())

    @property
    def rows(self) -> int:
        """That are kept."""
        return min(self.seen, KEPT)

    def wrong(self) -> Floats:
        """Per arm, the share of rows of which its answer is wrong."""
        return np.asarray(self._wrong[: self.rows].mean(axis=0))

    def values(self, costs: Floats, prices: Floats) -> Floats:
        """Weights (context, price, arm) of what is still to be lost and paid, as the price sees it, once an arm has been asked."""
        contexts = self._contexts[: self.rows]
        least = np.minimum(self._doubts[: self.rows, None, :], prices[None, :, None] * costs[0])
        mean = least.mean(axis=0)
        gram = contexts.T @ contexts + RIDGE * np.eye(contexts.shape[1])
        moments = contexts.T @ (least - mean).reshape(len(contexts), -1)
        weights = np.linalg.solve(gram, moments).reshape(-1, *mean.shape)
        weights[0] += mean  # a context begins with a 1
        return np.asarray(weights)

    def tried(self, costs: Floats, prices: Floats) -> Tried:
        """What each price would have done."""
        values = self.values(costs, prices)
        to_go = np.einsum("nd,dpa->npa", self._contexts[: self.rows], values) + prices[None, :, None] * costs[1:]
        first = to_go.argmin(axis=2)
        asked = to_go.min(axis=2) < prices * costs[0]
        doubt = np.take_along_axis(self._doubts[: self.rows], first, axis=1)
        wrong = np.take_along_axis(self._wrong[: self.rows], first, axis=1)
        accepted = asked & (doubt <= prices * costs[0])
        cost = asked * costs[1:][first] + ~accepted * costs[0]
        unkept = self._unkept(accepted, accepted * doubt, accepted * wrong)
        return Tried((accepted * wrong).mean(axis=0), cost.mean(axis=0), unkept)

    def _unkept(self, accepted: Any, doubted: Floats, wrong: Floats) -> Floats:
        """Where few rows are kept, few audits see one: what beliefs say of the accepted rows counts, if that is worse than what audits do."""
        if self._true is None:
            return np.zeros(accepted.shape[1])
        true = self._true[: self.rows, None]
        # An answer that is accepted and wrong is the other one of TRUE and FALSE.
        served = np.where(wrong > 0.5, ~true, true)
        either = true.sum() + served.sum(axis=0)
        return np.asarray(np.maximum(doubted.sum(axis=0), wrong.sum(axis=0)) / np.maximum(either, 1.0))
