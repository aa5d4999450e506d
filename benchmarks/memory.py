"""Peak memory of long queries, beside plain DuckDB over the same input: ``make bench-memory``, ``make bench-memory-full``.

Each run is a process of its own: connections are opened and a small query is run first, then the peak of the resident set is
reset, and what it grows by during the query is printed. The model is SIMULATED in the process, without HTTP, and answers at
once, so that as much as possible is under way. Texts repeat (``texts`` says how many are distinct), so that calls are fewer
than rows; rows, answers and batches are as many as without. The result is streamed, never collected.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

import anserdb

from .support_measure import table
from .support_models import SimulatedModel

ROOT = Path(__file__).resolve().parents[1]
BOUND_MB = 300
SLOW_BATCHES, SLOW_S = 40, 0.1
FILTER = "LLM_FILTER('it is about parcels', body)"
TEN_SENTENCES = "concat_ws(' ', " + ", ".join(f"'Parcel ' || {{n}} || '-{k} has not come.'" for k in range(10)) + ")"


@dataclass(frozen=True, slots=True)
class Case:
    """A query over ``t(id, body)``.

    Parameters
    ----------
    sizes : rows of ``t``, a run each. texts : distinct texts among them. body : SQL of a text, given its number ``n``.
    query : AnserDB's. plain : DuckDB's, over the same rows. slow : the reader takes few batches, with pauses, and stops.
    bound : most megabytes of growth; ``None``: DuckDB's own vectors of such rows (2,048 of them) take more.
    """

    title: str
    sizes: tuple[int, ...]
    texts: int
    body: str
    query: str
    plain: str
    slow: bool = False
    bound: int | None = BOUND_MB

    def setup(self, rows: int) -> str:
        """The input, made as it is read: a table would put DuckDB's own cache into the figures."""
        body = self.body.replace("{n}", f"(i % {self.texts})")
        return f"CREATE VIEW t AS SELECT i AS id, {body} AS body FROM range({rows}) r(i)"


SHORT = "'Ticket ' || {n} || repeat(' the parcel has still not come and nobody answers', 4)"
WIDE = "'Ticket ' || {n} || repeat(' the parcel has still not come and nobody answers', 1020)"
SPLIT = "t, LATERAL LLM_SPLIT(t.body, 'sentences') AS s(part)"
CASES = {
    "filtered": Case(
        "a cheap filter that keeps 1 %, then LLM_FILTER", (10_000_000,), 10_000_000, SHORT,
        f"SELECT id, body FROM t WHERE {FILTER} AND id % 100 = 0",
        "SELECT id, body FROM t WHERE length(body) > 100 AND id % 100 = 0",
    ),
    "children": Case(
        "documents of 10 sentences: LLM_SPLIT, then LLM_FILTER on each", (25_000, 50_000, 100_000), 2_000, TEN_SENTENCES,
        f"SELECT id, part FROM {SPLIT} WHERE LLM_FILTER('it is about parcels', s.part)",
        "SELECT id, part FROM (SELECT id, unnest(string_split(body, '. ')) AS part FROM t) WHERE length(part) > 3",
    ),
    "wide": Case(
        "texts of 50 KB, all different, LLM_FILTER", (5_000,), 5_000, WIDE,
        f"SELECT id, body FROM t WHERE {FILTER}",
        "SELECT id, body FROM t WHERE length(body) > 100",
        bound=None,
    ),
    "slow": Case(
        f"a reader that takes {SLOW_BATCHES} batches, {SLOW_S:g} s apart, LLM_FILTER", (1_000_000,), 1_000_000, SHORT,
        f"SELECT id, body FROM t WHERE {FILTER}",
        "SELECT id, body FROM t WHERE length(body) > 100",
        slow=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grown:
    """What one run did: megabytes of growth at its peak, rows that came out, calls that were made, seconds."""

    growth_mb: float
    rows: int
    calls: int
    seconds: float


# --- the child ----------------------------------------------------------------------------------------------------------


def resident_mb(field: str) -> float:
    """``VmRSS`` or ``VmHWM`` (the peak) of this process, in megabytes, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def watched(case: Case, batches: Iterator[pa.RecordBatch], model: SimulatedModel | None) -> Grown:
    """Read the result and see how far memory grows."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before, started, rows = resident_mb("VmRSS"), time.perf_counter(), 0
    for batch in islice(batches, SLOW_BATCHES) if case.slow else batches:
        rows += batch.num_rows
        if case.slow:
            time.sleep(SLOW_S)
    growth = resident_mb("VmHWM") - before
    return Grown(growth, rows, model.calls if model else 0, time.perf_counter() - started)


def run_anserdb(case: Case, rows: int) -> Grown:
    """The query through AnserDB, its store on disk."""
    model = SimulatedModel()
    with (
        tempfile.TemporaryDirectory(prefix="anserdb-bench-") as folder,
        anserdb.connect(store=f"{folder}/s.anser", llm_model="simulated") as con,
    ):
        con.register_model("simulated", model)
        con.sql(case.setup(rows))
        _read(con.sql(f"{case.query} AND id < 100").batches())  # type: ignore[union-attr]
        model.calls = 0
        result = con.sql(case.query)
        assert result is not None
        grown = watched(case, result.batches(), model)
        result.close()
        return grown


def run_duckdb(case: Case, rows: int) -> Grown:
    """The plain query, streamed."""
    with duckdb.connect() as con:
        con.execute(case.setup(rows))
        _read(iter(con.sql(f"{case.plain} AND id < 100").to_arrow_reader(2048)))
        return watched(case, iter(con.sql(case.plain).to_arrow_reader(2048)), None)


def _read(batches: Iterator[Any]) -> None:
    for _ in batches:
        pass


# --- the parent ---------------------------------------------------------------------------------------------------------


RUNS = {"anserdb": run_anserdb, "duckdb": run_duckdb}


def grown(name: str, side: str, rows: int) -> Grown:
    """A run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", "--run", side, "--case", name, "--rows", str(rows)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    return Grown(**json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, rows: int) -> list[str]:
    """A line of the table, and whether the bound holds."""
    bound, texts = CASES[name].bound, min(CASES[name].texts, rows)
    ours, plain = (grown(name, side, rows) for side in RUNS)
    verdict = "–" if bound is None else "yes" if ours.growth_mb < bound else "NO"
    return [
        f"{name}, {rows:,} rows", f"{texts:,}", f"{ours.calls:,}", f"{ours.rows:,}", f"{ours.growth_mb:,.0f}",
        f"{plain.growth_mb:,.0f}", f"{ours.seconds:.1f}", f"{plain.seconds:.1f}", verdict,
    ]  # fmt: skip


def scaled(name: str, lines: list[list[str]]) -> str:
    """How growth scales with the input, where a case ran in several sizes."""
    sizes = CASES[name].sizes
    first, last = (float(lines[at][OURS].replace(",", "")) for at in (0, -1))
    return f"{name}: {sizes[-1] / sizes[0]:g} times the rows, {last / max(first, 1):.2f} times the growth"


OURS = 4
FULL = {"children": 1_000_000}
HEAD = ["case", "texts", "calls", "rows out", "AnserDB MB", "DuckDB MB", "AnserDB s", "DuckDB s", f"< {BOUND_MB} MB"]


def main() -> None:
    """Measure and print, or be the child."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--case", choices=list(CASES), help="this case alone")
    parser.add_argument("--rows", type=int, help="so many rows instead")
    parser.add_argument("--full", action="store_true", help="only what takes longer than five minutes, in full size")
    parser.add_argument("--run", choices=list(RUNS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print(json.dumps(asdict(RUNS[given.run](CASES[given.case], given.rows))))
        return
    print(f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, DuckDB {duckdb.__version__}; "
          "peak growth of the resident set; the model is SIMULATED in the process, without HTTP\n")  # fmt: skip
    names = [given.case] if given.case else list(FULL if given.full else CASES)
    print("\n".join(f"{name}: {CASES[name].title}" for name in names), flush=True)
    sizes = {name: _sizes(name, given.rows, full=given.full) for name in names}
    lines = {name: [measured(name, rows) for rows in sizes[name]] for name in names}
    print(f"\n{table(HEAD, [line for of_case in lines.values() for line in of_case])}\n")
    print("\n".join(scaled(name, lines[name]) for name in names if len(lines[name]) > 1))


def _sizes(name: str, rows: int | None, *, full: bool) -> tuple[int, ...]:
    if rows:
        return (rows,)
    return (FULL[name],) if full and name in FULL else CASES[name].sizes


if __name__ == "__main__":
    main()
