"""The first row leaves after the first answers, and waits for no others: no more than two service times of the model.

The model holds every question but the first so many; as it serves ``cap`` at once, two service times are ``2 * cap`` answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import anserdb
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.gate import shout

ROWS, PATIENCE_S = 2000, 60
CALIBRATION = 14


class Serving:
    """Answers the first ``allowed`` questions and holds the others until :meth:`go`."""

    def __init__(self, cap: int, allowed: int) -> None:
        self.allowed, self._going = allowed, False
        self.arrived = self.answered = 0
        capabilities = Capabilities(choice_scores=True, local=True, concurrency=cap)
        self.model = ScriptedModel([("", self._say)], capabilities=capabilities, delay=self._hold)

    def go(self) -> None:
        self._going = True

    def _say(self, request: Request) -> str:
        self.answered += 1
        if isinstance(request, Generate) and isinstance(request.answer, ChoiceAnswer):
            return "Yes" if "body" in request.user.rpartition(":")[2] else "No"  # of what calibrates: No
        return shout(request)

    async def _hold(self, _: Request) -> None:
        number = self.arrived
        self.arrived += 1
        while number >= self.allowed and not self._going:
            await asyncio.sleep(0.001)


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="serving") as con:
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'body ' || i AS body FROM range({ROWS}) r(i)")
        yield con


def first_row(con: anserdb.Connection, query: str, serving: Serving, *others: Serving) -> tuple[object, ...]:
    """The row, and then the rest of the result, to see that it was not lost."""
    con.register_model("serving", serving.model)
    both = (serving, *others)
    result = con.sql(query)
    assert result is not None
    with ThreadPoolExecutor(1) as thread:
        try:
            row = thread.submit(result.fetchone).result(PATIENCE_S)
            answered = [model.answered for model in both]
        finally:
            for model in both:
                model.go()
        rest = thread.submit(result.fetchall).result(PATIENCE_S)
    assert all(count <= model.allowed < ROWS for count, model in zip(answered, both, strict=True))
    assert row is not None
    assert len(rest) == ROWS - 1
    return row


ANSWER, JUDGEMENT = "LLM_COMPLETE('say', body)", "LLM_FILTER('is it so?', body)"
SHOWN = f"lower({ANSWER}) || '!'"


@pytest.mark.parametrize(
    ("item", "cap"),
    [(item, cap) for item in (ANSWER, JUDGEMENT, SHOWN) for cap in (1, 4, 8, 64)],
)
def test_one_call_has_its_first_row_after_two_service_times(con: anserdb.Connection, cap: int, item: str) -> None:
    serving = Serving(cap, 2 * cap + (CALIBRATION if "FILTER" in item else 0))
    assert first_row(con, f"SELECT id, {item} FROM t", serving)[0] == 0


@pytest.mark.parametrize(
    "items",
    [
        f"id, upper({ANSWER}), t.* EXCLUDE id, {ANSWER} AS id",
        f"id, {{'said': {ANSWER}, 'judged': id > 3}}",
        f"id, CAST(length({ANSWER}) AS HUGEINT), (SELECT max(id) FROM t)",
        f"id, {ANSWER} || random(), CASE WHEN id % 2 = 0 THEN {ANSWER} END",
    ],
)
def test_what_is_made_of_answers_comes_with_them(con: anserdb.Connection, items: str) -> None:
    serving = Serving(1, 2)
    assert first_row(con, f"SELECT {items} FROM t", serving)[0] == 0


@pytest.mark.parametrize("cap", [1, 8, 64])
def test_stages_do_not_wait_for_each_others_end(con: anserdb.Connection, cap: int) -> None:
    """Two service times of the lower stage's model (after its calibration) and two of the upper one's."""
    judging, serving = Serving(cap, CALIBRATION + 2 * cap), Serving(cap, 2 * cap)
    con.register_model("judging", judging.model)
    query = """
SELECT id, LLM_COMPLETE('say', body) FROM t WHERE LLM_FILTER('is it so?', body, model := 'judging')
"""
    assert first_row(con, query, serving, judging)[0] == 0
