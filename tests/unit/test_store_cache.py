"""Answers as a cache: they expire, are forgotten, make room, and never while a query under way needs them."""

from __future__ import annotations

import gc
import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from anserdb.engine.dataflow.progress import QueryProgress, SiteProgress
from anserdb.engine.store import CallRecord, RowError, Store
from anserdb.engine.store.schema import MIGRATIONS, migrate
from anserdb.engine.store.upkeep import Upkeep

LONG_AGO = 1_700_000_000.0
PAYLOAD = b"x" * 800  # with what an answer costs besides: 1,000 bytes


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def call(number: int, at: float, model: str = "small", function: str = "LLM_FILTER") -> CallRecord:
    return CallRecord(
        at=at, query_id="q", call_site="1:F", function=function, model=model, phase="serve", key=key_of(number),
        tokens_in=3, tokens_out=1, tokens_cached=None, seconds=0.5, retries=1, cost_usd=0.25, outcome="ok", error=None,
    )  # fmt: skip


def fill(store: Store, numbers: Sequence[int], at: float = LONG_AGO, payload: bytes = PAYLOAD) -> None:
    store.save_all([(call(number, at + number), payload) for number in numbers]).result()


def kept(store: Store, numbers: Sequence[int]) -> list[int]:
    rows = {row[0] for row in store.fetch("SELECT key FROM answers")}
    return [number for number in numbers if key_of(number) in rows]


def settled(store: Store) -> None:
    """Wait until the upkeep has nothing to do; each of its steps follows the one before on the writer's thread."""
    while store.upkeep._busy:
        store.submit(lambda connection: None).result()


def tidied(store: Store) -> None:
    store.upkeep.tidy()
    settled(store)


def under_way(began: float) -> QueryProgress:
    """A query that began so many seconds ago."""
    query = QueryProgress("q", time.monotonic() - began)
    query.sites["1:F"] = SiteProgress("1:F", "F", "small")
    return query


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.open(None if request.param == "memory" else tmp_path / "s.anser") as opened:
        yield opened


# --- time ---------------------------------------------------------------------------------------------------------------


def test_an_expired_answer_is_not_found_and_gives_way_to_a_new_one(store: Store) -> None:
    now = time.time()
    store.save(call(1, now - 100), b"old").result()
    assert store.lookup([key_of(1)], ttl_s=50) == {}
    assert store.lookup([key_of(1)], ttl_s=150) == {key_of(1): b"old"}
    store.save_all([(call(1, now), b"new")], ttl_s=150).result()
    assert store.lookup([key_of(1)]) == {key_of(1): b"old"}, "it has not expired"
    store.save_all([(call(1, now), b"newer")], ttl_s=50).result()
    assert store.lookup([key_of(1)], ttl_s=50) == {key_of(1): b"newer"}
    assert store.cache.bytes() == len(b"newer") + 200


# --- by hand ------------------------------------------------------------------------------------------------------------


def test_answers_are_forgotten_by_model_function_and_age_and_records_stay(store: Store) -> None:
    now = time.time()
    for number, (model, function, age) in enumerate(
        [("small", "LLM_FILTER", 0), ("small", "LLM_AGG", 500), ("large", "LLM_FILTER", 500), ("large", "LLM_AGG", 0)]
    ):
        store.save(call(number, now - age, model, function), b"x").result()
    numbers = range(4)
    assert store.cache.clear(model="SMALL", older_than_s=100) == 1
    assert kept(store, numbers) == [0, 2, 3]
    assert store.cache.clear(function="llm_filter", model="large") == 1
    assert kept(store, numbers) == [0, 3]
    assert store.cache.clear(model="nobody") == 0
    assert store.cache.clear() == 2
    assert (kept(store, numbers), store.cache.bytes()) == ([], 0)
    assert store.query("calls").num_rows == 4


def test_many_answers_go_in_steps(store: Store) -> None:
    fill(store, range(3500), payload=b"x")
    assert store.cache.clear() == 3500
    assert store.fetch("SELECT count(*) FROM answers") == [(0,)]


def test_compacting_gives_space_back_and_keeps_what_is_there(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.anser") as store:
        fill(store, range(3000))
        store.cache.clear(older_than_s=time.time() - LONG_AGO - 2900)  # all but the last hundred
        left = kept(store, range(3000))
        space = store.cache.compact()
        assert 0 < len(left) < 200
        assert space.after < space.before / 5
        assert kept(store, range(3000)) == left
        fill(store, [5000])
        with Store.open(tmp_path / "s.anser") as other:
            assert len(kept(other, range(5001))) == len(left) + 1


def test_a_store_in_memory_compacts(store: Store) -> None:
    fill(store, range(100))
    store.cache.clear()
    space = store.cache.compact()
    assert 0 < space.after <= space.before


# --- size ---------------------------------------------------------------------------------------------------------------


def test_the_size_is_kept_whatever_happens_to_answers(store: Store) -> None:
    fill(store, range(50))
    fill(store, range(50), payload=b"ignored, for the first answer stays")
    store.forget(keys=[key_of(7)])
    rows = store.fetch("SELECT sum(length(payload) + 200) FROM answers")
    assert store.cache.bytes() == rows[0][0] == 49_000


def test_over_the_cap_the_least_recently_used_go(store: Store) -> None:
    numbers = range(2000)
    fill(store, numbers)
    used = [3, 500, 1999]
    store.lookup([key_of(number) for number in used])
    store.upkeep.attend(QueryProgress("q", time.monotonic()), 0.1)
    tidied(store)
    assert store.cache.bytes() == 100_000
    assert kept(store, numbers) == [3, 500, *range(1902, 2000)]


def test_without_a_cap_nothing_goes(store: Store) -> None:
    fill(store, range(100))
    tidied(store)
    assert len(kept(store, range(100))) == 100


def test_a_query_under_way_keeps_what_it_has_made(store: Store) -> None:
    query, bystander = under_way(began=60), QueryProgress("never begun", time.monotonic() - 1e6)
    store.upkeep.attend(query, 0.01)
    store.upkeep.attend(bystander, 0.01)
    fill(store, range(100))
    fill(store, range(100, 130), at=time.time() - 100)  # made a moment ago
    store.lookup([key_of(5)])  # and this one used
    tidied(store)
    assert kept(store, range(130)) == [5, *range(100, 130)]
    query.finished = time.monotonic()
    store.upkeep.ended()
    settled(store)
    assert len(kept(store, range(130))) == 10
    assert store.cache.bytes() == 10_000


def test_a_query_that_is_forgotten_keeps_nothing(store: Store) -> None:
    store.upkeep.attend(under_way(began=60), 0.0)
    fill(store, range(10), at=time.time() - 20)
    gc.collect()
    tidied(store)
    assert kept(store, range(10)) == []


def test_the_time_of_use_is_written_once_in_a_while(store: Store) -> None:
    fill(store, [1])
    for _ in range(3):
        store.lookup([key_of(1)])
    store.upkeep.write_uses()
    store.submit(lambda connection: None).result()
    first = store.fetch("SELECT used_at FROM answers")
    assert first[0][0] > time.time() - 60
    store.lookup([key_of(1)])
    assert not store.upkeep._touched


def test_uses_survive_the_end(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.anser") as store:
        fill(store, [1])
        store.lookup([key_of(1)])
    with Store.open(tmp_path / "s.anser") as store:
        assert store.fetch("SELECT used_at > ? FROM answers", [LONG_AGO + 1]) == [(1,)]


def test_a_closed_store_is_not_tidied_and_says_nothing(store: Store) -> None:
    store.close()
    store.upkeep.tidy()
    store.upkeep.ended()
    assert not store.upkeep._busy


# --- records ------------------------------------------------------------------------------------------------------------


def test_of_old_records_the_sums_stay(store: Store) -> None:
    store.upkeep = Upkeep(store._writer, most_calls=100, most_errors=10)
    whole = """SELECT sum(calls), sum(failed_calls), sum(retries), sum(seconds), sum(tokens_in), sum(tokens_out),
        sum(tokens_cached), sum(cost_usd), sum(unknown_token_calls), sum(unknown_cost_calls) FROM past_usage"""
    for start in range(0, 2400, 600):
        fill(store, range(start, start + 600), at=LONG_AGO + 400 * start)
        tidied(store)
    for number in range(30):
        store.save_error(RowError(LONG_AGO, "q", "1:F", "F", "small", "x", f"{number}")).result()
    tidied(store)
    assert store.query("calls").num_rows == 100
    assert store.fetch(whole) == [(2300, 0, 2300, 1150.0, 6900, 2300, None, 575.0, 0, 0)]
    assert len(store.fetch("SELECT DISTINCT day FROM past_usage")) > 3
    assert store.query("errors").column("error").to_pylist() == [str(number) for number in range(29, 19, -1)]
    assert len(kept(store, range(2400))) == 2400, "answers are no records"


def test_thousands_of_saves_have_it_look(store: Store) -> None:
    store.upkeep = Upkeep(store._writer, most_calls=100)
    fill(store, range(1999))
    settled(store)
    assert store.query("calls").num_rows == 1999
    fill(store, [1999])
    settled(store)
    assert store.query("calls").num_rows == 100


# --- older files --------------------------------------------------------------------------------------------------------


def test_a_file_of_the_first_release_gets_sizes_times_and_functions(tmp_path: Path) -> None:
    path = tmp_path / "s.anser"
    with sqlite3.connect(path, isolation_level=None) as connection:
        migrate(connection, "s", MIGRATIONS[:2])
        for number, function in enumerate(["LLM_FILTER", "LLM_AGG"]):
            connection.execute(
                "INSERT INTO answers (key, model, payload, at) VALUES (?, 'small', ?, ?)",
                [key_of(number), PAYLOAD, LONG_AGO + number],
            )
            connection.execute(
                "INSERT INTO calls (at, query_id, call_site, function, model, phase, key, seconds, retries, outcome) "
                "VALUES (?, 'q', '1:F', ?, 'small', 'serve', ?, 1.0, 0, 'ok')",
                [LONG_AGO, function, key_of(number)],
            )
    connection.close()
    with Store.open(path) as store:
        assert store.cache.bytes() == 2000
        assert store.fetch("SELECT used_at FROM answers ORDER BY at") == [(LONG_AGO,), (LONG_AGO + 1,)]
        assert store.cache.clear(function="LLM_AGG") == 1
        assert kept(store, range(2)) == [0]
        assert store.cache.bytes() == 1000
        fill(store, [7])
        assert store.cache.bytes() == 2000
