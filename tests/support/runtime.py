"""Parts of a running query for tests of the runtime: a plain task, a stage over a scripted model, tables as streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from anserdb.engine.dataflow.caller import Caller
from anserdb.engine.dataflow.demand import Demand
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.errors import InvalidAnswer
from anserdb.engine.physical.operators.call import run_call
from anserdb.engine.physical.operators.call_stage import CallStage
from anserdb.engine.plan.nodes import Column, SemanticCall
from anserdb.engine.settings import Settings
from anserdb.engine.store import Store
from anserdb.engine.types import VARCHAR, SqlType, details_type
from anserdb.udfs.models.base import Capabilities, Generate, Model, ModelSpec, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.spec import Ask

SPEC = ModelSpec("scripted", "scripted")


class Shout:
    """A task that sends its arguments as text and takes any answer but one that begins with ``invalid``."""

    def __init__(self, probe: str | None = None) -> None:
        self.prepared = 0
        self._probe = probe

    async def prepare(self, ask: Ask) -> None:
        self.prepared += 1
        for request in self.preparation():
            await ask(request, take)

    def preparation(self) -> Sequence[Generate]:
        return [Generate("probe", self._probe)] if self._probe is not None else []

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        return await ask(self.requests(row)[0], take)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        return [Generate("shout", "|".join(map(str, row)), max_tokens=20)]

    def notes(self) -> Mapping[str, str]:
        return {"prepared": str(self.prepared)}


def take(reply: Reply) -> str:
    """The parser of :class:`Shout`."""
    if reply.text.startswith("invalid"):
        raise InvalidAnswer("not what was asked for", "scripted", reply.text)
    return reply.text


def shouting(request: Request) -> str:
    """The scripted answer: the row in capitals."""
    assert isinstance(request, Generate)
    return request.user.upper()


def shouter(*first: Any, concurrency: int = 4, **options: Any) -> ScriptedModel:
    """A scripted model that shouts, after the rules given."""
    capabilities = Capabilities(embeds=True, choice_scores=True, local=True, concurrency=concurrency, dimension=4)
    return ScriptedModel([*first, ("", shouting)], capabilities=capabilities, **options)


def new_run(store: Store, query_id: str | None = None, **settings: Any) -> QueryRun:
    """A query over a store."""
    return QueryRun(store, Settings(**settings), query_id)


def stage_of(
    run: QueryRun,
    model: Model,
    *,
    task: Any = None,
    columns: Sequence[str] = ("x",),
    guard: str | None = None,
    distinct: bool = True,
    on_error: str = "null",
    cache: bool = True,
    spec: ModelSpec = SPEC,
    type: SqlType = VARCHAR,  # noqa: A002
    aggregate: bool = False,
    site: str = "1:SHOUT",
) -> CallStage:
    """A call of :class:`Shout` over some columns."""
    output = details_type(type) if on_error == "details" else type
    call = SemanticCall(
        site=site,
        function="SHOUT",
        constants=(),
        arguments=tuple(columns),
        argument_types=("VARCHAR",) * len(columns),
        argument_texts=tuple(columns),
        options={"on_error": on_error, "cache": cache},
        guard=guard,
        output=Column("__s1", output.text, "shout(x)"),
        distinct=distinct,
    )
    caller = Caller(run, model, spec, site=site, function="SHOUT", cache=cache)
    return CallStage(call, task or Shout(), output, caller, aggregate)


async def stream(table: pa.Table, rows_per_batch: int = 100) -> AsyncIterator[pa.RecordBatch]:
    """A table as batches."""
    for batch in table.to_batches(max_chunksize=rows_per_batch):
        yield batch


async def answers(
    table: pa.Table, stage: CallStage, run: QueryRun, demand: Demand | None = None, rows_per_batch: int = 100
) -> list[Any]:
    """The answer column of the whole table; the other columns are checked to be as they were."""
    batches = [batch async for batch in run_call(stream(table, rows_per_batch), stage, run, demand)]
    if not batches:
        return []
    result = pa.Table.from_batches(batches)
    if demand is None:
        assert result.drop_columns(["__s1"]).to_pylist() == table.to_pylist()
    return list(result.column("__s1").to_pylist())


def texts(values: Iterable[str | None]) -> pa.Table:
    """A table with one text column ``x``."""
    return pa.table({"x": pa.array(list(values), pa.string())})


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; the test's own timeout ends it if that never happens."""
    while not condition():
        await asyncio.sleep(0.001)


def strangers() -> set[str]:
    """Names of the tasks on this loop besides the caller's."""
    current = asyncio.current_task()
    return {str(task) for task in asyncio.all_tasks() if task is not current}


def store_at(folder: Path) -> Store:
    """A store in a folder."""
    return Store.open(folder / "answers.anser")
