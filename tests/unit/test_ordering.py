"""Orders that are learnt: from few rows asked everything, with drift, with rows that are given up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import pytest

from anserdb.optimizer.ordering.adaptive import AdaptiveOrder, Ticket, Tuning
from anserdb.optimizer.ordering.chains import chain_order, rank
from anserdb.optimizer.ordering.counts import Asked, Counts
from anserdb.optimizer.ordering.drift import History
from anserdb.optimizer.ordering.posterior import SHRINKAGE, draw, mean_costs
from anserdb.optimizer.ordering.predicate import Logic, Predicate
from anserdb.optimizer.ordering.sample import Sample
from anserdb.optimizer.ordering.standing import Judge, Standing
from anserdb.optimizer.ordering.subsets import Best, best_orders, order_cost
from anserdb.optimizer.ordering.trees import Junction, Known, Leaf, answered

Row = Sequence[bool]


def static_cost(costs: Sequence[float], rows: Sequence[Row], order: Sequence[int]) -> float:
    total = 0.0
    for row in rows:
        for place in order:
            total += costs[place]
            if not row[place]:
                break
    return total


def serve(machine: AdaptiveOrder, rows: Sequence[Row], costs: Sequence[float]) -> tuple[float, list[Ticket]]:
    """What was spent, and all tickets; a row is done before the next begins."""
    spent, tickets = 0.0, []
    for number, row in enumerate(rows):
        ticket = machine.ticket(b"%d" % number)
        assert ticket is not None
        came = []
        for place in ticket.order:
            came.append(Asked(place, row[place], costs[place]))
            if not (row[place] or ticket.full):
                break
        spent += sum(one.cost for one in came)
        machine.seen(ticket, came)
        tickets.append(ticket)
    return spent, tickets


def rows_of(shares: Sequence[float], count: int, seed: int = 1) -> list[Row]:
    return (np.random.default_rng(seed).random((count, len(shares))) < shares).tolist()


def guess(costs: Sequence[float]) -> list[Predicate]:
    return [Predicate(cost, true=0.5) for cost in costs]


# --- static ------------------------------------------------------------------------------------------------------------


def test_what_decides_nothing_comes_last_and_what_costs_nothing_first() -> None:
    given = [Predicate(1, true=1.0), Predicate(900, true=0.5), Predicate(0, true=1.0)]
    assert chain_order(given, Logic("and")) == (2, 1, 0)
    assert rank(given[0], Logic("and")) == float("inf")


def test_nulls_decide_a_filter_and_not_a_value() -> None:
    given = [Predicate(10, true=0.5, null=0.5), Predicate(12, true=0.6, null=0.0)]
    assert chain_order(given, Logic("and", "true")) == (0, 1)
    assert chain_order(given, Logic("and", "value")) == (1, 0)


@pytest.mark.parametrize(("true", "null"), [(-0.1, 0.0), (0.7, 0.4), (float("nan"), 0.0)])
def test_shares_that_are_none_are_refused(true: float, null: float) -> None:
    with pytest.raises(ValueError, match="shares of TRUE and NULL"):
        Predicate(1.0, true, null)


def test_a_copy_of_what_was_passed_goes_last() -> None:
    """By its own share the copy would come second."""
    dice = np.random.default_rng(3)
    first, other = dice.random(500) < 0.3, dice.random(500) < 0.6
    rows = list(zip(first.tolist(), first.tolist(), other.tolist(), strict=True))
    costs, logic = [10.0, 11.0, 15.0], Logic("and")
    sample = Sample(rows, logic)
    marginal = [Predicate(cost, sample.share(place)) for place, cost in enumerate(costs)]
    assert chain_order(marginal, logic) == (0, 1, 2)
    assert sample.greedy_order(costs) == sample.best_order(costs) == (0, 2, 1)


def test_beside_a_null_a_part_that_cannot_decide_is_not_asked() -> None:
    """NULL AND (NULL OR x) is NULL, whatever x is; NULL OR (NULL AND x) too."""
    for outer, inner in (("and", "or"), ("or", "and")):
        tree = Junction(outer, (Leaf(0), Junction(inner, (Leaf(1), Leaf(2)))))  # type: ignore[arg-type]
        assert answered(tree, {0: None, 1: None}) == Known(None)
        assert answered(tree, {0: None, 1: None, 2: inner == "and"}) == Known(None)


def test_too_many_to_try_all_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="11 predicates"):
        AdaptiveOrder(guess([1.0] * 11))
    with pytest.raises(ValueError, match="at most 10"):
        best_orders([1.0] * 11, np.ones((2, 11, 1)))


# --- what is believed --------------------------------------------------------------------------------------------------


def test_a_share_among_survivors_is_not_taken_for_the_share_of_all() -> None:
    counts = Counts.none(2)
    for _ in range(1000):  # 1 always holds where 0 does
        counts.add([Asked(0, True, 1.0), Asked(1, True, 1.0)], full=False)
    for number in range(200):
        counts.add([Asked(1, number % 4 == 0, 1.0)], full=False)
    shares = draw(counts, [0.5, 0.5], 400, np.random.default_rng(0))
    assert shares[0, 1].mean() == pytest.approx((50 + SHRINKAGE * 1050 / 1200) / (200 + SHRINKAGE), abs=0.01)
    assert shares[1, 1].mean() > 0.98


def test_a_row_asked_everything_tells_of_every_set_it_passed() -> None:
    counts = Counts.none(3)
    counts.add([Asked(2, True, 1.0), Asked(0, False, 1.0), Asked(1, True, 1.0)], full=True)
    asked = {(passed, place) for passed, place in zip(*np.nonzero(counts.asked), strict=True)}
    assert asked == {(0, 0), (2, 0), (4, 0), (6, 0), (0, 1), (4, 1), (0, 2), (2, 2)}
    assert counts.on[:, 0].sum() == 0


def test_costs_start_from_what_was_expected() -> None:
    counts = Counts.none(2)
    for _ in range(4):
        counts.add([Asked(0, False, 30.0)], full=False)
    assert mean_costs(counts, [10.0, 7.0]).tolist() == [20.0, 7.0]


def test_draws_agree_with_all_orders_tried() -> None:
    dice = np.random.default_rng(5)
    counts, costs = Counts.none(4), [3.0, 1.0, 4.0, 2.0]
    for row in rows_of([0.2, 0.9, 0.5, 0.7], 60):
        counts.add([Asked(place, row[place], costs[place]) for place in range(4)], full=True)
    shares = draw(counts, [0.5] * 4, 8, dice)
    best = best_orders(costs, shares)
    tried = np.array([order_cost(costs, shares, order) for order in permutations(range(4))])
    assert best.cost == pytest.approx(tried.min(axis=0))
    assert [float(order_cost(costs, shares, best.order(w))[w]) for w in range(8)] == pytest.approx(best.cost.tolist())


# --- standing ----------------------------------------------------------------------------------------------------------


def judged(old: Standing, share: float, spread: float = 0.0) -> Standing:
    """Two predicates of cost 1; the first lets half of the rows go on, the second ``share``, or ``spread`` more or less."""
    shares = np.ones((4, 2, 10))
    shares[:, 0] = 0.5
    shares[:, 1] = share + np.linspace(-spread, spread, 10)
    costs = np.ones(2)
    return Judge().judged(old, costs, shares, best_orders(costs, shares))


def test_a_settled_order_gives_way_only_to_one_that_is_surely_cheaper() -> None:
    settled = Standing((0, 1), settled=True)
    assert judged(settled, 0.45).order == (0, 1)  # cheaper by 3 %
    assert judged(settled, 0.35).order == (1, 0)  # by 10 %
    assert judged(settled, 0.35, spread=0.3).order == (0, 1)  # who knows
    assert judged(Standing((0, 1)), 0.45).order == (1, 0)  # nothing was settled


def test_what_cannot_be_told_apart_is_settled() -> None:
    assert judged(Standing((0, 1)), 0.49).settled
    assert not judged(Standing((0, 1)), 0.5, spread=0.3).settled


def test_an_order_is_read_from_what_follows_each_set() -> None:
    assert Best(np.zeros(1), np.array([[2], [1], [0], [0], [0], [1], [0], [0]])).order(0) == (2, 0, 1)


# --- learning ----------------------------------------------------------------------------------------------------------


def cost_of_learning(make: Callable[[], tuple[list[Row], list[float]]]) -> tuple[float, AdaptiveOrder]:
    rows, costs = make()
    machine = AdaptiveOrder(guess(costs), seed=7)
    spent, _ = serve(machine, rows, costs)
    return spent / min(static_cost(costs, rows, order) for order in permutations(range(len(costs)))), machine


def test_it_finds_the_order_and_pays_little_for_it() -> None:
    ratio, machine = cost_of_learning(lambda: (rows_of([0.9, 0.3, 0.6, 0.1], 3000), [10.0, 20.0, 15.0, 25.0]))
    assert machine.standing.order == (3, 1, 2, 0)
    assert machine.standing.settled
    assert machine.standing.restarts == 0
    assert ratio < 1.10


def test_it_learns_that_a_copy_decides_nothing() -> None:
    def copies() -> tuple[list[Row], list[float]]:
        dice = np.random.default_rng(11)
        first, other = dice.random(3000) < 0.3, dice.random(3000) < 0.5
        return np.column_stack([first, first, other]).tolist(), [10.0, 11.0, 15.0]

    ratio, machine = cost_of_learning(copies)
    assert machine.standing.order[1:] == (2, 1)
    assert ratio < 1.10


def test_drift_is_seen_and_what_was_before_forgotten() -> None:
    costs = [10.0, 10.0]
    before, after = rows_of([0.1, 0.9], 1500), rows_of([0.9, 0.1], 1500, seed=2)
    machine = AdaptiveOrder(guess(costs), seed=1)
    serve(machine, before, costs)
    assert (machine.standing.order, machine.standing.restarts) == ((0, 1), 0)
    spent, _ = serve(machine, after, costs)
    assert machine.standing.order == (1, 0)
    assert machine.standing.restarts in (1, 2)  # a micro-batch that had rows of both may have to go, too
    assert spent < 1.3 * static_cost(costs, after, (1, 0))


def test_rows_that_stay_alike_are_no_drift() -> None:
    for seed in range(5):
        machine = AdaptiveOrder(guess([10.0, 20.0, 15.0]), seed=seed)
        serve(machine, rows_of([0.5, 0.3, 0.8], 4000, seed), [10.0, 20.0, 15.0])
        assert machine.standing.restarts == 0


def test_history_stays_small() -> None:
    history = History(1)
    for number in range(1000):
        batch = Counts.none(1)
        batch.add([Asked(0, number % 2 == 0, 1.0)], full=False)
        assert not history.add(batch)
    assert len(history.buckets) < 40
    assert history.total().asked[0, 0] == 1000
    assert history.total().batches == 1000


def test_rows_asked_everything_are_few_and_cost_little() -> None:
    costs = [1.0, 400.0]
    machine = AdaptiveOrder([Predicate(1.0, 0.05), Predicate(400.0, 0.05)], seed=3)
    rows = rows_of([0.05, 0.05], 8000)
    spent, tickets = serve(machine, rows, costs)
    extra = sum(400.0 for ticket, row in zip(tickets, rows, strict=True) if ticket.full and not row[ticket.order[0]])
    assert machine.audited == sum(ticket.full for ticket in tickets)
    assert 0 < extra < 0.06 * spent
    _, often = serve(AdaptiveOrder(guess([1.0, 1.0]), seed=3), rows_of([0.9, 0.9], 5000), [1.0, 1.0])
    assert 0.01 < sum(ticket.full for ticket in often) / 5000 < 0.03


def test_a_row_asked_everything_goes_on_after_what_decides() -> None:
    full, other = (Ticket(0, (1, 0), full, Logic("and")) for full in (True, False))
    assert [full.next({}), full.next({1: False}), full.next({1: False, 0: True})] == [1, 0, None]
    assert [other.next({}), other.next({1: False})] == [1, None]


def test_with_a_lag_the_next_micro_batch_begins_before_all_answers_are_there() -> None:
    machine = AdaptiveOrder(guess([1.0, 1.0]), tuning=Tuning(first=2, settled=2, lag=1, judge=Judge(confidence=0.0)))
    first = [machine.ticket(b"1"), machine.ticket(b"2")]
    assert None not in [*first, machine.ticket(b"3"), machine.ticket(b"4")]
    assert machine.ticket(b"5") is None
    for ticket in first:
        assert ticket is not None
        machine.seen(ticket, ())
    assert machine.ticket(b"5") is not None


def test_micro_batches_wait_for_answers_and_not_for_rows_given_up() -> None:
    machine = AdaptiveOrder(guess([1.0, 1.0]), tuning=Tuning(first=2, settled=2, lag=0))
    first, second = machine.ticket(b"1"), machine.ticket(b"2")
    assert first is not None
    assert second is not None
    assert machine.ticket(b"3") is None
    machine.seen(first, [Asked(0, False, 1.0)])
    assert machine.ticket(b"3") is None
    machine.seen(second, ())
    assert machine.ticket(b"3") is not None
