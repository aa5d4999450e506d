"""Orders of predicates beside brute force over all orders and all adaptive ways; and answers that no order changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import permutations, product
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.ordering.adaptive import AdaptiveOrder, Ticket, Tuning
from anserdb.optimizer.ordering.branches import Branches
from anserdb.optimizer.ordering.chains import chain_cost, chain_order
from anserdb.optimizer.ordering.counts import Asked
from anserdb.optimizer.ordering.predicate import Answer, Keep, Logic, Predicate
from anserdb.optimizer.ordering.sample import Sample
from anserdb.optimizer.ordering.strategy import Strategy
from anserdb.optimizer.ordering.trees import Junction, Known, Leaf, Not, Tree, leaves

ANSWERS: tuple[Answer, ...] = (True, False, None)
KEEPS: tuple[Keep, ...] = ("true", "false", "value")


@st.composite
def predicates(draw: st.DrawFn) -> Predicate:
    true, null = draw(st.integers(0, 8)), draw(st.integers(0, 2))
    return Predicate(draw(st.sampled_from([0, 1, 2, 3, 5, 8, 40])), true / 10, null / 10)


logics = st.builds(Logic, st.sampled_from(["and", "or"]), st.sampled_from(KEEPS))


@st.composite
def trees(draw: st.DrawFn, most: int = 4) -> Tree:
    """Each predicate once."""
    return draw(_over(list(range(draw(st.integers(1, most))))))


@st.composite
def _over(draw: st.DrawFn, places: list[int]) -> Tree:
    if draw(st.integers(0, 3)) == 0:
        return Not(draw(_over(places)))
    if len(places) == 1:
        return Leaf(places[0])
    cut = draw(st.integers(1, len(places) - 1))
    parts = [draw(_over(places[:cut])), draw(_over(places[cut:]))]
    if draw(st.integers(0, 5)) == 0:
        parts.append(Known(draw(st.sampled_from(ANSWERS))))
    return Junction(draw(st.sampled_from(["and", "or"])), tuple(parts))


# --- what the words mean, written down a second time -------------------------------------------------------------------


def value_of(tree: Tree, answers: Mapping[int, Answer]) -> Answer:
    match tree:
        case Leaf():
            return answers[tree.predicate]
        case Known():
            return tree.value
        case Not():
            inner = value_of(tree.part, answers)
            return None if inner is None else not inner
        case Junction():
            order = {False: 0, None: 1, True: 2}  # AND is the least, OR the greatest
            values = [value_of(part, answers) for part in tree.parts]
            return (min if tree.connective == "and" else max)(values, key=lambda value: order[value])


def shown(value: Answer, keep: Keep) -> Answer:
    return value is True if keep == "true" else value is not False if keep == "false" else value


def worlds(given: Sequence[Predicate]) -> Iterator[tuple[dict[int, Answer], float]]:
    """All answers together, with their probability."""
    for answers in product(ANSWERS, repeat=len(given)):
        share = 1.0
        for predicate, answer in zip(given, answers, strict=True):
            share *= predicate.share(answer)
        if share:
            yield dict(enumerate(answers)), share


def simulated(given: Sequence[Predicate], ask: Callable[[Mapping[int, Answer]], int | None]) -> float:
    """Expected cost of asking as ``ask`` says."""
    total = 0.0
    for answers, share in worlds(given):
        known: dict[int, Answer] = {}
        while (place := ask(known)) is not None:
            known[place] = answers[place]
            total += share * given[place].cost
    return total


def cheapest_adaptive(tree: Tree, given: Sequence[Predicate], keep: Keep) -> float:
    """The best of all adaptive ways: whatever is not decided, every predicate is tried next."""
    places = list(leaves(tree))

    @cache
    def decided(known: frozenset[tuple[int, Answer]]) -> bool:
        free = [place for place in places if place not in dict(known)]
        ways = product(ANSWERS, repeat=len(free))
        values = {shown(value_of(tree, {**dict(known), **dict(zip(free, way, strict=True))}), keep) for way in ways}
        return len(values) == 1

    @cache
    def cost(known: frozenset[tuple[int, Answer]]) -> float:
        if decided(known):
            return 0.0
        return min(
            given[place].cost + sum(given[place].share(a) * cost(known | {(place, a)}) for a in ANSWERS)
            for place in places
            if place not in dict(known)
        )

    return cost(frozenset())


# --- chains ------------------------------------------------------------------------------------------------------------


@given(st.lists(predicates(), min_size=1, max_size=4), logics)
@settings(max_examples=60, deadline=None)
def test_no_order_of_a_chain_is_cheaper(given: list[Predicate], logic: Logic) -> None:
    def ask(order: Sequence[int]) -> Callable[[Mapping[int, Answer]], int | None]:
        return Ticket(0, tuple(order), False, logic).next

    costs = {order: simulated(given, ask(order)) for order in permutations(range(len(given)))}
    chosen = chain_order(given, logic)
    assert chain_cost(given, logic, chosen) == pytest.approx(costs[chosen])
    assert costs[chosen] == pytest.approx(min(costs.values()))


@given(st.lists(predicates(), min_size=1, max_size=4), logics, st.randoms())
@settings(max_examples=60, deadline=None)
def test_no_order_changes_what_a_chain_says(given: list[Predicate], logic: Logic, dice: Random) -> None:
    order = dice.sample(range(len(given)), len(given))
    tree = Junction(logic.connective, tuple(map(Leaf, range(len(given)))))
    for answers in product(ANSWERS, repeat=len(given)):
        known: dict[int, Answer] = {}
        while (place := Ticket(0, tuple(order), False, logic).next(known)) is not None:
            known[place] = answers[place]
        assert logic.result(known.values()) == shown(value_of(tree, dict(enumerate(answers))), logic.keep)


# --- conditions --------------------------------------------------------------------------------------------------------


@given(trees(), st.lists(predicates(), min_size=4, max_size=4), st.sampled_from(KEEPS))
@settings(max_examples=80, deadline=None)
def test_no_adaptive_way_is_cheaper(tree: Tree, given: list[Predicate], keep: Keep) -> None:
    strategy = Strategy(tree, given, keep)
    assert strategy.cost == pytest.approx(cheapest_adaptive(tree, given, keep))
    assert simulated(given, strategy.next) == pytest.approx(strategy.cost)


@given(trees(5), st.lists(predicates(), min_size=5, max_size=5), st.sampled_from(KEEPS), st.sampled_from([0, 9]))
@settings(max_examples=60, deadline=None)
def test_no_way_changes_what_a_condition_says(tree: Tree, given: list[Predicate], keep: Keep, exact: int) -> None:
    strategy = Strategy(tree, given, keep, exact)
    for answers, _ in worlds(given):
        known: dict[int, Answer] = {}
        while (place := strategy.next(known)) is not None:
            assert place not in known
            known[place] = answers[place]
        assert strategy.result(known) == shown(value_of(tree, answers), keep)


@given(trees(), st.lists(predicates(), min_size=4, max_size=4), st.sampled_from(["true", "false"]))
@settings(max_examples=25, deadline=None)
def test_no_way_bracket_by_bracket_is_cheaper(tree: Tree, given: list[Predicate], keep: Keep) -> None:
    strategy = Strategy(tree, given, keep, exact=0)
    costs = []
    for order in _bracket_orders(tree):
        ask = Strategy(tree, given, keep, exact=0)
        costs.append(simulated(given, lambda known, ask=ask, order=order: _next_of(ask, order, known)))  # type: ignore[misc]
    assert strategy.cost == pytest.approx(min(costs))
    assert simulated(given, strategy.next) == pytest.approx(strategy.cost)


def _next_of(strategy: Strategy, order: Sequence[int], known: Mapping[int, Answer]) -> int | None:
    """The first of ``order`` that can still matter, by trying its answers' consequences."""
    places = [place for place in order if place not in known]
    for place in places:
        others = [p for p in places if p != place]
        for way in product(ANSWERS, repeat=len(others)):
            rest = {**known, **dict(zip(others, way, strict=True))}
            said = {shown(value_of(strategy.tree, {**rest, place: answer}), strategy.keep) for answer in ANSWERS}
            if len(said) > 1:
                return place
    return None


def _bracket_orders(tree: Tree) -> list[tuple[int, ...]]:
    match tree:
        case Leaf():
            return [(tree.predicate,)]
        case Known():
            return [()]
        case Not():
            return _bracket_orders(tree.part)
        case Junction():
            ways = [
                tuple(place for part in parts for place in part)
                for parts_in_order in permutations(tree.parts)
                for parts in product(*map(_bracket_orders, parts_in_order))
            ]
            return list(dict.fromkeys(ways))


# --- correlated ones ---------------------------------------------------------------------------------------------------

tables = st.integers(2, 4).flatmap(
    lambda n: st.lists(st.tuples(*[st.sampled_from(ANSWERS)] * n), min_size=1, max_size=12)
)


@given(tables, st.lists(st.integers(1, 9), min_size=4, max_size=4), logics)
@settings(max_examples=60, deadline=None)
def test_no_order_of_correlated_predicates_is_cheaper(
    rows: list[tuple[Answer, ...]], costs: list[int], logic: Logic
) -> None:
    count = len(rows[0])

    def cost(order: Sequence[int]) -> int:
        total = 0
        for row in rows:
            known: dict[int, Answer] = {}
            while (place := Ticket(0, tuple(order), False, logic).next(known)) is not None:
                known[place] = row[place]
                total += costs[place]
        return total

    sample, least = Sample(rows, logic, smoothing=0.0), min(map(cost, permutations(range(count))))
    assert cost(sample.best_order(costs[:count])) == least
    assert cost(sample.greedy_order(costs[:count])) <= 4 * least


# --- branches ----------------------------------------------------------------------------------------------------------


@given(trees(5), st.data(), st.sampled_from(KEEPS))
@settings(max_examples=60, deadline=None)
def test_branches_cost_what_the_best_of_all_adaptive_ways_costs(tree: Tree, data: st.DataObject, keep: Keep) -> None:
    count = len(list(leaves(tree)))
    given = [Predicate(p.cost, p.true) for p in data.draw(st.lists(predicates(), min_size=count, max_size=count))]
    branches = Branches(tree, keep)
    shares = np.broadcast_to(np.array([p.true for p in given])[None, :, None], (branches.contexts, count, 1))
    costs = np.array([p.cost for p in given])
    best = branches.best(costs, shares)
    order = best.order(0)
    assert best.cost[0] == pytest.approx(cheapest_adaptive(tree, given, keep))
    assert branches.cost(costs, shares, order)[0] == pytest.approx(best.cost[0])
    assert simulated(given, lambda known: branches.next(order, known)) == pytest.approx(best.cost[0])
    assert branches.cost(costs, shares, branches.written)[0] >= best.cost[0] - 1e-9


@given(trees(4), st.integers(0, 1 << 30), st.sampled_from(KEEPS))
@settings(max_examples=15, deadline=None)
def test_branches_are_learnt_and_decide_every_row(tree: Tree, seed: int, keep: Keep) -> None:
    dice, branches = Random(seed), Branches(tree, keep)
    given = [Predicate(float(i + 1), 0.5) for i in range(branches.predicates)]
    rows = [tuple(dice.choices(ANSWERS, (5 + i, 3, 1))[0] for i in range(4)) for _ in range(200)]
    tuning, said = Tuning(first=8, settled=64, draws=8), []
    for shuffle in (1, 2):
        machine = AdaptiveOrder(given, branches, seed, tuning)
        said.append(asked(machine, rows, Random(seed + shuffle)))
    assert said[0] == said[1]


# --- learning ----------------------------------------------------------------------------------------------------------


def asked(machine: AdaptiveOrder, rows: Sequence[tuple[Answer, ...]], dice: Random) -> list[Ticket]:
    """All tickets; what came of rows is told in an order of ``dice``, and no sooner than has to be."""
    tickets: list[Ticket] = []
    under_way: list[tuple[Ticket, list[Asked]]] = []
    for number, row in enumerate(rows):
        while (ticket := machine.ticket(b"%d" % number)) is None:
            assert under_way, "it waits for nothing"
            machine.seen(*under_way.pop(dice.randrange(len(under_way))))
        known: dict[int, Answer] = {}
        came = []
        while (place := ticket.next(known)) is not None:
            known[place] = row[place]
            came.append(Asked(place, machine.logic.goes_on(place, row[place]), float(place + 1)))
        check_decided(machine.logic, known, row, ticket.full)
        under_way.append((ticket, came))
        tickets.append(ticket)
    return tickets


def check_decided(logic: Logic | Branches, known: Mapping[int, Answer], row: tuple[Answer, ...], full: bool) -> None:
    """What was asked says what all answers say, and no more was asked than had to be."""
    if isinstance(logic, Branches):
        unasked = dict.fromkeys(range(len(row)), None) | dict(known)
        assert shown(value_of(logic.tree, unasked), logic.keep) == shown(
            value_of(logic.tree, dict(enumerate(row))), logic.keep
        )
        return
    assert logic.result(known.values()) == logic.result(row)
    assert full or not any(logic.decides(answer) for answer in list(known.values())[:-1])


@given(st.integers(0, 1 << 30), logics, st.integers(0, 2))
@settings(max_examples=15, deadline=None)
def test_what_is_asked_depends_on_answers_and_not_on_when_they_come(seed: int, logic: Logic, lag: int) -> None:
    dice = Random(seed)
    rows = [tuple(dice.choices(ANSWERS, (5 + i, 3, 1))[0] for i in range(3)) for _ in range(300)]
    given = [Predicate(float(i + 1), 0.5) for i in range(3)]
    tuning = Tuning(first=8, settled=64, lag=lag, draws=8)
    one, other = (
        asked(AdaptiveOrder(given, logic, seed, tuning), rows, Random(shuffle)) for shuffle in (seed + 1, seed + 2)
    )
    assert one == other
    assert all(sorted(ticket.order) == [0, 1, 2] for ticket in one)
