"""EMBEDDED: calls that no plan can lift stay in the text, as vectorised Arrow functions that ask through the same runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import CancelledError
from functools import cache, partial
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from ..dataflow import loop
from ..dataflow.run import QueryRun
from ..errors import Interrupted
from ..plan.nodes import SemanticCall
from ..types import to_arrow
from .duck import Duck
from .inputs import Inputs
from .operators.answers import inputs_of
from .operators.call import run_call
from .operators.call_stage import CallStage
from .stages import Stages

T = TypeVar("T")


class Lookup:
    """The function of one call: it answers a chunk of arguments by running the call operator on it.

    Attributes
    ----------
    stage : who answers. found : where inputs are noted instead of asked, all answers being NULL, while the first run of a
        statement looks for them (:mod:`.prefetch`).
    """

    def __init__(self, stage: CallStage, run: QueryRun) -> None:
        self.stage, self._run = stage, run
        self.found: Inputs | None = None

    def __call__(self, *columns: Any) -> pa.ChunkedArray:
        """The answers to a chunk, in one of DuckDB's threads."""
        size = len(columns[0]) if columns else 1
        names = self.stage.call.arguments
        arrays = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns[: len(names)]]
        batch = pa.RecordBatch.from_arrays(arrays, names=list(names)) if names else _rows(size)
        kind = self.stage.field().type
        if self.found is not None:
            self.found.note(inputs_of(self.stage.call, batch, aggregate=self.stage.aggregate))
            return pa.chunked_array([to_arrow([None] * size, self.stage.type)], type=kind)
        answered = wait_on_loop(partial(answer_chunk, batch, self.stage, self._run), self._run)
        return pa.chunked_array([b.column(b.num_columns - 1) for b in answered], type=kind)


class Lookups:
    """Look-up functions of one query on the user's connection.

    Attributes
    ----------
    made : those that are registered.
    """

    def __init__(self, duck: Duck, run: QueryRun, stages: Stages) -> None:
        self._duck, self._run, self._stages = duck, run, stages
        self._names: list[str] = []
        self.made: list[Lookup] = []

    def register(self, calls: tuple[SemanticCall, ...]) -> None:
        """Create one function per call."""
        for call in calls:
            lookup = Lookup(self._stages.stage(call), self._run)
            name = function_name(call)
            kind = lookup.stage.field().type
            self._duck.create_function(name, self, partial(create_lookup, self._duck.connection, name, lookup, kind))
            self._names.append(name)
            self.made.append(lookup)

    def unregister(self) -> None:
        """Remove them."""
        names, self._names = self._names, []
        self._duck.remove_functions(names, self)


def function_name(call: SemanticCall) -> str:
    """What a call's look-up is called in the text."""
    return f"__anser_{call.output.name}"


def create_lookup(
    connection: duckdb.DuckDBPyConnection, name: str, look_up: Callable[..., pa.ChunkedArray], kind: pa.DataType
) -> None:
    """Make ``name(dynamic arguments…)`` a function of the connection that gives Arrow's ``kind``.

    Never DEFAULT null handling (it forbids NULL results); side effects on, so that planning does not call it.
    """

    def function(*columns: Any) -> pa.ChunkedArray:  # DuckDB takes functions alone
        return look_up(*columns)

    connection.create_function(
        name,
        function,
        None,
        arrow_duckdb_type(kind),
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
        side_effects=True,
    )


@cache
def arrow_duckdb_type(arrow: pa.DataType) -> str:
    """The DuckDB type as which an Arrow type arrives."""
    with duckdb.connect() as bare:
        return str(bare.from_arrow(pa.table([pa.array([], arrow)], names=["x"])).types[0])


def wait_on_loop(ask: Callable[[], Coroutine[Any, Any, T]], run: QueryRun) -> T:
    """Run ``ask`` on the loop and wait for its end, in one of DuckDB's threads.

    Cancelling the query cancels it, because DuckDB's own interrupt is not heard in here.
    """
    tasks: list[asyncio.Task[Any] | None] = []

    async def asking() -> T:
        tasks.append(asyncio.current_task())
        return await ask()

    asked = loop.submit(asking())
    forget = run.on_cancel(asked.cancel)
    try:
        return asked.result()
    except CancelledError:
        raise run.error or Interrupted("The query was stopped.") from None
    finally:
        forget()
        asked.cancel()
        for task in filter(None, tasks):
            loop.submit(_ended(task)).result()


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})


def _rows(size: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(size)], names=["__row"])


async def answer_chunk(batch: pa.RecordBatch, stage: CallStage, run: QueryRun) -> list[pa.RecordBatch]:
    """A chunk with its answers, cut smaller; see ``run_call``."""

    async def once() -> AsyncIterator[pa.RecordBatch]:
        yield batch

    try:
        return [b async for b in run_call(once(), stage, run, None)]
    except BaseException as error:
        run.fail(error)  # DuckDB hands on only the text
        raise
