"""CREATE PROXY: rows drawn, the reference asked as by any query, a student taught and tested."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from ...udfs.models.http_errors import holds_key
from ..dataflow.run import QueryRun
from ..errors import BindError, Interrupted, NotSupportedError, ProgrammingError
from ..physical.cascading.vectors import open_embedder
from ..physical.embedded import wait_on_loop
from ..physical.lessons import (
    NUMBER,
    ROWS,
    Lesson,
    check_size,
    check_subject,
    lesson_of,
    lesson_sql,
    pool_sql,
    split,
)
from ..physical.operators.questions import key_of
from ..physical.planned import Planned
from ..physical.proxy_table import proxies_table
from ..physical.stages import Stages
from ..physical.stopping import STOPPED
from ..physical.teaching import Answered, answers_there, taught
from ..plan.nodes import SemanticCall
from ..plan.walk import calls
from ..session import Session
from ..sql.locate import mentions
from ..sql.statements import CreateProxy
from ..store.proxies import StoredProxy
from ..store.proxies import taken as taken_words
from .reading import Reading
from .waiting import Waiting

T = TypeVar("T")
Read = Callable[[Planned], Reading]
"""Gives a planned statement that has yet to be read."""


def created(session: Session, statement: CreateProxy, waiting: Waiting, read: Read) -> pa.Table:
    """Make a proxy, and give its row of SHOW PROXIES.

    Parameters
    ----------
    read : of a query whose answers the reference gives, within the caps of any query.

    Raises
    ------
    ProgrammingError : the name is taken, the call cannot be learnt, or there are too few answers.
    """
    known = session.store.proxies.find(statement.name)
    if known is not None and statement.if_not_exists:
        return proxies_table([known])
    _check(session, statement, known)
    with session.as_written():
        stored = _Classroom(session, statement, waiting, read).teach()
    session.store.proxies.put(stored, replace=statement.replace)
    return proxies_table([stored])


def _check(session: Session, statement: CreateProxy, known: StoredProxy | None) -> None:
    places = statement.places or (None, None, None)
    if known is not None and not statement.replace:
        raise ProgrammingError(taken_words(known.name), places[0])
    if holds_key(statement.name) or any(map(holds_key, statement.arguments)):
        raise BindError(
            "The statement seems to hold a key, which would be stored. Name the proxy or its condition otherwise.",
            places[0],
        )
    if mentions(statement.query, session.functions):
        raise NotSupportedError(
            "The query after ON asks a model itself: make a table of it first (CREATE TABLE … AS SELECT …), and select from that."
        )


class _Classroom:
    """One CREATE PROXY under way."""

    def __init__(self, session: Session, statement: CreateProxy, waiting: Waiting, read: Read) -> None:
        self._session, self._statement, self._waiting, self._read = session, statement, waiting, read
        self._run = QueryRun(session.store, session.settings)

    def teach(self) -> StoredProxy:
        """Draw rows, have them answered, and learn."""
        try:
            lesson = self._lesson()
            pool = self._session.duck.table(pool_sql(self._statement.query, lesson.inputs))
            check_size(self._statement, pool.num_rows, self._session.settings.llm_proxy_rows)
            call = self._planned(lesson, pool)[1]
            check_subject(self._statement, call)
            return self._taught(lesson, call, pool)
        finally:
            self._run.finish()

    def _lesson(self) -> Lesson:
        columns = [name for name, _ in self._session.describe(self._statement.query)]
        return lesson_of(self._statement, columns, self._session.functions)

    def _planned(self, lesson: Lesson, rows: pa.Table) -> tuple[Planned, SemanticCall]:
        numbered = rows.append_column(NUMBER, pa.array(range(rows.num_rows), pa.int64()))
        self._session.duck.lend(ROWS, numbered)
        planned = self._session.plan(lesson_sql(lesson))
        assert planned is not None  # it has a call
        (node,) = calls(planned.plan)
        return planned, node.call

    def _taught(self, lesson: Lesson, call: SemanticCall, pool: pa.Table) -> StoredProxy:
        rows = list(zip(*(pool.column(name).to_pylist() for name in lesson.inputs), strict=True))
        stage = Stages(self._run, self._session.models).stage(call)
        there = self._wait(partial(answers_there, stage, rows))
        parts = split([key_of(row) for row in rows], there, self._session.settings.llm_proxy_rows)
        drawn = [*parts.hold_out, *parts.training]
        said = self._answers(lesson, pool.take(drawn))
        tests = len(parts.hold_out)
        hold_out = _answered(rows, drawn[:tests], said, 0)
        training = _answered(rows, drawn[tests:], said, tests)
        embedder = open_embedder(call, self._run, self._session.models)
        spec = self._session.models.find(str(call.options["model"]))
        return self._wait(partial(taught, self._statement.name, call, spec, embedder, training, hold_out))

    def _answers(self, lesson: Lesson, rows: pa.Table) -> Mapping[int, Any]:
        """By number of the row."""
        table = self._read(self._planned(lesson, rows)[0]).table()
        return dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))

    def _wait(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._waiting.wait(
            partial(wait_on_loop, work, self._run), lambda: self._run.cancel(Interrupted(STOPPED))
        )


def _answered(rows: Sequence[Sequence[Any]], drawn: Sequence[int], said: Mapping[int, Any], first: int) -> Answered:
    """Those of the drawn rows that have an answer; ``first`` : the number of the first of them."""
    known = [(rows[row], said.get(number)) for number, row in enumerate(drawn, first)]
    kept = [(row, answer) for row, answer in known if answer is not None]
    return Answered([row for row, _ in kept], [answer for _, answer in kept])
