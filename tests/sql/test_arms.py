"""Other models answer where they have proved to agree: whole queries against a simulated server with a bill."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.dataflow.progress_events import ProgressEvent
from anserdb.engine.errors import BindError
from benchmarks.server import LoopbackServer, Profile
from benchmarks.server.answers import scripted_answer
from benchmarks.server.asked import asked_choices, user_text

ROWS = 600
QUERY = "SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) AS colour FROM t ORDER BY id"


def chance(text: str, salt: str) -> float:
    return int.from_bytes(hashlib.blake2b(f"{salt}{text}".encode(), digest_size=6).digest(), "big") / 2**48


def said_by(accuracy: dict[str, float]) -> Callable[[dict[str, Any]], Any]:
    """The dear model's answer is the truth; others are right with their accuracy. Confident scores."""

    def answer(body: dict[str, Any]) -> Any:
        text, model = user_text(body), body["model"]
        choices = sorted(asked_choices(body) or ())
        if not choices:
            return scripted_answer(body, 0)
        at = int(chance(text, "truth") * len(choices))
        if chance(text, model) >= accuracy.get(model, 1.0):
            at = (at + 1) % len(choices)
        return {name: -0.01 if n == at else -6.0 for n, name in enumerate(choices)}

    return answer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    dear, good, bad = (
        Profile("dear", price_in=10.0, price_out=40.0),
        Profile("good", price_in=0.5, price_out=2.0),
        Profile("bad", price_in=0.1, price_out=0.4),
    )
    with LoopbackServer(dear, good, bad, answer=said_by({"good": 0.99, "bad": 0.6})) as server:
        yield server


@pytest.fixture
def con(server: LoopbackServer, tmp_path: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="dear", llm_concurrency=32) as con:
        for name, price_in, price_out in (("dear", 10.0, 40.0), ("good", 0.5, 2.0), ("bad", 0.1, 0.4)):
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {price_in}, price_out {price_out})"
            )
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({ROWS}) r(i)")
        yield con


def rows(con: anserdb.Connection, query: str = QUERY) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def test_without_permission_nobody_else_answers(con: anserdb.Connection, server: LoopbackServer) -> None:
    rows(con)
    assert {body["model"] for body in server.stats.bodies} == {"dear"}


def test_a_model_that_proves_itself_serves_and_saves_money(con: anserdb.Connection, server: LoopbackServer) -> None:
    reference = rows(con)
    spent = server.bill.usd
    con.sql("SET llm_min_quality = 0.9; SET llm_cache = false")
    found = rows(con)
    agreed = sum(a == b for a, b in zip(found, reference, strict=True)) / ROWS
    assert agreed >= 0.9
    assert server.bill.usd - spent < spent / 2


def test_a_rerun_pays_nothing(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_min_quality = 0.9")
    first, requests = rows(con), server.stats.requests
    assert rows(con) == first
    assert server.stats.requests == requests


def test_models_that_only_guess_cost_little(con: anserdb.Connection, server: LoopbackServer) -> None:
    reference = rows(con)
    spent = server.bill.usd
    con.sql("SET llm_min_quality = 0.9; SET llm_cache = false; SET llm_candidate_models = 'bad'")
    assert rows(con) == reference
    assert float(server.bill.usd - spent) <= 1.08 * float(spent)


def test_the_allowance_is_shared(con: anserdb.Connection) -> None:
    query = f"SELECT * FROM ({QUERY.replace(' ORDER BY id', '')}) WHERE LLM_FILTER('is odd', colour || id)"
    con.sql("SET llm_min_quality = 0.8")
    (explained,) = con.sql(f"EXPLAIN {query}").fetchall()
    assert "agreement ≥ 80% with dear over 2 calls together" in explained[-1]


def test_explain_analyze_says_who_served_and_why(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.9; SET llm_candidate_models = 'good, bad'")
    (explained,) = con.sql(f"EXPLAIN ANALYZE {QUERY}").fetchall()
    lines = [line for line in explained[-1].splitlines() if " arm " in line]
    assert any("arm good: serves" in line and "which proves ≥ 90%" in line for line in lines)
    assert any("arm bad:" in line and "out: agrees in" in line for line in lines)
    assert any("(the reference)" in line for line in lines)
    phases = re.search(r"arms: ([\d,]+) to compare, ([\d,]+) to serve, ([\d,]+) to audit", explained[-1])
    assert phases is not None
    put = [int(number.replace(",", "")) for number in phases.groups()]
    assert sum(put) == sum(int(rows.replace(",", "")) for line in lines for rows in re.findall(r"rows=([\d,]+)", line))
    assert min(put) > 0


def test_a_dead_candidate_harms_nobody(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_max_retries = 0")
    con.sql("CREATE MODEL dead USING openai (model 'x', base_url 'http://127.0.0.1:9/v1', price_in 0.1, price_out 0.1)")
    reference = rows(con)
    con.sql("SET llm_min_quality = 0.9; SET llm_candidate_models = 'dead'")
    result = con.sql(QUERY)
    assert result is not None
    assert result.fetchall() == reference


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SET llm_candidate_models = 'godo'", "There is no model godo.*good"),
        ("SET llm_min_quality = 1.5", "less than or equal to 1"),
        ("SET llm_objective = 'cheap'", "'quality', 'cost' or 'time'"),
    ],
)
def test_what_cannot_be_is_said(con: anserdb.Connection, statement: str, message: str) -> None:
    con.sql("SET llm_min_quality = 0.9")
    with pytest.raises(BindError, match=message):
        con.sql(statement)
        rows(con)


@pytest.mark.parametrize("where", ["id < 0", "body IS NULL", "id < 3"])
def test_few_rows_are_all_answered_by_the_reference(con: anserdb.Connection, where: str) -> None:
    query = QUERY.replace("ORDER", f"WHERE {where} ORDER")
    reference = rows(con, query)
    con.sql("SET llm_min_quality = 0.9")
    assert rows(con, query) == reference


def test_free_text_has_no_arms(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.5")
    (explained,) = con.sql("EXPLAIN SELECT LLM_COMPLETE('say', body) FROM t").fetchall()
    assert "arms" not in explained[-1]


def test_watchers_see_one_operator_with_the_calls_of_all_arms(con: anserdb.Connection, server: LoopbackServer) -> None:
    events: list[ProgressEvent] = []
    con.on_progress(events.append)
    con.sql("SET llm_min_quality = 0.9")
    rows(con)
    (operator,) = events[-1].operators
    assert operator.rows_done == ROWS
    assert operator.calls == server.stats.requests


def test_answers_of_the_reference_that_are_paid_for_are_used(con: anserdb.Connection, server: LoopbackServer) -> None:
    reference = rows(con)
    spent = server.bill.usd
    con.sql("SET llm_min_quality = 0.9")
    assert rows(con) == reference
    assert float(server.bill.usd - spent) < 0.1 * float(spent)  # what was compared


RARE = "SELECT id FROM t WHERE LLM_FILTER('is a rare bird', body)"


def rare(missed: float, invented: float) -> Callable[[dict[str, Any]], Any]:
    """One row in 12 is TRUE; the good model misses some of these, and keeps some of the others."""

    def answer(body: dict[str, Any]) -> Any:
        text, model = user_text(body), body["model"]
        choices = asked_choices(body)
        if not choices:
            return scripted_answer(body, 0)
        kept = chance(text, "truth") < 1 / 12
        if model != "dear" and chance(text, model) < (missed if kept else invented):
            kept = not kept
        return {name: -0.01 if (name == "Yes") == kept else -6.0 for name in choices}

    return answer


@pytest.mark.parametrize("server_answers", [rare(0.0, 0.2)])
def test_a_screen_saves_what_the_reference_need_not_see(server_answers: Any, tmp_path: Path) -> None:
    dear, good = Profile("dear", price_in=10.0, price_out=40.0), Profile("good", price_in=0.2, price_out=0.8)
    with (
        LoopbackServer(dear, good, answer=server_answers) as server,
        anserdb.connect(store=tmp_path / "s.anser", llm_model="dear", llm_concurrency=32) as con,
    ):
        for name, price in (("dear", 10.0), ("good", 0.2)):
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {price}, price_out {4 * price})"
            )
        con.sql("CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range(1500) r(i)")
        con.sql("SET llm_cache = false")
        reference = rows(con, RARE)
        spent = server.bill.usd
        con.sql("SET llm_min_quality = 0.95")
        assert sorted(rows(con, RARE)) == sorted(reference)
        assert float(server.bill.usd - spent) < 0.6 * float(spent)
        (explained,) = con.sql(f"EXPLAIN ANALYZE {RARE}").fetchall()
        assert "arm good, kept rows checked by dear: serves" in explained[-1]
