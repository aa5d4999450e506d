"""Orders of rows and of inputs in which prompts share their beginnings: pure, nothing here runs or asks.

Rows: sorted, and the sorted rows walked in as many lanes as calls are in flight. In plain sorted order the calls in flight
would be those that share a prefix, and each would find it not there yet; in lanes each follows the one before it in its own
lane, which is answered. Inputs: one order for all rows of a call site, the best there is, by a walk over all subsets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...udfs.prompts.inputs import render

Ints = NDArray[np.int64]

CHARACTERS_PER_TOKEN = 4
MOST_INPUTS = 8
"""Of more inputs, the first ones after those that vary least keep their order: subsets double with each."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a prefix cache grants: whole blocks of tokens, and nothing below a minimum.

    >>> Grant(16, 32).of(np.array([10, 31, 40])).tolist()
    [0, 0, 32]
    """

    block: int = 1
    minimum: int = 0

    def of(self, shared: Ints) -> Ints:
        """The tokens granted, per number of tokens shared."""
        whole = shared // self.block * self.block
        return np.where(whole >= self.minimum, whole, 0)


@dataclass(frozen=True, slots=True)
class Table:
    """The inputs of rows.

    Parameters
    ----------
    ranks : per row and input, the value's rank among that input's values. tokens : how long it is.
    head : tokens before the first input, which all prompts share.
    """

    ranks: Ints
    tokens: Ints
    head: int = 0

    @classmethod
    def of(cls, columns: Sequence[pa.Array], head: int = 0) -> Table:
        """From Arrow columns.

        >>> Table.of([pa.array(["bb", "a", "bb"])]).ranks.tolist()
        [[1], [0], [1]]
        """
        texts = [_texts(column) for column in columns]
        dense = pc.RankOptions(tiebreaker="dense")
        ranks = [pc.call_function("rank", [text], dense).to_numpy(zero_copy_only=False) for text in texts]
        sizes = [
            pc.fill_null(pc.call_function("utf8_length", [text]), 0).to_numpy(zero_copy_only=False) for text in texts
        ]
        tokens = (np.stack(sizes, axis=1) + CHARACTERS_PER_TOKEN - 1) // CHARACTERS_PER_TOKEN
        return cls(np.stack(ranks, axis=1).astype(np.int64) - 1, tokens.astype(np.int64), head)

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.ranks.shape[0])

    def arranged(self, inputs: Sequence[int]) -> Table:
        """The same with its inputs in another order."""
        return Table(self.ranks[:, list(inputs)], self.tokens[:, list(inputs)], self.head)


def _texts(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return column
    return pa.array([None if value is None else render(value) for value in _values(column)], pa.string())


def _values(column: pa.Array) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values


def sorted_rows(table: Table) -> Ints:
    """The rows in the order in which neighbours share most: no other one has a larger sum of shared prefixes.

    >>> sorted_rows(Table.of([pa.array(["b", "a", "b"]), pa.array(["x", "y", "a"])])).tolist()
    [1, 2, 0]
    """
    return np.lexsort(table.ranks.T[::-1]).astype(np.int64)


def without_repeats(table: Table, order: Ints) -> tuple[Ints, Ints]:
    """Sorted rows, and apart from them those that repeat one before: equal inputs are one question.

    >>> table = Table.of([pa.array(["b", "a", "b"])])
    >>> [rows.tolist() for rows in without_repeats(table, sorted_rows(table))]
    [[1, 0], [2]]
    """
    ranks = table.ranks[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (ranks[1:] != ranks[:-1]).any(axis=1)
    return order[new], order[~new]


def in_lanes(order: Ints, lanes: int) -> Ints:
    """The order walked in ``lanes`` places at once.

    >>> in_lanes(np.arange(7), 3).tolist()
    [0, 3, 5, 1, 4, 6, 2]
    """
    runs = np.array_split(order, max(1, lanes))
    step = np.concatenate([np.arange(len(run)) for run in runs])
    return np.concatenate(runs)[np.argsort(step, kind="stable")]


def granted(table: Table, order: Ints, lanes: int, grant: Grant) -> float:
    """The share of prompt tokens that a small cache grants when rows are asked in this order, ``lanes`` at once.

    A prompt finds what it shares with the last ``lanes`` prompts that are answered: not with those in flight beside it, nor
    with older ones, which a small cache has lost. So it is never more than a server grants.
    """
    ranks, tokens = table.ranks[order], table.tokens[order]
    best = np.zeros(len(order), np.int64)
    for shift in range(lanes, min(2 * lanes, len(order))):
        equal = np.logical_and.accumulate(ranks[shift:] == ranks[:-shift], axis=1)
        shared = (equal * tokens[shift:]).sum(axis=1) + table.head
        best[shift:] = np.maximum(best[shift:], grant.of(shared))
    total = int(tokens.sum()) + table.head * len(order)
    return float(best.sum() / total) if total else 0.0


def remembered(table: Table, grant: Grant) -> float:
    """The share of prompt tokens that a cache of any size grants, which the order of rows does not change.

    >>> remembered(Table.of([pa.array(["a" * 40] * 4), pa.array(list("wxyz"))]), Grant())
    0.6818181818181818
    """
    order = sorted_rows(table)
    ranks, tokens = table.ranks[order], table.tokens[order]
    equal = np.logical_and.accumulate(ranks[1:] == ranks[:-1], axis=1)
    shared = grant.of((equal * tokens[1:]).sum(axis=1) + table.head)
    total = int(tokens.sum()) + table.head * len(order)
    return float(shared.sum() / total) if total else 0.0


def input_order(table: Table) -> tuple[int, ...]:
    """The order of inputs in which prompts share most, one for all rows; of equally good ones that nearest to the written.

    What a set of inputs costs when another follows it depends on the set alone, not on its order: the texts of that other
    input, once for each combination that is new. So the best order is a cheapest way through the subsets.

    >>> input_order(Table.of([pa.array(["good", "bad", "fair"]), pa.array(["kettle"] * 3)]))
    (1, 0)
    """
    width = table.ranks.shape[1]
    least = sorted(range(width), key=lambda c: (_fresh(table, c), c))[:MOST_INPUTS]
    chosen = sorted(least)
    best = _cheapest(table.arranged(chosen))
    return (*(chosen[i] for i in best), *(c for c in range(width) if c not in chosen))


def _fresh(table: Table, column: int) -> int:
    _, first = np.unique(table.ranks[:, column], return_index=True)
    return int(table.tokens[first, column].sum())


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows that agree in a set of inputs: each row's group, and a row of each."""

    of: Ints
    first: Ints

    def split(self, ranks: Ints) -> _Groups:
        """By one more input."""
        if len(self.first) == len(self.of):  # each row is alone already
            return self
        keys = self.of * (int(ranks.max(initial=0)) + 1) + ranks
        _, first, of = np.unique(keys, return_index=True, return_inverse=True)
        return _Groups(of.astype(np.int64), first.astype(np.int64))


def _cheapest(table: Table) -> tuple[int, ...]:
    width = table.ranks.shape[1]
    groups = {0: _Groups(np.zeros(table.rows, np.int64), np.zeros(1, np.int64))}
    ways: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    for subset in range(1, 1 << width):
        members = [c for c in range(width) if subset >> c & 1]
        last = members[-1]
        groups[subset] = groups[subset ^ (1 << last)].split(table.ranks[:, last])
        texts = table.tokens[groups[subset].first].sum(axis=0)
        ways[subset] = min(
            (ways[subset ^ (1 << c)][0] + int(texts[c]), (*ways[subset ^ (1 << c)][1], c)) for c in members
        )
    return ways[(1 << width) - 1][1]


def percent(share: float) -> str:
    """For EXPLAIN.

    >>> percent(0.634)
    '63 %'
    """
    return f"{math.floor(100 * share + 0.5)} %"
