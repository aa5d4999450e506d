"""Which names are the user's own functions: as they are now, whoever defined or dropped them, and without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from anserdb.engine.physical.duck import Duck
from anserdb.engine.physical.user_functions import UserFunctions


class Watched:
    """Calls what it is told to, and keeps what was listed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.listings = 0
        self.functions = UserFunctions(self.call, connection)

    def call(self, method: Any, *arguments: Any) -> Any:
        self.listings += "duckdb_functions" in arguments[0]
        return method(*arguments)

    def called(self, sql: str) -> bool:
        self.functions.refresh()
        return self.functions.called(sql)


@pytest.fixture
def native(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "a.duckdb")) as native:
        yield native


DEFINED = [
    "CREATE MACRO upper(x) AS 'mine'",
    "CREATE TEMP MACRO upper(x) AS 'mine'",
    "CREATE MACRO main.upper(x) AS 'mine'",
    "CREATE SCHEMA s; CREATE MACRO s.upper(x) AS 'mine'; USE s",
    "ATTACH ':memory:' AS other; CREATE MACRO other.upper(x) AS 'mine'; USE other",
]


@pytest.mark.parametrize("definition", DEFINED)
def test_a_redefined_name_is_found_without_listing_functions(
    native: duckdb.DuckDBPyConnection, definition: str
) -> None:
    watched = Watched(native)
    assert not watched.called("SELECT upper(x), count(*), no_such(1)")
    native.execute(definition)
    assert native.execute("SELECT upper('a')").fetchall() == [("mine",)]
    assert watched.called("SELECT Upper (x)")
    assert not watched.called("SELECT lower(x)")
    assert watched.listings == 0


def test_others_define_and_drop(native: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    watched = Watched(native)
    with native.cursor() as cursor, duckdb.connect(str(tmp_path / "a.duckdb")) as other:
        cursor.execute("CREATE MACRO range(n) AS TABLE SELECT 7 AS range")
        assert watched.called("FROM range(3)")
        other.execute("DROP MACRO TABLE range")
        assert not watched.called("FROM range(3)")
        other.execute("BEGIN; CREATE MACRO lower(x) AS 'theirs'")
        assert not watched.called("SELECT lower(x)")
        other.execute("COMMIT")
        assert watched.called("SELECT lower(x)")


def test_a_transaction_is_as_it_was(native: duckdb.DuckDBPyConnection) -> None:
    watched = Watched(native)
    native.execute("ATTACH ':memory:' AS b; CREATE TABLE b.t (i INTEGER); CREATE MACRO twice(x) AS 2 * x")
    native.execute("BEGIN; CREATE MACRO thrice(x) AS 3 * x; ROLLBACK; BEGIN; INSERT INTO b.t VALUES (1)")
    assert watched.called("SELECT twice(1)")
    assert not watched.called("SELECT thrice(1), no_such(1), count(*)")
    native.execute("COMMIT")  # one that had touched the other database, too, would have failed
    assert native.execute("SELECT twice(i) FROM b.t").fetchall() == [(2,)]


def test_qualified_names_and_other_packages_of_duckdb_are_compared_with_the_list(
    native: duckdb.DuckDBPyConnection,
) -> None:
    native.execute("CREATE SCHEMA s; CREATE MACRO s.upper(x) AS 'mine'")
    watched = Watched(native)
    assert watched.called('SELECT s."upper"(x)')
    assert watched.listings == 1
    assert not watched.called("SELECT upper(x)")
    watched.functions._bind = None
    assert watched.called("SELECT upper(x)")
    assert watched.listings == 2


def test_a_read_only_database(tmp_path: Path) -> None:
    path = str(tmp_path / "r.duckdb")
    with duckdb.connect(path) as native:
        native.execute("CREATE MACRO twice(x) AS 2 * x")
    with duckdb.connect(path, read_only=True) as native:
        duck = Duck(native)
        assert duck.names_redefined("SELECT twice(1)")
        assert not duck.names_redefined("SELECT once(1), count(*)")
        duck.close()
