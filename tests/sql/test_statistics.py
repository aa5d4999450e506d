"""What queries teach later ones: the order of filters, the figures of EXPLAIN, and the table that shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BudgetExceeded
from benchmarks.server import LoopbackServer, Profile
from benchmarks.server.answers import scripted_answer

ROWS = 60
OFTEN, RARE = "LLM_FILTER('often true', body)", "LLM_FILTER('seldom true', body)"
BOTH = f"SELECT id FROM t WHERE {OFTEN} AND {RARE} ORDER BY id"


def said(body: dict[str, Any]) -> Any:
    """Of ten rows 'often' takes all but the last; 'seldom' the first and the last."""
    text = json.dumps(body)
    number = re.search(r"number (\d+)", text)
    if number is None or not re.search("often|seldom", text):
        return scripted_answer(body, 0)
    last = int(number[1]) % 10
    return "yes" if (last != 9 if "often" in text else last in (0, 9)) else "no"


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(Profile("m", price_in=1.0, price_out=2.0), answer=said) as server:
        yield server


@pytest.fixture
def con(server: LoopbackServer, tmp_path: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="m", llm_cache=False) as con:
        con.sql(
            f"CREATE MODEL m USING openai (model 'm', base_url '{server.base_url}', price_in 1.0, price_out 2.0, concurrency 4)"
        )
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({ROWS}) r(i)")
        yield con


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def document(con: anserdb.Connection, query: str) -> dict[str, Any]:
    return dict(json.loads(rows(con, f"EXPLAIN (FORMAT json) {query}")[0][-1]))


def test_the_second_run_asks_the_selective_question_first(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_disabled_rules = 'conjunction'")
    first = rows(con, BOTH)
    asked = server.stats.requests
    assert first == [(i,) for i in range(0, ROWS, 10)]
    assert "conjunct_order" in con.explain(BOTH)
    assert rows(con, BOTH) == first
    assert (asked, server.stats.requests - asked) == (60 + 54, 60 + 12)


def test_where_answers_are_kept_the_same_query_keeps_its_order(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_disabled_rules = 'conjunction'")
    con.sql("SET llm_cache = true")
    first, asked = rows(con, BOTH), server.stats.requests
    assert rows(con, BOTH) == first
    assert server.stats.requests == asked, "it would ask 48 questions more in the better order"
    con.sql("CREATE TABLE u AS SELECT id, body || ' more' AS body FROM t")
    assert "conjunct_order" in con.explain(BOTH.replace("FROM t", "FROM u"))
    rows(con, BOTH.replace("FROM t", "FROM u"))
    assert server.stats.requests == asked + ROWS + 12
    rows(con, BOTH.replace("FROM t", "FROM u"))
    assert server.stats.requests == asked + ROWS + 12


def test_shares_of_rows_that_a_filter_left_are_kept_apart(con: anserdb.Connection) -> None:
    con.sql("SET llm_disabled_rules = 'conjunction'")
    rows(con, BOTH)
    found = rows(con, "SELECT instruction, thinned_by <> '', rows, rows_true FROM llm_statistics() ORDER BY ALL")
    assert found == [("often true", False, 60.0, 54.0), ("seldom true", True, 54.0, 6.0)]
    rows(con, BOTH)  # the other way round
    found = rows(con, "SELECT instruction, thinned_by <> '', rows, rows_true FROM llm_statistics() ORDER BY ALL")
    assert found == [
        ("often true", False, 60.0, 54.0),
        ("often true", True, 12.0, 6.0),
        ("seldom true", False, 60.0, 12.0),
        ("seldom true", True, 54.0, 6.0),
    ]
    assert "conjunct_order" in con.explain(BOTH), "it stays with what it has found"
    after = f"{BOTH.replace(' ORDER BY id', '')}"
    estimates = document(con, after)["estimates"]["1:LLM_FILTER"]
    assert estimates["rows_in"]["value"] == pytest.approx(12.0)


def test_a_rerun_about_other_rows_is_expected_as_it_comes(con: anserdb.Connection, server: LoopbackServer) -> None:
    query = "SELECT id, LLM_COMPLETE('say something', body) AS x FROM t WHERE id % 2 = {}"
    before = document(con, query.format(0))
    assert before["estimated_total"]["seconds"] is None, "nobody has asked this model yet"
    assert "prior: 64 tokens an answer" in before["estimates"]["1:LLM_COMPLETE"]["money"]["source"]
    rows(con, query.format(0))
    expected = document(con, query.format(1))["estimated_total"]
    spent = float(server.bill.usd)
    text = con.explain(query.format(1), analyze=True)
    assert expected["money"]["value"] == pytest.approx(float(server.bill.usd) - spent, rel=0.1)
    assert re.search(r"statistics of 30 answers, \d{4}-\d\d-\d\d", expected["money"]["source"])
    assert expected["seconds"]["low"] <= expected["seconds"]["value"] <= expected["seconds"]["high"]
    assert re.search(r"estimated: calls≈30 tokens in≈[\d,]+ \$\d\.\d{4}.* time≈", text)
    assert re.search(r"actual: rows=30 calls=30 .* time=\d+\.\d\d s", text)


def test_another_task_of_the_model_has_its_times_from_the_calls_before(con: anserdb.Connection) -> None:
    rows(con, f"SELECT {OFTEN} AS x FROM t")
    other = document(con, "SELECT LLM_CLASSIFY(body, ['a', 'b']) AS c FROM t")["estimates"]["1:LLM_CLASSIFY"]
    assert other["seconds"]["value"] > 0
    assert "calibration by 60 calls of m" in other["seconds"]["source"]


def test_instructions_models_and_options_are_tasks_of_their_own(con: anserdb.Connection) -> None:
    rows(con, f"SELECT {OFTEN} AS x FROM t")
    learnt = "statistics of 60 answers"
    assert learnt in con.explain("SELECT LLM_FILTER('often   true', body) AS x FROM t"), "spaces say nothing"
    for other in (
        "'often false', body",
        "'often true', body, temperature := 0.5",
        "'often true', body, batch_rows := 4",
    ):
        assert learnt not in con.explain(f"SELECT LLM_FILTER({other}) AS x FROM t")


def test_a_query_that_is_stopped_has_taught_what_was_answered(con: anserdb.Connection) -> None:
    con.sql("SET llm_max_calls = 25")
    with pytest.raises(BudgetExceeded):
        rows(con, f"SELECT {OFTEN} AS x FROM t")
    ((calls, tokens),) = rows(con, "SELECT calls, tokens_in_per_input FROM llm_statistics()")
    assert 0 < calls <= 25
    con.sql("SET llm_max_calls = NULL")
    rows(con, f"SELECT {OFTEN} AS x FROM t")
    ((whole,),) = rows(con, "SELECT tokens_in_per_input FROM llm_statistics()")
    assert tokens == pytest.approx(whole, rel=0.05)


def test_rows_in_one_prompt_are_expected_to_share_it(con: anserdb.Connection, server: LoopbackServer) -> None:
    query = "SELECT LLM_CLASSIFY(body, ['a', 'b'], batch_rows := 6) AS c FROM t"
    rows(con, query)
    used = server.bill.total.tokens_in
    expected = document(con, query)["estimates"]["1:LLM_CLASSIFY"]
    assert expected["calls"]["value"] == pytest.approx(10, abs=1)
    assert expected["tokens_in"]["value"] == pytest.approx(used, rel=0.02)


def test_of_a_question_that_nobody_has_put_as_much_is_expected_as_of_others(con: anserdb.Connection) -> None:
    """Four others are too few to say; the fifth is enough. What is learnt of the question itself takes their place."""
    new = "SELECT id FROM t WHERE LLM_FILTER('seldom true, and new', body)"
    con.sql("SET llm_cache = true")
    for number in range(4):
        rows(con, f"SELECT id FROM t WHERE LLM_FILTER('seldom true, {number}', body)")
    assert "prior: selectivity 0.5" in rows(con, f"EXPLAIN {new}")[0][-1]
    rows(con, "SELECT id FROM t WHERE LLM_FILTER('often true', body)")
    text = rows(con, f"EXPLAIN {new}")[0][-1]
    assert "mean of 5 earlier tasks" in text
    assert f"rows≈{ROWS * (4 * 0.2 + 0.9) / 5:,.0f} " in text
    rows(con, new)
    assert "earlier tasks" not in rows(con, f"EXPLAIN {new}")[0][-1]
    assert "earlier tasks" not in rows(con, "EXPLAIN SELECT LLM_CLASSIFY(body, ['a', 'b']) FROM t")[0][-1]
