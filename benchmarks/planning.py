"""How long planning takes: ``make bench-planning``.

Statements are planned and not run: no row is read, no model is asked. Beside each stands the time DuckDB itself takes to plan
(``EXPLAIN``) the same statement with plain functions in the place of calls, in the same process, by turns. Figures are CPU
time of the process, which other work on the machine hardly changes, and lower quartiles of it. The search over orders and arms is timed alone, on SIMULATED sites whose arms are drawn at random, beside DuckDB's planning of
a statement with as many predicates. The targets were fixed before the first run.
"""

from __future__ import annotations

import gc
import platform
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

import duckdb

import anserdb
from anserdb.engine.session import Session
from anserdb.optimizer.search.memo import ArmCost, Memo, Site
from anserdb.udfs.models.scripted import ScriptedModel

TARGET_MS = 50.0
ROUNDS = 20
WORLDS = 5
SIZES = ((2, 4), (4, 4), (4, 8), (6, 4), (6, 8), (8, 4), (8, 8), (6, 16), (8, 16), (12, 2))
"""Sites and arms of each."""
SETUP = (
    "CREATE TABLE t AS SELECT i AS id, 'text ' || i AS body, 'subject ' || i AS subject, i % 10 AS k FROM range(1000) r(i)",
    "CREATE TABLE u AS SELECT i AS id, 'name ' || i AS name FROM range(50) r(i)",
)
ARMED = "SET llm_min_quality = 0.9; SET llm_objective = 'cost'; SET llm_candidate_models = 'small, tiny, mini'"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, and the same with plain functions in the place of its calls."""

    ours: str
    plain: str


STATEMENTS = {
    "no call": Statement("SELECT k, count(*) FROM t GROUP BY k ORDER BY k", "SELECT k, count(*) FROM t GROUP BY k ORDER BY k"),
    "one filter": Statement(
        "SELECT id FROM t WHERE LLM_FILTER('angry', body)", "SELECT id FROM t WHERE contains(body, 'angry')"
    ),
    "one column": Statement(
        "SELECT id, LLM_CLASSIFY(body, ['a', 'b', 'c']) AS c FROM t ORDER BY id", "SELECT id, left(body, 1) AS c FROM t ORDER BY id"
    ),
    "filter and column": Statement(
        "SELECT id, LLM_COMPLETE('shorten', body) AS s FROM t WHERE k > 3 AND LLM_FILTER('angry', body) LIMIT 10",
        "SELECT id, upper(body) AS s FROM t WHERE k > 3 AND contains(body, 'angry') LIMIT 10",
    ),
    "three filters": Statement(
        "SELECT id FROM t WHERE LLM_FILTER('angry', body) AND LLM_FILTER('late', subject) AND LLM_FILTER('rude', body)",
        "SELECT id FROM t WHERE contains(body, 'angry') AND contains(subject, 'late') AND contains(body, 'rude')",
    ),
    "OR of filters": Statement(
        "SELECT id FROM t WHERE LLM_FILTER('angry', body) OR (k > 3 AND NOT LLM_FILTER('late', subject))",
        "SELECT id FROM t WHERE contains(body, 'angry') OR (k > 3 AND NOT contains(subject, 'late'))",
    ),
    "join": Statement(
        "SELECT t.id, u.id FROM t JOIN u ON LLM_FILTER('{t.body} names {u.name}', t.body, u.name)",
        "SELECT t.id, u.id FROM t JOIN u ON contains(t.body, u.name)",
    ),
    "CTE and group": Statement(
        "WITH c AS (SELECT id, LLM_CLASSIFY(body, ['a', 'b']) AS kind, k FROM t) "
        "SELECT kind, count(*) FROM c WHERE k < 5 GROUP BY kind ORDER BY kind",
        "WITH c AS (SELECT id, left(body, 1) AS kind, k FROM t) SELECT kind, count(*) FROM c WHERE k < 5 GROUP BY kind ORDER BY kind",
    ),
    "aggregate": Statement("SELECT k, LLM_AGG(body, 'sum up') FROM t GROUP BY k", "SELECT k, string_agg(body) FROM t GROUP BY k"),
}  # fmt: skip


def main() -> None:
    """Measure and print."""
    print(
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {platform.machine()}; CPU time, lower quartiles of {ROUNDS}"
    )
    with anserdb.connect(store=":memory:", llm_model="large") as con, duckdb.connect() as raw:
        for statement in SETUP:
            con.sql(statement)
            raw.execute(statement)
        for name in ("large", "small", "tiny", "mini"):
            con.register_model(name, ScriptedModel(name=name))
        session = con._open_session()
        worst = _statements("as it is", con, session, raw)
        con.sql(ARMED)
        worst = max(worst, _statements("llm_min_quality = 0.9, three candidates", con, session, raw))
        _verdict("planning a statement", worst)
        _searches(raw)


def _statements(title: str, con: anserdb.Connection, session: Session, raw: duckdb.DuckDBPyConnection) -> float:
    """Print a table of them; the worst in milliseconds."""
    print(f"\nStatements, {title}; ms\n{'':<18} {'DuckDB':>8} {'planned':>8} {'ratio':>7} {'EXPLAIN':>8} {'ratio':>7}")
    worst = 0.0
    for name, one in STATEMENTS.items():
        duck, planned, explained = _quartiles(
            lambda one=one: raw.execute(f"EXPLAIN {one.plain}").fetchall(),  # type: ignore[misc]
            lambda one=one: session.plan(one.ours),  # type: ignore[misc]
            lambda one=one: _read(con.sql(f"EXPLAIN {one.ours}")),  # type: ignore[misc]
        )
        print(
            f"{name:<18} {duck:>8.2f} {planned:>8.2f} {planned / duck:>7.1f} {explained:>8.2f} {explained / duck:>7.1f}"
        )
        worst = max(worst, planned)
    return worst


def _searches(raw: duckdb.DuckDBPyConnection) -> None:
    print(f"\nOrders and arms of SIMULATED sites, {WORLDS} each; ms")
    print(
        f"{'sites x arms':<14} {'DuckDB':>8} {'median':>8} {'worst':>8} {'ratio':>7} {'plans':>6}  worst within {TARGET_MS:g} ms"
    )
    for sites, arms in SIZES:
        predicates = " AND ".join(f"contains(body, 'word {n}')" for n in range(sites))
        (duck,) = _quartiles(lambda sql=predicates: raw.execute(f"EXPLAIN SELECT id FROM t WHERE {sql}").fetchall())  # type: ignore[misc]
        taken, plans = zip(*(_searched(_sites(sites, arms, seed)) for seed in range(WORLDS)), strict=True)
        print(
            f"{f'{sites} x {arms}':<14} {duck:>8.2f} {median(taken):>8.1f} {max(taken):>8.1f} {median(taken) / duck:>7.1f} "
            f"{median(plans):>6.0f}  {_met(max(taken))}"
        )


def _sites(count: int, arms: int, seed: int) -> list[Site]:
    """Every second one is a filter. The reference is the dearest arm, and the only one that loses nothing."""
    dice = random.Random(f"{count} {arms} {seed}")
    return [Site(f"call {n}", tuple(_arms(dice, arms)), dice.uniform(0.1, 0.9) if n % 2 else 1.0) for n in range(count)]


def _arms(dice: random.Random, count: int) -> Iterator[ArmCost]:
    money, seconds = dice.uniform(0.5, 5.0), dice.uniform(0.2, 2.0)
    yield ArmCost("reference", money, seconds, 0.0, 8)
    for n in range(1, count):
        cheaper = money * dice.uniform(0.01, 0.9)
        yield ArmCost(
            f"arm {n}", cheaper, seconds * dice.uniform(0.1, 1.5), dice.uniform(0.001, 0.3), dice.choice((8, 32))
        )


def _searched(sites: Sequence[Site]) -> tuple[float, int]:
    """Milliseconds, and how many plans there are."""
    gc.collect()
    started = time.process_time()
    plans = Memo(sites, 10_000.0).plans()
    return 1000 * (time.process_time() - started), len(plans)


def _quartiles(*works: Callable[[], Any]) -> list[float]:
    """In milliseconds; by turns, so that a change in the machine's speed meets all of them."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, found in zip(works, seconds, strict=True):
            started = time.process_time()
            work()
            found.append(time.process_time() - started)
    return [1000 * quantiles(found, n=4)[0] for found in seconds]


def _read(result: Any) -> Any:
    return None if result is None else result.fetchall()


def _verdict(what: str, ms: float) -> None:
    print(f"\n{what}: {ms:.1f} ms at worst, target {TARGET_MS:g} ms: {_met(ms)}")


def _met(ms: float) -> str:
    return "met" if ms <= TARGET_MS else "MISSED"


if __name__ == "__main__":
    main()
