"""The same call written in several places of a statement is made once, also where nothing outlives the query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import anserdb
from anserdb.udfs.models.scripted import ScriptedModel

ROWS = 12
CALL = "LLM_CLASSIFY(body, ['a', 'b'])"


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(name="counted")


@pytest.fixture
def con(tmp_path: Path, model: ScriptedModel) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="counted") as con:
        con.register_model("counted", model)
        con.sql(f"CREATE TABLE t AS SELECT i AS id, i % 3 AS k, 'body ' || i AS body FROM range({ROWS}) r(i)")
        yield con


def asked(con: anserdb.Connection, model: ScriptedModel, query: str) -> int:
    """Questions about rows; those that calibrate are the same for all."""
    before = len(model.calls)
    result = con.sql(query)
    assert result is not None
    result.fetchall()
    return sum("body " in request.user for request in model.calls[before:] if request.kind == "generate")


@pytest.mark.parametrize("cache", ["true", "false"])
@pytest.mark.parametrize(
    "query",
    [
        f"SELECT {CALL} AS c FROM t WHERE {CALL} IN ('a', 'b') ORDER BY {CALL}",
        f"SELECT {CALL} AS c, count(*) FROM t GROUP BY {CALL} HAVING {CALL} <> 'z' ORDER BY {CALL}",
        f"WITH x AS (SELECT id, {CALL} AS c FROM t), y AS (SELECT id, {CALL} AS c FROM t) SELECT * FROM x JOIN y USING (id)",
        f"SELECT {CALL} AS c FROM t UNION ALL SELECT {CALL} FROM t",
        f"SELECT {CALL} AS c FROM t UNION ALL SELECT {CALL} FROM (SELECT * FROM t WHERE k = 1)",
        f"SELECT id FROM t WHERE {CALL} = 'a' AND id IN (SELECT id FROM t WHERE {CALL} = 'a')",
        f"SELECT CASE WHEN {CALL} = 'a' THEN 1 WHEN {CALL} = 'b' THEN 2 END FROM t",
        f"SELECT c FROM (SELECT *, {CALL} AS c FROM t) WHERE {CALL} = c",
        f"SELECT k, {CALL} AS c, row_number() OVER (PARTITION BY k ORDER BY {CALL}) FROM t QUALIFY {CALL} <> 'z'",
    ],
)
def test_a_call_in_several_places_is_made_once(
    con: anserdb.Connection, model: ScriptedModel, query: str, cache: str
) -> None:
    con.sql(f"SET llm_cache = {cache}")
    assert asked(con, model, query) == ROWS
