"""The simulator as a child process: its CPU is not the client's, and its counters are the truth."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """A server that runs as a child: it prints its port, and ends when its standard input does.

    Parameters
    ----------
    module : what to run. words : its arguments.

    Attributes
    ----------
    base_url : as the openai package wants it.
    """

    def __init__(self, module: str, *words: object) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, words)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin, self._child.stdout
        self._address = f"http://127.0.0.1:{int(self._out.readline())}"
        self.base_url = f"{self._address}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._child.wait(10)
        self._out.close()


class CountingChild(Child):
    """A child with the simulator's bill and counters."""

    def stats(self) -> dict[str, float]:
        """The counters, and ``cpu_s``, all that the child has used since it began."""
        return dict(self._get("/stats"))

    def bill(self) -> dict[str, Any]:
        """The bill."""
        return dict(self._get("/bill"))

    def reset(self) -> None:
        """A new bill, and counters from 0."""
        with urlopen(Request(f"{self._address}/reset", method="POST")):
            pass

    def _get(self, path: str) -> Any:
        with urlopen(self._address + path) as response:
            return json.load(response)


class ChildServer(CountingChild):
    """``python -m benchmarks.server``, running.

    Parameters
    ----------
    flags : of its command line, as keywords: ``latency_s=0.05``, ``cap=64``, ``fault=["429=0.05"]``.
    """

    def __init__(self, **flags: Any) -> None:
        words = [
            word
            for name, value in flags.items()
            for one in (value if isinstance(value, list) else [value])
            for word in (f"--{name.replace('_', '-')}", one)
        ]
        super().__init__("benchmarks.server", *words)
