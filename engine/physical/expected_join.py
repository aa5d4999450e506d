"""What a join's condition is expected to ask, where not every pair is asked alone: measured on its two sides, without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import cycle, islice
from math import ceil
from statistics import fmean
from typing import Any

import numpy as np

from ...optimizer.context import Statistics
from ...optimizer.cost.figure import Figure, exactly, guess, joined
from ...optimizer.cost.sampled import Joined, Prompts
from ...udfs.models.base import Request
from ...udfs.prompts.inputs import render
from ...udfs.prompts.pair_blocks import pair_block
from ..plan.nodes import SemanticCall
from ..plan.pairs import Pairs
from .duck import Duck
from .join_worlds import Asks, Shape, asks, worlds
from .joining.block_join import FIRST_SHARE
from .joining.block_size import block_rows
from .joining.blocking import WORTHWHILE, Ints
from .learnt import Learnt
from .operators.call_stage import CallStage
from .operators.label_grid import FEWER, MOST_LABELS, NAMED_TOKENS, Grid, grid_of
from .operators.pair_blocks import MOST_PAIRS, PairBlocks, layout_of
from .operators.paired import MOST_ROWS

LOOKED_AT = 64
"""Texts of a side whose lengths are measured."""
MOST_MEASURED = 400
"""Texts of a side by which the price of blocks is found; of more it grows as the pairs do."""
FEW_TIMES, NEARLY = 4.0, 1.25
"""Factors by which a prior number of matches, and a share that earlier runs have shown, may be wrong either way."""
ALL = 0.95
"""From such a share of the pairs on, all were asked."""
PAIR_TOKENS, FRAME_TOKENS = 13.0, 6.0
"""Output of a block: a pair of ids, and what is around all of them."""

TokensOf = Callable[[Request], float]
Values = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Sides:
    """The pairs of a join, as far as they are looked at.

    Parameters
    ----------
    total : rows of the join. counted : whether these are all. rows : without a NULL. lefts, rights : distinct texts of each side.
    some_lefts, some_rights : arguments of a pair with each of the first of them.
    """

    total: int
    counted: bool
    rows: int
    lefts: int
    rights: int
    some_lefts: list[Values]
    some_rights: list[Values]

    def inputs(self, call: SemanticCall, pairs: Pairs) -> list[Values]:
        """Pairs of which neither side is there more often than the other."""
        left = [name in pairs.left for name in call.arguments]
        count = max(len(self.some_lefts), len(self.some_rights))
        both = zip(islice(cycle(self.some_lefts), count), islice(cycle(self.some_rights), count), strict=False)
        return [tuple(a if mine else b for a, b, mine in zip(one, other, left, strict=True)) for one, other in both]


def sides_of(duck: Duck, sql: str, call: SemanticCall, pairs: Pairs) -> Sides:
    """Count a join's sides, of no more rows than are joined at a time."""
    known = " AND ".join(f"{name} IS NOT NULL" for name in call.arguments)
    rows = f"(SELECT * FROM ({sql}) AS __part LIMIT {MOST_ROWS})"
    left, right = (f"row({', '.join(names)})" for names in (pairs.left, pairs.right))
    counts = f"count(*), count(*) FILTER ({known}), count(DISTINCT {left}) FILTER ({known}), count(DISTINCT {right}) FILTER ({known})"
    ((total, whole, lefts, rights),) = duck.execute(f"SELECT {counts} FROM {rows}").fetchall()

    def some(side: Sequence[str]) -> list[Values]:
        arguments, own = ", ".join(call.arguments), ", ".join(side)
        distinct = (
            f"SELECT DISTINCT ON ({own}) {arguments} FROM {rows} WHERE {known} ORDER BY hash({own}) LIMIT {LOOKED_AT}"
        )
        return [tuple(row[name] for name in call.arguments) for row in duck.table(distinct).to_pylist()]

    return Sides(total, total < MOST_ROWS, whole, lefts, rights, some(pairs.left), some(pairs.right))


def expected_join(
    sides: Sides, stage: CallStage, pairs: Pairs, rows: Figure, statistics: Statistics, tokens_of: TokensOf
) -> Joined:
    """What the call is expected to ask.

    Parameters
    ----------
    rows : of the join. tokens_of : of a request, as the others are counted.
    """
    distinct = float(min(sides.rows, sides.lefts * sides.rights))
    if distinct < WORTHWHILE:
        return Joined(distinct, exactly(distinct, "few pairs"), _none())
    grid, blocks = _grid(sides, stage, pairs), _blocks(sides, stage, pairs)
    price, labels = None if blocks is None else _price(blocks, sides), None if grid is None else grid.costs
    shape = Shape(sides.rows, distinct, sides.lefts, sides.rights, pairs.recall, price, labels, pairs.keys)
    matches = _matches(sides, stage.call, statistics, grid is not None)
    every = [asks(shape, world) for world in worlds(matches)]
    found, alone = _narrowed(every, shape, _asked_before(statistics, stage.call), matches.source)
    beside = _prompts(found, sides, blocks, grid, matches.value, tokens_of)
    if len(found) == 1 or pairs.keys:
        # With keys, perhaps only a part of the blocks is asked.
        beside = _nearly(beside, 0.0 if pairs.keys else 1 / NEARLY)
    populations = max(1.0, rows.value / sides.total) if sides.total else 1.0
    whole = Figure(min(alone.value, distinct), alone.source, alone.low, min(alone.high or distinct, distinct))
    return Joined(distinct * populations, whole.scaled(populations), _scaled(beside, populations))


def _narrowed(found: list[Asks], shape: Shape, before: Figure | None, source: str) -> tuple[list[Asks], Figure]:
    """What may be asked, and how many pairs alone. ``before`` : the share of the pairs that earlier queries asked."""
    if before is not None and before.value < ALL:
        alone = before.scaled(shape.rows)
        return [min(found, key=lambda each: abs(each.alone - alone.value))], alone
    # All were asked by who may leave out none, or because nothing could be proved: then it may be so again.
    found = found if before is None else [*found, Asks(shape.pairs)]
    return found, _spread([each.alone for each in found], joined(source, "likeness of pairs unknown"))


def _matches(sides: Sides, call: SemanticCall, statistics: Statistics, labels: bool) -> Figure:
    """How many pairs match."""
    learnt = statistics.selectivity(call)
    if learnt is not None:
        return learnt.scaled(sides.rows)
    if labels:
        return guess(float(max(sides.lefts, sides.rights)), "prior: a label a row", FEW_TIMES)
    return guess(float(min(sides.lefts, sides.rights)), "prior: a match a row of the smaller side", FEW_TIMES)


def _spread(values: Sequence[float], source: str) -> Figure:
    """The first, between the least and the most."""
    return Figure(values[0], source, min(values), max(values))


@dataclass(frozen=True, slots=True)
class _Before(Learnt):
    """What earlier queries have asked of the pairs that they answered."""

    def share(self, call: SemanticCall) -> Figure | None:
        """Of rows that were answered, those whose pair was asked alone; ``None``: nothing is known."""
        known = [each for each in self._of(call) if each.rows]
        rows, asked = sum(each.rows for each in known), sum(min(each.inputs, each.rows) for each in known)
        if not rows or not asked:
            return None
        return guess(asked / rows, f"statistics of {rows:,.0f} pairs", NEARLY)


def _asked_before(statistics: Statistics, call: SemanticCall) -> Figure | None:
    if not isinstance(statistics, Learnt):
        return None
    return _Before(**{field.name: getattr(statistics, field.name) for field in fields(Learnt)}).share(call)


def _blocks(sides: Sides, stage: CallStage, pairs: Pairs) -> PairBlocks | None:
    layout = layout_of(stage, pairs, sides.some_lefts[0])
    if stage.blocks is None or layout is None:
        return None
    lefts = list(islice(cycle(sides.some_lefts), min(sides.lefts, MOST_MEASURED)))
    rights = list(islice(cycle(sides.some_rights), min(sides.rights, MOST_MEASURED)))
    return PairBlocks(stage, layout, lefts, rights, _nobody)


def _price(blocks: PairBlocks, sides: Sides) -> float:
    """Of asking about all pairs in blocks."""
    measured = min(sides.lefts, MOST_MEASURED) * min(sides.rights, MOST_MEASURED)
    return blocks.price * sides.lefts * sides.rights / measured


def _nobody(places: Ints) -> Ints:
    """Numbers of no pairs: nothing is asked."""
    return np.full(len(places), -1, np.int64)


@dataclass(frozen=True, slots=True)
class _Crossed:
    """All pairs of some rows and all labels; see ``label_grid.Population``."""

    left_values: list[Values]
    right_values: list[Values]
    left_texts: list[str]
    right_texts: list[str]

    @property
    def rows(self) -> list[int]:
        return list(range(len(self.left_values) * len(self.right_values)))

    @property
    def lefts(self) -> Ints:
        return np.repeat(np.arange(len(self.left_values)), len(self.right_values))

    @property
    def rights(self) -> Ints:
        return np.tile(np.arange(len(self.right_values)), len(self.left_values))


def _grid(sides: Sides, stage: CallStage, pairs: Pairs) -> Grid | None:
    """As the join will see it, of as many rows as decide whether it is worth while."""
    few, many = sorted((sides.lefts, sides.rights))
    if stage.labels is None or not 0 < few <= MOST_LABELS:
        return None
    enough = min(many, max(FEWER * few, ceil(WORTHWHILE / few)))
    lefts, rights = (
        list(islice(cycle(some), count if count == few else enough))
        for some, count in ((sides.some_lefts, sides.lefts), (sides.some_rights, sides.rights))
    )
    at = {name: place for place, name in enumerate(stage.call.arguments)}
    texts = [
        [" ".join(render(values[at[name]]) for name in names) for values in side]
        for side, names in ((lefts, pairs.left), (rights, pairs.right))
    ]
    return grid_of(stage, pairs, _Crossed(lefts, rights, *texts))


def _prompts(
    found: Sequence[Asks],
    sides: Sides,
    blocks: PairBlocks | None,
    grid: Grid | None,
    matches: float,
    tokens_of: TokensOf,
) -> Prompts:
    """Blocks, and questions about all labels: how many, and their tokens."""
    nothing = (0.0, 0.0, 0.0)
    sweep = nothing if blocks is None else _sweep(sides, blocks, matches, tokens_of)
    label = nothing if grid is None else _label(grid, tokens_of)
    each = [[one.sweeps * s + one.together * t for s, t in zip(sweep, label, strict=True)] for one in found]
    calls, read, written = (_spread(list(values), "decided as it goes") for values in zip(*each, strict=True))
    return Prompts(calls, read, written)


def _label(grid: Grid, tokens_of: TokensOf) -> tuple[float, float, float]:
    """A question about all labels, and its tokens."""
    rows = range(min(LOOKED_AT, len(grid.rows)))
    return 1.0, fmean(tokens_of(grid.prompt(row)) for row in rows), NAMED_TOKENS


def _sweep(sides: Sides, blocks: PairBlocks, matches: float, tokens_of: TokensOf) -> tuple[float, float, float]:
    """Blocks of one sweep over all pairs, and their tokens."""
    left, right = block_rows((sides.lefts, sides.rights), blocks.sizes, FIRST_SHARE, MOST_PAIRS)
    lefts, rights = (list(islice(cycle(side), n)) for side, n in zip(blocks.sides, (left, right), strict=True))
    count = ceil(sides.lefts / left) * ceil(sides.rights / right)
    a_block = tokens_of(pair_block(blocks.layout.request, blocks.layout.question, lefts, rights).request)
    return float(count), count * a_block, count * FRAME_TOKENS + matches * PAIR_TOKENS


def _nearly(many: Prompts, least: float) -> Prompts:
    """As many, about."""
    wide = (Figure(1.0, "", least, NEARLY).times(f) for f in (many.calls, many.tokens_in, many.tokens_out))
    return Prompts(*wide)


def _scaled(many: Prompts, factor: float) -> Prompts:
    return Prompts(many.calls.scaled(factor), many.tokens_in.scaled(factor), many.tokens_out.scaled(factor))


def _none() -> Prompts:
    nothing = exactly(0.0, "")
    return Prompts(nothing, nothing, nothing)
