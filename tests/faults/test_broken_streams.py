"""Lists that are heard while streams break off, dribble and err: the same lists in the end, and nothing emitted that is not in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import stamina

from anserdb.engine.dataflow.caller import Caller
from anserdb.engine.store import Store
from anserdb.udfs.models.base import ModelSpec
from anserdb.udfs.models.openai_compatible import BACKEND
from anserdb.udfs.models.wrap.retried import Retried
from anserdb.udfs.spec import Task
from tests.support.function_call import DYNAMIC, bound, task
from tests.support.loopback import Fault, LoopbackServer
from tests.support.runtime import new_run

ROWS = [" ".join(f"word{row}x{number}" for number in range(5 + row % 20)) for row in range(60)]
FAULTS: tuple[tuple[float, Any], ...] = ((0.2, "truncated_sse"), (0.25, "truncated_body"), (0.3, 503))


def broken(number: int, _: dict[str, Any]) -> Fault | None:
    """One stream in five ends in the middle, one answer in ten has another fault; two are no JSON, fewer than the re-asks."""
    if number in (3, 30):
        return Fault("malformed_json")
    luck = Random(number).random()
    return next((Fault(what) for upto, what in FAULTS if luck < upto), None)


def words(body: dict[str, Any]) -> list[str]:
    return str(body["messages"][-1]["content"]).removeprefix("Body: ").split()


def parts(body: dict[str, Any]) -> str:
    return json.dumps({"parts": words(body)})


def rows(body: dict[str, Any]) -> str:
    return json.dumps({"rows": [{"item": word, "size": len(word)} for word in words(body)]})


SPLIT, _ = task("LLM_SPLIT", bound(DYNAMIC, "words", texts=("t.body", "…")))
TABLE, _ = task("LLM_EXTRACT_TABLE", bound(DYNAMIC, {"item": "VARCHAR", "size": "INTEGER"}, texts=("t.body", "…")))


async def listed(
    call: Any, answer: Callable[[dict[str, Any]], str], fault: Any, *, stream: bool
) -> tuple[Any, Any, Any]:
    """Every row's list, what was emitted on the way, and what the server saw."""
    emitted: list[list[Any]] = [[] for _ in ROWS]
    async with LoopbackServer(fault=fault, answer=answer) as server:
        spec = ModelSpec("m", "openai", {"base_url": server.base_url, "model": "simulated", "concurrency": 8})
        with Store.open(None) as store, stamina.set_testing(True, attempts=20, cap=True):
            model = Retried(BACKEND.create(spec), max_retries=20)
            ask = Caller(new_run(store), model, spec, site="1:F", function="F")

            async def one(number: int) -> Any:
                if stream:
                    return await call.stream([ROWS[number]], ask, emitted[number].append)
                return await call.run([ROWS[number]], ask)

            found = await asyncio.gather(*map(one, range(len(ROWS))))
            await model.close()
    return found, emitted, server.stats


@pytest.mark.parametrize(("call", "answer"), [(SPLIT, parts), (TABLE, rows)], ids=["split", "table"])
async def test_lists_are_the_same_whatever_befalls_their_streams(
    call: Task, answer: Callable[[dict[str, Any]], str]
) -> None:
    plain, _, _ = await listed(call, answer, None, stream=False)
    heard, emitted, stats = await listed(call, answer, broken, stream=True)
    assert heard == plain
    assert [len(items) for items in plain] == [len(row.split()) for row in ROWS]
    for result, lists in zip(heard, emitted, strict=True):
        assert lists[-1] == result
        assert all(items == result[: len(items)] for items in lists)
    assert any(len(later) <= len(before) for lists in emitted for before, later in pairwise(lists))
    assert stats.requests > 1.2 * len(ROWS)
