"""Sums of what calls were like: added up by several writers, decayed, kept from a store of the version before."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from anserdb.engine.dataflow.moments import Moments
from anserdb.engine.store import Store
from anserdb.engine.store.schema import MIGRATIONS, migrate
from anserdb.engine.store.statistics import Statistics, TaskStatistics
from anserdb.engine.store.tariffs import CallLine, Tariff

ONE = TaskStatistics(
    "task", "", "data", "", "LLM_FILTER", "m", "angry?", inputs=100.0, rows=100.0, rows_true=20.0, paid=100.0, calls=100.0,
    tokens_in=5000.0, tokens_in_squares=260_000.0, tokens_out=100.0, tokens_out_squares=100.0, seconds=10.0,
    seconds_squares=1.1, updated_at=1000.0,
)  # fmt: skip


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.anser"
    with Store.open(path) as here, Store.open(path) as there:

        def add(store: Store) -> None:
            for _ in range(20):
                Statistics(store, half_life=1e12).add([ONE]).result()

        threads = [threading.Thread(target=add, args=[store]) for store in (here, there)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (found,) = here.statistics.of("task")
        assert (found.inputs, found.tokens_in, found.rows_true) == pytest.approx((4000.0, 200_000.0, 800.0))


def test_what_is_old_weighs_half_after_a_half_life() -> None:
    with Store.open(None) as store:
        statistics = Statistics(store, half_life=100.0)
        statistics.add([ONE]).result()
        statistics.add([replace(ONE, rows_true=100.0, updated_at=2000.0)]).result()
        (found,) = statistics.of("task")
        assert (found.inputs, found.rows_true, found.updated_at) == pytest.approx((150.0, 110.0, 2000.0))


def test_rows_found_in_the_cache_are_not_seen_twice() -> None:
    with Store.open(None) as store:
        statistics = Statistics(store)
        statistics.add([ONE]).result()
        again = replace(ONE, paid=0.0, calls=0.0, tokens_in=0.0, updated_at=3000.0)
        statistics.add([again, replace(again, thinned_by="other")]).result()
        found = {each.thinned_by: each for each in statistics.of("task")}
        assert (found[""].inputs, found[""].rows_true, found[""].tokens_in) == (100.0, 20.0, 5000.0)
        assert found["other"].rows == 100.0, "of other rows it is news, whoever paid"


def test_the_oldest_give_way() -> None:
    with Store.open(None) as store:
        statistics = Statistics(store, kept=10)
        tasks = [replace(ONE, task=f"task {n}", updated_at=float(n)) for n in range(111)]
        for start in range(0, 111, 37):
            statistics.add(tasks[start : start + 37]).result()
        kept = [row[0] for row in store.fetch("SELECT task FROM statistics ORDER BY updated_at")]
        assert kept == [f"task {n}" for n in range(101, 111)]


def test_a_file_of_version_7_learns_from_now_on(tmp_path: Path) -> None:
    path = tmp_path / "s.anser"
    with sqlite3.connect(path, isolation_level=None) as connection:
        migrate(connection, "s", MIGRATIONS[:7])
        connection.execute("INSERT INTO models VALUES ('small', 'llamacpp', '{}', 0.0)")
    connection.close()
    with Store.open(path) as store:
        assert store.fetch("PRAGMA user_version") == [(len(MIGRATIONS),)]
        assert store.statistics.of("task") == []
        store.statistics.add([ONE]).result()
        (row,) = store.query("statistics").to_pylist()
        assert (row["share_true"], row["tokens_in_per_input"], row["agreement"]) == (0.2, 50.0, None)
        assert [model.name for model in store.models()] == ["small"]


def test_moments_leave_calibration_out_and_count_answers_of_no_use() -> None:
    tariff = Tariff("q", "1:F", "F", "m", None, 1.0, None, 1.0, "x", (0, 0, 0), (0, 0, 0), (0, 0, 0), "none", 0.0, "x")

    def line(phase: str, tokens: int | None, at: float) -> CallLine:
        return (tariff, at, phase, b"k", tokens, 2, 0, 0.5, None, 0, None, None)  # type: ignore[return-value]

    moments = Moments()
    moments.add(
        [line("calibrate", 1000, 1.0), line("serve", 30, 10.0), line("serve", 50, 12.0), line("serve", None, 50.0)]
    )
    moments.useless(40, 1, 0.5)
    assert (moments.answered, moments.calls, moments.tokens_in, moments.tokens_in_squares) == (2, 3, 120, 5000)
    assert (moments.tokens_out, moments.seconds, moments.span) == (5, 1.5, 2.5)
