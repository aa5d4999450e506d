"""One prompt for several calls over the same input: whole queries against a simulated server with a bill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from benchmarks.server import LoopbackServer, Profile
from benchmarks.server.answers import scripted_answer
from benchmarks.server.asked import asked_choices, asked_schema, user_text

ROWS = 500
BOTH = "SELECT id, LLM_EXTRACT(body, {a: 'INTEGER'}) AS x, LLM_EXTRACT(body, {b: 'INTEGER'}) AS y FROM t ORDER BY id"
Spoil = Callable[[str, str], Any]


def number(text: str, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{name} {text}".encode(), digest_size=4).digest(), "big") % 1000


def value(schema: dict[str, Any], text: str) -> Any:
    if names := schema.get("properties"):
        return {name: number(text, name) for name in names}
    return schema["enum"][number(text, "choice") % len(schema["enum"])]


def said(spoil: Spoil) -> Callable[[dict[str, Any]], Any]:
    """Each task is answered by the same rule, alone or among others, unless ``spoil`` says otherwise of a task among others."""

    def answer(body: dict[str, Any]) -> Any:
        text, schema = user_text(body).rpartition("\n\n")[2], asked_schema(body)
        if choices := asked_choices(body):
            at = number(text, "choice") % len(choices)
            return {name: -0.01 if n == at else -6.0 for n, name in enumerate(choices)}
        if not schema:
            return scripted_answer(body, 0)
        tasks = schema["properties"]
        if "task_1" not in tasks:
            return json.dumps(value(schema, text))
        return json.dumps({name: spoil(name, text) or value(task, text) for name, task in tasks.items()})

    return answer


class World:
    """A server and a connection to it."""

    def __init__(self, server: LoopbackServer, con: anserdb.Connection) -> None:
        self.server, self.con = server, con

    def rows(self, query: str = BOTH) -> list[tuple[Any, ...]]:
        result = self.con.sql(query)
        assert result is not None
        return result.fetchall()

    def merged(self) -> int:
        return sum(
            "task_1" in ((asked_schema(body) or {}).get("properties") or ()) for body in self.server.stats.bodies
        )


@pytest.fixture
def spoilt() -> dict[str, Spoil]:
    return {}


@pytest.fixture
def world(spoilt: dict[str, Spoil], tmp_path: Path) -> Iterator[World]:
    def spoil(name: str, text: str) -> Any:
        return spoilt[name](name, text) if name in spoilt else None

    profile = Profile("m", price_in=1.0, price_out=1.0)
    with (
        LoopbackServer(profile, answer=said(spoil)) as server,
        anserdb.connect(store=tmp_path / "s.anser", llm_model="m", llm_concurrency=32) as con,
    ):
        con.sql(f"CREATE MODEL m USING openai (model 'm', base_url '{server.base_url}', price_in 1.0, price_out 1.0)")
        con.sql(
            f"CREATE TABLE t AS SELECT i AS id, repeat('some words of item ' || i || ' ', 100) AS body FROM range({ROWS}) r(i)"
        )
        con.sql("SET llm_disabled_rules = 'arms'")
        yield World(server, con)


def test_one_prompt_serves_once_it_has_proved_itself(world: World) -> None:
    reference, requests = world.rows(), world.server.stats.requests
    assert requests == 2 * ROWS
    world.con.sql("SET llm_min_quality = 0.9; SET llm_cache = false")
    result = world.con.sql(BOTH)
    assert result is not None
    assert result.fetchall() == reference
    assert result.progress is not None
    assert "serves; agreed in 100.0%" in result.progress.sites["1:LLM_EXTRACT"].notes["arm m, one prompt"]
    assert world.server.stats.requests - requests < 1.4 * ROWS
    assert world.merged() > 0.8 * ROWS


def test_a_rerun_pays_nothing(world: World) -> None:
    world.con.sql("SET llm_min_quality = 0.9")
    first, requests = world.rows(), world.server.stats.requests
    assert world.rows() == first
    assert world.server.stats.requests == requests


def test_what_has_been_asked_alone_is_not_paid_for_again(world: World) -> None:
    reference, requests = world.rows(), world.server.stats.requests
    world.con.sql("SET llm_min_quality = 0.9")
    assert world.rows() == reference
    # Those that were compared, and no other row.
    assert 0 < world.server.stats.requests - requests == world.merged() < 0.2 * ROWS


def test_one_prompt_that_disagrees_never_serves(world: World, spoilt: dict[str, Spoil]) -> None:
    spoilt["task_2"] = lambda name, text: {"b": -1} if number(text, name) < 400 else None
    reference, requests = world.rows(), world.server.stats.requests
    world.con.sql("SET llm_min_quality = 0.9; SET llm_cache = false")
    assert world.rows() == reference
    assert world.server.stats.requests - requests <= 2.08 * ROWS


def test_a_part_that_is_not_usable_is_asked_for_alone(world: World, spoilt: dict[str, Spoil]) -> None:
    spoilt["task_2"] = lambda name, text: {"b": "no number"} if number(text, name) < 20 else None
    reference = world.rows()
    world.con.sql("SET llm_min_quality = 0.8; SET llm_cache = false")
    assert world.rows() == reference
    assert world.merged() > 0.8 * ROWS


def test_filters_in_one_prompt_keep_the_same_rows(world: World) -> None:
    query = "SELECT id FROM t WHERE LLM_FILTER('is odd', body) AND LLM_FILTER('is even', body) ORDER BY id"
    world.con.sql("INSERT INTO t VALUES (-1, NULL)")
    reference = world.rows(query)
    world.con.sql("SET llm_min_quality = 0.8; SET llm_cache = false")
    assert world.rows(query) == reference
    assert world.merged() > 0.5 * ROWS
