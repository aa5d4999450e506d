"""Tokens and calls of 2 and 4 extractions over 500 rows, in one prompt where that has proved itself, beside the plan as written.

``make bench-merge``, or ``python -m benchmarks.merge --seeds 5``. The server is simulated (benchmarks/server, a word is a
token); rows, prompts and bills are the library's own. Both plans have de-duplication, a cache (empty) and 32 calls at once;
comparisons and audits count. In the first world one prompt answers as each alone; in the second it errs in three rows of ten.
Thresholds are fixed below.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import anserdb

from .server import LoopbackServer, Profile
from .server.asked import asked_schema, user_text

ROWS, SEEDS, WORDS = 500, 20, 300
QUALITY, ERRING = 0.9, 0.3
LEAST = {2: 0.75, 4: 0.55}
"""Tokens in, at most, of the plan as written; what was saved has to be seen with the comparisons in."""
HARM = 1.08
FIELDS = ("product", "amount", "city", "weekday")


@dataclass(frozen=True, slots=True)
class Run:
    """One query: requests, tokens, and its rows."""

    calls: int
    tokens_in: int
    tokens_out: int
    rows: list[tuple[Any, ...]]


def main() -> None:
    """Print each figure as a ratio to the plan as written."""
    parser = argparse.ArgumentParser(description="Extractions in one prompt beside the plan as written.")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = parser.parse_args()
    print(f"Simulated server; {given.rows} rows of {WORDS} words, {given.seeds} seeds, llm_min_quality = {QUALITY}")
    for erring, world in (
        (0.0, "one prompt answers as each alone"),
        (ERRING, f"one prompt errs in {ERRING:.0%} of rows"),
    ):
        for sites in LEAST if not erring else (2,):
            pairs = [(query(given.rows, sites, seed, None, 0.0), query(given.rows, sites, seed, QUALITY, erring))
                     for seed in range(given.seeds)]  # fmt: skip
            show(f"{sites} extractions, {world}", pairs, HARM if erring else LEAST[sites])


def show(title: str, pairs: list[tuple[Run, Run]], most: float) -> None:
    """The mean and the worst seed."""
    ratios = [merged.tokens_in / written.tokens_in for written, merged in pairs]
    calls = mean(merged.calls / written.calls for written, merged in pairs)
    out = mean(merged.tokens_out / written.tokens_out for written, merged in pairs)
    agreed = min(
        sum(a == b for a, b in zip(written.rows, merged.rows, strict=True)) / len(written.rows)
        for written, merged in pairs
    )
    verdict = "met" if max(ratios) <= most else "MISSED"
    print(f"{title}: tokens in {mean(ratios):.2f}x (worst seed {max(ratios):.2f}x, at most {most:.2f}x: {verdict}), "
          f"calls {calls:.2f}x, tokens out {out:.2f}x, rows as written >= {agreed:.1%}")  # fmt: skip


def query(rows: int, sites: int, seed: int, quality: float | None, erring: float) -> Run:
    """One run in a store of its own."""
    calls = ", ".join(f"LLM_EXTRACT(body, {{{name}: 'INTEGER'}}) AS {name}" for name in FIELDS[:sites])
    price = "price_in 1.0, price_out 1.0"
    with (
        LoopbackServer(Profile("m", price_in=1.0, price_out=1.0), answer=said(erring)) as server,
        tempfile.TemporaryDirectory() as folder,
        anserdb.connect(store=Path(folder) / "s.anser", llm_model="m", llm_concurrency=32) as con,
    ):
        con.sql(f"CREATE MODEL m USING openai (model 'm', base_url '{server.base_url}', {price})")
        text = f"repeat('word{seed} ' || i || ' ', {WORDS // 2})"
        con.sql(f"CREATE TABLE t AS SELECT i AS id, {text} AS body FROM range({rows}) r(i)")
        if quality is not None:
            con.sql(f"SET llm_min_quality = {quality}")
        result = con.sql(f"SELECT id, {calls} FROM t ORDER BY id")
        assert result is not None
        found, total = result.fetchall(), server.bill.total
        return Run(server.stats.requests, total.tokens_in, total.tokens_out, found)


def said(erring: float) -> Callable[[dict[str, Any]], str]:
    """Each field is a hash of its text; among others, a share of the last ones is wrong."""

    def answer(body: dict[str, Any]) -> str:
        text, names = user_text(body), (asked_schema(body) or {}).get("properties", {})
        if "task_1" not in names:
            return json.dumps({name: number(text, name) for name in names})
        wrong = number(text, "wrong") < 1000 * erring
        tasks = {task: {name: number(text, name) for name in asked["properties"]} for task, asked in names.items()}
        return json.dumps(tasks | ({task: dict.fromkeys(found, -1) for task, found in tasks.items()} if wrong else {}))

    return answer


def number(text: str, name: str) -> int:
    """Below 1,000, by hash."""
    return int.from_bytes(hashlib.blake2b(f"{name} {text}".encode(), digest_size=4).digest(), "big") % 1000


if __name__ == "__main__":
    main()
