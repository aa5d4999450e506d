"""Prefix sharing: how near the chosen orders are to the best there are, and what they save on a SIMULATED server's bill.

``make bench-prefix``; ``--local`` also asks the local model ``small``, which has to be there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

import anserdb
from anserdb.engine.physical.prefix_order import (
    Grant,
    Table,
    granted,
    in_lanes,
    input_order,
    remembered,
    sorted_rows,
)

from .server import LoopbackServer
from .support_prefix import Row, greedy, once_answered, optimum, review_like, unrelated, words

T = TypeVar("T")

SMALL_TABLES = 60
MOVIES = Path(__file__).parents[2] / "shared" / "data" / "sembench"
LOCAL_ROWS = 60
PRICES = {"price_in": 0.4, "price_cached": 0.1, "price_out": 1.6}
IN_FLIGHT = 32
CACHES = {"a cache of 16,384 tokens": 1 << 14, "a cache of 4,194,304 tokens": 1 << 22}


# --- small tables, where everything can be tried --------------------------------------------------------------------


def small_tables() -> None:
    """One order of inputs for all rows beside the best order for each row."""
    print(f"Tables of up to 8 × 4, {SMALL_TABLES} each; share of tokens found by a cache that forgets nothing")
    print(f"{'':28}{'as written':>12}{'ours':>8}{'greedy':>8}{'optimum':>9}{'ours, worst gap':>17}")
    for name, make in (("reviews joined products", review_like), ("unrelated columns", unrelated)):
        dice = Random(name)
        figures = [_small(make(dice, dice.randint(2, 8), dice.randint(3, 4))) for _ in range(SMALL_TABLES)]
        written, ours, group, best = (float(np.mean(column)) for column in zip(*figures, strict=True))
        gap = max(best - ours for _, ours, _, best in figures)
        print(f"{name:28}{written:>11.1%} {ours:>7.1%} {group:>7.1%} {best:>8.1%} {100 * gap:>10.1f} points")


def _small(rows: Sequence[Row]) -> tuple[float, float, float, float]:
    table = table_of(rows)
    ours = remembered(table.arranged(input_order(table)), Grant())
    return remembered(table, Grant()), ours, greedy(rows), optimum(rows)


def table_of(rows: Sequence[Row]) -> Table:
    """Rows as the planner has them."""
    return Table.of([pa.array(column) for column in zip(*rows, strict=True)])


def solver() -> None:
    """CPU seconds for a large table: others may be busy on this machine."""
    dice = Random(8)
    products = [tuple(words(dice, 20) for _ in range(6)) for _ in range(500)]
    rows = [(f"{n} {words(dice, 30)}", *dice.choice(products), dice.choice(("yes", "no"))) for n in range(10_000)]
    started = time.process_time()
    table = table_of(rows)
    read = time.process_time()
    table = table.arranged(input_order(table))
    chosen = time.process_time()
    order = in_lanes(sorted_rows(table), IN_FLIGHT)
    share = granted(table, order, IN_FLIGHT, Grant(16))
    ended = time.process_time()
    print(
        f"\n10,000 rows × 8 inputs: {ended - started:.2f} s of CPU (reading {read - started:.2f}, order of inputs "
        f"{chosen - read:.2f}, order of rows and its worth {ended - chosen:.2f}); {share:.0%} shared with a prompt just before"
    )


# --- whole queries on a simulated server ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    """A join to ask about; ``written``: the inputs as many would write them, ``turned``: as one who thinks of caches would."""

    name: str
    tables: tuple[str, ...]
    source: str
    written: str
    turned: str


@dataclass(frozen=True, slots=True)
class Ran:
    """What the server says of a run, and what came of it. ``prompts``: in the order in which they came."""

    share: float
    usd: float
    seconds: float
    first_s: float
    prompts: list[list[str]]


def reviews(dice: Random) -> Workload:
    """2,000 reviews of 100 products, in no order."""
    products = [(p, f"product {p} {words(dice, 4)}", words(dice, 160)) for p in range(100)]
    texts = [(n, dice.randrange(100), f"{n} {words(dice, dice.randint(10, 60))}") for n in range(2000)]
    tables = (
        "CREATE TABLE products (pid INTEGER, name VARCHAR, description VARCHAR)",
        "CREATE TABLE reviews (id INTEGER, pid INTEGER, review VARCHAR)",
        f"INSERT INTO products VALUES {', '.join(map(repr, products))}",
        f"INSERT INTO reviews VALUES {', '.join(map(repr, texts))}",
    )
    known, source = "name, description", "reviews JOIN products USING (pid)"
    return Workload("2,000 reviews JOIN 100 products (made up)", tables, source, f"review, {known}", f"{known}, review")


def movies() -> Workload | None:
    """Reviews of films joined with what is known of the films."""
    files = {name: MOVIES / f"movie_{name}.parquet" for name in ("reviews", "movies")}
    if not all(file.is_file() for file in files.values()):
        print("\nThe movie reviews are not there: left out.")
        return None
    tables = tuple(f"CREATE TABLE {name} AS SELECT * FROM '{file}'" for name, file in files.items())
    known = "m.title, m.genre, m.director, m.writer, m.distributor, m.soundMix"
    source = "reviews AS r JOIN movies AS m USING (id)"
    return Workload("1,865 reviews JOIN 105 films", tables, source, f"r.reviewText, {known}", f"{known}, r.reviewText")


def run(work: Workload, cache: int, inputs: str, **chosen: Any) -> Ran:
    """One run on a server of its own."""
    profile = {"latency_s": 0.05, "prefill_tokens_per_s": 1000.0, "cap": IN_FLIGHT, **PRICES}
    with LoopbackServer(cache_tokens=cache, **profile) as server, connection(server, work, **chosen) as con:
        started = time.perf_counter()
        result = con.sql(f"SELECT LLM_FILTER('it is about this very thing', {inputs}) AS about FROM {work.source}")
        assert result is not None
        result.fetchone()
        first = time.perf_counter() - started
        result.fetchall()
        seconds = time.perf_counter() - started
        total, bodies = server.bill.total, server.stats.bodies
        prompts = [" ".join(str(m["content"]) for m in body["messages"]).split() for body in bodies]
        return Ran(total.tokens_cached / total.tokens_in, float(server.bill.usd), seconds, first, prompts)


@contextmanager
def connection(server: LoopbackServer, work: Workload, **chosen: Any) -> Iterator[anserdb.Connection]:
    """A connection whose model is the server's."""
    with anserdb.connect(duckdb.connect(), store=":memory:", llm_model="simulated", **chosen) as con:
        for statement in work.tables:
            con.sql(statement)
        con.sql(
            f"CREATE MODEL simulated (provider 'openai', base_url '{server.base_url}', concurrency {IN_FLIGHT}, "
            "prefix_cache true, prefix_block_tokens 16)"
        )
        yield con


def on_the_server(work: Workload) -> None:
    """As written and as we ask, with a cache that is too small for all and one that is not."""
    print(f"\n{work.name}, {IN_FLIGHT} calls in flight, on a SIMULATED server (a token is a word, blocks of 16)")
    print(f"{'':53}{'hit rate':>9}{'answered':>10}{'bill':>9}{'ratio':>7}{'seconds':>9}{'first':>7}")
    for name, cache in CACHES.items():
        print(name)
        ways = _ways(work, cache)
        base = ways[0][1]
        for way, ran in ways:
            late = once_answered(ran.prompts, IN_FLIGHT, cache)
            print(
                f"  {way:51}{ran.share:>8.1%} {late:>9.1%} {ran.usd:>8.4f} {ran.usd / base.usd:>6.2f} "
                f"{ran.seconds:>8.2f} {ran.first_s:>6.2f}"
            )
        everything = once_answered(sorted(ways[-1][1].prompts), 1, 1 << 40)
        print(f"  {'(best: one call at a time, nothing forgotten)':51}{'':8} {everything:>9.1%}")


def _ways(work: Workload, cache: int) -> list[tuple[str, Ran]]:
    off, shared = {"llm_disabled_rules": "prefix_order"}, {"llm_input_order": "shared"}
    return [
        ("review first, rows as they come", run(work, cache, work.written, **off)),
        ("review first, ours: rows (default)", run(work, cache, work.written)),
        ("review first, ours: llm_input_order = 'shared'", run(work, cache, work.written, **shared)),
        ("review last, rows as they come", run(work, cache, work.turned, **off)),
        ("review last, ours: rows (default)", run(work, cache, work.turned)),
    ]


# --- a real model ---------------------------------------------------------------------------------------------------


def on_this_machine() -> None:
    """llama.cpp in this process: four slots, each with the last prompt it had."""
    work, off = reviews(Random(2)), {"llm_disabled_rules": "prefix_order"}
    print(f"\n{LOCAL_ROWS} rows on the real local model 'small' (llama.cpp, 4 slots)")
    ways: dict[str, tuple[str, dict[str, Any]]] = {
        "review last, rows as they come": (work.turned, off),
        "review last, ours: rows (default)": (work.turned, {}),
        "review first, rows as they come": (work.written, off),
        "review first, ours: llm_input_order = 'shared'": (work.written, {"llm_input_order": "shared"}),
    }
    found = {name: _locally(work, inputs, chosen) for name, (inputs, chosen) in ways.items()}
    for (one, (base, before)), (other, (seconds, after)) in _pairs(found.items()):
        same = sum(a == b for a, b in zip(before, after, strict=True))
        print(f"  {one:51}{base:>8.2f} s")
        print(f"  {other:51}{seconds:>8.2f} s  ratio {seconds / base:.2f}; {same} of {LOCAL_ROWS} answers are equal")


def _pairs(items: Iterable[T]) -> Iterator[tuple[T, T]]:
    """Two at a time."""
    each = iter(items)
    return zip(each, each, strict=True)


def _locally(work: Workload, inputs: str, chosen: dict[str, Any]) -> tuple[float, list[Any]]:
    with anserdb.connect(duckdb.connect(), store=":memory:", llm_model="small", **chosen) as con:
        for statement in (*work.tables, "CREATE TABLE warm AS SELECT LLM_FILTER('it is warm', 'the sun') AS up"):
            con.sql(statement)
        few = f"(SELECT * FROM reviews WHERE pid < 6 ORDER BY id LIMIT {LOCAL_ROWS}) JOIN products USING (pid)"
        started = time.perf_counter()
        result = con.sql(
            f"SELECT id, LLM_FILTER('the review calls something sturdy', {inputs}) AS so FROM {few} ORDER BY id"
        )
        assert result is not None
        rows = result.fetchall()
        return time.perf_counter() - started, rows


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--local", action="store_true", help="also ask the local model 'small'")
    local = parser.parse_args().local
    small_tables()
    solver()
    for work in (reviews(Random(1)), movies()):
        if work is not None:
            on_the_server(work)
    if local:
        on_this_machine()


if __name__ == "__main__":
    main()
