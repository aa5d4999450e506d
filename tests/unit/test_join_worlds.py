"""What a join is expected to ask in a world that is known, beside what the search itself asks there."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import numpy as np
import pytest

from anserdb.engine.physical.join_worlds import Shape, World, asks, worlds
from anserdb.engine.physical.joining.blocking import DELTA, Ints, Phase, blocked
from anserdb.engine.physical.joining.sweep import Sweep, swept
from anserdb.engine.physical.operators.label_grid import Costs
from anserdb.optimizer.cost.figure import guess

SIDE = 100
CLOSE, LUCKY = 1.2, 2.5
"""Factors by which pairs asked alone may be off in one random world: where all matches are likely ones, and where a sample meets some."""


def searched(world: World, recall: float, price: float | None) -> tuple[int, int]:
    """Pairs asked alone, and sweeps, of a join whose matches and scores are those of the world."""
    chance, pairs = np.random.default_rng(3), SIDE * SIDE
    match = np.zeros(pairs, np.bool_)
    match[chance.choice(pairs, round(world.matches), replace=False)] = True
    places = np.flatnonzero(match)
    likely = places[: round(world.likely * len(places))]
    scores = chance.random(pairs) / 2
    scores[likely] += 0.5
    others = np.flatnonzero(~match)
    beside = round(len(likely) / world.precision) - len(likely)
    scores[chance.choice(others, beside, replace=False)] += 0.5
    asked, sweeps = 0, 0

    async def judge(units: Ints, phase: Phase) -> Sequence[bool]:
        nonlocal asked
        asked += len(units)
        return match[units].tolist()

    async def sweep(number: int) -> Collection[int]:
        nonlocal sweeps
        sweeps += 1
        return places.tolist()

    bounds = {"chunk": max(32, SIDE // 2), "recall": recall, "delta": DELTA / 2}
    if price is None:
        asyncio.run(blocked(scores, judge, **bounds))  # type: ignore[arg-type]
    else:
        asyncio.run(swept(scores, judge, Sweep(sweep, price), **bounds))  # type: ignore[arg-type]
    return asked, sweeps


@pytest.mark.parametrize("price", [None, 300.0])
@pytest.mark.parametrize("recall", [0.6, 0.9])
@pytest.mark.parametrize(
    "world", [World(5, 1.0, 1.0, 1.0), World(100, 0.9, 0.6, 1.0), World(400, 1.0, 1.0, 1.0), World(400, 0.8, 0.5, 1.0)]
)
def test_a_join_asks_what_its_world_makes_it_ask(world: World, recall: float, price: float | None) -> None:
    asked, sweeps = searched(world, recall, price)
    expected = asks(Shape(SIDE * SIDE, SIDE * SIDE, SIDE, SIDE, recall, price), world)
    assert expected.sweeps == sweeps
    most = CLOSE if world.likely == 1.0 else LUCKY
    assert asked / most <= expected.alone <= asked * most


def test_few_pairs_are_all_asked() -> None:
    assert asks(Shape(900, 900, 30, 30, 0.9, 10.0), World(30, 0.9, 0.6, 1.0)).alone == 900


@pytest.mark.parametrize(("agrees", "serves"), [(1.0, True), (0.6, False)])
def test_a_classification_that_agrees_leaves_few_pairs(agrees: float, serves: bool) -> None:
    shape = Shape(30_000, 30_000, 1500, 20, 0.9, None, Costs(pairs=20.0, prompt=2.0, pair=1.0))
    found = asks(shape, World(1500, 0.9, 0.6, agrees))
    assert (found.together == 1500) == serves


def test_worlds_begin_with_the_likeliest_and_hold_the_ends() -> None:
    matches = [world.matches for world in worlds(guess(100.0, "prior", 4.0))]
    assert (matches[0], min(matches), max(matches)) == (100.0, 25.0, 400.0)
