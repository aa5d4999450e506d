"""GROUP BY over rows whose path says which group they belong to: groups are made as soon as their parent's rows are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial

import duckdb
import pyarrow as pa

from ...dataflow.worker import Worker
from ...plan.nodes import Grouping
from ..operators.fragment import BatchQuery
from .ancestry import Ancestry, Path, path_field, path_names
from .gather import Closed, gathered

_FIRST = "__first"


def grouped(
    grouping: Grouping, names: tuple[str, ...], source: str, prefix: tuple[str, ...], path: tuple[str, ...]
) -> str:
    """The groups below each prefix, in the order of their first rows.

    Parameters
    ----------
    names : of the columns that it yields; those of the prefix follow. source : a FROM item. prefix, path : columns of it.
    """
    items = [*(f"{item} AS {name}" for item, name in zip(grouping.items, names, strict=True)), *prefix]
    keys = ", ".join((*grouping.keys, *prefix))
    having = f" HAVING {grouping.having}" if grouping.having else ""
    first = f"min(struct_pack({', '.join(f'{name} := {name}' for name in path)}))"
    inner = f"SELECT {', '.join(items)}, {first} AS {_FIRST} FROM {source} GROUP BY {keys}{having}"
    return f"SELECT * EXCLUDE ({_FIRST}) FROM ({inner}) ORDER BY {_FIRST}"


class Regroup:
    """The groups of one level.

    Parameters
    ----------
    connection : a bare one, which this object owns. sql : the query over ``__batch`` for so many ordinals in the prefix.
    schema : of rows that come in. width : ordinals in the path of those that go out.

    Attributes
    ----------
    out : the schema of its rows without their path.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, sql: Callable[[int], str], schema: pa.Schema, width: int
    ) -> None:
        self._sql, self._schema, self._width = sql, schema, width
        self._query = BatchQuery(connection, sql(0))
        self.out: pa.Schema = self._query.apply(pa.RecordBatch.from_pylist([], schema=schema)).schema

    def apply(self, closed: Closed, length: int) -> pa.RecordBatch:
        """The groups of what has closed, each with the path of its prefix and its ordinal among the groups there."""
        self._query.sql = self._sql(length)
        batch = self._query.apply(_one(closed.table(self._schema)))
        prefixes: list[Path] = [()] * batch.num_rows
        if length:
            prefixes = list(zip(*(batch.column(path_field(i).name).to_pylist() for i in range(length)), strict=True))
        fields = [path_field(i) for i in range(self._width)]
        # Where there is one group of all rows, the path is as long as it would have been otherwise.
        none = [pa.array([0] * batch.num_rows, pa.int64())] * (self._width - length - 1)
        columns = [*batch.columns, *none, pa.array(_numbers(prefixes), pa.int64())]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*self.out, *fields]))

    def close(self) -> None:
        """Close the connection."""
        self._query.close()


async def run_regroup(
    batches: AsyncIterator[pa.RecordBatch], regroup: Regroup, ancestry: Ancestry
) -> AsyncIterator[pa.RecordBatch]:
    """Groups with their paths.

    Parameters
    ----------
    ancestry : of the operators below; the nearest level is this one's, and those further up are told what became of the rows.
    """
    level, above = ancestry.levels[0], Ancestry(ancestry.levels[1:])
    worker = Worker("anserdb-groups")
    try:
        async for closed in gathered(batches, ancestry):
            if not closed.batches:
                continue
            result = await worker.run(partial(regroup.apply, closed, level.length))
            _tell(above, closed, result)
            if result.num_rows:
                yield result
    finally:
        await worker.run(regroup.close)
        worker.stop()


def _tell(above: Ancestry, closed: Closed, result: pa.RecordBatch) -> None:
    """Groups have taken the place of rows."""
    if not above.levels:
        return
    names = path_names(result.schema)
    above.came(zip(*(result.column(name).to_pylist() for name in names), strict=True))
    for prefix, rows in closed.counted().items():
        for level in above.levels:
            level.change(prefix, -rows)


def _numbers(prefixes: list[Path]) -> list[int]:
    """For each, how many equal ones came before it."""
    seen: Counter[Path] = Counter()
    numbers: list[int] = []
    for prefix in prefixes:
        numbers.append(seen[prefix])
        seen[prefix] += 1
    return numbers


def _one(table: pa.Table) -> pa.RecordBatch:
    batches: list[pa.RecordBatch] = table.combine_chunks().to_batches()
    return batches[0]
