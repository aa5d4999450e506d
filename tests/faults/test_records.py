"""Every request is in the records once, also one that was for nothing, and nothing is lost or doubled when they are added up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import pytest
import stamina

import anserdb
from anserdb.engine.dataflow.caller import Caller
from anserdb.engine.errors import InvalidAnswer
from anserdb.engine.settings import Settings
from anserdb.engine.store import Store
from anserdb.udfs.models.base import Generate, Model, ModelSpec, Reply, Request
from anserdb.udfs.models.registry import backends
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.sending import Sendings, attempt
from anserdb.udfs.models.wrap.wrapper import Wrapper
from tests.support.doors import connect, until
from tests.support.loopback import Fault, LoopbackServer, user_text
from tests.support.runtime import new_run

SUMMED = ("tokens_in", "tokens_out", "cost_usd", "energy_j_low", "energy_j", "energy_j_high", "co2_g")


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "planted")


def rows(con: anserdb.Connection, query: str) -> list[dict[str, Any]]:
    result = con.sql(query)
    assert result is not None
    return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]


def same(one: Mapping[str, float], other: Mapping[str, float]) -> None:
    for name in SUMMED:
        assert one[name] == pytest.approx(other[name], rel=1e-9, abs=1e-12), name


# --- conservation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_operators_add_up_to_their_query_and_records_to_both(seed: int) -> None:
    dice = Random(seed)
    faults = (Fault(429, {"retry-after-ms": "1"}), Fault(500), Fault("drop"), Fault("garbage"), Fault("wrong_schema"))

    def fault(number: int, body: dict[str, Any]) -> Fault | None:
        del number, body
        return dice.choice(faults) if dice.random() < 0.25 else None

    with LoopbackServer(fault=fault, seed=seed) as server, connect(server, rows=30, llm_concurrency=7) as con:
        con.sql("ALTER MODEL remote SET (parameters 8, price_in 1.0, price_out 2.0)")
        result = con.sql(
            "SELECT id, LLM_CLASSIFY(body, ['a', 'b', 'c']) AS x, LLM_COMPLETE('say', body) AS y FROM t "
            "WHERE LLM_FILTER('is it odd?', body) ORDER BY id"
        )
        assert result is not None
        result.fetchall()
        assert result.progress is not None
        operators = result.progress.sites.values()
        assert len(operators) == 3
        query = {name: sum(getattr(operator, name) for operator in operators) for name in SUMMED}
        (called,) = rows(con, f"SELECT {', '.join(f'sum({name}) AS {name}' for name in SUMMED)} FROM llm_calls()")
        (used,) = rows(con, f"SELECT {', '.join(f'sum({name}) AS {name}' for name in SUMMED)} FROM llm_usage()")
        same(query, used)
        same(called, used)
        by_site = rows(
            con, "SELECT call_site, sum(energy_j) AS energy_j, count(*) AS calls FROM llm_calls() GROUP BY ALL"
        )
        for operator in operators:
            (own,) = [row for row in by_site if row["call_site"] == operator.site]
            assert own["energy_j"] == pytest.approx(operator.energy_j, rel=1e-9)
            assert own["calls"] == operator.calls
        assert sum(operator.calls + operator.retries for operator in operators) == server.stats.requests
        assert used["energy_j_low"] < used["energy_j"] < used["energy_j_high"]
        (unknown,) = rows(
            con, "SELECT sum(unknown_energy_calls) AS calls, sum(unknown_token_calls) AS tokens FROM llm_usage()"
        )
        assert unknown["calls"] == 0


def test_answers_that_are_found_take_nothing_and_say_what_they_saved() -> None:
    query = "SELECT LLM_COMPLETE('say', body) AS x FROM t"
    with LoopbackServer() as server, connect(server, rows=12) as con:
        con.sql("ALTER MODEL remote SET (parameters 8, price_in 1.0, price_out 2.0)")
        rows(con, query)
        rows(con, query)
        first, again = rows(con, "SELECT * FROM llm_usage() ORDER BY calls DESC")
        assert (first["calls"], first["cached"], again["calls"], again["cached"]) == (12, 0, 0, 12)
        assert (again["energy_j"], again["energy_j_high"], again["cost_usd"]) == (0, 0, 0)
        assert again["avoided_energy_j"] == pytest.approx(first["energy_j"], rel=1e-9)
        assert again["avoided_cost_usd"] == pytest.approx(first["cost_usd"], rel=1e-9)
        assert again["avoided_co2_g"] == pytest.approx(first["co2_g"], rel=1e-9)
        assert server.stats.requests == 12


def test_what_was_counted_when_an_answer_was_made_is_what_finding_it_saves() -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE t AS SELECT 'body ' || i AS body FROM range(9) r(i)")
        for _ in range(2):
            rows(con, "SELECT LLM_COMPLETE('q', body) AS x FROM t")
        first, again = rows(con, "SELECT * FROM llm_usage() ORDER BY calls DESC")
        assert first["energy_j"] > 0
        assert again["avoided_energy_j"] == pytest.approx(first["energy_j"], rel=1e-4)


# --- for nothing --------------------------------------------------------------------------------------------------------


class Racing(Wrapper):
    """Asks twice at once, and takes what comes first."""

    async def call(self, request: Request) -> Reply:
        started: dict[asyncio.Task[Reply], Sendings] = {}
        for _ in range(2):
            with attempt() as books:
                task = asyncio.create_task(_asked(self._model, request))
            started[task] = books
        done, late = await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
        winner = next(iter(done))
        for task, books in started.items():
            if task is not winner:
                books.discard("the other answered first")
                task.cancel()
        if late:
            await asyncio.wait(late)
        return winner.result()


async def _asked(model: Model, request: Request) -> Reply:
    return await model.call(request)


async def test_losers_of_a_race_have_a_record_of_their_own() -> None:
    met: set[str] = set()

    def second(number: int, body: dict[str, Any]) -> Fault | None:
        """Only the first request of a question is answered."""
        del number
        return Fault("timeout") if user_text(body) in met or met.add(user_text(body)) else None

    spec = ModelSpec(
        "m-8b", "openai", {"model": "simulated", "price_in": 1.0, "price_out": 2.0, "api_key_env": "PLANTED_KEY"}
    )
    with Store.open(None) as store:
        async with LoopbackServer(fault=second) as server:
            where = ModelSpec("m-8b", "openai", {**spec.options, "base_url": server.base_url})
            model = Racing(backends()["openai"].create(where))
            run = new_run(store, "q")
            caller = Caller(run, model, where, site="1:F", function="F")
            await asyncio.gather(
                *[caller(Generate("say", f"row {i}", max_tokens=20), lambda reply: reply.text) for i in range(8)]
            )
            await model.close()
            while server.stats.in_flight:
                await asyncio.sleep(0)
            calls = store.query("calls").to_pylist()
            lost = [call for call in calls if call["discarded"]]
            won = [call for call in calls if not call["discarded"]]
            assert (len(won), len(lost)) == (8, 8)
            assert sum(1 + call["retries"] for call in calls) == server.stats.requests == 16
            assert sum(call["tokens_in"] or 0 for call in calls) == server.stats.tokens_in
            assert {call["endpoint"] for call in calls} == {server.base_url}
            assert {call["error"] for call in lost} == {"the other answered first"}
            for call in lost:
                assert call["energy_j_low"] == 0 < call["energy_j"] < call["energy_j_high"]
                assert call["energy_method"] == "default"
            totals = store.usage("q")
            assert (totals.calls, totals.failed_calls, totals.discarded_calls, totals.retries) == (16, 0, 8, 0)
            assert (caller.progress.calls, caller.progress.discarded, caller.progress.retries) == (16, 8, 0)
            assert caller.progress.energy_j == pytest.approx(totals.energy_j, rel=1e-9)
            assert run.budget.calls == 16


def test_hedged_calls_are_counted_as_the_server_counts_them() -> None:
    met: set[str] = set()

    def slow(number: int, body: dict[str, Any]) -> Fault | None:
        """The first request of some rows is never answered, once enough were for everybody to know what is slow."""
        del number
        row = user_text(body)
        first, late = row not in met, int(row.rstrip(".").rpartition(" ")[2]) in (60, 65, 70, 75)
        met.add(row)
        return Fault("timeout") if first and late else None

    with LoopbackServer(fault=slow) as server, connect(server, rows=80, llm_concurrency=8, llm_hedge_ratio=0.5) as con:
        con.sql("ALTER MODEL remote SET (parameters 8)")
        assert len(rows(con, "SELECT id, LLM_COMPLETE('say', body) AS x FROM t")) == 80
        until(lambda: server.stats.in_flight == 0)
        (seen,) = rows(con, "SELECT sum(1 + retries) AS requests, sum(discarded::INT) AS discarded FROM llm_calls()")
        assert seen["requests"] == server.stats.requests
        assert seen["discarded"] >= 4
        (used,) = rows(con, "SELECT failed_calls, discarded_calls, unknown_energy_calls FROM llm_usage()")
        assert used == {"failed_calls": 0, "discarded_calls": seen["discarded"], "unknown_energy_calls": 0}


def test_calls_that_a_limit_no_longer_needs_are_discarded_and_counted() -> None:
    def held(number: int, body: dict[str, Any]) -> Fault | None:
        """Rows from 4 on are never answered."""
        del number
        return Fault("timeout") if int(user_text(body).rstrip(".").rpartition(" ")[2]) >= 4 else None

    with LoopbackServer(fault=held) as server, connect(server, rows=200, llm_concurrency=16) as con:
        con.sql("ALTER MODEL remote SET (parameters 8)")
        assert len(rows(con, "SELECT id FROM t WHERE LLM_COMPLETE('say', body) <> '' LIMIT 3")) == 3
        until(lambda: server.stats.in_flight == 0)
        (seen,) = rows(con, "SELECT sum(1 + retries) AS requests, sum(discarded::INT) AS discarded FROM llm_calls()")
        assert seen == {"requests": server.stats.requests, "discarded": server.stats.requests - server.stats.completed}
        assert seen["discarded"] > 0
        (used,) = rows(con, "SELECT failed_calls, discarded_calls, unknown_energy_calls FROM llm_usage()")
        assert used == {"failed_calls": 0, "discarded_calls": seen["discarded"], "unknown_energy_calls": 0}
        for call in rows(con, "SELECT * FROM llm_calls() WHERE discarded"):
            assert call["energy_j_low"] == 0 < call["energy_j"] < call["energy_j_high"]
        (wasted,) = rows(con, "SELECT count(*) AS calls FROM llm_calls() WHERE NOT discarded AND outcome <> 'ok'")
        assert wasted == {"calls": 0}


def test_settings_of_a_connection_reach_its_records() -> None:
    with LoopbackServer() as server, connect(server, rows=2, llm_carbon_region="FR", llm_pue=1.0) as con:
        con.sql("ALTER MODEL remote SET (joules_out 3.6, joules_in 0)")
        rows(con, "SELECT LLM_COMPLETE('say', body) AS x FROM t")
        for call in rows(con, "SELECT * FROM llm_calls()"):
            assert (call["energy_method"], call["co2_source"]) == ("provider", "Our World in Data, FR 2023")
            assert call["energy_j"] == pytest.approx(3.6 * call["tokens_out"])
            assert call["co2_g"] == pytest.approx(call["energy_j"] / 3.6e6 * 56)
            assert call["endpoint"] == server.base_url
    assert Settings().llm_carbon_region == "world"


def test_credentials_of_an_address_are_in_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    with LoopbackServer() as server:
        gone = server.base_url
    monkeypatch.setenv("OPENAI_BASE_URL", gone.replace("http://", "http://me:planted-secret@"))
    with anserdb.connect(store=":memory:", llm_model="cloud") as con:
        con.sql("CREATE MODEL cloud (PROVIDER openai, MODEL 'simulated', API_KEY_ENV 'PLANTED_KEY')")
        with pytest.raises(anserdb.Error):
            rows(con, "SELECT LLM_COMPLETE('say', 'x', on_error := 'fail') AS x")
        known = rows(con, "FROM llm_calls()") + rows(con, "FROM llm_stage_trace()")
        assert gone in {one.get("endpoint", one.get("device")) for one in known}
        assert "planted-secret" not in str(known)


async def test_two_who_ask_the_same_at_once_have_two_records() -> None:
    """Neither can use the answer of a third."""
    with Store.open(None) as store:

        async def together(request: Request) -> None:
            """The second waits for the third, as long as that may take on a busy machine."""
            del request
            for _ in range(1_000 if len(model.calls) > 1 else 0):
                if model.in_flight < 2 and len(model.calls) < 3:
                    await asyncio.sleep(0.001)

        model, run = ScriptedModel(delay=together), new_run(store, "q")
        caller = Caller(run, model, ModelSpec("scripted", "scripted"), site="1:F", function="F")
        request = Generate("say", "hello", max_tokens=20)

        def picky(*, first: bool) -> Callable[[Reply], str]:
            seen: list[str] = []

            def parse(reply: Reply) -> str:
                seen.append(reply.text)
                if len(seen) <= 2 and not first:
                    raise InvalidAnswer("of no use to me", "scripted", reply.text)
                return reply.text

            return parse

        answers = await asyncio.gather(*[caller(request, picky(first=number == 0)) for number in range(3)])
        assert len(set(answers)) == 1
        assert store.query("calls").num_rows == len(model.calls) == caller.progress.calls == 3
        assert store.usage("q").energy_j == pytest.approx(caller.progress.energy_j, rel=1e-9)
