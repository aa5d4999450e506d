"""Answers on their way into the store: durable for who waits, whatever else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from anserdb.engine.dataflow.saves import Saves
from anserdb.engine.errors import InterfaceError, OperationalError
from anserdb.engine.store import CallRecord, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "answers.anser") as store:
        yield store


def record(number: int) -> CallRecord:
    key = number.to_bytes(32, "big")
    return CallRecord(0.0, "q", "1:F", "F", "m", "serve", key, 1, 1, 0, 0.1, 0, None, "ok", None)


async def test_what_gathers_is_written_together_and_is_there_for_each_waiter(store: Store) -> None:
    saves = Saves(store)
    savings = [saves.save(record(n), b"yes" if n % 2 else None) for n in range(1200)]
    await asyncio.gather(*(saving.durable() for saving in savings))
    assert store.query("calls").num_rows == 1200
    assert len(store.lookup([record(n).key for n in range(1200)])) == 600


async def test_who_is_cancelled_waits_until_it_is_written(store: Store) -> None:
    saves = Saves(store)
    waiting = asyncio.create_task(saves.save(record(1), b"yes").durable())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert store.lookup([record(1).key])


async def test_one_that_cannot_be_written_does_not_take_the_others_along(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.save_all

    def refuse_the_third(saved: list[tuple[CallRecord, bytes | None]], ttl_s: float | None) -> Future[None]:
        if any(one == record(3) for one, _ in saved):
            failed: Future[None] = Future()
            failed.set_exception(OperationalError("too large"))
            return failed
        return write(saved, ttl_s)

    monkeypatch.setattr(store, "save_all", refuse_the_third)
    saves = Saves(store)
    savings = [saves.save(record(n), b"yes") for n in range(5)]
    outcomes = await asyncio.gather(*(saving.durable() for saving in savings), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 3 + [OperationalError, type(None)]
    assert len(store.lookup([record(n).key for n in range(5)])) == 4


async def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(InterfaceError, match="closed"):
        await Saves(store).save(record(1), b"yes").durable()


async def test_a_fault_in_what_is_worked_out_before_reaches_who_waits(store: Store) -> None:
    def faulty() -> None:
        raise ZeroDivisionError("a fault")

    saves = Saves(store)
    saves.before(faulty)
    saving = saves.save(record(1), b"yes")
    with pytest.raises(ZeroDivisionError):
        await saving.durable()
    after = saves.save(record(2), b"yes")
    await after.durable()
    assert store.lookup([record(2).key])
