"""The endpoint of the arm that serves fails, or gets slow, in mid-query: another proven arm takes over, and nobody flaps."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anserdb
from benchmarks.server import LoopbackServer, Profile
from benchmarks.server.asked import user_text
from benchmarks.server.faults import Fault
from tests.sql.test_arms import rows, said_by

FIRST = 100
QUERY = f"SELECT id, LLM_CLASSIFY(body, ['red', 'green', 'blue']) AS colour FROM t WHERE id >= {FIRST} ORDER BY id"
"""By rows that are profiled before, both cheap models have proved themselves."""
LANES = 16
WINDOW = 8 * LANES
"""Rows that are asked before the first of them is answered."""


@contextmanager
def connected(
    servers: Mapping[str, LoopbackServer], prices: Mapping[str, float], path: Path, size: int
) -> Iterator[anserdb.Connection]:
    with ExitStack() as stack:
        for server in servers.values():
            stack.enter_context(server)
        con = stack.enter_context(
            anserdb.connect(store=path / "s.anser", llm_model="dear", llm_concurrency=LANES, llm_max_retries=0)
        )
        for name, server in servers.items():
            usd = prices[name]
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', price_in {usd}, price_out {usd})"
            )
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({size}) r(i)")
        con.sql("SET llm_candidate_models = 'good, second'; SET llm_min_quality = 0.8")
        con.sql(f"PROFILE {QUERY.replace('>=', '<')}")
        yield con


def analyzed(con: anserdb.Connection, query: str = QUERY) -> list[str]:
    """EXPLAIN ANALYZE's lines about re-plans."""
    ((*_, text),) = rows(con, f"EXPLAIN ANALYZE {query}")
    return re.findall(r"re-plans?: [^│\n]*?(?=\s*[│\n]|$)", text)


class Said:
    """What all models say: the label of each row, by its number."""

    def __init__(self) -> None:
        self.labels: dict[int, str] = {}

    def __call__(self, body: dict[str, Any]) -> Any:
        answer = said_by({})(body)
        if isinstance(answer, dict) and (number := user_text(body).split()[-1]).isdigit():
            self.labels[int(number)] = max(answer, key=lambda name: answer[name])
        return answer

    def rows(self) -> list[tuple[int, str]]:
        """What the query is to give."""
        return sorted(row for row in self.labels.items() if row[0] >= FIRST)


def test_an_endpoint_that_dies_is_left_and_the_rows_are_right(tmp_path: Path) -> None:
    size, dies_at, said = 700, 300, Said()
    servers = {
        "dear": LoopbackServer(Profile("dear"), answer=said),
        "good": LoopbackServer(
            Profile("good"), answer=said, fault=lambda number, _: Fault(503) if number >= dies_at else None
        ),
        "second": LoopbackServer(Profile("second"), answer=said),
    }
    with connected(servers, {"dear": 10.0, "good": 0.5, "second": 0.6}, tmp_path, size) as con:
        counted, first, *others = analyzed(con)
        found = rows(con, QUERY)
        tried = servers["good"].stats.requests - dies_at
        dear = servers["dear"].stats.requests
    assert found == said.rows()
    assert len(found) == size - FIRST
    assert "second serves in place of good" in first
    assert "its endpoint does not answer" in first or "most of its questions fail" in first
    # It comes back after 256 rows, because it was the cheaper one, and is left again.
    assert counted == f"re-plans: {len(others) + 1}"
    assert len(others) <= 2
    assert tried <= 2 * (WINDOW + LANES)
    assert dear < size / 2


def test_an_endpoint_that_gets_slow_is_left_and_the_rows_are_right(tmp_path: Path) -> None:
    slow_from, sleep_s = 250, 0.012
    said, come = Said(), [0]

    def slowly(body: dict[str, Any]) -> Any:
        come[0] += 1
        if come[0] > slow_from:
            time.sleep(sleep_s)  # in the server's only thread: every call under way waits for it
        return said(body)

    servers = {
        "dear": LoopbackServer(Profile("dear", latency_s=0.12), answer=said),
        "good": LoopbackServer(Profile("good"), answer=slowly),
        "second": LoopbackServer(Profile("second", latency_s=0.06), answer=said),
    }
    with connected(servers, dict.fromkeys(servers, 1.0), tmp_path, 500) as con:
        con.sql("SET llm_objective = 'time'")
        counted, *replans = analyzed(con)
        assert rows(con, QUERY) == said.rows()
    assert "serves in place of good: its answers take " in replans[0]
    assert counted == f"re-plans: {len(replans)}"
    assert len(replans) <= 3
