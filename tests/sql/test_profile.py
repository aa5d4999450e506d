"""PROFILE, SHOW FRONTIER, plans in EXPLAIN and refusals: whole statements against a simulated server with a bill."""

from __future__ import annotations

import json
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, BudgetExceeded, InfeasiblePlan, NotSupportedError, ParseError
from benchmarks.server import LoopbackServer

from .test_arms import QUERY, ROWS, con, rows, server

__all__ = ["con", "server"]
FILTERED = "SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) AS colour FROM t WHERE LLM_FILTER('is odd', body)"


def dicts(con: anserdb.Connection, query: str) -> list[dict[str, Any]]:
    result = con.sql(query)
    assert result is not None
    return result.arrow().to_pylist()


def test_a_profile_compares_every_arm_on_its_rows_and_no_more(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_profile_rows = 40; SET llm_candidate_models = 'good, bad'")
    found = {row["arm"]: row for row in dicts(con, f"PROFILE {QUERY}")}
    assert {row["rows"] for row in found.values()} == {40}
    assert server.stats.requests == 40 * 3 + 5 * 3  # alone, and eight rows a prompt
    good, bad = found["good"], found["bad"]
    assert good["agreement_low"] < good["agreement"] <= good["agreement_high"] <= 1.0
    assert bad["agreement_high"] < good["agreement"]
    assert found["dear"]["usd_per_row"] == pytest.approx(20 * good["usd_per_row"])
    assert all(row["seconds_per_row"] > 0 for row in found.values())
    assert good["f1"] is None  # nothing is kept or not


def test_what_a_profile_paid_for_the_query_does_not_pay_again(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_profile_rows = 50; SET llm_candidate_models = 'good'")
    assert dicts(con, f"PROFILE {QUERY}")
    assert server.stats.requests
    profiled = server.stats.requests
    rows(con)
    assert server.stats.requests == profiled + ROWS - 50
    spent = server.stats.requests
    again = {row["arm"]: row for row in dicts(con, f"CALL llm_profile('{QUERY.replace(chr(39), chr(39) * 2)}')")}
    assert server.stats.requests == spent
    assert again["good"]["seconds_per_row"] is None  # nobody was asked
    assert again["good"]["usd_per_row"] > 0  # by prompts and the price list


def test_filters_are_compared_by_what_they_keep(con: anserdb.Connection) -> None:
    con.sql("SET llm_candidate_models = 'good'")
    found = [row for row in dicts(con, f"PROFILE {FILTERED}") if row["call"] == "1:LLM_FILTER"]
    by_arm = {row["arm"]: row for row in found}
    assert 0 < by_arm["dear"]["kept"] < 1
    assert by_arm["dear"]["f1"] is None
    assert 0 < by_arm["good"]["f1"] <= 1
    classified = [row["rows"] for row in dicts(con, f"PROFILE {FILTERED}") if row["call"] == "2:LLM_CLASSIFY"]
    assert set(classified) == {round(64 * by_arm["dear"]["kept"])}


def test_a_screen_of_first_rows_is_said_to_be_compared_later(con: anserdb.Connection) -> None:
    con.sql("SET llm_candidate_models = 'good'; SET llm_screened_top_k = true; SET llm_min_quality = 0.9")
    found = dicts(con, "PROFILE SELECT id FROM t ORDER BY LLM_SCORE('odd', body) DESC LIMIT 2")
    (screen,) = [row for row in found if row["arm"] == "good as a screen"]
    assert screen["agreement"] is None
    assert "when the query runs" in screen["note"]


def test_the_frontier_has_what_no_plan_beats_and_the_one_chosen(con: anserdb.Connection) -> None:
    cold = dicts(con, f"SHOW FRONTIER FOR {QUERY}")
    assert [(row["arms"], row["quality"], row["chosen"]) for row in cold] == [("1:LLM_CLASSIFY by dear", 1.0, True)]
    dicts(con, f"PROFILE {QUERY}")
    known = dicts(con, "SHOW FRONTIER")
    assert [row["plan"] for row in known] == list(range(1, len(known) + 1))
    assert [row["usd"] for row in known] == sorted(row["usd"] for row in known)
    assert [row["arms"] for row in known if row["chosen"]] == ["1:LLM_CLASSIFY by dear"]  # answers may not change
    con.sql("SET llm_min_quality = 0.8")
    chosen = [row["arms"] for row in dicts(con, "SELECT * FROM llm_frontier()") if row["chosen"]]
    assert chosen == ["1:LLM_CLASSIFY by good"]


def test_explain_says_which_plans_it_rejected_and_why(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.8")
    (cold,) = rows(con, f"EXPLAIN {QUERY}")
    assert "not measured: 1:LLM_CLASSIFY by bad" in cold[-1]
    dicts(con, f"PROFILE {QUERY}")
    (known,) = rows(con, f"EXPLAIN {QUERY}")
    lines = known[-1].splitlines()
    assert any(line.startswith("chosen: 1:LLM_CLASSIFY by good (") for line in lines)
    rejected = [line for line in lines if line.startswith("rejected: ")]
    assert any("by dear (" in line and "dearer: " in line for line in rejected)
    assert any("below llm_min_quality = 0.8" in line for line in rejected)
    (as_json,) = rows(con, f"EXPLAIN (FORMAT json) {QUERY}")
    search = json.loads(as_json[-1])["search"]
    assert search["chosen"]["arms"] == "1:LLM_CLASSIFY by good"
    assert 2 <= len(search["rejected"]) <= 3
    assert all(other["why"] for other in search["rejected"])


def test_what_cannot_keep_to_its_cap_is_refused_before_it_is_paid(
    con: anserdb.Connection, server: LoopbackServer
) -> None:
    dicts(con, f"PROFILE {QUERY}")
    spent = server.stats.requests
    con.sql("SET llm_max_cost_usd = 0.01")
    with pytest.raises(InfeasiblePlan, match=r"No plan meets llm_max_cost_usd = 0.01.*by dear"):
        rows(con)
    assert server.stats.requests == spent
    con.sql("SET llm_best_effort = true")
    with pytest.raises(BudgetExceeded):
        rows(con)
    assert server.stats.requests > spent


def test_a_guess_refuses_nothing(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_max_cost_usd = 0.01")
    with pytest.raises(BudgetExceeded):
        rows(con)
    assert server.stats.requests


def test_answers_that_are_there_are_free(con: anserdb.Connection, server: LoopbackServer) -> None:
    expected = rows(con)
    spent = server.stats.requests
    con.sql("SET llm_max_cost_usd = 0.01")
    assert rows(con) == expected
    assert server.stats.requests == spent


def test_calls_of_one_name_in_two_subqueries_are_explained_without_a_search(con: anserdb.Connection) -> None:
    inner = "SELECT id, body FROM t WHERE LLM_FILTER('is odd', body)"
    query = f"SELECT s.id FROM ({inner} LIMIT 5) s WHERE LLM_FILTER('is prime', s.body)"
    (explained,) = rows(con, f"EXPLAIN {query}")
    assert "Call  1:LLM_FILTER" in explained[-1]
    with pytest.raises(NotSupportedError, match=r"cannot be compared: .*\w"):
        con.sql("SHOW FRONTIER")


@pytest.mark.parametrize(
    ("statement", "kind", "message"),
    [
        ("PROFILE SELECT 1", BindError, "no semantic call"),
        ("PROFILE", ParseError, "Expected a query"),
        ("SHOW FRONTIER OF", ParseError, "Expected the end of SHOW FRONTIER"),
        ("SHOW FRONTIER", BindError, "SHOW FRONTIER FOR SELECT"),
        ("CALL llm_profile()", ParseError, "llm_profile\\('query'\\)"),
        ("PROFILE CREATE TABLE u AS SELECT LLM_COMPLETE('q', body) AS x FROM t", NotSupportedError, "takes a query"),
    ],
)
def test_what_cannot_be_is_said(con: anserdb.Connection, statement: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        con.sql(statement)
    assert rows(con, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'u'") == [(0,)]
