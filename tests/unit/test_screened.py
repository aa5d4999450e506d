"""The judge that is screened: the reference is asked less where the screen is proved, and about all rows otherwise."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from anserdb.engine.errors import ModelError
from anserdb.engine.physical.operators.screened import PILOT, FirstRows, Screen, ScreenedJudge
from anserdb.engine.physical.ranking.judge import Pair
from anserdb.engine.physical.ranking.top_k import Order, Ranking, top_k

ROWS, K = 1_500, 10


@dataclass
class Scored:
    """A judge that is a function, and remembers whom it was asked about."""

    height: Callable[[int], float | None]
    asked: list[int] = field(default_factory=list)

    async def compare(self, pairs: Sequence[Pair]) -> Sequence[float | None]:
        raise AssertionError("nobody compares")

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        self.asked.extend(rows)
        return [self.height(row) for row in rows]


def strength(row: int) -> float:
    return (row * 7919 % ROWS) / ROWS


def screened(
    reference: Scored,
    *screens: Scored,
    price: float = 0.05,
    rows: int = ROWS,
    descending: bool = True,
    recall: float = 0.9,
    copies: int = 1,
) -> tuple[Ranking, ScreenedJudge]:
    made = [Screen(f"s{at}", screen, lambda: price) for at, screen in enumerate(screens)]
    judge = ScreenedJudge(
        reference, made, FirstRows(K, recall, copies, descending), keys=[f"{row:05}" for row in range(rows)]
    )
    return asyncio.run(top_k(judge, range(rows), K, "pointwise", Order(descending))), judge


def first(rows: int = ROWS, sign: int = -1) -> list[int]:
    return sorted(range(rows), key=lambda row: sign * strength(row))[:K]


@pytest.mark.parametrize("descending", [True, False])
def test_a_screen_that_knows_spares_most_questions(descending: bool) -> None:
    reference, screen = Scored(strength), Scored(lambda row: strength(row) ** 3)
    found, judge = screened(reference, screen, descending=descending)
    assert list(found.rows) == first(sign=-1 if descending else 1)
    assert len(reference.asked) == len(set(reference.asked)) == ROWS - judge.spared < 0.5 * ROWS
    assert sorted(screen.asked) == list(range(ROWS))
    assert "of the first 10 rows ≥ 90% are found" in judge.note


def test_a_screen_that_knows_nothing_costs_its_pilot() -> None:
    reference, screen = Scored(strength), Scored(lambda row: (row * 31 % 97) / 97)
    found, judge = screened(reference, screen)
    assert list(found.rows) == first()
    assert sorted(reference.asked) == list(range(ROWS))
    assert len(screen.asked) == PILOT
    assert judge.note.startswith("no screen is worth it")


def test_a_screen_that_is_good_by_the_pilot_and_loses_first_rows_is_found_out() -> None:
    """Half of the upper tenth is at the bottom for it, which 64 rows hardly show."""
    reference = Scored(strength)
    screen = Scored(lambda row: 0.0 if strength(row) > 0.9 and row % 2 else strength(row))
    found, judge = screened(reference, screen)
    assert "not proved, so all were scored" in judge.note
    assert list(found.rows) == first()
    assert sorted(reference.asked) == list(range(ROWS))


def test_the_better_of_two_screens_is_taken() -> None:
    good, bad = Scored(strength), Scored(lambda row: (strength(row) + 2.0 * ((row * 31 % 97) / 97)) / 3)
    found, judge = screened(Scored(strength), bad, good)
    assert list(found.rows) == first()
    assert len(good.asked) == ROWS
    assert len(bad.asked) == PILOT
    assert "candidates of s1" in judge.note


@pytest.mark.parametrize("fails", ["always", "behind the pilot", "some"])
def test_a_screen_that_fails_is_the_reference_s_work(fails: str) -> None:
    asked: list[int] = []

    def height(row: int) -> float | None:
        asked.append(row)
        if fails == "always" or (fails == "behind the pilot" and len(asked) > PILOT):
            raise ModelError("gone", "small")
        return None if row % 33 == 0 else strength(row)

    reference = Scored(strength)
    found, _ = screened(reference, Scored(height))
    assert list(found.rows) == first()
    assert (len(reference.asked) < ROWS) == (fails == "some")
    if fails == "some":  # rows of which the screen says nothing are candidates
        assert set(range(0, ROWS, 33)) <= set(reference.asked)


def test_rows_that_the_reference_cannot_score_are_no_first_rows() -> None:
    def height(row: int) -> float | None:
        return None if strength(row) > 0.95 else strength(row)

    found, _ = screened(Scored(height), Scored(strength))
    assert list(found.rows) == sorted((r for r in range(ROWS) if strength(r) <= 0.95), key=lambda r: -strength(r))[:K]


@pytest.mark.parametrize(("rows", "recall", "copies"), [(60, 0.9, 1), (ROWS, 1.0, 1), (200, 0.9, 3)])
def test_where_nothing_can_be_saved_no_screen_is_asked(rows: int, recall: float, copies: int) -> None:
    screen, reference = Scored(strength), Scored(strength)
    found, judge = screened(reference, screen, rows=rows, recall=recall, copies=copies)
    assert list(found.rows) == first(rows)
    if rows < ROWS:
        assert not screen.asked
        assert not judge.note
        assert reference.asked == list(range(rows))


def test_equal_scores_at_the_end_of_the_scale_are_asked_for() -> None:
    """Rows that were not scored must not come out as if they were among ten rows without any merit."""
    found, judge = screened(reference := Scored(lambda _: 0.0), Scored(lambda _: 0.0))
    assert len(found.rows) == K
    assert len(reference.asked) == ROWS
    assert judge.spared == 0


def test_what_is_asked_does_not_depend_on_the_order_of_rows() -> None:
    def asked(order: Sequence[int]) -> set[str]:
        reference = Scored(lambda row: strength(order[row]))
        judge = ScreenedJudge(
            reference,
            [Screen("s", Scored(lambda row: strength(order[row])), lambda: 0.05)],
            FirstRows(K, 0.9),
            keys=[f"{row:05}" for row in order],
        )
        asyncio.run(top_k(judge, range(ROWS), K, "pointwise"))
        return {f"{order[row]:05}" for row in reference.asked}

    assert asked(range(ROWS)) == asked([int(row) for row in np.random.default_rng(5).permutation(ROWS)])


def test_rows_that_were_spared_stand_behind_all_others() -> None:
    judge = ScreenedJudge(
        Scored(strength), [Screen("s", Scored(strength), lambda: 0.05)], FirstRows(K, 0.9), keys=range(ROWS)
    )
    scores = asyncio.run(judge.score(range(ROWS)))
    assert scores.count(-math.inf) == judge.spared > 0
