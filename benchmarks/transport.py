"""What a call costs the client, and how near to the limit many calls come: ``make bench-transport``.

The same requests by a bare aiohttp loop, AsyncOpenAI, an opened model and a whole query, at 32 and at 256 in flight, in one
run, in turns. The server is SIMULATED (``transport_server``): a fixed answer after a fixed time, from a process of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import datetime
import gc
import itertools
import os
import platform
import pstats
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from .support_clients import Body
from .support_measure import table
from .support_server import cpu_s
from .transport_clients import BareAiohttp, ModelClient, OpenAIClient, QueryClient
from .transport_server import FixedServer

MOST_MS, FEWER, MANY = 0.35, 8.0, 256
"""Targets: client CPU per call, and with that many in flight how often that is in AsyncOpenAI's."""


class Client(Protocol):
    """What asks."""

    def run(self, numbers: range) -> int: ...


Open = Callable[[str, Body, int], AbstractContextManager[Client]]
CLIENTS: dict[str, Open] = {
    "aiohttp by hand": BareAiohttp,
    "AsyncOpenAI": OpenAIClient,
    "AnserDB, opened model": ModelClient,
    "AnserDB, whole query": QueryClient,
}
OURS = tuple(name for name in CLIENTS if name.startswith("AnserDB"))


@dataclass(frozen=True, slots=True)
class Scenario:
    """Calls of ``latency_s`` seconds each, ``cap`` at once. ``within`` : how much longer than the limit they may take."""

    calls: int
    latency_s: float
    cap: int
    within: float

    @property
    def limit_s(self) -> float:
        """Nobody can be faster."""
        return self.calls * self.latency_s / self.cap

    @property
    def title(self) -> str:
        """For the report."""
        return f"{self.calls:,} calls of {self.latency_s * 1000:.0f} ms, {self.cap} in flight"


SCENARIOS = (Scenario(1000, 0.2, 32, 1.10), Scenario(5000, 0.05, 256, 2.0))


@dataclass(frozen=True, slots=True)
class Run:
    """Times in seconds; what the server saw."""

    wall_s: float
    cpu_s: float
    in_flight: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each client; the median counts")
    parser.add_argument("--profile", choices=[*OURS], help="print where this client's CPU goes instead")
    given = parser.parse_args()
    reply = _reply()
    if given.profile:
        _profile(given.profile, SCENARIOS[1], reply)
        return
    print(f"{datetime.date.today()}, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
          f"load {os.getloadavg()[0]:.1f} before; SIMULATED server in a process of its own; "
          f"median of {given.repeat} (least–most)")  # fmt: skip
    for scenario in SCENARIOS:
        _report(scenario, _measured(scenario, reply, given.repeat))
    print(f"\nplanning, which is in the figures of a whole query: {1000 * _planning_s(reply):.0f} ms of CPU a query")
    print(f"\nload {os.getloadavg()[0]:.1f} after")


def _reply() -> dict[str, object]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "simulated",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": '{"answer": "Yes"}'}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 80, "completion_tokens": 6, "total_tokens": 86},
    }


def _measured(scenario: Scenario, reply: dict[str, object], repeat: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in CLIENTS}
    numbers = itertools.count(step=scenario.calls)
    with FixedServer(latency_s=scenario.latency_s, reply=reply) as server:
        for _ in range(repeat):  # in turns, so that what else the machine does meets all of them
            for name, opened in CLIENTS.items():
                with opened(server.base_url, Body.like_ours(), scenario.cap) as client:
                    client.run(_next(numbers, 2 * scenario.cap))  # imports, and connections
                    runs[name].append(_one(server, client, _next(numbers, scenario.calls)))
    return runs


def _planning_s(reply: dict[str, object]) -> float:
    with FixedServer(latency_s=0, reply=reply) as server, QueryClient(server.base_url, Body.like_ours(), 1) as client:
        return median(client.planning_cpu_s() for _ in range(5))


def _next(numbers: itertools.count[int], calls: int) -> range:
    start = next(numbers)
    return range(start, start + calls)


def _one(server: FixedServer, client: Client, numbers: range) -> Run:
    gc.collect()
    server.counts()
    cpu, started = cpu_s(), time.perf_counter()
    yes = client.run(numbers)
    wall, used = time.perf_counter() - started, cpu_s() - cpu
    requests, most = server.counts()
    if not yes == requests == len(numbers):
        raise SystemExit(f"{len(numbers)} asked, {requests} requests, {yes} answers")
    return Run(wall, used, most)


def _report(scenario: Scenario, runs: dict[str, list[Run]]) -> None:
    print(f"\n### {scenario.title} (limit {scenario.limit_s:.3f} s)\n")
    cpus = {name: median(run.cpu_s for run in of) / scenario.calls * 1000 for name, of in runs.items()}
    walls = {name: median(run.wall_s for run in of) / scenario.limit_s for name, of in runs.items()}
    rows = [_row(name, scenario, runs[name], cpus, walls) for name in runs]
    print(
        table(["client", "CPU ms per call", "AsyncOpenAI's ÷ its", "× aiohttp", "wall ÷ limit", "most in flight"], rows)
    )
    for name in OURS:
        fewer = cpus["AsyncOpenAI"] / cpus[name]
        marks = [
            _mark(cpus[name] <= MOST_MS, f"CPU ≤ {MOST_MS} ms"),
            _mark(walls[name] <= scenario.within, f"wall ≤ {scenario.within:.2f}× the limit"),
        ]
        if scenario.cap >= MANY:
            marks.append(_mark(fewer >= FEWER, f"≥ {FEWER:.0f}× fewer than AsyncOpenAI"))
        print(f"- {name}: {', '.join(marks)}")


def _row(
    name: str, scenario: Scenario, runs: Sequence[Run], cpus: dict[str, float], walls: dict[str, float]
) -> list[str]:
    each = [run.cpu_s / scenario.calls * 1000 for run in runs]
    return [
        name,
        f"{cpus[name]:.3f} ({min(each):.3f}–{max(each):.3f})",
        f"{cpus['AsyncOpenAI'] / cpus[name]:.1f}",
        f"{cpus[name] / cpus['aiohttp by hand']:.2f}",
        f"{walls[name]:.2f}",
        f"{max(run.in_flight for run in runs)}",
    ]


def _mark(met: bool, target: str) -> str:
    return f"{target}: {'met' if met else 'MISSED'}"


def _profile(name: str, scenario: Scenario, reply: dict[str, object]) -> None:
    numbers = itertools.count(step=scenario.calls)
    with (
        FixedServer(latency_s=scenario.latency_s, reply=reply) as server,
        CLIENTS[name](server.base_url, Body.like_ours(), scenario.cap) as client,
    ):
        client.run(_next(numbers, 2 * scenario.cap))
        profile = cProfile.Profile()
        profile.runcall(client.run, _next(numbers, scenario.calls))
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
