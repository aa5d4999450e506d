"""Cases of SQL that DuckDB runs: its own sqllogictests, TPC-H and TPC-DS, from a folder beside the repository."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sql"
"""Where the outside data lies; not part of the repository."""


@dataclass(frozen=True, slots=True)
class Step:
    """A statement of a case. ``query``: its rows are part of the result. ``expected``: rows as the case's file has them."""

    sql: str
    query: bool
    expected: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Statements that run one after the other on a database of their own.

    ``folder`` has Parquet files that become tables of the same names first.
    """

    suite: str
    name: str
    steps: tuple[Step, ...]
    folder: Path | None = None


def outside_cases() -> Iterator[Case]:
    """All cases of the data folder."""
    yield from _sqllogic()
    yield from _benchmark("tpch", "tpch_queries_results_sf0.01.json", "tpch_sf0.01")
    yield from _benchmark("tpcds", "tpcds_queries.json", "tpcds_sqlglot_sample")


def _sqllogic() -> Iterator[Case]:
    with gzip.open(DATA / "duckdb_sqllogic_cases.jsonl.gz", "rt") as lines:
        for line in lines:
            case = json.loads(line)
            yield Case("sqllogic", case["file"], tuple(_step(s) for s in case["steps"]))


def _step(step: dict[str, Any]) -> Step:
    query = step["kind"] == "query"
    return Step(step["sql"], query, tuple(step["expected"]) if query else None)


def _benchmark(suite: str, queries: str, folder: str) -> Iterator[Case]:
    found = json.loads((DATA / queries).read_text())
    # One case for all of them: the tables are read once.
    yield Case(suite, suite, tuple(Step(q["sql"], True) for q in found), DATA / folder)
