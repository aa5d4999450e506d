"""Joins that ask less, beside the nested loop: scripted judges, answers with faults, proofs that have to hold."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.physical.joining.block_join import Listed, Said, block_join, label_join
from anserdb.engine.physical.joining.block_size import Sizes, block_rows
from anserdb.engine.physical.joining.blocking import Blocked, Ints, Phase, blocked
from anserdb.engine.physical.joining.recall_bound import most_missed, most_overlooked, share_needed
from anserdb.engine.physical.joining.sweep import Sweep, swept

MODULES = ["block_join", "block_size", "blocking", "recall_bound", "similarity"]
Pairs = frozenset[tuple[int, int]]


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str) -> None:
    loaded = importlib.import_module(f"anserdb.engine.physical.joining.{module}")
    found = doctest.testmod(loaded)
    assert found.attempted
    assert not found.failed


class Court:
    """A judge with matches that are known, and faults in its answers about blocks."""

    def __init__(self, matches: Pairs, faults: float = 0.0, seed: int = 0, room: int = 10**9) -> None:
        self._matches, self._faults, self._chance, self._room = matches, faults, Random(seed), room
        self.blocks: list[int] = []

    async def pair(self, left: int, right: int) -> bool:
        return (left, right) in self._matches

    async def block(self, lefts: Sequence[int], rights: Sequence[int]) -> Said:
        self.blocks.append(len(lefts) * len(rights))
        rows, listed = {}, 0
        for left in lefts:
            found = [right for right in rights if (left, right) in self._matches]
            listed += len(found)
            if listed > self._room:
                rows[left] = Listed(len(found), found[:-1])  # cut off in the middle of a list
                return Said(rows, overflow=True)
            rows[left] = Listed(len(found), found)
            if self._chance.random() < self._faults:
                self._spoil(rows, left, rights)
        return Said(rows)

    def _spoil(self, rows: dict[int, Listed], left: int, rights: Sequence[int]) -> None:
        listed = list(rows[left].matches)
        match self._chance.randrange(5):
            case 0:
                del rows[left]
            case 1:
                rows[left] = Listed(len(listed) + 1, [*listed, max(rights) + 1])  # an id from elsewhere
            case 2:
                rows[left] = Listed(len(listed) + 1, listed)  # a truncated list
            case 3:
                rows[left] = Listed(2 * len(listed) + 2, [*listed, *listed, rights[0], rights[0]])
            case _:
                rows[-7] = Listed(1, [rights[0]])  # nobody asked about this row


def some_pairs(lefts: int, rights: int, share: float, seed: int) -> Pairs:
    chance = Random(seed)
    return frozenset((a, b) for a in range(lefts) for b in range(rights) if chance.random() < share)


SIDES = {"lefts": st.integers(0, 12), "rights": st.integers(0, 12), "share": st.sampled_from((0.0, 0.05, 0.5, 1.0))}


@settings(max_examples=60, deadline=None)
@given(**SIDES, seed=st.integers(0, 99), faults=st.sampled_from((0.0, 0.3, 1.0)), room=st.sampled_from((1, 5, 10**9)))
def test_blocks_find_the_pairs_of_the_nested_loop_whatever_their_answers_lack(
    lefts: int, rights: int, share: float, seed: int, faults: float, room: int
) -> None:
    matches = some_pairs(lefts, rights, share, seed)
    court = Court(matches, faults, seed, room)
    found = asyncio.run(block_join(lefts, rights, Sizes(50, 20, 20, 4, 400), court.block, court.pair))
    assert found.pairs == matches
    assert not found.unsaid
    labelled = Court(matches, faults, seed, room)
    assert asyncio.run(label_join(lefts, rights, labelled.block, labelled.pair, at_once=5)).pairs == matches


def test_pairs_nobody_could_judge_are_told() -> None:
    async def mute(left: int, right: int) -> None:
        del left, right

    async def silent(lefts: Sequence[int], rights: Sequence[int]) -> Said:
        del lefts, rights
        return Said({})

    found = asyncio.run(block_join(3, 2, Sizes(50, 20, 20, 4, 400), silent, mute))
    assert found.unsaid == {(a, b) for a in range(3) for b in range(2)}
    assert found.singles == 6


def test_answers_that_run_over_make_later_blocks_smaller() -> None:
    court = Court(some_pairs(60, 60, 0.3, 1), room=40)
    found = asyncio.run(block_join(60, 60, Sizes(50, 20, 20, 4, 900), court.block, court.pair))
    assert found.overflows
    assert len(found.pairs) == len(some_pairs(60, 60, 0.3, 1))
    assert court.blocks[0] > max(court.blocks[-4:])


def test_an_error_of_the_judge_is_not_wrapped() -> None:
    async def broken(lefts: Sequence[int], rights: Sequence[int]) -> Said:
        raise LookupError(f"{len(lefts)} {len(rights)}")

    async def never(left: int, right: int) -> bool:
        raise AssertionError(f"{left} {right}")

    with pytest.raises(LookupError):
        asyncio.run(block_join(9, 9, Sizes(50, 20, 20, 4, 200), broken, never))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("tokens", [(30.0, 30.0), (10.0, 120.0)])
@pytest.mark.parametrize("context", [800.0, 8000.0])
def test_block_sizes_cost_within_15_percent_of_the_best_grid_point(
    share: float, tokens: tuple[float, float], context: float
) -> None:
    rows, sizes = 500, Sizes(100, *tokens, 5, context)

    def cost(left: int, right: int) -> float:
        return math.ceil(rows / left) * math.ceil(rows / right) * sizes.of(left, right, share)

    allowed = [(a, b) for a in range(1, rows + 1) for b in range(1, rows + 1) if sizes.of(a, b, share) <= context]
    chosen = block_rows((rows, rows), sizes, share)
    assert sizes.of(*chosen, share) <= context
    assert cost(*chosen) <= 1.15 * min(cost(*pair) for pair in allowed)


def test_bounds_are_those_of_the_binomial() -> None:
    def at_most(seen: int, trials: int, share: float) -> float:
        return sum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(seen + 1))

    for seen, share in ((0, 0.1), (3, 0.3), (7, 0.05)):
        most = most_missed(seen, share, 0.05)
        assert at_most(seen, most, share) > 0.05 >= at_most(seen, most + 1, share)
    assert most_missed(0, share_needed(20, 0.05), 0.05) == 20


@pytest.mark.parametrize(("known", "seen", "others"), [(20, 20, 0), (30, 24, 6), (9, 9, 0), (12, 3, 2)])
def test_what_may_be_overlooked_is_what_an_exact_test_does_not_rule_out(known: int, seen: int, others: int) -> None:
    def at_most(matches: int) -> float:
        draws = seen + others
        ways = sum(math.comb(matches, k) * math.comb(known, draws - k) for k in range(others + 1) if draws - k <= known)
        return ways / math.comb(known + matches, draws)

    most = most_overlooked(known, seen, others, 0.02)
    assert at_most(most) > 0.02 >= at_most(most + 1)


def run_blocked(matches: set[int], scores: Sequence[float], recall: float, seed: int = 0) -> tuple[Blocked, list[int]]:
    asked: list[int] = []

    async def judge(pairs: Ints, phase: Phase) -> list[bool | None]:
        del phase
        asked.extend(pairs.tolist())
        return [pair in matches for pair in pairs.tolist()]

    return asyncio.run(blocked(scores, judge, chunk=100, recall=recall, seed=seed)), asked


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(0, 300), known=st.sampled_from((0.0, 0.5, 0.9, 1.0)))
def test_every_pair_is_asked_once_at_most_and_every_answer_counts(seed: int, count: int, known: float) -> None:
    chance = Random(seed)
    matches = set(chance.sample(range(4000), count))
    likely = {pair for pair in matches if chance.random() < known}
    found, asked = run_blocked(matches, [chance.random() + 2 * (p in likely) for p in range(4000)], 0.9, seed)
    assert len(asked) == len(set(asked)) == found.candidates + found.sampled
    assert set(np.flatnonzero(found.asked).tolist()) == set(asked)
    assert {pair for pair, yes in enumerate(found.answers) if yes} == matches & set(asked)


def test_with_a_perfect_blocker_the_pairs_are_the_same_and_few_are_asked() -> None:
    matches = set(range(0, 40_000, 100))
    found, asked = run_blocked(matches, [float(pair in matches) for pair in range(40_000)], 0.9)
    assert {pair for pair, yes in enumerate(found.answers) if yes} == matches
    assert found.recall >= 0.9
    assert len(asked) < 40_000 / 8


@pytest.mark.parametrize("known", [0.0, 0.7, 0.85])
def test_what_is_proved_holds_as_often_as_it_says(known: float) -> None:
    """With a blocker that does not know some matches, just about as many as may be lost: the hardest case for a proof."""
    wrong, runs = 0, 60
    for seed in range(runs):
        chance = Random(seed)
        matches = set(chance.sample(range(5000), 200))
        scores = [chance.random() + 2 * (p in matches and chance.random() < known) for p in range(5000)]
        found, asked = run_blocked(matches, scores, 0.8, seed)
        wrong += len(matches & set(asked)) < found.recall * len(matches)
        assert found.recall >= 0.8
    assert wrong <= 8  # δ = 5 % of 60 is 3; more than 8 would be a chance of 0.3 %


def test_few_pairs_are_all_asked_and_nothing_found_proves_nothing() -> None:
    assert len(run_blocked({1}, [0.0] * 900, 0.5)[1]) == 900
    found, asked = run_blocked(set(), list(map(float, range(3000))), 0.5)
    assert (len(asked), found.recall) == (3000, 1.0)


def run_swept(
    seen: float, price: float = 50.0, *, known: float = 0.95, readable: bool = True, seed: int = 3
) -> tuple[Blocked, set[int], list[int]]:
    """A join of 5,000 pairs, 200 of which match: what came of it, the matches, and what was asked alone."""
    chance = Random(seed)
    matches = set(chance.sample(range(5000), 200))
    likely = {pair for pair in matches if chance.random() < known}
    asked: list[int] = []

    async def judge(pairs: Ints, phase: Phase) -> list[bool | None]:
        del phase
        asked.extend(pairs.tolist())
        return [pair in matches for pair in pairs.tolist()]

    async def sweep(number: int) -> list[int] | None:
        del number
        invented = chance.sample(range(5000), 20)
        return [pair for pair in sorted(matches) if chance.random() < seen] + invented if readable else None

    scores = [float(pair in likely) for pair in range(5000)]
    return asyncio.run(swept(scores, judge, Sweep(sweep, price), chunk=100, recall=0.9, seed=seed)), matches, asked


@pytest.mark.parametrize(
    ("seen", "price", "sweeps", "trusted"),
    [
        (1.0, 50.0, (1,), True),
        (0.95, 50.0, (1,), True),
        (0.7, 50.0, (2, 3), True),
        (0.05, 50.0, (3,), False),
        (1.0, 4900.0, (0,), False),
    ],
)
def test_a_sweep_trusts_blocks_as_far_as_they_have_shown(
    seen: float, price: float, sweeps: tuple[int, ...], trusted: bool
) -> None:
    found, matches, asked = run_swept(seen, price, known=0.95 if seen > 0.9 else 0.7)
    answered = {pair for pair, yes in enumerate(found.answers) if yes}
    assert answered == matches & set(asked)
    assert len(asked) == len(set(asked)) == found.candidates + found.sampled
    assert len(asked) < 2500 or not trusted
    assert len(answered) >= found.recall * len(matches) >= 0.9 * len(matches)
    assert found.sweeps in sweeps
    assert found.trusted == trusted


def test_blocks_that_cannot_be_read_are_given_up_for_a_sample() -> None:
    found, matches, asked = run_swept(1.0, readable=False)
    assert not found.trusted
    assert found.recall >= 0.9
    assert len(matches & set(asked)) >= 0.9 * len(matches)


@pytest.mark.parametrize("seen", [0.97, 0.6])
def test_what_a_sweep_proves_holds_as_often_as_it_says(seen: float) -> None:
    """A blocker that does not know many matches, and blocks that overlook some of all matches alike, as the proof takes it."""
    wrong = 0
    for seed in range(40):
        found, matches, asked = run_swept(seen, known=0.5, seed=seed)
        wrong += len(matches & set(asked)) < found.recall * len(matches)
    assert wrong <= 7  # δ = 5 % of 40 is 2; more than 7 would be a chance of 0.1 %
