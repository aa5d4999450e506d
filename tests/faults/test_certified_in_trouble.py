"""Calls under a promise whose proxy, reference, budget or user gives up: no row is wrong for it, and nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BudgetExceeded, Interrupted, ModelError, ModelUnavailable, OperationalError
from anserdb.udfs.models.base import Capabilities, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.properties.test_certified import colour, number, often, right

ROWS = 220
FILTER = "LLM_FILTER('is red', body, guarantee := 'accuracy >= 0.9', delta := 0.1, proxy := 'small'{})"
QUERY = f"SELECT id, {FILTER} FROM t ORDER BY id"
TRUTH = [(at, colour(at) == "red") for at in range(ROWS)]


def model(name: str, answer: Callable[[Request], Any], **options: Any) -> ScriptedModel:
    capabilities = Capabilities(choice_scores=True, local=True, concurrency=8)
    return ScriptedModel([("", answer)], capabilities=capabilities, name=name, **options)


def connected(large: ScriptedModel, small: ScriptedModel, **settings: Any) -> anserdb.Connection:
    con = anserdb.connect(":memory:", store=":memory:", llm_model="large", llm_max_retries=0, **settings)
    con.register_model("large", large)
    con.register_model("small", small)
    con.sql(f"CREATE TABLE t AS SELECT i AS id, 'number ' || i AS body FROM range({ROWS}) r(i)")
    return con


def run(con: anserdb.Connection, query: str = QUERY) -> tuple[list[tuple[Any, ...]], list[Any], list[str]]:
    """Rows, what was proved, and notices."""
    result = con.sql(query.replace("{}", ""))
    assert result is not None
    return result.fetchall(), result.certificates, result.notices


def repeated(asked: ScriptedModel) -> int:
    """Questions that were put again."""
    return len(asked.calls) - len(set(asked.calls))


async def slowly(request: Request) -> None:
    """Some questions end before others that came first."""
    await asyncio.sleep(0.0 if (number(request) or 0) % 9 else 0.02)


def refusing(
    error: Exception, when: Callable[[int], bool], answer: Callable[[Request], Any]
) -> Callable[[Request], Any]:
    def refused(request: Request) -> Any:
        given = number(request)
        if given is not None and when(given):
            raise error
        return answer(request)

    return refused


def test_where_nobody_is_there_for_the_proxy_the_reference_answers_and_says_so() -> None:
    large, small = model("large", right), model("small", refusing(ModelUnavailable("gone"), lambda _: True, right))
    with connected(large, small) as con:
        found, (proved,), (notice,) = run(con)
    assert found == TRUTH
    assert len(small.calls) < 60
    assert "the proxy small does not answer, so large answers all rows: gone" in notice
    assert proved.certificate.reason == "the proxy small does not answer: gone"
    assert (proved.certificate.by_proxy, proved.certificate.by_reference) == (0, ROWS)


def test_rows_at_which_the_proxy_fails_are_the_references() -> None:
    fails = refusing(ModelError("no"), lambda given: given % 4 == 0, right)
    large, small = model("large", right), model("small", fails)
    with connected(large, small) as con:
        found, (proved,), notices = run(con)
    assert found == TRUTH
    assert not notices
    asked = {number(request) for request in large.calls}
    assert asked >= set(range(0, ROWS, 4))
    assert proved.certificate.by_proxy > 0.3 * ROWS


def test_rows_of_the_sample_at_which_the_reference_fails_are_null_and_count_as_disagreements() -> None:
    fails = refusing(ModelError("no"), lambda given: given % 2 == 0, right)
    large, small = model("large", fails), model("small", right)
    with connected(large, small, llm_max_error_ratio=1.0) as con:
        found, (proved,), notices = run(con)
        errors = con.sql("SELECT count(*) FROM llm_errors()").fetchall()[0][0]  # type: ignore[union-attr]
    failed = [at for at, kept in found if kept is None]
    assert failed == [at for at in range(0, ROWS, 2) if at in {number(request) for request in large.calls}]
    assert [row for row in found if row[0] not in failed] == [row for row in TRUTH if row[0] not in failed]
    assert errors == len(failed) > 10
    assert f"{errors} rows failed" in notices[0]
    assert proved.certificate.by_proxy < 0.2 * ROWS


def test_the_first_failure_of_the_sample_ends_a_query_that_wants_it_so() -> None:
    large = model("large", refusing(ModelError("no"), lambda _: True, right))
    with (
        connected(large, model("small", right)) as con,
        pytest.raises(ModelError, match="LLM_FILTER failed on input 'number"),
    ):
        run(con, QUERY.format(", on_error := 'fail'"))
    assert large.in_flight == 0


def test_where_nobody_is_there_for_the_reference_the_query_ends() -> None:
    large = model("large", refusing(ModelUnavailable("gone"), lambda _: True, right))
    with connected(large, model("small", right)) as con, pytest.raises((ModelUnavailable, OperationalError)):
        run(con)
    assert len(large.calls) < 60


@pytest.mark.parametrize("most", [100, 280])
def test_a_cap_ends_the_query_whoever_is_asked_and_a_rerun_goes_on(most: int) -> None:
    large, small = model("large", right), model("small", often)
    with connected(large, small) as con:
        whole, (proved,), _ = run(con)
    large, small = model("large", right, delay=slowly), model("small", often, delay=slowly)
    with connected(large, small, llm_max_calls=most) as con:
        with pytest.raises(BudgetExceeded):
            run(con)
        spent = len(large.calls) + len(small.calls)
        assert most - 8 <= spent <= most
        con.sql("SET llm_max_calls = 2000")
        found, (again,), _ = run(con)
    assert found == whole
    assert again.certificate == proved.certificate
    assert repeated(large) + repeated(small) == 0, "an answer that was paid for was asked for again"


@pytest.mark.parametrize("most", [100, 290])
def test_a_part_is_of_the_first_rows_and_nothing_is_promised_of_it(most: int) -> None:
    large, small = model("large", right), model("small", often)
    with connected(large, small, llm_max_calls=most, llm_on_budget="partial") as con:
        found, proved, (notice,) = run(con, QUERY.removesuffix(" ORDER BY id"))
        assert [at for at, _ in found] == list(range(len(found)))
        assert len(found) < ROWS
        assert not proved
        assert "This is a part of the result" in notice
        con.sql("SET llm_max_calls = 2000")
        rest, (proved_now,), _ = run(con)
    assert len(rest) == ROWS
    assert proved_now.certificate.by_proxy > 0


class Held:
    """Questions wait from the ``first`` one on, until they are let go."""

    def __init__(self, first: int) -> None:
        self._first, self._count, self.reached, self.opened = first, 0, threading.Event(), False

    async def __call__(self, request: Request) -> None:
        self._count += 1
        if self._count >= self._first:
            self.reached.set()
            while not self.opened:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize(("who", "first"), [("small", 40), ("large", 18), ("large", 60)])
def test_an_interrupt_leaves_nothing_under_way_wherever_it_comes(who: str, first: int) -> None:
    held = Held(first)
    models = {"large": model("large", right), "small": model("small", often)}
    models[who] = model(who, {"large": right, "small": often}[who], delay=held)
    with connected(**models) as con:
        stopper = threading.Thread(target=lambda: (held.reached.wait(30), con.interrupt()))
        stopper.start()
        with pytest.raises(Interrupted):
            run(con)
        stopper.join()
        assert held.reached.is_set()
        assert [made.in_flight for made in models.values()] == [0, 0]
        held.opened = True
        found, (proved,), _ = run(con)
    assert len(found) == ROWS
    assert proved.certificate.by_proxy > 0
    assert sum(map(repeated, models.values())) <= 8, "more than what was under way was asked again"


def test_a_reader_that_stops_early_leaves_nothing_under_way() -> None:
    large, small = model("large", right), model("small", often)
    with connected(large, small) as con:
        result = con.sql(QUERY.replace("{}", ""))
        assert result is not None
        assert result.fetchone() == TRUTH[0]
        result.close()
        assert (large.in_flight, small.in_flight) == (0, 0)
        assert len(run(con)[0]) == ROWS
