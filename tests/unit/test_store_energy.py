"""Energy, discarded calls and answers that were found, in the store: kept, added up, and missing in older files."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.store import CallRecord, Reuse, Store
from anserdb.engine.store.schema import MIGRATIONS, migrate
from anserdb.engine.store.upkeep import Upkeep

DAY = 86_400.0
RECORD = CallRecord(
    at=10 * DAY, query_id="q", call_site="1:F", function="F", model="m", phase="serve", key=hashlib.sha256().digest(),
    tokens_in=1, tokens_out=1, tokens_cached=0, seconds=1.0, retries=0, cost_usd=0.5, outcome="ok", error=None,
    endpoint="http://127.0.0.1:1/v1", energy_j_low=1.0, energy_j=2.0, energy_j_high=4.0, energy_method="table", co2_g=0.25,
    co2_source="somebody",
)  # fmt: skip


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as opened:
        yield opened


def test_a_file_of_version_5_keeps_its_calls_and_learns_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "s.anser"
    with sqlite3.connect(path, isolation_level=None) as connection:
        migrate(connection, "s", MIGRATIONS[:5])
        connection.execute(
            "INSERT INTO calls (at, query_id, call_site, function, model, phase, key, tokens_in, seconds, retries, outcome) "
            "VALUES (864000.0, 'q', '1:F', 'F', 'm', 'serve', x'00', 7, 1.0, 0, 'ok')"
        )
        connection.execute(
            "INSERT INTO past_usage (day, model, function, calls, failed_calls, retries, seconds, tokens_in, unknown_token_calls, "
            "unknown_cost_calls) VALUES ('1970-01-05', 'm', 'F', 3, 0, 0, 3.0, 9, 0, 3)"
        )
    connection.close()
    with Store.open(path) as store:
        assert store.fetch("PRAGMA user_version") == [(len(MIGRATIONS),)]
        (call,) = store.query("calls").to_pylist()
        assert (call["tokens_in"], call["discarded"], call["endpoint"]) == (7, False, None)
        assert (call["energy_j"], call["energy_method"], call["co2_g_high"]) == (None, None, None)
        store.save(RECORD, None).result()
        by_query = [
            (row["query_id"], row["calls"], row["energy_j"], row["unknown_energy_calls"]) for row in usage(store)
        ]
        assert by_query == [(None, 3, None, 3), ("q", 2, 2.0, 1)]
        assert store.usage("q").unknown_energy_calls == 1


def usage(store: Store) -> list[dict[str, object]]:
    return store.query("usage_by_query").to_pylist()


def test_bounds_of_emissions_are_those_of_the_energy(store: Store) -> None:
    store.save(RECORD, None).result()
    store.save(RECORD._replace(energy_j_low=0.0, energy_j=0.0, energy_j_high=0.0, co2_g=0.0), None).result()
    calls = store.query("calls").to_pylist()
    emitted = [(call["co2_g_low"], call["co2_g"], call["co2_g_high"]) for call in calls]
    assert emitted == [(0.0, 0.0, 0.0), (0.125, 0.25, 0.5)]
    assert [call["co2_source"] for call in calls] == ["somebody"] * 2


def test_answers_that_were_found_are_no_calls_and_say_what_they_saved(store: Store) -> None:
    found = Reuse(10 * DAY, "q", "1:F", "F", "m", 3, None, 6.0, 0.5)
    store.save_reuses([found, replace(found, cached=2, avoided_cost_usd=1.0, avoided_energy_j=None)]).result()
    (row,) = usage(store)
    assert (row["calls"], row["tokens_in"], row["energy_j"], row["unknown_energy_calls"]) == (0, 0, 0.0, 0)
    assert [row[name] for name in ("cached", "avoided_cost_usd", "avoided_energy_j", "avoided_co2_g")] == [
        5,
        1.0,
        6.0,
        1.0,
    ]
    store.save(RECORD._replace(tokens_in=None, cost_usd=None), None).result()
    (row,) = usage(store)
    assert (row["calls"], row["tokens_in"], row["cost_usd"], row["cached"]) == (1, None, None, 5), (
        "unknown stays unknown"
    )
    (row,) = store.query("usage").to_pylist()
    assert (row["calls"], row["cached"], row["avoided_energy_j"]) == (1, 5, 6.0)


amounts = st.one_of(st.none(), st.floats(0, 1e6))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), amounts, st.booleans()), min_size=1, max_size=40),
    st.data(),
)
@settings(max_examples=30, deadline=None)
def test_sums_stay_what_they_were_when_records_go(
    calls: list[tuple[int, int, float | None, bool]], data: st.DataObject
) -> None:
    """By day, model and function; whatever of the records has been trimmed."""
    with Store.open(None) as store:
        for day, query, joules, discarded in calls:
            more = None if joules is None else 2 * joules
            record = RECORD._replace(
                at=day * DAY, query_id=f"q{query}", energy_j_low=joules, energy_j=joules, energy_j_high=more,
                co2_g=joules, discarded=discarded, outcome="error" if discarded else "ok",
            )  # fmt: skip
            store.save(record, None).result()
            store.save_reuses([Reuse(day * DAY, f"q{query}", "1:F", "F", "m", 1, joules, more, joules)]).result()
        before = totals(store)
        kept = data.draw(st.integers(1, len(calls)))
        store.upkeep = Upkeep(store._writer, most_calls=kept, most_reuses=1)
        store.upkeep.tidy()
        while store.upkeep._busy:
            store._writer.submit(lambda connection: None).result()
        assert store.query("calls").num_rows == kept
        assert len(store.fetch("SELECT id FROM reuses")) == 1
        assert totals(store) == before


def totals(store: Store) -> dict[str, object]:
    (row,) = store.query("usage").to_pylist()
    return {name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value for name, value in row.items()}
