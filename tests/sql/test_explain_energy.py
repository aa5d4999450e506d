"""What EXPLAIN says of energy before a query runs, and EXPLAIN ANALYZE after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import anserdb
from anserdb.engine.dataflow.stage_graph import Kind, StageGraph

REMOTE = "model := 'remote'"


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE MODEL remote (PROVIDER openai, MODEL 'llama-3.1-8b', BASE_URL 'http://192.0.2.1/v1')")
        con.sql("CREATE TABLE t AS SELECT 'body ' || i AS body FROM range(40) r(i)")
        yield con


def explained(con: anserdb.Connection, query: str) -> str:
    result = con.sql(query)
    assert result is not None
    return str(result.fetchall()[0][-1])


def document(con: anserdb.Connection, query: str) -> dict[str, Any]:
    return dict(json.loads(explained(con, f"EXPLAIN (FORMAT json) {query}")))


def test_calls_of_servers_are_estimated_as_a_range_with_its_method(con: anserdb.Connection) -> None:
    query = f"SELECT LLM_COMPLETE('q', body, {REMOTE}) AS x FROM t"
    figures = document(con, query)["energy"]
    assert 0 < figures["energy_j_low"] < figures["energy_j"] < figures["energy_j_high"]
    assert (figures["methods"], figures["unknown"]) == (["table"], False)
    assert figures["co2_g"] == pytest.approx(figures["energy_j"] / 3.6e6 * 480)
    con.sql("SET llm_carbon_region = 'FR'")
    con.sql("SET llm_pue = 2.4")
    other = document(con, query)["energy"]
    assert other["energy_j"] == pytest.approx(2 * figures["energy_j"])
    assert other["co2_g"] == pytest.approx(2 * figures["co2_g"] * 56 / 480)
    text = explained(con, f"EXPLAIN {query}")
    assert text.count(" J (") == 2, "once for the call, once for all"
    assert text.splitlines()[-1].strip().startswith("energy≈")


def test_calls_add_up_and_what_only_a_counter_tells_is_named(con: anserdb.Connection) -> None:
    one = document(con, f"SELECT LLM_COMPLETE('q', body, {REMOTE}) AS x FROM t")["energy"]
    two = document(
        con, f"SELECT LLM_COMPLETE('q', body, {REMOTE}) AS x, LLM_COMPLETE('r', body, {REMOTE}) AS y FROM t"
    )["energy"]
    for name in ("energy_j_low", "energy_j", "energy_j_high", "co2_g"):
        assert two[name] == pytest.approx(2 * one[name], rel=1e-9)
    mixed = document(con, f"SELECT LLM_COMPLETE('q', body, {REMOTE}) AS x, LLM_COMPLETE('r', body) AS y FROM t")[
        "energy"
    ]
    assert mixed == {**one, "unknown": True}
    assert document(con, "SELECT LLM_COMPLETE('r', body) AS y FROM t")["energy"] is None


def test_analyze_says_what_was_recorded(con: anserdb.Connection) -> None:
    figures = explained(con, "EXPLAIN ANALYZE SELECT LLM_COMPLETE('q', body) AS x FROM t")
    used = con.sql("SELECT sum(energy_j), sum(energy_j_low) FROM llm_calls()")
    assert used is not None
    joules, low = used.fetchall()[0]
    assert f"energy≈{joules:.2g} J ({low:.2g} to " in figures.splitlines()[-1]
    assert "default" in figures.splitlines()[-1]
    again = explained(con, "EXPLAIN ANALYZE SELECT LLM_COMPLETE('q', body) AS x FROM t")
    assert again.splitlines()[-2].startswith("total: calls=0"), "answers that are found take nothing"
    assert again.splitlines()[-1].strip() == f"energy≈0 J avoided≈{joules:.2g} J"


def test_the_document_has_the_graph_of_stages(con: anserdb.Connection) -> None:
    graph = StageGraph.from_json(json.dumps(document(con, "SELECT LLM_COMPLETE('q', body) AS x FROM t")["stages"]))
    assert [stage.kind for stage in graph.stages] == [Kind.REL, Kind.MODEL, Kind.REL]
    assert max(graph.depths().values()) == 2
