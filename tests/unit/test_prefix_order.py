"""The orders are compared with every other there is, on tables small enough for that."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.physical.prefix_order import (
    Grant,
    Table,
    granted,
    in_lanes,
    input_order,
    remembered,
    sorted_rows,
    without_repeats,
)
from benchmarks.support_prefix import optimum, tokens

Cells = Sequence[Sequence[str]]

cells = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from(["a", "bbbbb", "c" * 90, "d" * 300]), min_size=width, max_size=width),
        min_size=1,
        max_size=6,
    )
)
grants = st.sampled_from([Grant(), Grant(16), Grant(16, 64)])


def table_of(rows: Cells, head: int = 0) -> Table:
    return Table.of([pa.array(column) for column in zip(*rows, strict=True)], head)


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Tokens of the cells that both begin with."""
    count = 0
    for a, b in zip(one, other, strict=True):
        if a != b:
            break
        count += tokens(a)
    return count


def hits(rows: Cells, grant: Grant, head: int = 0) -> float:
    """What a cache that forgets nothing grants, asked row by row."""
    found = 0
    for number, row in enumerate(rows):
        best = max((shared(row, earlier) + head for earlier in rows[:number]), default=0)
        whole = best // grant.block * grant.block
        found += whole if whole >= grant.minimum else 0
    return found / (sum(map(tokens, (cell for row in rows for cell in row))) + head * len(rows))


@given(cells)
@settings(max_examples=40, deadline=None)
def test_no_order_of_rows_has_neighbours_that_share_more(rows: Cells) -> None:
    def of_neighbours(order: Sequence[int]) -> int:
        return sum(shared(rows[a], rows[b]) for a, b in pairwise(order))

    best = max(map(of_neighbours, permutations(range(len(rows)))))
    assert of_neighbours(sorted_rows(table_of(rows)).tolist()) == best


@given(cells, grants, st.integers(0, 40), st.randoms())
@settings(max_examples=60, deadline=None)
def test_what_a_large_cache_grants_is_what_it_grants_row_by_row_in_any_order(
    rows: Cells, grant: Grant, head: int, dice: Random
) -> None:
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert remembered(table_of(rows, head), grant) == pytest.approx(hits(shuffled, grant, head))


@given(cells)
@settings(max_examples=60, deadline=None)
def test_no_order_of_inputs_shares_more(rows: Cells) -> None:
    table, width = table_of(rows), len(rows[0])
    best = max(remembered(table.arranged(order), Grant()) for order in permutations(range(width)))
    assert remembered(table.arranged(input_order(table)), Grant()) == pytest.approx(best)


@given(cells, grants, st.integers(1, 3), st.integers(0, 40), st.randoms())
@settings(max_examples=60, deadline=None)
def test_a_small_cache_grants_what_the_last_answered_prompts_have(
    rows: Cells, grant: Grant, lanes: int, head: int, dice: Random
) -> None:
    order = list(range(len(rows)))
    dice.shuffle(order)
    found = 0
    for place, row in enumerate(order):
        answered = order[max(0, place - 2 * lanes + 1) : max(0, place - lanes + 1)]
        best = max((shared(rows[row], rows[earlier]) + head for earlier in answered), default=0)
        whole = best // grant.block * grant.block
        found += whole if whole >= grant.minimum else 0
    total = sum(tokens(cell) for row in rows for cell in row) + head * len(rows)
    assert granted(table_of(rows, head), np.array(order), lanes, grant) == pytest.approx(found / total)


@given(st.integers(1, 40), st.integers(1, 9))
def test_each_lane_walks_the_order_and_all_rows_are_walked(rows: int, lanes: int) -> None:
    walked = in_lanes(np.arange(rows), lanes).tolist()
    assert sorted(walked) == list(range(rows))
    full = rows // lanes * lanes  # until the first lane ends
    assert all(after == before + 1 for before, after in zip(walked, walked[lanes:full], strict=False))


@given(cells)
def test_repeats_are_told_apart(rows: Cells) -> None:
    table = table_of(rows)
    first, repeats = without_repeats(table, sorted_rows(table))
    assert sorted([*first.tolist(), *repeats.tolist()]) == list(range(len(rows)))
    assert len({tuple(rows[row]) for row in first.tolist()}) == len(first) == len({tuple(row) for row in rows})


REVIEWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), min_size=2, max_size=7, unique=True)


@given(REVIEWS)
@settings(max_examples=25, deadline=None)
def test_of_reviews_joined_with_products_one_order_for_all_is_as_good_as_one_for_each(
    reviews: list[tuple[int, int]],
) -> None:
    rows = [(f"review {r} " * 5, "yes" if r % 2 else "no", f"about {p} " * 20, f"name {p}") for p, r in reviews]
    table = table_of(rows)
    ours = remembered(table.arranged(input_order(table)), Grant())
    assert ours >= optimum(rows) - 0.02


def test_lanes_find_what_plain_sorting_does_not() -> None:
    """Four calls in flight, groups of five: sorted, four of each group are asked before the first is answered."""
    table = table_of([["p" * 400 + str(row // 5), "r" * 40 + str(row)] for row in range(200)])
    order = sorted_rows(table)
    in_order, lanes = granted(table, order, 4, Grant(16)), granted(table, in_lanes(order, 4), 4, Grant(16))
    assert lanes > 0.6 > 0.4 > in_order


def test_what_a_provider_does_not_grant_is_not_counted() -> None:
    rows = [["p" * 800, str(row)] for row in range(20)]
    assert remembered(table_of(rows), Grant(16, 0)) > 0.8
    assert remembered(table_of(rows), Grant(16, 1024)) == 0
    assert remembered(table_of(rows, head=1000), Grant(16, 1024)) > 0.8


def test_nulls_numbers_and_lists_have_an_order() -> None:
    table = Table.of([pa.array([3, None, 3]), pa.array([[1, 2], [1], [1, 2]])])
    assert table.rows == 3
    assert table.ranks[0].tolist() == table.ranks[2].tolist() != table.ranks[1].tolist()


def test_of_more_inputs_than_it_can_try_those_that_vary_least_come_first() -> None:
    columns = [pa.array([f"{c} " * 20 + str(row if c < 5 else 0) for row in range(6)]) for c in range(10)]
    order = input_order(Table.of(columns))
    assert sorted(order) == list(range(10))
    assert set(order[:5]) == {5, 6, 7, 8, 9}
