"""Rankings driven from outside: work off the event loop, questions on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from anserdb.engine.physical.operators.stepped import in_steps
from anserdb.engine.physical.ranking.judge import Judge
from anserdb.engine.physical.ranking.top_k import ALGORITHMS, Ranking, top_k

ROWS = 40


class Knowing:
    """Knows that larger is better, and where it was asked."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    async def compare(self, pairs: Sequence[tuple[int, int]]) -> Sequence[float | None]:
        self.threads.add(threading.current_thread().name)
        await asyncio.sleep(0)
        return [float(a > b) for a, b in pairs]

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        self.threads.add(threading.current_thread().name)
        return [float(row) for row in rows]


class Broken(Knowing):
    async def compare(self, pairs: Sequence[tuple[int, int]]) -> Sequence[float | None]:
        raise LookupError("nobody is at home")


class Silent(Knowing):
    async def compare(self, pairs: Sequence[tuple[int, int]]) -> Sequence[float | None]:
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
async def test_the_same_ranking_as_on_the_loop(name: str) -> None:
    direct = await top_k(Knowing(), range(ROWS), 5, name)
    assert await in_steps(lambda judge: top_k(judge, range(ROWS), 5, name), Knowing()) == direct
    assert direct.rows == (39, 38, 37, 36, 35)


async def test_only_questions_are_on_the_loop() -> None:
    steps: set[str] = set()

    async def watched(judge: Judge) -> Ranking:
        steps.add(threading.current_thread().name)
        found = await top_k(judge, range(ROWS), 5, "refine")
        steps.add(threading.current_thread().name)
        return found

    judge = Knowing()
    await in_steps(watched, judge)
    assert judge.threads == {threading.current_thread().name}
    assert steps.isdisjoint(judge.threads)


async def test_what_the_judge_raises_ends_it() -> None:
    with pytest.raises(LookupError, match="nobody is at home"):
        await in_steps(lambda judge: top_k(judge, range(ROWS), 5, "heap"), Broken())


async def test_it_can_be_cancelled_while_it_waits() -> None:
    task = asyncio.create_task(in_steps(lambda judge: top_k(judge, range(ROWS), 5, "heap"), Silent()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
