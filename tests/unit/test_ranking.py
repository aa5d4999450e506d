"""Top-k by a judge: exact where the judge is, bounded whatever it says, NULLs and equal rows as ORDER BY has them."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.physical.ranking.court import Bound, Court
from anserdb.engine.physical.ranking.race import race
from anserdb.engine.physical.ranking.round_robin import closest, round_pairs
from anserdb.engine.physical.ranking.strengths import strengths
from anserdb.engine.physical.ranking.top_k import ALGORITHMS, Order, Ranking, top_k

NAMES = sorted(ALGORITHMS)
COMPARING = sorted(set(ALGORITHMS) - {"pointwise", "refine"})
Pair = tuple[int, int]


@dataclass
class Told:
    """A judge that is a function; it remembers what it was asked, and in how many rounds."""

    prefers: Callable[[int, int], float | None]
    height: Callable[[int], float | None] = float
    asked: list[Pair] = field(default_factory=list)
    scored: list[int] = field(default_factory=list)
    rounds: int = 0

    async def compare(self, pairs: Sequence[Pair]) -> Sequence[float | None]:
        assert pairs
        self.rounds += 1
        self.asked.extend(pairs)
        return [self.prefers(a, b) for a, b in pairs]

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        self.rounds += 1
        self.scored.extend(rows)
        return [self.height(row) for row in rows]


def perfect(values: Sequence[float | None], sure: float = 0.99) -> Told:
    """Says which value is higher, and one half of equal ones."""

    def prefers(a: int, b: int) -> float:
        x, y = values[a], values[b]
        assert x is not None
        assert y is not None
        return 0.5 if x == y else sure if x > y else 1.0 - sure

    return Told(prefers, lambda row: values[row])


def ranked(
    judge: Told, values: Sequence[object], wanted: int, name: str, order: Order | None = None, seed: int = 0
) -> Ranking:
    """The ranking, its books compared with the judge's own, and its bounds kept."""
    found = asyncio.run(top_k(judge, list(values), wanted, name, order, seed))  # type: ignore[arg-type]
    bound = ALGORITHMS[name].bound(len({value for value in values if value is not None}), wanted)
    assert found.calls == len(judge.asked) + len(judge.scored) <= bound.calls
    assert found.rounds == judge.rounds <= bound.rounds
    assert len(set(judge.asked)) == len(judge.asked)
    assert len(set(found.rows)) == len(found.rows) == min(wanted, len(values))
    return found


def by_hand(values: Sequence[float | None], order: Order) -> list[float | None]:
    """The reference: Python's own sort."""
    known = sorted((value for value in values if value is not None), reverse=order.descending)
    nulls: list[float | None] = [None] * (len(values) - len(known))
    return [*nulls, *known] if order.nulls_first else [*known, *nulls]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.none() | st.integers(0, 60).map(float), max_size=90),
    wanted=st.integers(1, 30),
    order=st.builds(Order, st.booleans(), st.booleans()),
    sure=st.sampled_from([0.6, 0.99, 1.0]),
    seed=st.integers(0, 5),
)
def test_a_perfect_judge_gives_the_order_of_sorted(
    name: str, values: list[float | None], wanted: int, order: Order, sure: float, seed: int
) -> None:
    found = ranked(perfect(values, sure), values, wanted, name, order, seed)
    if not found.short:
        assert [values[row] for row in found.rows] == by_hand(values, order)[:wanted]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "wanted"), [(1000, 10), (300, 1), (200, 60)])
def test_the_bounds_suffice_for_a_perfect_judge_of_many_rows(name: str, rows: int, wanted: int) -> None:
    values = [float(value) for value in range(rows)]
    Random(7).shuffle(values)
    found = ranked(perfect(values), values, wanted, name)
    assert [values[row] for row in found.rows] == sorted(values, reverse=True)[:wanted]
    assert not found.short


def test_quickselect_keeps_what_the_benchmark_promises() -> None:
    assert ALGORITHMS["quickselect"].bound(1000, 10) == Bound(3000, 12)
    assert ALGORITHMS["refine"].bound(1000, 10).rounds == 12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "prefers",
    [
        lambda a, b: 1.0,  # whoever stands first
        lambda a, b: 0.5,
        lambda a, b: None,
        lambda a, b: float((b - a) % 3 == 1),  # a circle: each third beats the next
        lambda a, b: Random(f"{a}:{b}").random(),
        lambda a, b: math.nextafter(0.5, 1.0 if a < b else 0.0),
    ],
)
def test_a_judge_that_makes_no_sense_ends_in_its_bounds(name: str, prefers: Callable[[int, int], float | None]) -> None:
    for rows, wanted in ((0, 3), (1, 3), (2, 1), (70, 7), (150, 150)):
        values = list(range(rows))
        found = ranked(Told(prefers), values, wanted, name, seed=rows)
        again = ranked(Told(prefers), values, wanted, name, seed=rows)
        assert found == again


@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_are_asked_once_and_stand_together(name: str) -> None:
    values = [f"text {row % 40}" for row in range(400)]
    heights = [float(row % 40) for row in range(400)]
    judge = perfect(heights)
    found = ranked(judge, values, 25, name)
    assert {row for pair in judge.asked for row in pair} | set(judge.scored) <= set(range(40))
    assert [row % 40 for row in found.rows] == [39] * 10 + [38] * 10 + [37] * 5
    assert list(found.rows[:10]) == list(range(39, 400, 40))


@pytest.mark.parametrize("name", COMPARING)
def test_a_comparison_that_fails_is_asked_in_the_other_order(name: str) -> None:
    values = [float(value) for value in range(30)]
    sure = perfect(values)
    broken = Told(lambda a, b: None if a < b else sure.prefers(a, b))
    found = ranked(broken, values, 5, name)
    assert found.rows == (29, 28, 27, 26, 25)
    assert found.failed == sum(a < b for a, b in broken.asked) > 0


def test_rows_without_a_score_are_nulls() -> None:
    judge = Told(lambda a, b: 0.5, lambda row: None if row % 2 else float(row))
    assert ranked(judge, list(range(6)), 6, "pointwise").rows == (4, 2, 0, 1, 3, 5)
    judge = Told(lambda a, b: 0.5, lambda row: None if row % 2 else float(row))
    found = ranked(judge, list(range(6)), 4, "pointwise", Order(nulls_first=True))
    assert found.rows == (1, 3, 5, 4)
    assert found.failed == 3


def test_pointwise_names_its_ties() -> None:
    judge = Told(lambda a, b: 0.5, lambda row: float(row // 3))
    found = ranked(judge, list(range(9)), 4, "pointwise")
    assert found.rows == (6, 7, 8, 3)
    assert found.ties == ((6, 7, 8), (3, 4, 5))


def test_refining_orders_what_scores_cannot_tell_apart() -> None:
    values = [float(value) for value in range(200)]
    judge = Told(perfect(values).prefers, lambda row: float(row // 20))
    assert ranked(judge, values, 5, "refine").rows == (199, 198, 197, 196, 195)
    assert len(judge.scored) == 200


def test_who_stands_first_is_left_to_chance() -> None:
    judge = perfect([float(value) for value in range(200)])
    ranked(judge, list(range(200)), 10, "quickselect")
    first = sum(a < b for a, b in judge.asked) / len(judge.asked)
    assert 0.4 < first < 0.6


async def test_a_place_that_decides_is_found_out_by_the_other_order() -> None:
    court = Court(Told(lambda a, b: 0.62), Bound(10, 10))
    await court.settle([(1, 2)])
    assert court.calls == 2
    assert court.favour(1, 2) == pytest.approx(0.5)
    assert court.indifferent(1, 2)


async def test_a_coin_is_the_same_from_both_sides() -> None:
    court = Court(Told(lambda a, b: None), Bound(100, 10), seed=3)
    await court.settle([(a, a + 1) for a in range(20)])
    coins = [court.favour(a, a + 1) for a in range(20)]
    assert set(coins) == {0.0, 1.0}
    assert [1.0 - court.favour(a + 1, a) for a in range(20)] == coins


@pytest.mark.parametrize(
    ("rows", "prefers"), [(3_000, lambda a, b: float((a * 31 + b * 17) % 7 < 3)), (2_000, lambda a, b: 1.0)]
)
def test_many_rows_and_no_order_cost_no_more_than_the_bound(rows: int, prefers: Callable[[int, int], float]) -> None:
    found = ranked(Told(prefers), range(rows), 10, "quickselect")
    assert found.short


def test_pairs_are_all_there_once_and_evenly() -> None:
    for count in range(9):
        assert {frozenset(pair) for pair in round_pairs(range(count))} == set(
            map(frozenset, combinations(range(count), 2))
        )
        assert sorted(map(sorted, closest(range(count)))) == sorted(map(list, combinations(range(count), 2)))
        assert len(list(round_pairs(range(count)))) == count * (count - 1) // 2
    assert Counter(row for pair in islice(round_pairs(range(9)), 18) for row in pair) == dict.fromkeys(range(9), 4)


async def test_strengths_follow_the_wins() -> None:
    court = Court(perfect([0.0, 1.0, 2.0, 3.0]), Bound(100, 10))
    await court.ask([(0, 1), (1, 2), (3, 2)])
    fitted = strengths(court, range(4))
    assert sorted(fitted, key=lambda row: fitted[row]) == [0, 1, 2, 3]
    assert sum(fitted.values()) == pytest.approx(0.0, abs=1e-3)


async def test_a_race_averages_a_noisy_judge() -> None:
    noisy = Told(lambda a, b: float((a > b) != (Random(f"{a}:{b}").random() < 0.1)))
    found = await race(Court(noisy, Bound(500, 8)), list(range(60)), 5)
    assert set(found) <= set(range(50, 60))
    assert noisy.rounds <= 8
    assert len(noisy.asked) <= 500
