"""What earlier queries found of arms spares later ones the search: whole queries against a simulated server with a bill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.optimizer.search.chooser import FIRST_WAVE
from benchmarks.server import LoopbackServer, Profile
from tests.sql.test_arms import chance, said_by

ROWS = 1000
QUERY = "SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) AS colour FROM t WHERE id {} 500 ORDER BY id"
ACCURACY = {"good": 0.99, "bad": 0.6}


class World:
    """A server whose cheap model may get worse."""

    def __init__(self) -> None:
        self.accuracy = dict(ACCURACY)

    def answer(self, body: dict[str, Any]) -> Any:
        return said_by(self.accuracy)(body)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Iterator[LoopbackServer]:
    profiles = (
        Profile("dear", price_in=10.0, price_out=40.0),
        Profile("good", price_in=0.5, price_out=2.0),
        Profile("bad", price_in=0.1, price_out=0.4),
    )
    with LoopbackServer(*profiles, answer=world.answer) as server:
        yield server


def connect(server: LoopbackServer, store: Path) -> anserdb.Connection:
    con = anserdb.connect(store=store, llm_model="dear", llm_concurrency=32)
    for name, price_in, price_out in (("dear", 10.0, 40.0), ("good", 0.5, 2.0), ("bad", 0.1, 0.4)):
        con.sql(
            f"CREATE OR REPLACE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
            f"price_in {price_in}, price_out {price_out})"
        )
    con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({ROWS}) r(i)")
    con.sql("SET llm_min_quality = 0.9; SET llm_candidate_models = 'good, bad'")
    return con


def asked(server: LoopbackServer, con: anserdb.Connection, rows: str) -> tuple[dict[str, int], list[tuple[Any, ...]]]:
    """How often each model was asked, and what came of it."""
    before = len(server.stats.bodies)
    found = con.sql(QUERY.format(rows))
    assert found is not None
    rows_found = found.fetchall()
    models = [body["model"] for body in server.stats.bodies[before:]]
    return {name: models.count(name) for name in ("dear", "good", "bad")}, rows_found


def test_a_second_query_of_the_task_on_other_rows_pays_for_a_short_wave(server: LoopbackServer, tmp_path: Path) -> None:
    with connect(server, tmp_path / "s.anser") as con:
        first, _ = asked(server, con, "<")
        second, _ = asked(server, con, ">=")
    assert first["dear"] > 2 * FIRST_WAVE
    # The wave, audits of the other 484 rows, and the first row's question about labels.
    assert second["dear"] <= FIRST_WAVE + 20 < first["dear"]
    assert second["bad"] == 0, "it was found out in the first query"
    assert second["good"] >= 450


def test_the_second_query_says_what_it_knew(server: LoopbackServer, tmp_path: Path) -> None:
    with connect(server, tmp_path / "s.anser") as con:
        asked(server, con, "<")
        (explained,) = con.sql(f"EXPLAIN ANALYZE {QUERY.format('>=')}").fetchall()
    lines = explained[-1].splitlines()
    assert any("arm good: serves" in line and "rows of earlier runs" in line for line in lines)
    assert any("arm bad: rows=0" in line and "of earlier runs" in line for line in lines)


def test_the_same_store_and_seed_choose_the_same(server: LoopbackServer, tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        with connect(server, tmp_path / f"{name}.anser") as con:
            asked(server, con, "<")
            runs.append(asked(server, con, ">="))
    assert runs[0] == runs[1]


def test_another_table_starts_anew(server: LoopbackServer, tmp_path: Path) -> None:
    with connect(server, tmp_path / "s.anser") as con:
        first, _ = asked(server, con, "<")
        con.sql("CREATE TABLE u AS SELECT id, 'other ' || body AS body FROM t WHERE id < 500")
        before = len(server.stats.bodies)
        con.sql(QUERY.replace("FROM t", "FROM u").format("<")).fetchall()
        models = [body["model"] for body in server.stats.bodies[before:]]
    assert models.count("dear") > first["dear"] / 2


def test_an_arm_that_got_worse_is_found_out_in_the_wave(server: LoopbackServer, world: World, tmp_path: Path) -> None:
    with connect(server, tmp_path / "s.anser") as con:
        asked(server, con, "<")
        world.accuracy["good"] = 0.3
        second, found = asked(server, con, ">=")
    assert second["good"] <= 3 * FIRST_WAVE
    truth = [sorted(("red", "green", "blue"))[int(chance(f"item number {n}", "truth") * 3)] for n, _ in found]
    assert len(truth) == 500
    assert second["dear"] >= 480


def test_a_rerun_pays_nothing_and_says_the_same(server: LoopbackServer, tmp_path: Path) -> None:
    with connect(server, tmp_path / "s.anser") as con:
        _, first = asked(server, con, "<")
        models, again = asked(server, con, "<")
    assert again == first
    assert not any(models.values())
