"""The store's contract: answers, records, models, views."""

from __future__ import annotations

import gc
import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from anserdb.engine.errors import InterfaceError, ProgrammingError
from anserdb.engine.store import CallRecord, RowError, Store, UsageTotals


def key_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def call(text: str, **changes: object) -> CallRecord:
    record = CallRecord(
        at=1_700_000_000.25, query_id="q1", call_site="1:LLM_FILTER", function="LLM_FILTER", model="small",
        phase="serve", key=key_of(text), tokens_in=10, tokens_out=2, tokens_cached=None, seconds=0.5, retries=0,
        cost_usd=0.25, outcome="ok", error=None,
    )  # fmt: skip
    return record._replace(**changes)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.open(None if request.param == "memory" else tmp_path / "shop.anser") as opened:
        yield opened


def test_an_answer_is_there_once_its_future_resolves(store: Store) -> None:
    store.save(call("a"), b"\x00yes\xff").result()
    assert store.lookup([key_of("a"), key_of("b")]) == {key_of("a"): b"\x00yes\xff"}


def test_the_first_answer_wins(store: Store) -> None:
    store.save(call("a"), b"first").result()
    store.save(call("a"), b"second").result()
    assert store.lookup([key_of("a")]) == {key_of("a"): b"first"}
    assert store.query("calls").num_rows == 2


def test_a_failed_call_is_recorded_and_leaves_no_answer(store: Store) -> None:
    store.save(call("a", outcome="error", error="HTTP 500"), None).result()
    assert store.lookup([key_of("a")]) == {}
    assert store.query("calls").column("error").to_pylist() == ["HTTP 500"]


@pytest.mark.parametrize("count", [0, 1, 3, 511, 512, 513, 1500])
def test_lookup_of_many_keys(store: Store, count: int) -> None:
    saved = [store.save(call(str(i)), str(i).encode()) for i in range(count)]
    for future in saved:
        future.result()
    keys = [key_of(str(i)) for i in range(count)]
    assert store.lookup([*keys, *keys[:2]]) == {key_of(str(i)): str(i).encode() for i in range(count)}


def test_a_large_answer(store: Store) -> None:
    payload = bytes(range(256)) * 40_000
    store.save(call("a"), payload).result()
    assert store.lookup([key_of("a")])[key_of("a")] == payload


def test_text_that_is_no_unicode_costs_no_answer(store: Store) -> None:
    store.save(call("a", error="bad \udcff byte, naïve"), b"1").result()
    assert store.query("calls").column("error").to_pylist() == ["bad ? byte, naïve"]


def test_only_the_spoiling_job_of_a_group_fails(store: Store) -> None:
    """An integer past 64 bits cannot be stored; its neighbours in the same transaction must be."""
    gate = _hold_writer(store)
    futures = [store.save(call(str(i), tokens_in=1 << 70 if i == 3 else 1), b"x") for i in range(6)]
    gate.set()
    assert [type(future.exception()) for future in futures] == [type(None)] * 3 + [OverflowError] + [type(None)] * 2
    assert set(store.lookup([key_of(str(i)) for i in range(6)])) == {key_of(str(i)) for i in range(6) if i != 3}
    assert store.query("calls").num_rows == 5


def test_a_future_cannot_be_cancelled(store: Store) -> None:
    gate = _hold_writer(store)
    future = store.save(call("a"), b"paid for")
    assert not future.cancel()
    gate.set()
    future.result()
    assert store.lookup([key_of("a")]) == {key_of("a"): b"paid for"}


def _hold_writer(store: Store) -> threading.Event:
    """Keep the writer in a job until the event is set, so that what is saved meanwhile becomes one group."""
    gate, held = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        held.set()
        gate.wait(30)

    store._writer.submit(wait)
    assert held.wait(30)
    return gate


def test_usage_of_a_query_and_by_model(store: Store) -> None:
    records = [
        call("a", tokens_cached=4, energy_j_low=1.0, energy_j=2.0, energy_j_high=4.0, co2_g=0.5),
        call("b", retries=2, outcome="error", error="cancelled", discarded=True),
        call("c", tokens_in=None, tokens_out=None, cost_usd=None, outcome="error", error="boom"),
        call("d", query_id="q2", model="large", cost_usd=None),
    ]
    for record in records:
        store.save(record, b"x" if record.outcome == "ok" else None).result()
    assert store.usage("q1") == UsageTotals(
        calls=3, failed_calls=1, retries=2, seconds=1.5, tokens_in=20, tokens_out=4, tokens_cached=4, cost_usd=0.5,
        unknown_token_calls=1, unknown_cost_calls=1, discarded_calls=1, energy_j_low=1.0, energy_j=2.0,
        energy_j_high=4.0, co2_g=0.5, unknown_energy_calls=2,
    )  # fmt: skip
    assert store.usage("q2").cost_usd is None, "unknown is not free"
    assert store.usage("no such query").cost_usd == 0.0
    rows = store.query("usage").to_pylist()
    assert [(row["model"], row["calls"], row["cost_usd"]) for row in rows] == [("large", 1, None), ("small", 3, 0.5)]
    assert store.query("usage", query_id="q2").column("model").to_pylist() == ["large"]


def test_calls_are_newest_first_and_typed(store: Store) -> None:
    for i in range(3):
        store.save(call(str(i), query_id=f"q{i}"), b"").result()
    table = store.query("calls", limit=2)
    assert table.column("query_id").to_pylist() == ["q2", "q1"]
    assert table.column("key").to_pylist()[0] == key_of("2").hex()
    assert table.column("called_at").to_pylist()[0].isoformat() == "2023-11-14T22:13:20.250000+00:00"
    assert store.query("calls", query_id="q0").num_rows == 1


@pytest.mark.parametrize("view", ["calls", "usage", "errors", "models"])
def test_an_empty_view_has_the_types_of_a_full_one(store: Store, view: str) -> None:
    empty = store.query(view)  # type: ignore[arg-type]
    store.save(call("a"), None).result()
    store.save_error(RowError(0.0, "q", "1:LLM_FILTER", "LLM_FILTER", "small", "text", "boom")).result()
    store.put_model("small", "llamacpp", {}, replace=False)
    full = store.query(view)  # type: ignore[arg-type]
    assert (empty.num_rows, full.num_rows) == (0, 1)
    assert empty.schema == full.schema


def test_errors_keep_a_short_preview(store: Store) -> None:
    store.save_error(RowError(1.0, "q1", "1:LLM_EXTRACT", "LLM_EXTRACT", "small", "x" * 1000, "not JSON")).result()
    [row] = store.query("errors", query_id="q1").to_pylist()
    assert row["input_preview"] == "x" * 200
    assert row["error"] == "not JSON"


def test_models_come_and_go(store: Store) -> None:
    store.put_model("Big", "openai", {"model": "x-large", "price_in": 2.5, "rpm": 60, "max_tokens": 9}, replace=False)
    store.put_model("alpha", "llamacpp", {"api_key_env": "X"}, replace=False)
    with pytest.raises(ProgrammingError, match="CREATE OR REPLACE"):
        store.put_model("BIG", "openai", {}, replace=False)
    assert [model.name for model in store.models()] == ["alpha", "Big"]
    assert store.models()[1].options == {"model": "x-large", "price_in": 2.5, "rpm": 60, "max_tokens": 9}
    store.put_model("big", "vllm", {}, replace=True)
    assert [(model.name, model.provider) for model in store.models()] == [("alpha", "llamacpp"), ("big", "vllm")]
    assert store.drop_model("ALPHA")
    assert not store.drop_model("alpha")


@pytest.mark.parametrize(
    "option", ["api_key", "API_KEY", "apikey", "key", "token", "hub_token", "password", "extra_headers"]
)
def test_a_secret_is_refused_and_not_repeated(store: Store, option: str) -> None:
    with pytest.raises(ProgrammingError, match="api_key_env") as caught:
        store.put_model("m", "openai", {option: "sk-planted"}, replace=True)
    assert "sk-planted" not in str(caught.value)
    assert store.models() == []


def test_forget(store: Store) -> None:
    for i in range(6):
        store.save(call(str(i), model="Large" if i % 2 else "small"), b"x").result()
    assert store.forget(keys=[key_of("0"), key_of("2"), key_of("missing")]) == 2
    assert store.forget(model="large") == 3
    assert store.forget(everything=True) == 1
    assert store.lookup([key_of(str(i)) for i in range(6)]) == {}
    assert store.query("calls").num_rows == 6, "the bill stays"


def test_forget_wants_one_thing(store: Store) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        store.forget()
    with pytest.raises(ValueError, match="exactly one"):
        store.forget(keys=[], everything=True)


def test_models_belong_to_no_query(store: Store) -> None:
    with pytest.raises(ValueError, match="leave query_id out"):
        store.query("models", query_id="q1")


def test_lookups_and_saves_from_many_threads(store: Store) -> None:
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for i in range(50):
                text = f"{worker}/{i}"
                store.save(call(text), text.encode()).result()
                assert store.lookup([key_of(text)]) == {key_of(text): text.encode()}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.query("calls").num_rows == 400


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    for use in (lambda: store.lookup([]), lambda: store.save(call("a"), b""), store.models, lambda: store.usage("q1")):
        with pytest.raises(InterfaceError, match="closed"):
            use()


def test_close_writes_what_is_pending(tmp_path: Path) -> None:
    path = tmp_path / "shop.anser"
    store = Store.open(path)
    futures = [store.save(call(str(i)), b"x") for i in range(2000)]
    store.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with Store.open(path) as again:
        assert len(again.lookup([key_of(str(i)) for i in range(2000)])) == 2000
    assert [file.name for file in tmp_path.iterdir()] == ["shop.anser"], "the last to close folds the log into the file"


def test_a_store_nobody_holds_is_closed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "shop.anser")
    thread = store._writer._thread
    future = store.save(call("a"), b"x")
    del store
    gc.collect()
    assert not thread.is_alive()
    assert future.done()


def test_the_last_reference_may_go_in_a_callback(tmp_path: Path) -> None:
    held = [Store.open(tmp_path / "shop.anser")]
    thread = held[0]._writer._thread
    held[0].save(call("a"), b"x").add_done_callback(lambda _: held.clear())
    thread.join(30)
    assert not thread.is_alive()
