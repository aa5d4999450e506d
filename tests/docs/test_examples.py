"""Every file in sql_examples runs: on the scripted model here, on the real default model in ``make test-all``."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb

EXAMPLES = Path(__file__).parents[2] / "sql_examples"
FILES = sorted(EXAMPLES.glob("*.sql"))
FAIL_ON_PURPOSE = [file for file in FILES if "FAIL_RATIO" in file.read_text(encoding="utf-8")]
MAKER = runpy.run_path(str(EXAMPLES / "reviews.py"))
SCRIPTED = {"llm_model": "scripted", "llm_embedding_model": "scripted"}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo database, made by the demo's own script."""
    path = tmp_path_factory.mktemp("examples") / "demo.duckdb"
    with anserdb.connect(path, store=":memory:") as connection:
        MAKER["make"](connection.duckdb)
    return path


@pytest.fixture
def scripted(database: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(database, store=":memory:", **SCRIPTED) as connection:
        yield connection


def run(connection: anserdb.Connection, file: Path) -> list[Any]:
    """The results of a script's statements that have one, read to the end."""
    results = []
    for statement in connection.statements(file.read_text(encoding="utf-8")):
        result = connection.sql(statement)
        if result is not None:
            results.append((result.arrow(), result.notices))
    return results


def test_there_are_at_least_twelve_and_a_quickstart() -> None:
    names = [file.name for file in FILES]
    assert "quickstart.sql" in names
    numbered = [name for name in names if name[:2].isdigit()]
    assert [int(name[:2]) for name in numbered] == list(range(1, len(numbered) + 1))
    assert len(numbered) >= 12


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_begins_with_words_for_a_reader(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith("-- ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_runs_on_the_scripted_model(file: Path, scripted: anserdb.Connection) -> None:
    results = run(scripted, file)
    assert results
    assert all(table.num_columns for table, _ in results)


@pytest.mark.parametrize("file", [f for f in FILES if f not in FAIL_ON_PURPOSE], ids=lambda file: file.stem)
def test_a_second_run_makes_no_calls(file: Path, scripted: anserdb.Connection) -> None:
    run(scripted, file)
    before = sum(scripted.usage()["calls"].to_pylist())
    run(scripted, file)
    assert sum(scripted.usage()["calls"].to_pylist()) == before


def test_the_quickstart_touches_what_it_promises(scripted: anserdb.Connection) -> None:
    run(scripted, EXAMPLES / "quickstart.sql")
    asked = set(scripted.usage()["function"].to_pylist())
    assert asked >= {"LLM_FILTER", "LLM_CLASSIFY", "LLM_EXTRACT", "LLM_SUMMARIZE", "LLM_SIMILARITY"}


def test_the_script_makes_the_same_database_twice(database: Path) -> None:
    with anserdb.connect(database, store=":memory:") as connection:
        before = [connection.duckdb.table(name).fetchall() for name in MAKER["SHOP"]]
        MAKER["make"](connection.duckdb)
        assert [connection.duckdb.table(name).fetchall() for name in MAKER["SHOP"]] == before
        assert connection.duckdb.table("reviews").count("*").fetchall() == [(33530,)]


def test_the_shop_hangs_together(scripted: anserdb.Connection) -> None:
    """Every order has its customer, every ticket the order of its own customer; tickets are as messy as real ones."""
    duck = scripted.duckdb
    orphans = duck.sql("SELECT count(*) FROM orders ANTI JOIN customers USING (customer_id)").fetchall()
    strangers = duck.sql("SELECT count(*) FROM tickets ANTI JOIN orders USING (order_id, customer_id)").fetchall()
    early = duck.sql(
        "SELECT count(*) FROM tickets JOIN orders USING (order_id) WHERE opened_on <= ordered_on"
    ).fetchall()
    assert (orphans, strangers, early) == ([(0,)], [(0,)], [(0,)])
    [(rows, bodies, distinct)] = duck.sql("SELECT count(*), count(body), count(DISTINCT body) FROM tickets").fetchall()
    assert rows > bodies > distinct > 50


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_runs_on_the_default_models(file: Path, database: Path) -> None:
    with anserdb.connect(
        database
    ) as connection:  # one store for all files: they share answers, as a user's session does
        results = run(connection, file)
    assert bool([notice for _, notices in results for notice in notices]) is (file in FAIL_ON_PURPOSE)
