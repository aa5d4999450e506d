"""The cache as users meet it: settings and statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import anserdb
from anserdb.engine.errors import BindError

QUERY = "SELECT id, LLM_COMPLETE('say', body) AS x FROM t ORDER BY id"


@pytest.fixture
def con(tmp_path: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT i AS id, 'body ' || i AS body FROM range(30) r(i)")
        yield con


def asked(con: anserdb.Connection, query: str = QUERY) -> int:
    """Calls that a query makes."""
    result = con.sql(query)
    assert result is not None
    result.fetchall()
    assert result.progress is not None
    return result.progress.calls


def value(con: anserdb.Connection, statement: str) -> int:
    result = con.sql(statement)
    assert result is not None
    assert result.columns == ["answers"]
    return int(result.fetchall()[0][0])


def age(con: anserdb.Connection, seconds: float) -> None:
    """Make all answers older."""
    con._open_session().store.submit(
        lambda connection: (
            connection.execute("UPDATE answers SET at = at - ?, used_at = used_at - ?", [seconds] * 2) and None
        )
    ).result()


def test_an_expired_answer_is_asked_for_again_and_replaced(con: anserdb.Connection) -> None:
    assert (asked(con), asked(con)) == (30, 0)
    age(con, 100)
    con.sql("SET llm_cache_ttl_s = 1000")
    assert asked(con) == 0
    con.sql("SET llm_cache_ttl_s = 50")
    assert (asked(con), asked(con)) == (30, 0)
    con.sql("RESET llm_cache_ttl_s")
    assert asked(con) == 0
    assert value(con, "CALL llm_cache_clear(older_than := INTERVAL 50 SECONDS)") == 0, "they were replaced"


@pytest.mark.parametrize("setting", ["llm_cache_ttl_s = 0", "llm_cache_ttl_s = -1", "llm_cache_max_mb = -1"])
def test_settings_without_a_meaning_are_refused(con: anserdb.Connection, setting: str) -> None:
    with pytest.raises(BindError, match=r"llm_cache_\w+ = "):
        con.sql(f"SET {setting}")


@pytest.mark.parametrize(
    ("statement", "gone"),
    [
        ("CALL llm_cache_clear()", 31),
        ("DROP ANSWERS", 31),
        ("CALL llm_cache_clear(model := 'Scripted')", 30),
        ("DROP ANSWERS (model other)", 1),
        ("DROP ANSWERS (function 'ai_complete', model scripted)", 30),
        ("CALL llm_cache_clear(function := 'LLM_FILTER')", 0),
        ("CALL llm_cache_clear(older_than := INTERVAL 1 HOUR)", 0),
        ("DROP ANSWERS (older_than INTERVAL 0 SECONDS)", 31),
    ],
)
def test_answers_are_forgotten_and_counted(con: anserdb.Connection, statement: str, gone: int) -> None:
    con.sql("CREATE MODEL other (PROVIDER scripted, SEED 2)")
    asked(con)
    asked(con, "SELECT LLM_COMPLETE('say', 'x', model := 'other') AS x")
    assert value(con, statement) == gone
    assert asked(con) == (30 if gone >= 30 else 0)


def test_the_cap_is_kept_when_a_query_has_ended_and_its_own_rows_are_whole(con: anserdb.Connection) -> None:
    asked(con)
    con.sql("SET llm_cache_max_mb = 0.001")
    result = con.sql("SELECT id, LLM_COMPLETE('other', body) AS x FROM t")
    assert result is not None
    assert result.fetchone() is not None
    store = con._open_session().store
    result.fetchall()
    for _ in range(500):
        if store.cache.bytes() <= 1000:
            break
        time.sleep(0.01)
    assert 0 < store.cache.bytes() <= 1000
    assert asked(con) > 0


def test_space_is_given_back(con: anserdb.Connection, tmp_path: Path) -> None:
    con.sql("INSERT INTO t SELECT i, 'body ' || i FROM range(30, 2000) r(i)")
    asked(con)
    con.sql("DROP ANSWERS")
    result = con.sql("COMPACT ANSWERS")
    assert result is not None
    ((before, after),) = result.fetchall()
    assert after < before
    assert (tmp_path / "s.anser").stat().st_size == after
    again = con.sql("CALL llm_cache_compact()")
    assert again is not None
    assert again.columns == ["bytes_before", "bytes_after"]
    assert asked(con) == 2000


def test_an_unknown_function_is_told_with_its_place(con: anserdb.Connection) -> None:
    with pytest.raises(BindError, match=r"LLM_FILTER[\s\S]*\^\^\^"):
        con.sql("DROP ANSWERS (function 'LLM_FILTR')")
