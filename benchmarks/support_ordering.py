"""SIMULATED predicates for ``bench-ordering``: answers and token counts of every row, known only to the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anserdb.optimizer.ordering.predicate import Answer

NULL_SHARE = 0.03
TOKENS = (50.0, 500.0)
TRUE_SHARE = (0.05, 0.95)
TEXT, INSTRUCTION = 250.0, (10.0, 60.0)


@dataclass(frozen=True, slots=True)
class World:
    """A table and its predicates.

    Parameters
    ----------
    answers : per row and predicate TRUE, FALSE or NULL; ``passes``: where TRUE. tokens : of each question.
    expected : tokens of a predicate, as a planner knows them beforehand.
    """

    answers: Sequence[Sequence[Answer]]
    passes: NDArray[np.bool_]
    tokens: NDArray[np.float64]
    expected: NDArray[np.float64]

    def cost(self, order: Sequence[int]) -> float:
        """Tokens of asking all rows in one order, each until it is not TRUE."""
        reached, total = np.ones(len(self.answers), dtype=bool), 0.0
        for place in order:
            total += float(self.tokens[reached, place].sum())
            reached = reached & self.passes[:, place]
        return total


Latent = Callable[[np.random.Generator, int, int], NDArray[Any]]


def independent(dice: np.random.Generator, rows: int, count: int) -> NDArray[Any]:
    """Predicates that have nothing to do with each other."""
    return dice.normal(size=(rows, count))


def correlated(dice: np.random.Generator, rows: int, count: int) -> NDArray[Any]:
    """One hidden cause, with a strength and a sign of its own for each predicate."""
    strength = dice.uniform(-0.95, 0.95, size=count)
    return dice.normal(size=(rows, 1)) * strength + dice.normal(size=(rows, count)) * np.sqrt(1 - strength**2)


def twins(dice: np.random.Generator, rows: int, count: int) -> NDArray[Any]:
    """Two groups of near copies: once one of a group is passed, the others of it decide next to nothing."""
    groups = np.arange(count) % 2
    return dice.normal(size=(rows, 2))[:, groups] * 0.99 + dice.normal(size=(rows, count)) * np.sqrt(1 - 0.99**2)


def in_order_of_cause(dice: np.random.Generator, rows: int, count: int) -> NDArray[Any]:
    """Correlated, and the table is sorted by the cause: what is learnt of its beginning is wrong of its end."""
    strength = dice.uniform(0.5, 0.95, size=count) * dice.choice([-1, 1], size=count)
    cause = np.sort(dice.normal(size=rows))[:, None]
    return cause * strength + dice.normal(size=(rows, count)) * np.sqrt(1 - strength**2)


def world(latent: Latent, seed: int, rows: int, count: int, kind: str = "") -> World:
    """A world of a seed. ``kind`` : ``turned``, all shares become their opposites in the middle; ``cheap pass``, the cheaper a
    predicate, the more it lets through; ``one text``, all are asked about the same column, so that costs are much alike.
    """
    dice = np.random.default_rng([seed, count, rows])
    expected = np.exp(dice.uniform(*np.log(TOKENS), size=count))
    if kind == "one text":
        expected = TEXT + dice.uniform(*INSTRUCTION, size=count)
    share = dice.uniform(*TRUE_SHARE, size=count)
    if kind == "cheap pass":
        share = np.sort(share)[::-1][np.argsort(np.argsort(expected))]
    hidden = latent(dice, rows, count)
    true = np.column_stack([hidden[:, i] < np.quantile(hidden[:, i], share[i]) for i in range(count)])
    if kind == "turned":
        true[rows // 2 :] = ~true[rows // 2 :]
    null = dice.random((rows, count)) < NULL_SHARE
    length = np.exp(dice.normal(-0.045, 0.3, size=(rows, 1)))  # texts of a row are long or short for all predicates
    answers = [[None if n else bool(t) for t, n in zip(*both, strict=True)] for both in zip(true, null, strict=True)]
    return World(answers, true & ~null, expected * length, expected)
