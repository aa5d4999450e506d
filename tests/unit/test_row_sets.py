"""Agreement of lists whose elements become rows."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.optimizer.search.row_sets import row_sets

FIELDS = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c", None]), "tags": st.lists(st.sampled_from("xy"), max_size=2)}
)
ROWS = st.lists(FIELDS, max_size=6)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "ordinal": number} for number, row in enumerate(rows, 1)]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, other=ROWS, seed=st.integers(0, 9))
def test_it_is_f1_of_multisets_whatever_the_order(
    rows: list[dict[str, Any]], other: list[dict[str, Any]], seed: int
) -> None:
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert row_sets(numbered(shuffled), numbered(rows)) == 1.0
    assert row_sets(numbered(rows), numbered(other)) == row_sets(numbered(other), numbered(rows))
    left = list(other)
    both = sum(row in left and left.remove(row) is None for row in rows)
    expected = 2 * both / (len(rows) + len(other)) if rows or other else 1.0
    assert row_sets(numbered(rows), numbered(other)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (["a", "a"], ["a"], 2 / 3),
        ([" A"], ["a "], 1.0),
        ([0.1 + 0.2], [0.3], 1.0),
        ([1.5], [1.6], 0.0),
        (None, [], 0.0),
    ],
)
def test_what_counts_as_equal(mine: Any, theirs: Any, expected: float) -> None:
    assert row_sets(mine, theirs) == pytest.approx(expected)
