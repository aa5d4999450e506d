"""The rows of a call that are pairs of a join: likely ones are asked, of the others a sample or what blocks of them name; those
left out are answered FALSE.

All rows of a population have to be there before the first is asked, since each is measured by the others. A population is
bounded; what comes after it is another one, with half the error probability of the one before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa

from ....udfs.prompts.inputs import render
from ...dataflow import streams
from ...dataflow.lookups import in_thread
from ...plan.nodes import SemanticCall
from ...plan.pairs import Pairs
from ...types import to_arrow
from ..joining.blocking import DELTA, WORTHWHILE, Blocked, Ints, Phase
from ..joining.similarity import pair_scores
from ..slices import sliced
from .answers import inputs_of
from .by_labels import Labelled
from .call_stage import CallStage
from .join_books import JoinBooks
from .join_way import Bounds, Scores, joined
from .known_pairs import known_pairs, left_over
from .pair_blocks import PairBlocks, layout_of
from .questions import key_of

Batches = AsyncIterator[pa.RecordBatch]

MOST_ROWS = 1 << 20
MOST_BYTES = 256 << 20
MOST_TEXTS = 1 << 14
"""Of more distinct texts, vectors would not fit in memory; then pairs are asked in no particular order."""
LEAST_CHUNK = 32
BATCH_ROWS = 2048


@dataclass(frozen=True)
class _Population:
    """Rows, and the distinct pairs that they ask about.

    Parameters
    ----------
    unit_of : per row its pair, -1 where the answer is NULL without a call. rows : per pair the first row with it.
    lefts, rights : per pair the place of its texts. left_texts, right_texts : distinct ones.
    """

    table: pa.RecordBatch
    unit_of: list[int]
    rows: list[int]
    lefts: Ints
    rights: Ints
    left_texts: Sequence[str]
    right_texts: Sequence[str]
    left_values: Sequence[Sequence[Any]]
    right_values: Sequence[Sequence[Any]]

    def scores(self) -> Scores:
        """How likely each pair is, for the order in which they are asked."""
        if len(self.left_texts) + len(self.right_texts) > MOST_TEXTS:
            return [0.0] * len(self.rows)
        return pair_scores(self.left_texts, self.right_texts, (self.lefts, self.rights))

    @property
    def chunk(self) -> int:
        """Pairs to ask between looks: about one per two texts of the longer side."""
        return max(LEAST_CHUNK, max(len(self.left_texts), len(self.right_texts)) // 2)

    @cached_property
    def _by_place(self) -> tuple[Ints, Ints]:
        """Where pairs stand among all of both sides, in ascending order, and which pairs they are."""
        places = self.lefts * len(self.right_texts) + self.rights
        order = np.argsort(places).astype(np.int64)
        return places[order], order

    def sides_of(self, pairs: Collection[int]) -> tuple[Ints, Ints]:
        """Where the texts of these pairs stand."""
        some = np.array(sorted(pairs), np.int64)
        return self.lefts[some], self.rights[some]

    def numbers(self, places: Ints) -> Ints:
        """The pairs that stand there; -1 where none does."""
        known, order = self._by_place
        at = np.minimum(np.searchsorted(known, places), len(known) - 1)
        return np.where(known[at] == places, order[at], -1)


async def run_paired(batches: Batches, ask: Callable[[Batches], Batches], stage: CallStage, pairs: Pairs) -> Batches:
    """The batches with the answer column: same rows, same order.

    Parameters
    ----------
    ask : the operator that asks every row it gets. pairs : what is compared with what, and the recall that is wanted.
    """
    books = JoinBooks(stage)
    delta = DELTA
    async with streams.closing(batches):
        async for rows in _populations(batches):
            delta /= 2
            whole = await in_thread(partial(_population, stage.call, pairs, rows))
            alone = partial(_judge, whole, ask, stage.call.output.name, phase="sample")
            known = await known_pairs(stage, pairs, whole, alone, delta / 2)
            population = await in_thread(partial(_others, whole, known.answers))
            scores = await in_thread(population.scores)
            judge = partial(_judge, population, ask, stage.call.output.name)
            blocks = await in_thread(partial(_blocks, population, stage, pairs))
            bounds = Bounds(chunk=population.chunk, recall=pairs.recall, delta=delta / (1 + pairs.labels))
            way = await joined(stage, blocks, scores, judge, bounds, population.sides_of)
            found = way.found
            books.know(known)
            books.add(len(population.rows), found, 0 if blocks is None else blocks.asked, way.note)
            answers = _column(whole, known, population, found, stage)
            books.close(answers, whole.unit_of.count(-1))
            answered = rows.append_column(stage.field(), answers)
            for start in range(0, rows.num_rows, BATCH_ROWS):
                yield sliced(answered, start, BATCH_ROWS)


async def _judge(
    population: _Population, ask: Callable[[Batches], Batches], output: str, units: Ints, phase: Phase
) -> list[bool | None]:
    del phase
    rows = pa.array([population.rows[unit] for unit in units.tolist()], pa.int64())
    answers: list[bool | None] = []
    async with streams.closing(ask(_once(population.table.take(rows)))) as answered:
        async for batch in answered:
            answers += batch.column(output).to_pylist()
    return answers


def _blocks(population: _Population, stage: CallStage, pairs: Pairs) -> PairBlocks | None:
    """Who asks about many pairs in a prompt; ``None``: it would not pay, or prompts cannot be taken apart."""
    if stage.blocks is None or len(population.rows) < WORTHWHILE:
        return None
    layout = layout_of(stage, pairs, population.left_values[0])
    if layout is None:
        return None
    return PairBlocks(stage, layout, population.left_values, population.right_values, population.numbers)


def _others(whole: _Population, known: Mapping[int, object]) -> _Population:
    """The pairs that are not known, as a population of its own."""
    if not known:
        return whole
    units, unit_of = left_over(whole.unit_of, known, len(whole.rows))
    rows, at = [whole.rows[unit] for unit in units], np.array(units, np.int64)
    return replace(whole, unit_of=unit_of, rows=rows, lefts=whole.lefts[at], rights=whole.rights[at])


def _column(whole: _Population, known: Labelled, population: _Population, found: Blocked, stage: CallStage) -> pa.Array:
    answers = [None if unit < 0 else found.answers[unit] for unit in population.unit_of]
    if known.answers:
        answers = [known.answers.get(unit, said) for unit, said in zip(whole.unit_of, answers, strict=True)]
    return to_arrow(answers, stage.type)


def _population(call: SemanticCall, pairs: Pairs, table: pa.RecordBatch) -> _Population:
    units, left_keys, right_keys = _Places(), _Places(), _Places()
    at = {name: place for place, name in enumerate(call.arguments)}
    left_at, right_at = [at[name] for name in pairs.left], [at[name] for name in pairs.right]
    unit_of: list[int] = []
    rows: list[int] = []
    sides: list[tuple[int, int]] = []
    for row, values in enumerate(inputs_of(call, table, aggregate=False)):
        if values is None:
            unit_of.append(-1)
            continue
        sides_of = left_keys.of(values, left_at), right_keys.of(values, right_at)
        unit = units.place(sides_of, "")
        unit_of.append(unit)
        if unit == len(rows):
            rows.append(row)
            sides.append(sides_of)
    lefts, rights = np.array(sides, np.int64).reshape(-1, 2).T
    texts = left_keys.texts, right_keys.texts
    return _Population(table, unit_of, rows, lefts, rights, *texts, left_keys.values, right_keys.values)


class _Places:
    """Distinct things, numbered as they come."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[Sequence[Any]] = []
        self._known: dict[Hashable, int] = {}

    def of(self, values: Sequence[Any], at: Sequence[int]) -> int:
        """The place of a side, which has the values at these positions of a row."""
        own = [values[i] for i in at]
        key = key_of(own)
        known = self._known.get(key)
        if known is not None:
            return known
        self.values.append(values)
        return self.place(key, " ".join(map(render, own)))

    def place(self, key: Hashable, text: str) -> int:
        """The place of a key, whose text is ``text``."""
        place = self._known.setdefault(key, len(self.texts))
        if place == len(self.texts):
            self.texts.append(text)
        return place


async def _populations(batches: Batches) -> Batches:
    parts: list[pa.RecordBatch] = []
    rows = size = 0
    async for batch in batches:
        parts.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= MOST_ROWS or size >= MOST_BYTES:
            yield pa.concat_batches(parts)
            parts, rows, size = [], 0, 0
    if rows:
        yield pa.concat_batches(parts)


async def _once(batch: pa.RecordBatch) -> Batches:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield sliced(batch, start, BATCH_ROWS)
