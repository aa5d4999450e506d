"""The roads of a case: raw DuckDB, AnserDB with the same text, AnserDB with a call in every query."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

import anserdb
from anserdb.engine.interfaces.semantic_result import SemanticResult

from .compare import Outcome, difference
from .inject import Forced, forced, order_keys
from .suites import Case, Step

PLAIN, PROJECTED, TOP = "plain", "forced", "forced at top"
SECONDS = 60.0
Run = Callable[[str], Outcome]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a step on a road. ``reason`` is "" when it passed; ``how`` is the road that the binder took."""

    suite: str
    case: str
    step: int
    road: str
    status: str
    reason: str = ""
    how: str = ""
    sql: str = ""


def verdicts(case: Case, roads: tuple[str, ...] = (PLAIN, PROJECTED, TOP)) -> Iterator[Verdict]:
    """Run a case on every road and judge each step."""
    raw = _raw(case, [s.sql for s in case.steps])
    if PLAIN in roads:
        found = _anser(case, [s.sql for s in case.steps])
        yield from _judged(case, PLAIN, found, raw, [None] * len(raw))
    if PROJECTED in roads or TOP in roads:
        chosen, reference = _forced(case, raw)
        for road in (r for r in (PROJECTED, TOP) if r in roads):
            texts = [_text(step, f, road) for step, f in zip(case.steps, chosen, strict=True)]
            wanted = [
                (r if f is None else m if road == TOP else m.without_last())
                for r, m, f in zip(raw, reference, chosen, strict=True)
            ]
            yield from _judged(case, road, _anser(case, texts), wanted, chosen)


def _text(step: Step, chosen: Forced | None, road: str) -> str:
    return step.sql if chosen is None else chosen.sql if road == TOP else chosen.projected


def _forced(case: Case, raw: list[Outcome]) -> tuple[list[Forced | None], list[Outcome]]:
    """The form of each query that means the same in DuckDB with the call as a macro, and what DuckDB makes of it."""
    chosen: list[Forced | None] = []
    outcomes: list[Outcome] = []
    with _native(case) as connection:
        connection.execute(f"CREATE TEMP MACRO LLM_COMPLETE(p, i) AS '{_answer()}'")
        run = _raw_run(connection)
        for step, wanted in zip(case.steps, raw, strict=True):
            form, outcome = _first_form(run, step, wanted) if step.query and not wanted.error else (None, None)
            chosen.append(form)
            outcomes.append(run(step.sql) if outcome is None else outcome)
    return chosen, outcomes


def _first_form(run: Run, step: Step, wanted: Outcome) -> tuple[Forced | None, Outcome | None]:
    for form in forced(step.sql):
        outcome = run(form.sql)
        if not difference(outcome.without_last(), wanted, [], names=form.form == "list"):
            return form, outcome
    return None, None


def _judged(
    case: Case, road: str, found: list[Outcome], wanted: list[Outcome], forms: list[Forced | None]
) -> Iterator[Verdict]:
    for number, step in enumerate(case.steps):
        if road != PLAIN and not step.query:
            continue
        form, outcome = forms[number], found[number]
        reason = _difference(step, outcome, wanted[number], road)
        if road != PLAIN and form is None:
            yield Verdict(case.suite, case.name, number, road, "skipped", _why_no_call(step), "", step.sql)
            continue
        status = "failed" if reason else "passed"
        sql = step.sql if form is None else form.sql if road == TOP else form.projected
        yield Verdict(case.suite, case.name, number, road, status, reason, outcome.how, sql)


def _why_no_call(step: Step) -> str:
    word = (step.sql.split() or [""])[0].upper()
    return (
        "no form with a call means the same in DuckDB" if forced(step.sql) else f"{word} is no query with a SELECT list"
    )


def _difference(step: Step, found: Outcome, wanted: Outcome, road: str) -> str:
    if step.query:
        return difference(found, wanted, order_keys(step.sql, wanted.names), names=road != PROJECTED)
    return difference(found, wanted, []) if bool(found.error) != bool(wanted.error) else ""


# --- running --------------------------------------------------------------------------------------------------------


def _raw(case: Case, texts: list[str]) -> list[Outcome]:
    with _native(case) as connection:
        run = _raw_run(connection)
        return [run(text) for text in texts]


def _anser(case: Case, texts: list[str]) -> list[Outcome]:
    with _native(case) as native, anserdb.connect(native, store=":memory:", llm_model="scripted") as connection:

        def run(text: str) -> Outcome:
            with _limited(connection.interrupt):
                return _anser_outcome(connection, text)

        return [run(text) for text in texts]


def _anser_outcome(connection: anserdb.Connection, text: str) -> Outcome:
    try:
        result = connection.sql(text)
        if result is None:
            return Outcome()
        how = _how(result)
        rows = tuple(result.fetchall())
        return Outcome(tuple(result.columns), tuple(result.types), rows, how=how)
    except anserdb.Error as error:
        return Outcome(error=f"{type(error).__name__}: {error}")
    except Exception as error:  # no other kind may reach a user
        return Outcome(error=f"NOT OURS {type(error).__name__}: {error}")


def _how(result: Any) -> str:
    if not isinstance(result, SemanticResult):
        return "PLAIN"
    planned = result._reading.execution.planned
    return f"EMBEDDED: {planned.embedded}" if planned.embedded else "STAGE" if planned.plan.session else "STREAM"


def _raw_run(connection: duckdb.DuckDBPyConnection) -> Run:
    def run(text: str) -> Outcome:
        with _limited(connection.interrupt):
            try:
                done = connection.execute(text)
                described = done.description or []
                names, types = tuple(d[0] for d in described), tuple(str(d[1]) for d in described)
                return Outcome(names, types, tuple(done.fetchall()))
            except duckdb.Error as error:
                return Outcome(error=str(error) or type(error).__name__)

    return run


@contextmanager
def _native(case: Case) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, in a working folder of its own."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 1}) as connection:
        os.chdir(folder)
        try:
            for file in sorted(case.folder.glob("*.parquet")) if case.folder else ():
                connection.execute(f"CREATE TABLE {file.stem} AS FROM '{file}'")
            yield connection
        finally:
            os.chdir(before)


@contextmanager
def _limited(interrupt: Callable[[], object]) -> Iterator[None]:
    timer = threading.Timer(SECONDS, interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _answer() -> str:
    """What the scripted model says to the call."""
    global _known
    if not _known:
        with anserdb.connect(store=":memory:", llm_model="scripted") as connection:
            result = connection.sql("SELECT LLM_COMPLETE('x', 'k')")
            assert result is not None
            _known = str(result.fetchall()[0][0])
    return _known


_known = ""
