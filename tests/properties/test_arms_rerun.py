"""Several calls share what a plan may lose, and which of them decides first is a matter of speed; but a rerun asks nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

import anserdb
from benchmarks.server import LoopbackServer, Profile
from tests.sql.test_arms import rows, said_by

ROWS = 300
PRICES = {"dear": 10.0, "good": 0.5, "poor": 0.2}
QUERIES = (
    "SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']), LLM_CLASSIFY(other, ['big', 'small']) FROM t ORDER BY id",
    "SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) FROM t WHERE LLM_FILTER('is odd', other) ORDER BY id",
)


@pytest.mark.parametrize(
    ("query", "accuracy"), [(QUERIES[0], {"good": 0.97, "poor": 0.9}), (QUERIES[1], {"good": 1.0, "poor": 0.5})]
)
def test_a_rerun_asks_nothing_whoever_answered_first(query: str, accuracy: dict[str, float], tmp_path: Path) -> None:
    speed = Random(len(query))
    profiles = [
        Profile(name, price_in=usd, price_out=usd, latency_s=speed.choice([0.0, 0.004]), jitter=0.9)
        for name, usd in PRICES.items()
    ]
    with (
        LoopbackServer(*profiles, answer=said_by(accuracy)) as server,
        anserdb.connect(store=tmp_path / "s.anser", llm_model="dear", llm_concurrency=16) as con,
    ):
        for name, usd in PRICES.items():
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', price_in {usd}, price_out {usd})"
            )
        con.sql(
            f"CREATE TABLE t AS SELECT i AS id, 'item ' || i AS body, 'thing ' || i AS other FROM range({ROWS}) r(i)"
        )
        con.sql(
            "SET llm_min_quality = 0.8; SET llm_candidate_models = 'good, poor'; SET llm_disabled_rules = 'merged_calls'"
        )
        rows(con, query)
        asked = Counter(body["model"] for body in server.stats.bodies)
        rows(con, query)
        rows(con, query)
        assert server.stats.requests == asked.total()
    assert asked["good"] > 0.6 * ROWS
    assert asked["dear"] < 2 * ROWS
