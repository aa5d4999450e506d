"""Two first runs of a query ask the same questions, however fast answers come: whole queries against simulated servers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import anserdb
from benchmarks.server import LoopbackServer, Profile
from tests.sql.test_arms import rows, said_by

PRICES = {"dear": 10.0, "good": 0.5}
CLASSIFY = "LLM_CLASSIFY(body, ['red', 'green', 'blue'])"
SIZE = "LLM_CLASSIFY(body || ' again', ['big', 'small'])"
ODD = "LLM_FILTER('is odd', body)"


def asked(path: Path, query: str, seed: int) -> Counter[str]:
    """Every request of a first run. Answers take between a twentieth and twice the usual time, differently for each seed."""
    profiles = [
        Profile(name, price_in=usd, price_out=4 * usd, latency_s=0.002, jitter=0.95) for name, usd in PRICES.items()
    ]
    with (
        LoopbackServer(*profiles, answer=said_by({"good": 0.97}), seed=seed) as server,
        anserdb.connect(store=path / f"{seed}.anser", llm_model="dear", llm_concurrency=16) as con,
    ):
        for name, usd in PRICES.items():
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {usd}, price_out {4 * usd})"
            )
        con.sql("CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range(260) r(i)")
        con.sql("SET llm_min_quality = 0.85; SET llm_candidate_models = 'good'; SET llm_repeatable_first_runs = true")
        rows(con, query)
        return Counter(f"{body['model']}: {body['messages']}" for body in server.stats.bodies)


@pytest.mark.parametrize(
    "query",
    [
        # DuckDB expects a fifth of the rows: when they end is known by chance before or after the first wave is answered.
        f"SELECT id, {CLASSIFY} AS colour FROM t WHERE id >= 100 AND id % 7 <> 3",
        f"SELECT id, {CLASSIFY} AS colour, {SIZE} AS size FROM t",
        f"SELECT id, {SIZE} AS size FROM t WHERE {ODD}",
    ],
)
def test_what_is_asked_does_not_depend_on_the_order_of_answers(query: str, tmp_path: Path) -> None:
    first = asked(tmp_path, query, 0)
    assert len({name.partition(":")[0] for name in first}) == 2
    assert asked(tmp_path, query, 1) == first
