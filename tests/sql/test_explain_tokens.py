"""EXPLAIN counts the tokens of prompts that it has made of some rows, not of a row that it imagines."""

from __future__ import annotations

import json
from typing import Any

import pytest

import anserdb
from anserdb.udfs.models.base import Capabilities, Generate
from anserdb.udfs.models.scripted import ScriptedModel
from benchmarks.server import LoopbackServer
from benchmarks.server.tokenizing import Tokenizer

LOOKED_AT, ROWS, PER_TOKEN = 64, 300, 4


@pytest.mark.parametrize("longer", [0, 900])
def test_tokens_are_those_of_the_prompts_of_64_rows(longer: int) -> None:
    """Rows of very different lengths: 4 characters a token, as is said, and whatever stands behind the first 64 inputs."""
    model = ScriptedModel([("", "Yes")], capabilities=Capabilities(choice_scores=False, local=True, concurrency=64))
    with anserdb.connect(":memory:", store=":memory:", llm_model="m", llm_cache=False) as con:
        con.register_model("m", model)
        lengths = f"CASE WHEN i < {LOOKED_AT} THEN i * 13 % 101 ELSE {longer} END"
        con.sql(
            f"CREATE TABLE t AS SELECT i AS id, 'text ' || i || repeat(' x', ({lengths})::INTEGER) AS body FROM range({ROWS}) r(i)"
        )
        query = "SELECT id FROM t WHERE LLM_FILTER('is long', body)"
        (estimated,) = explained(con, query)["estimates"].values()
        result = con.sql(query)
        assert result is not None
        result.fetchall()
        assert not [call for call in model.calls if not isinstance(call, Generate)]
        sent = {call.user: len(call.system) + len(call.user) for call in model.calls if isinstance(call, Generate)}
    first = [chars for user, chars in sent.items() if int(user.rpartition("text ")[2].split()[0]) < LOOKED_AT]
    assert len(first) == LOOKED_AT
    assert len(set(first)) > 40
    expected = ROWS * sum(first) / LOOKED_AT / PER_TOKEN
    assert estimated["tokens_in"]["value"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["vllm", "llamacpp", None])
def test_a_server_that_has_answered_counts_them(kind: Tokenizer | None) -> None:
    """The simulated server's token is a word. Nobody is asked before it has answered, nor waited for once it is gone."""
    with LoopbackServer(tokenize=kind) as server, anserdb.connect(":memory:", store=":memory:", llm_model="m") as con:
        con.sql(f"CREATE MODEL m USING openai (model 'simulated', base_url '{server.base_url}')")
        con.sql(
            "CREATE TABLE t AS SELECT i AS id, 'text ' || i || repeat(' x', i % 7) AS body FROM range(300) r(i);"
            "CREATE TABLE u AS SELECT * FROM t LIMIT 1"
        )
        query = "SELECT id FROM t WHERE LLM_FILTER('is long', body)"
        before = read(con, query)
        assert not server.stats.tokenized
        con.sql(query.replace("FROM t", "FROM u").replace("long", "short")).fetchall()  # type: ignore[union-attr]
        known = read(con, query)
        asked = len(server.stats.tokenized)
        con.sql(query).fetchall()  # type: ignore[union-attr]
        sent = [" ".join(m["content"] for m in body["messages"]) for body in server.stats.bodies if "long" in str(body)]
        server.__exit__()
        other = read(con, query.replace("long", "anything else"))
        server.__enter__()
    assert "tokenised" not in before["source"] + other["source"]
    if kind is None:
        assert known == before
        return
    assert "64 rows, tokenised" in known["source"]
    first = [text for text in sent if int(text.rpartition("text ")[2].split()[0]) < LOOKED_AT]
    assert asked <= len(first) + 2 + 3  # each text once, and at most three to find out how
    assert known["value"] == pytest.approx(300 * sum(len(text.split()) for text in first) / LOOKED_AT, rel=1e-6)


def read(con: anserdb.Connection, query: str) -> dict[str, Any]:
    """What EXPLAIN says of the tokens that are read."""
    (estimated,) = explained(con, query)["estimates"].values()
    return dict(estimated["tokens_in"])


def explained(con: anserdb.Connection, query: str) -> dict[str, Any]:
    result = con.sql(f"EXPLAIN (FORMAT json) {query}")
    assert result is not None
    return dict(json.loads(result.fetchall()[0][-1]))
