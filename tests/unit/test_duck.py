"""The user's DuckDB connection as the planner sees it, and the bare ones beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.physical.carried import carried, carrying, restoring
from anserdb.engine.physical.duck import Duck
from anserdb.engine.physical.python_names import call_seeing, variables_of_caller
from anserdb.engine.physical.spool import RowSpool, Spool

SHIPS = pa.table({"x": [3]})


@pytest.fixture
def duck() -> Iterator[Duck]:
    with duckdb.connect() as connection:
        connection.execute("SET streaming_buffer_size = '1KB'")
        duck = Duck(connection)
        yield duck
        duck.settle()
        duck.close()


MANY = "SELECT range AS i FROM range(100_000)"


def test_statements_move_an_open_result_out_of_their_way(duck: Duck) -> None:
    spools = [duck.open(MANY) for _ in range(3)]
    first = spools[0].read_next_batch()
    assert duck.value("SELECT 42") == 42
    rows = duck.rows(MANY)
    assert rows.take(2) == [(0,), (1,)]
    assert duck.table("SELECT 1 AS x").to_pylist() == [{"x": 1}]
    assert [sum(b.num_rows for b in s) for s in spools] == [100_000 - first.num_rows, 100_000, 100_000]
    assert len(rows.take(200_000)) == 100_000 - 2
    assert rows.take(1) == []


def test_a_closed_or_abandoned_result_frees_the_connection(duck: Duck) -> None:
    endless = "SELECT a.range FROM range(1_000_000) a, range(1_000_000) b"
    spool = duck.open(endless)
    assert spool.read_next_batch().num_rows
    spool.close()
    assert duck.value("SELECT 1") == 1
    rows = duck.rows(endless)
    assert rows.take(1)
    rows.abandon()
    assert duck.value("SELECT 2") == 2
    rows = duck.rows(endless)
    rows.close()
    assert rows.take(1) == []
    assert duck.connection.execute("SELECT 3").fetchall() == [(3,)]


BAD = "SELECT CASE WHEN range = 90_000 THEN CAST('bad' AS BIGINT) ELSE range END AS x FROM range(100_000)"


@pytest.mark.parametrize("way", ["open", "rows"])
def test_an_error_while_making_room_is_kept_for_the_reader(duck: Duck, way: str) -> None:
    result: Spool | RowSpool = getattr(duck, way)(BAD)
    assert duck.value("SELECT 1") == 1
    with pytest.raises(duckdb.ConversionException, match="bad"):
        for _ in range(100_000):
            _ = result.read_next_batch() if isinstance(result, Spool) else result.take(1)


def test_threads_take_turns(duck: Duck) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(20):
                spool = duck.open(f"SELECT {number} AS n FROM range(3000)")
                assert duck.value(f"SELECT {i}") == i
                assert {v for b in spool for v in b.column(0).to_pylist()} == {number}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_tables_that_statements_share_a_name_for(duck: Duck) -> None:
    one, two = pa.table({"x": [1]}), pa.table({"x": [2]})
    duck.register({"__in1": one})
    duck.register({"__in1": two})
    duck.unregister(["__in1"])
    assert duck.value("SELECT x FROM __in1") == 2
    duck.unregister(["__in1"])
    with pytest.raises(duckdb.CatalogException):
        duck.value("SELECT x FROM __in1")


def test_unregistering_never_disturbs_an_open_result(duck: Duck) -> None:
    duck.register({"__in1": pa.table({"x": [1]})})
    spool = duck.open("SELECT a.range FROM range(1_000_000) a, range(1_000_000) b")
    duck.unregister(["__in1"])
    assert spool.read_next_batch().num_rows
    spool.close()
    assert duck.value("SELECT count(*) FROM duckdb_views() WHERE view_name = '__in1'") == 0


def test_functions_belong_to_their_owner(duck: Duck) -> None:
    def make(number: int) -> None:
        duck.connection.create_function("__f", lambda: number, [], "INTEGER", side_effects=True)

    duck.create_function("__f", "one", lambda: make(1))
    duck.create_function("__f", "two", lambda: make(2))
    duck.remove_functions(["__f"], "one")
    assert duck.value("SELECT __f()") == 2
    duck.remove_functions(["__f"], "two")
    with pytest.raises(duckdb.CatalogException):
        duck.value("SELECT __f()")


def test_bare_connections_share_the_users_meaning(duck: Duck) -> None:
    duck.execute("SET TimeZone = 'Asia/Tokyo'")
    duck.execute("SET integer_division = true")
    duck.execute("CREATE MACRO twice(x) AS 2 * x")
    duck.refresh()
    bare = duck.bare()
    assert bare.execute("SELECT current_setting('TimeZone'), 5 / 2").fetchall() == [("Asia/Tokyo", 2)]
    duck.execute("SET integer_division = false")
    duck.refresh()
    later = duck.bare()
    assert later.execute("SELECT 5 / 2").fetchall() == [(2.5,)]
    assert bare.execute("SELECT 5 / 2").fetchall() == [(2,)]
    assert duck.redefined() == {"TWICE"}
    assert duck.names_redefined("SELECT Twice(1)")
    schema = pa.schema([("x", pa.int64())])
    assert duck.binds_bare("SELECT x + 1 FROM __batch", "__batch", schema)
    assert not duck.binds_bare("SELECT twice(x) FROM __batch", "__batch", schema)
    assert not duck.binds_bare("SELECT y FROM __batch", "__batch", schema)
    assert duck.describe("SELECT 1 AS a, 'x' AS b", private=True) == [("a", "INTEGER"), ("b", "VARCHAR")]
    bare.close()
    later.close()


TYPES = {
    "INTEGER": "INTEGER",
    "UUID": "VARCHAR",
    "STRUCT(a HUGEINT, b BIT[])": "STRUCT(a VARCHAR, b VARCHAR[])",
    "MAP(UUID, TIME WITH TIME ZONE)": "MAP(VARCHAR, VARCHAR)",
    'STRUCT("UUID" INTEGER, "a ""BIT"" b" BIGNUM)': 'STRUCT("UUID" INTEGER, "a ""BIT"" b" VARCHAR)',
    "ENUM('BIT', 'it''s UUID')": "ENUM('BIT', 'it''s UUID')",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP WITH TIME ZONE",
}


@pytest.mark.parametrize(("type_text", "travels"), TYPES.items())
def test_what_arrow_cannot_carry_travels_as_text(type_text: str, travels: str) -> None:
    assert carried(type_text) == travels


def test_values_survive_the_journey(duck: Duck) -> None:
    sql = """SELECT 340282366920938463463374607431768211455::UHUGEINT AS x, 1 AS x, '0101'::BIT AS "a ""b",
             {'u': ['2ae9e1d2-0000-4000-8000-000000000000'::UUID, NULL], 's': 'it''s, {"x": [1]}'} AS s"""
    names, types = ["x", "x", 'a "b', "s"], ["UHUGEINT", "INTEGER", "BIT", "STRUCT(u UUID[], s VARCHAR)"]
    spool = duck.open(sql)
    assert (list(spool.names), list(spool.types)) == (names, types)
    table = pa.Table.from_batches(list(spool), spool.schema)
    assert table.column_names == names
    duck.register({"__arrived": table.rename_columns(["x", "y", 'a "b', "s"])}, {"__arrived": types})
    assert duck.execute("SELECT * FROM __arrived").fetchall() == duck.execute(sql).fetchall()
    duck.unregister(["__arrived"])
    assert duck.value("SELECT count(*) FROM duckdb_views() WHERE NOT internal") == 0


def test_most_types_travel_as_they_are() -> None:
    assert carrying(["a"], ["INTEGER"], "t") is None
    assert restoring(["a"], ["VARCHAR"], "t") is None


def test_variables_that_a_statement_names() -> None:
    local, hidden, number = pa.table({"x": [1]}), pa.table({"x": [2]}), 1
    assert variables_of_caller("SELECT x FROM local, nowhere, SHIPS, number, Iterator, pa -- hid") == {
        "local": local,
        "SHIPS": SHIPS,
    }
    assert (hidden.num_rows, number) == (1, 1)


def test_a_call_sees_only_what_it_is_shown(duck: Duck) -> None:
    shown = pa.table({"x": [1]})
    assert call_seeing({"mine": shown}, duck.connection.sql, "SELECT x FROM mine").fetchall() == [(1,)]
    for name in ("shown", "variables", "arguments", "place"):
        with pytest.raises(duckdb.CatalogException, match=name):
            call_seeing({}, duck.connection.sql, f"SELECT * FROM {name}")
    with duck.seeing({"mine": shown}):
        assert duck.value("SELECT x FROM mine") == 1
        duck.lend("lent", pa.table({"x": [5]}))
        assert duck.value("SELECT x FROM lent") == 5
    with pytest.raises(duckdb.CatalogException):
        duck.value("SELECT x FROM lent")
