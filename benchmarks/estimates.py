"""How far EXPLAIN is off, in money and in seconds: first runs, and reruns about other rows. ``make bench-estimates``.

Every query is explained, then run, on two halves of its table; the cache is off, so the second half is as new as the first. What
the query has cost is the server's bill; what it took is the clock's. The server is SIMULATED: it answers after times drawn
from a profile, serves as many requests as the client may have under way, and runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import anserdb

from .estimates_ways import HALVES, WAYS, Way, given, world
from .server import LoopbackServer
from .server.child import ChildServer

MONEY, SECONDS = 0.10, 0.25
"""The most that the median of reruns may be off; set before the first run."""
INSIDE = 0.9
LESS = 1 - 1e-6
"""Floats are not exact."""
CONCURRENCY = 16
PRICE_IN, PRICE_OUT = 0.4, 1.6
LATENCY_S, TOKENS_PER_S, PREFILL, JITTER = 0.04, 400.0, 20_000.0, 0.3
ROWS = 1600
WORDS = "'the parcel with number ' || (i * 7919 % 1009) || ' was damaged and nobody has answered'"
SETUP = (
    f"CREATE TABLE mails AS SELECT i AS id, i % 3 AS kind, {WORDS} || repeat(' and again', (i * 31 % 23)::INTEGER) AS body, "
    f"'subject ' || (i % 40) AS subject FROM range({ROWS}) r(i)",
    f"CREATE TABLE notes AS SELECT i AS id, 'note ' || i || ' of ' || (i % 200) AS note FROM range({ROWS // 4}) r(i)",
)
# What stands for {half} in a query is the condition that tells the rows of the first run from those of the second.
QUERIES = (
    "SELECT id FROM mails WHERE {half} AND LLM_FILTER('Is it angry?', body)",
    "SELECT id FROM mails WHERE {half} AND kind = 1 AND LLM_FILTER('Is it about a delivery?', body)",
    "SELECT id FROM mails WHERE {half} AND LLM_FILTER('Is it urgent?', body) AND LLM_FILTER('Is it polite?', body)",
    "SELECT id FROM mails WHERE {half} AND kind = 0 AND LLM_FILTER('Is it a threat?', body) AND LLM_FILTER('Is it a joke?', body) "
    "AND LLM_FILTER('Is it long?', body)",
    "SELECT id, LLM_CLASSIFY(body, ['praise', 'complaint', 'question']) AS c FROM mails WHERE {half} AND kind = 2",
    "SELECT subject, LLM_CLASSIFY(subject, ['work', 'play']) AS c FROM mails WHERE {half}",
    "SELECT id, LLM_COMPLETE('Answer in one sentence', body) AS a FROM mails WHERE {half} AND kind = 0",
    "SELECT id, LLM_COMPLETE('Translate into French', note) AS a FROM notes WHERE {half}",
    "SELECT id, LLM_COMPLETE('Summarize', body, max_tokens := 12) AS a FROM mails WHERE {half} AND kind = 1",
    "SELECT id, LLM_SCORE('How angry is it?', body) AS s FROM mails WHERE {half} AND kind = 2",
    "SELECT id, LLM_EXTRACT(body, {product: 'VARCHAR', number: 'INTEGER'}) AS e FROM mails WHERE {half} AND kind = 0",
    "SELECT id, LLM_EXTRACT(note, {name: 'VARCHAR'}) AS e FROM notes WHERE {half}",
    "SELECT id, LLM_COMPLETE('Reply', body) AS a FROM mails WHERE {half} AND kind = 1 AND LLM_FILTER('Does it need a reply?', body)",
    "SELECT id, LLM_CLASSIFY(body, ['a', 'b']) AS c FROM mails WHERE {half} AND LLM_FILTER('Is it about money?', subject)",
    "SELECT id, LLM_CLASSIFY(note, ['red', 'green', 'blue']) AS c FROM notes WHERE {half}",
    "SELECT id, LLM_FILTER('Is it a question?', body, batch_rows := 8) AS f FROM mails WHERE {half} AND kind = 2",
    "SELECT id, LLM_CLASSIFY(body, ['x', 'y', 'z'], batch_rows := 4) AS c FROM mails WHERE {half} AND kind = 1",
    "SELECT CASE WHEN kind = 1 THEN LLM_COMPLETE('Explain', note) END AS x FROM (SELECT n.*, n.id % 3 AS kind FROM notes n) "
    "WHERE {half}",
    "SELECT m.id FROM mails m JOIN notes n ON m.id = n.id WHERE m.{half} AND LLM_FILTER('Do they fit?', m.subject, n.note)",
    "SELECT count(*) FROM mails WHERE {half} AND kind = 0 AND NOT LLM_FILTER('Is it from a child?', body)",
    "SELECT LLM_CLASSIFY(body, ['p', 'q']) AS c, count(*) FROM mails WHERE {half} AND kind = 1 GROUP BY ALL",
    "SELECT id, LLM_FILTER('Is it late?', body) AS f, LLM_SCORE('How late?', body) AS s FROM mails WHERE {half} AND kind = 2",
    "SELECT id FROM notes WHERE {half} AND LLM_COMPLETE('Which language is it?', note) = 'French'",
    "SELECT id, LLM_COMPLETE('Write a title', subject) AS t FROM mails WHERE {half} AND id < 900",
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what was expected, and what came. ``money`` and ``seconds`` are relative errors; ``None``: nothing was expected.

    ``inside``: whether the money was in its interval.
    """

    usd: float
    wall_s: float
    calls: int
    money: float | None
    seconds: float | None
    inside: bool


Spent = Callable[[], tuple[float, int]]
"""US dollars and requests so far."""


def run(con: anserdb.Connection, spent: Spent, query: str) -> Run:
    """Explain a query, and then run it."""
    expected = _expected(con, query)
    usd_before, calls_before = spent()
    started = time.perf_counter()
    result = con.sql(query)
    assert result is not None
    result.fetchall()
    wall_s = time.perf_counter() - started
    usd, calls = (now - before for now, before in zip(spent(), (usd_before, calls_before), strict=True))
    money, seconds = expected["money"], expected["seconds"]
    inside = money is not None and money["low"] is not None and money["low"] * LESS <= usd <= money["high"] / LESS
    return Run(usd, wall_s, int(calls), _off(money, usd), _off(seconds, wall_s), inside)


def _expected(con: anserdb.Connection, query: str) -> dict[str, Any]:
    result = con.sql(f"EXPLAIN (FORMAT json) {query}")
    assert result is not None
    total = json.loads(result.fetchall()[0][-1])["estimated_total"]
    return dict(total) if total else {"money": None, "seconds": None}


def _off(figure: dict[str, Any] | None, actual: float) -> float | None:
    return None if figure is None else abs(figure["value"] - actual) / actual


def measured(queries: Sequence[str]) -> list[tuple[Run, Run]]:
    """First run and rerun of each query, all in one database: later queries know what earlier ones have taught."""
    flags = {
        "latency_s": LATENCY_S, "tokens_per_s": TOKENS_PER_S, "prefill_tokens_per_s": PREFILL, "jitter": JITTER,
        "price_in": PRICE_IN, "price_out": PRICE_OUT, "cap": CONCURRENCY,
    }  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="anserdb-bench-") as folder,
        ChildServer(model="sim", **flags) as server,
        anserdb.connect(store=Path(folder) / "s.anser", llm_model="sim") as con,
    ):
        con.sql(
            f"CREATE MODEL sim USING openai (model 'sim', base_url '{server.base_url}', price_in {PRICE_IN}, "
            f"price_out {PRICE_OUT}, concurrency {CONCURRENCY})"
        )
        for statement in (*SETUP, "SET llm_cache = false"):
            con.sql(statement)
        return [(_half(con, server, query, 0), _half(con, server, query, 1)) for query in queries]


def _half(con: anserdb.Connection, server: ChildServer, query: str, half: int) -> Run:
    def spent() -> tuple[float, int]:
        return float(server.bill()["total"]["usd"]), int(server.stats()["requests"])

    return run(con, spent, query.replace("{half}", HALVES[half]))


def measured_ways(ways: Sequence[Way]) -> list[tuple[Run, Run]]:
    """The same of queries whose calls are found out as it goes."""
    with world() as (con, server):
        return [(_way(con, server, way, 0), _way(con, server, way, 1)) for way in ways]


def _way(con: anserdb.Connection, server: LoopbackServer, way: Way, half: int) -> Run:
    with given(con, way):
        return run(
            con, lambda: (float(server.bill.usd), server.stats.requests), way.sql.replace("{half}", HALVES[half])
        )


def report_ways(found: Sequence[tuple[Run, Run]], ways: Sequence[Way]) -> None:
    """A line per query, and the medians."""
    print("\ncalls found out as it goes; SIMULATED judge; money off by, first run → rerun about other rows")
    for way, (first, again) in zip(ways, found, strict=True):
        inside = "inside" if first.inside else "NOT inside"
        print(
            f"{first.calls:5} calls  {_percent(first.money)} ({inside} its interval) → {again.calls:5} calls {_percent(again.money)}"
            f"  {way.kind}: {way.sql[:60]}"
        )
    firsts, agains = ([pair[which] for pair in found] for which in (0, 1))
    told = [each.money for each in agains if each.money is not None]
    reached = "reached" if len(told) == len(found) and median(told) <= MONEY else "MISSED"
    print(
        f"money: median {_percent(median(told))} off on reruns ({len(told)} of {len(found)} told), worst {_percent(max(told))}; "
        f"at most {MONEY:.0%} wanted: {reached}"
    )
    within = sum(each.inside for each in firsts) / len(firsts)
    print(f"money of first runs inside its 90 % interval: {within:.0%} of {len(firsts)} (about {INSIDE:.0%} wanted)")


def report(found: Sequence[tuple[Run, Run]], queries: Sequence[str]) -> None:
    """A line per query, and the medians beside what they should be."""
    print(f"SIMULATED server, {CONCURRENCY} at once; off by, first run → rerun about other rows")
    for query, (first, again) in zip(queries, found, strict=True):
        print(
            f"{first.calls:5} calls  money {_percent(first.money)} → {_percent(again.money)}  seconds "
            f"{_percent(first.seconds)} → {_percent(again.seconds)} of {again.wall_s:5.2f} s  {query[:70]}"
        )
    for name, most in (("money", MONEY), ("seconds", SECONDS)):
        firsts, reruns = ([getattr(pair[which], name) for pair in found] for which in (0, 1))
        known = [error for error in firsts if error is not None]
        told = [error for error in reruns if error is not None]
        reached = "reached" if len(told) == len(found) and median(told) <= most else "MISSED"
        print(
            f"{name}: median {_percent(median(known) if known else None)} off on first runs ({len(known)} of {len(found)} told), "
            f"{_percent(median(told))} on reruns, worst {_percent(max(told))} ({len(told)} told); "
            f"at most {most:.0%} wanted: {reached}"
        )
    inside = sum(again.inside for _, again in found) / len(found)
    print(f"money of reruns inside its 90 % interval: {inside:.0%} of {len(found)} (about {INSIDE:.0%} wanted)")


def _percent(error: float | None) -> str:
    return "      –" if error is None else f"{error:7.1%}"


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=len(QUERIES), help="only so many")
    parser.add_argument("--ways", type=int, default=len(WAYS), help="only so many of those found out as it goes")
    chosen = parser.parse_args()
    queries, ways = QUERIES[: chosen.queries], WAYS[: chosen.ways]
    if queries:
        report(measured(queries), queries)
    if ways:
        report_ways(measured_ways(ways), ways)


if __name__ == "__main__":
    main()
