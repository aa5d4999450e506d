"""AnserDB beside a UDF per row and an asyncio loop by hand, on a simulated server: ``make bench-first``.

Wall time, the server's count of calls and tokens, and the client's CPU, of four queries; every client's rows are checked
against each other. The server takes 50 ms per answer and 64 requests at once, and runs in a process of its own.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Protocol

from .support_clients import CONDITION, AnserClient, Answered, Body, LoopClient, UdfClient, each_row, each_text, waves
from .support_measure import HEAD, Line, Run, measure, table
from .support_server import Server

LATENCY_S, CAP = 0.05, 64
LONGEST_S = 60.0
"""A client that would take longer is timed on fewer rows."""
FEW_ROWS = 200
FILTER = f"LLM_FILTER('{CONDITION}', body)"


class Client(Protocol):
    """What runs a query."""

    def run(self, query: str) -> Answered: ...


Open = Callable[[str, Server], AbstractContextManager[Client]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A query over ``t(id, body, year)``.

    Parameters
    ----------
    rows, texts : rows of the table, and distinct texts among them.
    where, limit : of ``SELECT id FROM t WHERE …``. loops : what to do by hand, by name. fetch : the SQL before it.
    """

    title: str
    rows: int
    texts: int
    loops: dict[str, Callable[..., object]]
    where: str = FILTER
    limit: int | None = None
    fetch: str = "SELECT id, body FROM t"

    def setup(self, rows: int | None = None) -> str:
        """The table."""
        return (
            f"CREATE TABLE t AS SELECT i AS id, 2015 + i % 10 AS year, 'Ticket ' || (i % {self.texts}) || ': the parcel that I "
            "ordered three weeks ago has still not arrived, nobody answers the telephone, and the tracking page says delivered.'"
            f" AS body FROM range({rows or self.rows}) r(i)"
        )

    def query(self) -> str:
        """The SQL."""
        limit = f" LIMIT {self.limit}" if self.limit else ""
        return f"SELECT id FROM t WHERE {self.where}{limit}"


SCENARIOS = (
    Scenario("filter 1,000 rows", 1000, 1000, {"asyncio": each_row}),
    Scenario(
        "filter 2,000 rows of 50 texts", 2000, 50, {"asyncio, per row": each_row, "asyncio, dict of texts": each_text}
    ),
    Scenario(
        "LIMIT 10 of 5,000 rows, about half of which pass",
        5000, 5000, {"asyncio, waves of 64": waves(10, 64), "asyncio, waves of 10": waves(10, 10)}, limit=10,
    ),
    Scenario(
        "filter and year = 2020 (a tenth of 2,000 rows), the filter written first",
        2000, 2000, {"asyncio, year in its SQL": each_row},
        where=f"{FILTER} AND year = 2020", fetch="SELECT id, body FROM t WHERE year = 2020",
    ),
)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each client (the UDF: one); the median counts")
    parser.add_argument("--no-udf", action="store_true", help="leave out the UDF, which takes two minutes")
    given = parser.parse_args()
    print(f"{datetime.date.today()}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
          f"load {os.getloadavg()[0]:.1f} before; server: {LATENCY_S * 1000:.0f} ms, {CAP} at once; "
          f"median of {given.repeat} (least–most)")  # fmt: skip
    body = Body.like_ours()
    with Server(latency_s=LATENCY_S, cap=CAP) as server, Server(latency_s=0, cap=CAP) as instant:
        _warm_up(instant, body)
        for number, scenario in enumerate(SCENARIOS, 1):
            lines = [*_ours_and_loops(scenario, server, body, given.repeat)]
            if not given.no_udf:
                lines.append(_udf(scenario, server, instant, body, lines[0]))
            _report(number, scenario, lines)
        _path(server, body, given.repeat)
    print(f"\nload {os.getloadavg()[0]:.1f} after")


def _warm_up(server: Server, body: Body) -> None:
    """Imports, first connections, first Arrow scan."""
    for scenario in SCENARIOS[:1]:
        for _, opener in _openers(scenario, body):
            with opener(scenario.setup(FEW_ROWS), server) as client:
                client.run(scenario.query())
        with UdfClient(scenario.setup(2), server.base_url, body) as udf:
            udf.run(scenario.query())


def _openers(scenario: Scenario, body: Body) -> Iterator[tuple[str, Open]]:
    yield "AnserDB", lambda setup, server: AnserClient(setup, server.base_url, CAP)
    for name, loop in scenario.loops.items():

        def by_hand(setup: str, server: Server, loop: Callable[..., object] = loop) -> LoopClient:
            return LoopClient(setup, server.base_url, body, CAP, scenario.fetch, loop)  # type: ignore[arg-type]

        yield name, by_hand


def _ours_and_loops(scenario: Scenario, server: Server, body: Body, repeat: int) -> Iterator[Line]:
    openers = dict(_openers(scenario, body))
    runs: dict[str, list[Run]] = {name: [] for name in openers}
    for _ in range(repeat):  # in turns, so that what else the machine does meets all of them
        for name, opener in openers.items():
            with opener(scenario.setup(), server) as client:
                runs[name].append(measure(server, lambda client=client: client.run(scenario.query())))  # type: ignore[misc]
    yield from (Line(name, runs[name]) for name in openers)


def _udf(scenario: Scenario, server: Server, instant: Server, body: Body, ours: Line) -> Line:
    """Counts from a whole run against a server that answers at once; the wall time too, if it is bearable, from a run
    against the real one, else from the time per call of a run over fewer rows."""
    with UdfClient(scenario.setup(), instant.base_url, body) as client:
        whole = measure(instant, lambda: client.run(scenario.query()))
    small = whole.calls * LATENCY_S > LONGEST_S
    with UdfClient(scenario.setup(FEW_ROWS if small else None), server.base_url, body) as client:
        timed = measure(server, lambda: client.run(scenario.query()))
    if not small:
        return Line("UDF per row", [timed])
    return Line("UDF per row", [whole], wall_estimate_s=timed.wall_s / timed.calls * whole.calls)


def _report(number: int, scenario: Scenario, lines: Sequence[Line]) -> None:
    ours = lines[0]
    _check(scenario, lines)
    print(f"\n### {number}. {scenario.title}\n\n`{scenario.query()}`\n")
    print(table(HEAD, [line.cells(ours.wall_s) for line in lines]))
    if any(line.wall_estimate_s for line in lines):
        print(
            f"\n\\* from the time per call over {FEW_ROWS} rows; its counts are from a whole run against a server without delay"
        )


def _check(scenario: Scenario, lines: Sequence[Line]) -> None:
    """Every run of every client gave the same rows; for a LIMIT, as many, and each in order of the table here."""
    answers = {tuple(sorted(run.ids)) for line in lines for run in line.runs}
    if len(answers) != 1:
        raise SystemExit(f"{scenario.title}: the clients do not agree: {sorted(map(len, answers))} rows")


def _path(server: Server, body: Body, repeat: int) -> None:
    """What the road of one call costs, and of one that is answered already."""
    calls = list(islice(_ours_and_loops(SCENARIOS[0], server, body, repeat), 2))
    ours, loop = (line.of("cpu_s") / line.of("calls") for line in calls)
    first = calls[0].of("first_s") / LATENCY_S
    everything = Scenario("", 5000, 5000, {})
    with AnserClient(everything.setup(), server.base_url, CAP) as client:
        cold = measure(server, lambda: client.run(everything.query()))
        plans = [client.plan(everything.query()) for _ in range(repeat)]
        warm = Line("", [measure(server, lambda: client.run(everything.query())) for _ in range(repeat)])
    if warm.of("calls") or any(run.ids != cold.ids for run in warm.runs):
        raise SystemExit("the second run made calls, or other rows")
    rate = everything.rows / warm.wall_s
    print("\n### The road of a call\n")
    print(table(["figure", "value"], [
        ["planning, first semantic statement of a connection", f"{client.first_plan_s * 1e3:.0f} ms"],
        ["planning, later ones (EXPLAIN, with its sample of rows)", f"{median(plans) * 1e3:.0f} ms"],
        ["client CPU per call, AnserDB", f"{ours * 1e6:,.0f} µs"],
        ["client CPU per call, asyncio by hand", f"{loop * 1e6:,.0f} µs"],
        ["first of 1,000 rows streamed, in service times", f"{first:.2f}"],
        ["5,000 rows asked", f"{cold.wall_s:.2f} s, {cold.calls:,} calls, {everything.rows / cold.wall_s:,.0f} rows/s"],
        ["the same 5,000 rows again", f"{warm.wall_s:.2f} s, 0 calls, {rate:,.0f} rows/s"],
        ["client CPU per row, again", f"{warm.of('cpu_s') / everything.rows * 1e6:,.0f} µs"],
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
