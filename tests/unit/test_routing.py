"""Routing by the row: what policies learn from audits, and what they never do. Answers are drawn from worlds made by rule."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.routing.audits import PRICES, Audits
from anserdb.optimizer.routing.context import FITTED_ON, Context
from anserdb.optimizer.routing.curve import Curve
from anserdb.optimizer.routing.evidence import Said
from anserdb.optimizer.routing.router import Router
from anserdb.optimizer.routing.site import LEAST_AUDITS, Outcome, SiteRouter, Visit
from benchmarks.cascade_router_world import routed

COSTS = (1.0, 0.05)


@dataclass
class World:
    """A small model that is right the surer it is, as real ones are; ``turned``: surely wrong from that row on."""

    seed: int = 0
    turned: float = math.inf
    hard: Callable[[int], float] = lambda _: 1.0

    def row(self, number: int) -> tuple[Said, Said]:
        """What the small model and the reference say of a row."""
        chance = random.Random(f"{self.seed} {number}")
        right, sure = chance.random() < 0.5, chance.expovariate(0.4)
        slips = chance.random() < 0.5 * self.hard(number) * math.exp(-sure)
        if number >= self.turned:
            slips, sure = True, 6.0
        said = right != slips
        return Said(said, sure if said else -sure), Said(right)


@dataclass
class Run:
    """What a policy did with rows that came one by one."""

    router: Router
    site: SiteRouter
    served: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)

    def rows(self, world: World, numbers: Sequence[int], text: Callable[[int], str] = lambda _: "") -> None:
        for number in numbers:
            small, right = world.row(number)
            visit = self.site.visit(f"row {number}", [text(number)])
            self.site.ended(visit, outcome := routed(self.site, visit, small, right))
            if outcome.taken:
                self.served.append(number)
                if small.answer != right.answer:
                    self.wrong.append(number)


def run(quality: float = 0.95, seed: int = 1, **more: Any) -> Run:
    router = Router(quality, seed=seed, **more)
    return Run(router, router.site("1:LLM_FILTER", ("large", "small"), lambda: COSTS))


def test_the_reference_answers_until_enough_rows_are_audited() -> None:
    tried = run()
    tried.rows(World(), range(LEAST_AUDITS))
    assert not tried.served
    assert tried.site.curve.stretches()[0].audits > 0


def test_quality_is_kept_and_money_saved_on_each_of_some_seeds() -> None:
    for seed in range(4):
        tried = run(0.92, seed)
        tried.rows(World(seed), range(2000))
        assert len(tried.wrong) <= 0.08 * 2000
        assert tried.router.cost < 0.65 * 2000
        assert tried.site.curve.rows == 2000


def test_without_audits_that_prove_it_nothing_is_served() -> None:
    tried = run(0.99)
    tried.rows(World(hard=lambda _: 2.0), range(200))
    assert not tried.wrong


def test_a_poisoned_model_is_never_served() -> None:
    tried = run(0.9)
    tried.rows(World(turned=0), range(600))
    assert not tried.served


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_turns_is_abandoned_within_300_executions(seed: int) -> None:
    tried = run(0.9, seed)
    tried.rows(World(seed, turned=1200), range(1700))
    assert any(number < 1200 for number in tried.served)
    assert max(tried.wrong) < 1500


def test_hard_and_easy_rows_change_places_and_quality_recovers_within_1000() -> None:
    def hard(number: int) -> float:
        return 2.0 if (number % 2 == 0) == (number < 2000) else 0.0

    tried = run(0.9, 3)
    tried.rows(World(3, hard=hard), range(4000), lambda number: "alpha beta" if number % 2 else "gamma delta")
    later = [number for number in tried.wrong if number >= 3000]
    assert len(later) <= 0.1 * 1000
    assert sum(number >= 3000 for number in tried.served) > 300


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(st.randoms(use_true_random=False))
def test_who_answers_faster_changes_nothing(chance: random.Random) -> None:
    in_turn, shuffled, world = run(), run(), World(7)
    in_turn.rows(world, range(400))
    taken, waiting = list[tuple[int, int]](), list[tuple[Visit, Outcome]]()
    for number in range(400):
        while not shuffled.site.ready:
            shuffled.site.ended(*waiting.pop(chance.randrange(len(waiting))))
        visit = shuffled.site.visit(f"row {number}", [""])
        outcome = routed(shuffled.site, visit, *world.row(number))
        waiting.append((visit, outcome))
        if outcome.taken:
            taken.append((number, outcome.taken))
    assert [number for number, _ in taken] == in_turn.served


def test_calls_that_rows_do_not_reach_learn_nothing_and_share_one_price() -> None:
    router = Router(0.9)
    first, second = (router.site(name, ("large", "small"), lambda: COSTS) for name in ("a", "b"))
    both = Run(router, first)
    both.rows(World(), range(800))
    assert second.audits.seen == second.seen == 0
    assert first.price == router.price > 0


@pytest.mark.slow
def test_money_that_lasts_for_more_buys_better_answers() -> None:
    cheap, dear = run(0.8), run(0.8, spend=lambda: 0.5)
    for tried in (cheap, dear):
        tried.rows(World(2), range(2000))
    assert dear.router.price < cheap.router.price
    assert len(dear.wrong) < len(cheap.wrong)


def test_right_answers_of_the_user_count_without_the_reference() -> None:
    tried = run(0.9)
    for number in range(400):
        small, _ = World().row(number)
        visit = tried.site.visit(f"row {number}", [""])
        lies = Said(not small.answer)  # what users say, and not the reference
        tried.site.ended(visit, Outcome({1: small}, lies, 0, [1, 0], full=True))
    assert tried.site.audits.seen >= LEAST_AUDITS
    assert tried.site.visit("last", [""]).start == 0


def test_prices_buy_answers_from_the_surest_on() -> None:
    audits = Audits(1, 1)
    for number in range(100):
        doubt = number / 100
        audits.add(np.ones(1), np.array([doubt]), np.array([float(number >= 90)]))
    tried = audits.tried(np.array(COSTS), PRICES)
    assert tried.cost[0] == 1.0
    assert tried.wrong[0] == 0.0
    assert np.all(np.diff(tried.wrong) >= 0)
    assert tried.cost[-1] == pytest.approx(0.05)
    assert tried.wrong[-1] == pytest.approx(0.1)


def test_contexts_tell_texts_apart_once_enough_have_come() -> None:
    context = Context()
    for number in range(FITTED_ON):
        context.of(["gold rises today" if number % 2 else "silver and copper mines close"])
    up, down = context.of(["gold rises today"]), context.of(["silver and copper mines close"])
    assert np.abs(up - down).max() > 1.0
    assert np.isfinite(context.of([""])).all()


def test_curves_tell_shares_costs_and_audits_by_fifths() -> None:
    curve = Curve()
    for number in range(10):
        curve.add(number % 2, [0, 1] if number < 5 else [1], COSTS, 1.0 if number == 0 else None)
    first, *_, last = curve.stretches()
    assert first.shares == last.shares == {0: 0.5, 1: 0.5}
    assert (first.cost, last.cost) == (1.05, 0.05)
    assert (first.audits, first.wrong, last.audits) == (1, 1.0, 0)
    assert curve.asked == {0: 5, 1: 10}
