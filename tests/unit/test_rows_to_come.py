"""What is known of rows to come is known at a row: not by how many have come since, and not by how long answers took."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pyarrow as pa

import anserdb
from anserdb.engine.dataflow.progress import SiteProgress
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.physical.operators.line import Line
from anserdb.engine.physical.rows_known import of_stage
from anserdb.engine.physical.rows_to_come import Questions
from anserdb.engine.physical.stages import Stages
from anserdb.engine.plan.walk import calls
from anserdb.optimizer.search.assignment import Assignment
from anserdb.udfs.models.scripted import ScriptedModel


def test_rows_that_came_since_change_nothing() -> None:
    progress = SiteProgress("1:F", "F", "m")
    progress.rows_total, questions = 1000, Questions(progress)
    assert questions.expected() == 0  # none has come
    progress.rows_in = 10
    first = questions.one()
    progress.rows_in = 500
    last = questions.one()
    questions.reached(first)
    assert questions.expected() == 100
    questions.know(300)
    assert questions.expected() == 100
    questions.reached(last)
    assert questions.expected() == 4
    questions.reached(questions.one())
    assert questions.expected() == 300 * 3 / 500


class Waves:
    """Lets two rows begin at a time, and notes what was expected when it was asked, and when a wave was over."""

    def __init__(self, questions: Questions) -> None:
        self.questions, self.expected = questions, list[float | None]()
        self.begun = self.room = 0

    def open(self) -> None:
        self.expected.append(self.questions.expected())
        self.room += 2

    def assign(self) -> Assignment | None:
        if self.begun == self.room:
            return None
        self.begun += 1
        return Assignment(self.begun, (0,), 0, "profile")


async def decisions(come_first: int) -> tuple[list[float | None], list[int]]:
    """``come_first`` : so many rows come before the first is answered."""
    progress, begun = SiteProgress("1:F", "F", "m"), list[int]()
    progress.rows_total, questions = 40, Questions(progress)
    waves = Waves(questions)
    line = Line(waves, questions, lambda given, values: begun.append(values[0]))
    waves.open()
    for row in range(12):
        if row == come_first:
            waves.open()
            line.move_on()
        progress.rows_in += 2 if row < 6 else 1
        line.place([row])
    while waves.room < 12:
        waves.open()
        line.move_on()
    await asyncio.sleep(0)
    return waves.expected, begun


async def test_a_decision_is_for_a_row() -> None:
    expected, begun = await decisions(2)
    assert begun == list(range(12))
    for come_first in (3, 6, 11):
        assert await decisions(come_first) == (expected, begun)


async def test_the_end_is_known_with_the_last_batch() -> None:
    with anserdb.connect(":memory:", store=":memory:", llm_model="dear", llm_min_quality=0.8) as con:
        for name in ("dear", "good"):
            con.register_model(name, ScriptedModel(name=name))
        con.sql("SET llm_candidate_models = 'good'; CREATE TABLE t AS SELECT 'a' AS body")
        session = con._open_session()
        planned = session.plan("SELECT LLM_CLASSIFY(body, ['a', 'b']) FROM t")
        assert planned is not None
        (node,) = calls(planned.plan)
        stage = Stages(QueryRun(session.store, session.settings), session.models).stage(node.call)
        assert stage.armed is not None
        questions, progress = stage.armed.questions, stage.caller.progress
        progress.rows_total = 7
        totals = []

        async def batches() -> AsyncIterator[pa.RecordBatch]:
            for rows in (3, 4, 5):
                yield pa.RecordBatch.from_pylist([{"body": "x"}] * rows)

        async for batch in of_stage(stage, batches()):
            progress.rows_in += batch.num_rows
            totals.append(questions.one().total)
        assert totals == [7, 7, 12]


def test_where_prices_are_known_no_time_decides_from_the_first_row_on() -> None:
    """What first rows cost is booked as money before any prompt was looked at, and not as seconds."""
    with anserdb.connect(":memory:", store=":memory:", llm_model="dear", llm_min_quality=0.8) as con:
        for name, usd in (("dear", 10.0), ("good", 0.5)):
            con.sql(f"CREATE MODEL {name} USING openai (model '{name}', price_in {usd}, price_out {usd})")
        con.sql("SET llm_candidate_models = 'good'; CREATE TABLE t AS SELECT 'a' AS body")
        session = con._open_session()
        for objective, known in (("cost", 0), ("time", math.inf)):
            con.sql(f"SET llm_objective = '{objective}'")
            planned = session.plan("SELECT LLM_CLASSIFY(body, ['a', 'b']) FROM t")
            assert planned is not None
            (node,) = calls(planned.plan)
            stage = Stages(QueryRun(session.store, session.settings), session.models).stage(node.call)
            assert stage.armed is not None
            assert stage.armed.chooser.follows.known == known
