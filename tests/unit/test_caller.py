"""One question, once: in flight, from the store, or paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from anserdb.engine.dataflow import flights
from anserdb.engine.dataflow.caller import Caller
from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.dataflow.replies import decode, encode
from anserdb.engine.dataflow.run import QueryRun
from anserdb.engine.errors import (
    BudgetExceeded,
    InterfaceError,
    InvalidAnswer,
    ModelError,
    ModelUnavailable,
    ProgrammingError,
)
from anserdb.engine.store import Store
from anserdb.udfs.models.base import Embed, Generate, ModelSpec, Reply, Request, Usage
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.wrap.gate import Limits
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.runtime import SPEC, new_run, shouter, strangers, take, until

ASK = Generate("shout", "hello", max_tokens=20)
PRICED = ModelSpec("scripted", "scripted", {"price_in": 1000.0, "price_out": 1000.0})


class Gate:
    """A delay that holds every call until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, request: Request) -> None:
        await self.open.wait()


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(None) as opened:
        yield opened


def caller_of(run: QueryRun, model: Any, *, cache: bool = True, spec: ModelSpec = SPEC, site: str = "1:F") -> Caller:
    return Caller(run, model, spec, site=site, function="F", cache=cache)


def records(store: Store) -> list[tuple[str, str]]:
    """Phase and outcome of every call, oldest first."""
    table = store.query("calls")
    rows = zip(table.column("phase").to_pylist(), table.column("outcome").to_pylist(), strict=True)
    return list(rows)[::-1]


def test_replies_survive_their_encoding() -> None:
    reply = Reply("a \ud800 é", {"yes": -0.25, "no": -1.5}, (0.5, -2.0), Usage(3, None, 1))
    assert decode(encode(reply)) == reply
    assert decode(encode(Reply("x"))) == Reply("x")


async def test_an_answer_is_durable_before_it_is_returned_and_serves_the_next_query(store: Store) -> None:
    model, run = shouter(), new_run(store, "q1")
    assert await caller_of(run, model)(ASK, take) == "HELLO"
    assert records(store) == [("serve", "ok")]  # no waiting: it is there already
    again = new_run(store, "q2")
    assert await caller_of(again, model)(ASK, take) == "HELLO"
    assert len(model.calls) == 1
    first, second = run.progress.sites["1:F"], again.progress.sites["1:F"]
    assert (first.asked, first.calls, first.cached) == (1, 1, 0)
    assert (second.asked, second.calls, second.cached) == (1, 0, 1)
    assert first.tokens_in == 2
    assert first.in_flight == 0


async def test_equal_questions_in_flight_are_one_call_across_queries(store: Store) -> None:
    gate = Gate()
    model = shouter(delay=gate)
    runs = [new_run(store) for _ in range(3)]
    waiting = [asyncio.create_task(caller_of(run, model)(ASK, take)) for run in runs for _ in range(10)]
    await until(lambda: len(model.calls) == 1)
    gate.open.set()
    assert await asyncio.gather(*waiting) == ["HELLO"] * 30
    assert len(model.calls) == 1
    assert sum(run.progress.sites["1:F"].shared for run in runs) == 29


async def test_one_waiter_less_does_not_stop_the_call_and_the_last_one_does(store: Store) -> None:
    gate = Gate()
    model = shouter(delay=gate)
    first, second = (asyncio.create_task(caller_of(new_run(store), model)(ASK, take)) for _ in range(2))
    await until(lambda: model.in_flight == 1)
    first.cancel()
    await asyncio.wait({first})
    assert (first.cancelled(), model.in_flight) == (True, 1)
    second.cancel()
    await asyncio.wait({second})
    assert (second.cancelled(), model.in_flight) == (True, 0)
    assert not flights._flights
    assert not strangers()
    await until(lambda: records(store) == [("serve", "error")])


async def test_who_asks_while_a_cancelled_call_ends_is_answered(store: Store) -> None:
    gate = Gate()
    model = shouter(delay=gate)
    first = asyncio.create_task(caller_of(new_run(store), model)(ASK, take))
    await until(lambda: model.in_flight == 1)
    first.cancel()
    second = asyncio.create_task(caller_of(new_run(store), model)(ASK, take))
    gate.open.set()
    assert await second == "HELLO"


async def test_an_answer_that_arrived_is_saved_although_its_query_is_cancelled(store: Store) -> None:
    lock = store._reading.lock  # in memory, reader and writer share it: the commit waits for us

    async def hold(request: Request) -> None:
        lock.acquire()

    model = shouter(delay=hold)
    task = asyncio.create_task(caller_of(new_run(store), model)(ASK, take))
    await until(lambda: len(model.calls) == 1 and model.in_flight == 0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    lock.release()
    await asyncio.wait({task})
    assert task.cancelled()
    assert records(store) == [("serve", "ok")]
    assert await caller_of(new_run(store), model)(ASK, take) == "HELLO"
    assert len(model.calls) == 1


async def test_an_invalid_answer_is_asked_again_and_every_paid_attempt_recorded(store: Store) -> None:
    model = shouter(("", lambda request: ["invalid", "invalid!", "good"][request.attempt]))
    run = new_run(store)
    assert await caller_of(run, model)(ASK, take) == "good"
    assert [request.attempt for request in model.calls if isinstance(request, Generate)] == [0, 1, 2]
    assert records(store) == [("serve", "invalid"), ("reask", "invalid"), ("reask", "ok")]
    assert run.progress.calls == 3


async def test_after_two_re_asks_it_is_an_error_and_nothing_is_stored(store: Store) -> None:
    model = shouter(("", "invalid"))
    with pytest.raises(InvalidAnswer):
        await caller_of(new_run(store), model)(ASK, take)
    assert len(model.calls) == 3
    with pytest.raises(InvalidAnswer):
        await caller_of(new_run(store), model)(ASK, take)
    assert len(model.calls) == 6


async def test_an_answer_that_the_backend_finds_invalid_is_asked_again_too(store: Store) -> None:
    model = shouter(("", lambda request: "fine" if request.attempt else _refuse()))
    assert await caller_of(new_run(store), model)(ASK, take) == "fine"
    assert records(store) == [("serve", "invalid"), ("reask", "ok")]


def _refuse() -> str:
    raise InvalidAnswer("no choice", "scripted", "?")


async def test_an_invalid_embedding_is_not_asked_again(store: Store) -> None:
    def refuse(reply: Reply) -> None:
        raise InvalidAnswer("wrong length")

    model = shouter(("", [1.0, 2.0]))
    with pytest.raises(InvalidAnswer):
        await caller_of(new_run(store), model)(Embed("x"), refuse)
    assert len(model.calls) == 1


async def test_a_stored_answer_that_no_longer_fits_is_replaced(store: Store) -> None:
    def even(reply: Reply) -> int:
        if int(reply.text) % 2:
            raise InvalidAnswer("odd")
        return int(reply.text)

    model = ScriptedModel([("", lambda request: "4" if len(model.calls) > 1 else "3")])
    assert await caller_of(new_run(store), model)(ASK, take) == "3"
    assert await caller_of(new_run(store), model)(ASK, even) == 4
    assert await caller_of(new_run(store), model)(ASK, even) == 4
    assert len(model.calls) == 2


async def test_without_cache_a_query_asks_once_and_the_next_query_again(store: Store) -> None:
    model, run = shouter(), new_run(store)
    plain = caller_of(run, model, cache=False)
    assert await asyncio.gather(*(plain(ASK, take) for _ in range(5))) == ["HELLO"] * 5
    assert await plain(ASK, take) == "HELLO"
    assert len(model.calls) == 1
    assert await caller_of(new_run(store), model, cache=False)(ASK, take) == "HELLO"
    assert await caller_of(new_run(store), model)(ASK, take) == "HELLO"  # nothing was kept for it
    assert len(model.calls) == 3
    assert records(store) == [("serve", "ok")] * 3


async def test_without_cache_a_stored_answer_is_not_used(store: Store) -> None:
    model = shouter()
    await caller_of(new_run(store), model)(ASK, take)
    await caller_of(new_run(store), model, cache=False)(ASK, take)
    assert len(model.calls) == 2


async def test_calibration_is_counted_as_such(store: Store) -> None:
    run = new_run(store)
    caller = caller_of(run, shouter())
    await caller.calibrating()(ASK, take)
    await caller(Generate("shout", "other", max_tokens=20), take)
    assert (caller.progress.calls, caller.progress.calibration) == (2, 1)
    assert records(store) == [("calibrate", "ok"), ("serve", "ok")]


async def test_a_failed_call_is_recorded_and_raised(store: Store) -> None:
    error = ModelUnavailable("nobody there", "scripted")
    with pytest.raises(ModelUnavailable, match="nobody there"):
        await caller_of(new_run(store), shouter(("", error)))(ASK, take)
    assert records(store) == [("serve", "error")]


async def test_a_broken_parser_is_raised_and_its_call_recorded(store: Store) -> None:
    def broken(reply: Reply) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await caller_of(new_run(store), shouter())(ASK, broken)
    assert records(store) == [("serve", "error")]


async def test_anothers_budget_is_not_ours(store: Store) -> None:
    gate = Gate()
    model = shouter(delay=gate)
    poor, rich = new_run(store, llm_max_calls=0), new_run(store)
    failing, working = caller_of(poor, model)(ASK, take), caller_of(rich, model)(ASK, take)
    tasks = [asyncio.create_task(failing), asyncio.create_task(working)]
    gate.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], BudgetExceeded)
    assert outcomes[1] == "HELLO"


async def test_a_failure_is_shared_within_its_query_only(store: Store) -> None:
    gate = Gate()
    model = shouter(("", ModelError("no")), delay=gate)
    run, other = new_run(store), new_run(store)
    tasks = [asyncio.create_task(caller_of(r, model)(ASK, take)) for r in (run, run, other)]
    await until(lambda: model.in_flight == 1)
    gate.open.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelError] * 3
    assert len(model.calls) == 2


async def test_money_is_counted_and_capped_with_many_askers(store: Store) -> None:
    model = shouter()
    run = new_run(store, llm_max_cost_usd=1.0)
    caller = caller_of(run, model, spec=PRICED)
    asks = [caller(Generate("shout", f"hello {i}", max_tokens=20), take) for i in range(1000)]
    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BudgetExceeded)]
    spent = store.usage(run.query_id).cost_usd
    assert spent == pytest.approx(run.progress.cost_usd)
    assert spent is not None
    assert 0.9 < spent <= 1.0
    assert len(refused) + len(model.calls) == 1000
    assert run.progress.price_source == "CREATE MODEL"


async def test_calls_are_capped_with_many_askers(store: Store) -> None:
    model, run = shouter(), new_run(store, llm_max_calls=100)
    caller = caller_of(run, model)
    asks = [caller(Generate("shout", f"hello {i}", max_tokens=20), take) for i in range(1000)]
    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    assert len(model.calls) == 100
    assert sum(isinstance(outcome, BudgetExceeded) for outcome in outcomes) == 900


async def test_a_cap_on_money_with_an_unknown_price_fails_before_the_first_call(store: Store) -> None:
    model, unknown = shouter(), ModelSpec("mystery", "openai", {"base_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(ProgrammingError, match="price_in"):
        await caller_of(new_run(store, llm_max_cost_usd=1.0), model, spec=unknown)(ASK, take)
    assert not model.calls
    run = new_run(store)
    assert await caller_of(run, model, spec=unknown)(ASK, take) == "HELLO"
    assert run.progress.cost_usd is None


def test_concurrency_is_the_smallest_cap_given_else_the_models(store: Store) -> None:
    model, capped = shouter(concurrency=9), ModelSpec("m", "scripted", {"concurrency": 5})
    assert caller_of(new_run(store), model).concurrency == 9
    assert caller_of(new_run(store), model, spec=capped).concurrency == 5
    assert caller_of(new_run(store, llm_concurrency=3), model, spec=capped).concurrency == 3
    assert caller_of(new_run(store, llm_concurrency=30), model).concurrency == 30
    two = ModelSpec("m", "openai", {"base_url": ["http://a/v1", "http://b/v1"], "concurrency": 5})  # type: ignore[dict-item]
    assert caller_of(new_run(store), model, spec=two).concurrency == 10
    assert caller_of(new_run(store, llm_concurrency=7), model, spec=two).concurrency == 7


async def test_thousands_of_look_ups_are_a_few_reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    lookup = Store.lookup

    def counted(self: Store, keys: Any, ttl_s: float | None) -> Any:
        sizes.append(len(keys))
        return lookup(self, keys, ttl_s)

    monkeypatch.setattr(Store, "lookup", counted)
    caller = caller_of(new_run(store), shouter())
    await asyncio.gather(*(caller(Generate("", f"{i}", max_tokens=5), take) for i in range(2000)))
    assert sum(sizes) == 2000
    assert max(sizes) <= 512
    assert len(sizes) < 10


async def test_a_closed_store_fails_the_question_and_strands_nobody(store: Store) -> None:
    caller = caller_of(new_run(store), shouter())
    store.close()
    outcomes = await asyncio.gather(caller(ASK, take), caller(ASK, take), return_exceptions=True)
    assert all("store is closed" in str(outcome) for outcome in outcomes)
    assert not strangers()


async def test_a_slot_is_held_until_the_answer_is_durable(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # A kill then costs no more calls than were in flight.
    written: Future[Any] = Future()
    save_all, batches = store.save_all, []

    def held(batch: Any, ttl_s: float | None) -> Future[Any]:
        batches.append(batch)
        return written if len(batches) == 1 else save_all(batch, ttl_s)

    monkeypatch.setattr(store, "save_all", held)
    model = Limited(shouter(), Gates(LoopClock()).open(Limits("here", "m", 1)))
    caller = caller_of(new_run(store), model)
    first = asyncio.ensure_future(caller(ASK, take))
    second = asyncio.ensure_future(caller(Generate("shout", "other", max_tokens=20), take))
    await until(lambda: bool(batches))
    for _ in range(20):
        await asyncio.sleep(0)
    assert (model.in_flight, caller.progress.calls, len(batches)) == (1, 2, 1)
    assert not first.done()
    assert not second.done()
    written.set_result(None)
    assert await first == "HELLO"
    assert await second == "OTHER"
    assert model.in_flight == 0


async def test_a_slot_is_free_again_after_an_answer_that_cannot_be_kept(store: Store) -> None:
    model = Limited(shouter(("hello", "invalid")), Gates(LoopClock()).open(Limits("here", "m", 1)))
    caller = caller_of(new_run(store), model)
    with pytest.raises(InvalidAnswer):
        await caller(ASK, take)
    assert model.in_flight == 0
    store.close()
    with pytest.raises(InterfaceError):
        await caller_of(new_run(store), model, cache=False)(Generate("shout", "other", max_tokens=20), take)
    assert model.in_flight == 0
