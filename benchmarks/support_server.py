"""The simulated server of the tests, as a child process: its CPU is not the client's, and its counters are the truth.

The child reads a word a line: ``reset`` zeroes its counters, ``stats`` prints them as a line of JSON. It ends with its
standard input, so no parent leaves it behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]


class Server:
    """A running child.

    Parameters
    ----------
    latency_s : time of each answer in seconds. cap : requests served at once; the rest wait.
    """

    def __init__(self, *, latency_s: float, cap: int) -> None:
        self.latency_s, self.cap = latency_s, cap
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.support_server", str(latency_s), str(cap)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.base_url = f"http://127.0.0.1:{int(self._out.readline())}/v1"

    def reset(self) -> None:
        """Zero the counters."""
        self._ask("reset")

    def stats(self) -> dict[str, float]:
        """The counters since the reset: the simulator's own, and ``cpu_s`` of the child."""
        return dict(json.loads(self._ask("stats")))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._child.wait(10)
        self._out.close()

    def _ask(self, word: str) -> str:
        self._in.write(f"{word}\n")
        self._in.flush()
        return self._out.readline()

    @property
    def _in(self) -> IO[str]:
        assert self._child.stdin is not None
        return self._child.stdin

    @property
    def _out(self) -> IO[str]:
        assert self._child.stdout is not None
        return self._child.stdout


def cpu_s() -> float:
    """User and system time of this process and its threads, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _serve(latency_s: float, cap: int) -> None:
    from tests.support.loopback import LoopbackServer, Stats

    async with LoopbackServer(latency_s=latency_s, cap=cap, keep_bodies=False) as server:
        print(server.port, flush=True)
        started = cpu_s()
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            answer: dict[str, Any] = {**server.stats.numbers(), "cpu_s": cpu_s() - started}
            if word == "reset":
                server.stats, started = Stats(), cpu_s()
            print(json.dumps(answer), flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("latency_s", type=float)
    parser.add_argument("cap", type=int)
    given = parser.parse_args()
    asyncio.run(_serve(given.latency_s, given.cap))


if __name__ == "__main__":
    _main()
