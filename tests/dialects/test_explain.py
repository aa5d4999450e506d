"""EXPLAIN of a call in another system's words says what of it has no meaning here, before anything is asked."""

from __future__ import annotations

import json

import anserdb

NOTICE = "connection_id of BigQuery has no meaning here and is ignored."


def test_notices_stand_below_the_plan() -> None:
    query = "SELECT AI.IF(('is it', x), connection_id => 'us.mine') FROM (VALUES ('a')) t(x)"
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        assert con.explain(query).splitlines()[-1] == f"notice: {NOTICE}"
        (row,) = con.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()
        assert json.loads(row[0])["notices"] == [NOTICE]
        assert "notice" not in con.explain("SELECT LLM_FILTER('is it', x) FROM (VALUES ('a')) t(x)")
