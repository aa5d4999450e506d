"""What EXPLAIN expects of queries whose calls are found out as it goes, beside what a server is asked; and caps that believe it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BudgetExceeded, InfeasiblePlan
from benchmarks.estimates_ways import HALVES, WAYS, Way, given, world
from benchmarks.server import LoopbackServer

Road = tuple[anserdb.Connection, LoopbackServer]
NEAR = 0.35
"""The most that a rerun of so few rows may be off; benchmarks/estimates.py has the median of larger ones."""


CHOSEN = [replace(WAYS[at], given=WAYS[at].given.replace("0.15", "0.25")) for at in (0, 4, 7, 10)]
"""A query of each kind that few rows show; classifications, which take a thousand, are in benchmarks/estimates.py."""
JOIN = CHOSEN[2]


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with world(posts=700, sides=80, docs=0) as made:
        yield made


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def expected(con: anserdb.Connection, query: str) -> dict[str, Any]:
    return dict(json.loads(rows(con, f"EXPLAIN (FORMAT json) {query}")[0][-1])["estimated_total"])


def spent(road: Road, query: str) -> float:
    con, server = road
    before = server.bill.usd
    rows(con, query)
    return float(server.bill.usd - before)


def half(way: Way, which: int) -> str:
    return way.sql.replace("{half}", HALVES[which])


@pytest.mark.parametrize("way", CHOSEN, ids=[way.kind for way in CHOSEN])
def test_a_first_run_is_inside_its_interval_and_a_rerun_is_near(road: Road, way: Way) -> None:
    con, _ = road
    with given(con, way):
        first = expected(con, half(way, 0))["money"]
        usd = spent(road, half(way, 0))
        assert first["low"] <= usd <= first["high"]
        again = expected(con, half(way, 1))["money"]
        usd = spent(road, half(way, 1))
        assert again["value"] == pytest.approx(usd, rel=NEAR)
        assert again["high"] - again["low"] < first["high"] - first["low"], "it has learnt"
        assert usd <= ceiling(con, half(way, 1)), "whoever is asked beforehand is not told too little"


def ceiling(con: anserdb.Connection, query: str) -> float:
    """What a query costs at most, as whoever is asked before it is told."""
    con.sql("SET llm_confirm_usd = 0")
    with pytest.raises(BudgetExceeded) as refused:
        con.sql(query)
    con.sql("RESET llm_confirm_usd")
    return float(refused.value.spent)


def test_a_sample_is_not_refused_for_rows_that_it_will_not_ask(road: Road) -> None:
    con, _ = road
    way = replace(CHOSEN[3], sql=CHOSEN[3].sql.replace("mild", "even"))
    rows(con, half(way, 0))
    every = ceiling(con, half(way, 1))
    with given(con, way):
        most = ceiling(con, half(way, 1))
        con.sql(f"SET llm_confirm_usd = {most * 1.01}")
        usd = spent(road, half(way, 1))
        con.sql("RESET llm_confirm_usd")
    assert usd <= most < every


def test_caps_believe_what_is_expected_of_a_join(road: Road) -> None:
    con, _ = road
    with given(con, JOIN):
        rows(con, half(JOIN, 0))
        usd = spent(road, half(JOIN, 1))
        most = ceiling(con, half(JOIN, 0))
        con.sql(f"SET llm_max_cost_usd = {2 * usd}")
        rows(con, half(JOIN, 0))
        con.sql("SET llm_disabled_rules = 'all'")
        with pytest.raises(InfeasiblePlan):
            rows(con, half(JOIN, 0))
        con.sql("RESET llm_max_cost_usd")
        every = ceiling(con, half(JOIN, 0))
        con.sql("SET llm_disabled_rules = 'arms, merged_calls'")
    assert usd <= most < every / 3


def test_a_cap_holds_where_the_estimate_was_too_low(road: Road) -> None:
    con, server = road
    with given(con, JOIN):
        con.sql("SET llm_max_calls = 40")
        before = server.stats.requests
        with pytest.raises(BudgetExceeded):
            rows(con, half(JOIN, 0))
        con.sql("RESET llm_max_calls")
    assert server.stats.requests - before <= 40


EXPECTED = {
    "conjunction": "calls≈116; calls≈59; calls≈175",
    "condition": "calls≈350; calls≈93; calls≈178; calls≈621",
    "join in blocks": "calls≈102; join: ≈100 (64 to 400) of 1,600 distinct pairs alone; calls≈102",
    "sample": "calls≈161; calls≈161",
}
"""Per call, the highest first, and in all. The conjunction has a part that needs no answer and is TRUE of all rows that come to it."""


def test_explain_prints_what_is_expected() -> None:
    """Golden ones; nothing is known of any questions yet."""
    with world(posts=700, sides=80, docs=0) as (con, _):
        assert _said(con) == EXPECTED


def _said(con: anserdb.Connection) -> dict[str, str]:
    said = {}
    for way in (WAYS[2], CHOSEN[1], JOIN, CHOSEN[3]):
        new = half(way, 0).replace("Is it", "Is it truly").replace("means", "stands for")
        with given(con, way):
            text = str(rows(con, f"EXPLAIN {new}")[0][-1])
        said[way.kind] = "; ".join(re.findall(r"join: .* pairs alone|calls≈[\d,]+", text))
    return said
