"""The rows of a call that are pairs of a join: likely ones are asked, of the others a sample; those left out are answered FALSE.

All rows of a population have to be there before the first is asked, since each is measured by the others. A population is
bounded; what comes after it is another one, with half the error probability of the one before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ....udfs.prompts.inputs import render
from ...dataflow import streams
from ...dataflow.lookups import in_thread
from ...plan.nodes import Pairs, SemanticCall
from ...types import to_arrow
from ..joining.blocking import DELTA, Blocked, Ints, Phase, blocked
from ..joining.similarity import pair_scores
from ..slices import sliced
from .answers import inputs_of
from .call_stage import CallStage
from .questions import key_of

Batches = AsyncIterator[pa.RecordBatch]

MOST_ROWS = 1 << 20
MOST_BYTES = 256 << 20
MOST_TEXTS = 1 << 14
"""Of more distinct texts, vectors would not fit in memory; then pairs are asked in no particular order."""
LEAST_CHUNK = 32
BATCH_ROWS = 2048


@dataclass(frozen=True, slots=True)
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

    def scores(self) -> Sequence[float] | np.ndarray[Any, np.dtype[np.float32]]:
        """How likely each pair is, for the order in which they are asked."""
        if len(self.left_texts) + len(self.right_texts) > MOST_TEXTS:
            return [0.0] * len(self.rows)
        return pair_scores(self.left_texts, self.right_texts, (self.lefts, self.rights))

    @property
    def chunk(self) -> int:
        """Pairs to ask between looks: about one per text of the longer side."""
        return max(LEAST_CHUNK, len(self.left_texts), len(self.right_texts))


async def run_paired(batches: Batches, ask: Callable[[Batches], Batches], stage: CallStage, pairs: Pairs) -> Batches:
    """The batches with the answer column: same rows, same order.

    Parameters
    ----------
    ask : the operator that asks every row it gets. pairs : what is compared with what, and the recall that is wanted.
    """
    books = _Books(stage)
    delta = DELTA
    async with streams.closing(batches):
        async for rows in _populations(batches):
            delta /= 2
            population = await in_thread(partial(_population, stage.call, pairs, rows))
            scores = await in_thread(population.scores)
            judge = partial(_judge, population, ask, stage.call.output.name)
            found = await blocked(scores, judge, chunk=population.chunk, recall=pairs.recall, delta=delta)
            books.add(population, found)
            answered = rows.append_column(stage.field(), _column(population, found, stage))
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


def _column(population: _Population, found: Blocked, stage: CallStage) -> pa.Array:
    return to_arrow([None if unit < 0 else found.answers[unit] for unit in population.unit_of], stage.type)


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
        sides_of = left_keys.of([values[i] for i in left_at]), right_keys.of([values[i] for i in right_at])
        unit = units.place(sides_of, "")
        unit_of.append(unit)
        if unit == len(rows):
            rows.append(row)
            sides.append(sides_of)
    lefts, rights = np.array(sides, np.int64).reshape(-1, 2).T
    return _Population(table, unit_of, rows, lefts, rights, left_keys.texts, right_keys.texts)


class _Places:
    """Distinct things, numbered as they come."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known: dict[Hashable, int] = {}

    def of(self, values: Sequence[Any]) -> int:
        """The place of a side's values."""
        key = key_of(values)
        known = self._known.get(key)
        return self.place(key, " ".join(map(render, values))) if known is None else known

    def place(self, key: Hashable, text: str) -> int:
        """The place of a key, whose text is ``text``."""
        place = self._known.setdefault(key, len(self.texts))
        if place == len(self.texts):
            self.texts.append(text)
        return place


class _Books:
    """What watchers and EXPLAIN ANALYZE are told."""

    def __init__(self, stage: CallStage) -> None:
        self._progress = stage.caller.progress
        self._pairs = self._candidates = self._sampled = 0
        self._recall, self._delta = 1.0, 0.0

    def add(self, population: _Population, found: Blocked) -> None:
        """Rows that nobody asked about went through the call, too."""
        unasked = population.table.num_rows - found.candidates - found.sampled
        self._progress.rows_in += unasked
        self._progress.rows_done += unasked
        self._progress.rows_null += unasked
        self._pairs += len(population.rows)
        self._candidates += found.candidates
        self._sampled += found.sampled
        self._recall = min(self._recall, found.recall)
        self._delta += found.delta
        self._progress.notes["join"] = (
            f"blocking by shared words, then asked: of {self._pairs:,} distinct pairs {self._candidates:,} candidates and "
            f"{self._sampled:,} sampled from the others; recall ≥ {self._recall:.1%} (δ = {self._delta:.3g})"
        )


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
