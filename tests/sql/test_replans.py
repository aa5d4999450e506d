"""Who serves changes with what answers really cost: whole queries against simulated servers with a bill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anserdb
from benchmarks.server import LoopbackServer, Profile
from tests.sql.test_arms import rows, said_by

ROWS = 480
FIRST = 100
QUERY = f"SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) AS colour FROM t WHERE id >= {FIRST} ORDER BY id"
"""By rows that are profiled before, both cheap models have proved themselves."""
PRICES = {"dear": (20.0, 80.0), "brief": (0.5, 1.0), "long": (0.05, 20.0)}
"""Per million tokens in and out: one is cheap where prompts are short, one where they are long."""


@contextmanager
def world(path: Path, latency_s: dict[str, float]) -> Iterator[tuple[anserdb.Connection, LoopbackServer]]:
    """Texts get longer in the middle of the table."""
    profiles = [
        Profile(name, price_in=usd[0], price_out=usd[1], latency_s=latency_s.get(name, 0.0), jitter=0.5)
        for name, usd in PRICES.items()
    ]
    with (
        LoopbackServer(*profiles, answer=said_by({})) as server,
        anserdb.connect(store=path, llm_model="dear", llm_concurrency=16) as con,
    ):
        for name, (price_in, price_out) in PRICES.items():
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {price_in}, price_out {price_out})"
            )
        longer = f"CASE WHEN i < {ROWS // 2} THEN 'item ' ELSE repeat('many words of ', 100) END"
        con.sql(f"CREATE TABLE t AS SELECT i AS id, {longer} || i AS body FROM range({ROWS}) r(i)")
        con.sql("SET llm_min_quality = 0.8; SET llm_candidate_models = 'brief, long'")
        con.sql(f"PROFILE {QUERY.replace('>=', '<')}")
        yield con, server


def asked(server: LoopbackServer) -> Counter[str]:
    """Who was asked what, and how often."""
    return Counter(f"{body['model']}: {body['messages']}" for body in server.stats.bodies)


def test_longer_prompts_change_who_serves_whoever_answers_first_and_a_rerun_asks_nothing(tmp_path: Path) -> None:
    seen = []
    for number, latency_s in enumerate(({"brief": 0.01, "dear": 0.002}, {"long": 0.01})):
        with world(tmp_path / f"{number}.anser", latency_s) as (con, server):
            ((*_, explained),) = rows(con, f"EXPLAIN ANALYZE {QUERY}")
            requests = server.stats.requests
            assert len(rows(con, QUERY)) == ROWS - FIRST
            assert server.stats.requests == requests
            seen.append((asked(server), [line for line in explained.splitlines() if "re-plan" in line]))
    assert seen[0] == seen[1]
    models, (counted, said) = seen[0]
    assert "re-plans: 1" in counted
    assert "rows long serves in place of brief: it" in said
    assert " times " in said
    assert sum(times for what, times in models.items() if what.startswith("long")) > ROWS / 4


def test_as_planned_nothing_is_said(tmp_path: Path) -> None:
    with world(tmp_path / "s.anser", {}) as (con, _):
        con.sql(f"DELETE FROM t WHERE id >= {ROWS // 2}")
        ((*_, explained),) = rows(con, f"EXPLAIN ANALYZE {QUERY}")
    assert "serves" in explained
    assert "re-plan" not in explained


def test_a_rerun_for_time_asks_nothing(tmp_path: Path) -> None:
    with world(tmp_path / "s.anser", {"dear": 0.03, "brief": 0.002, "long": 0.015}) as (con, server):
        con.sql(f"SET llm_objective = 'time'; DELETE FROM t WHERE id >= {ROWS // 2}")
        first = rows(con, QUERY)
        requests, models = server.stats.requests, Counter(body["model"] for body in server.stats.bodies)
        assert rows(con, QUERY) == first
        assert server.stats.requests == requests
    assert models["dear"] < ROWS / 4
