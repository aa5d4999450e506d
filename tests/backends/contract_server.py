"""A server under contract: a child process on a port of its own, which can be killed and started again on that port."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]


class ServerUnderContract(ABC):
    """A child process that speaks the OpenAI protocol.

    Parameters
    ----------
    provider, options : how ``CREATE MODEL`` names it. start_timeout_s : until it answers ``GET /health``.
    hears_hang_ups : whether it stops writing an answer that is not streamed when its client is gone.

    Attributes
    ----------
    starts : how often it was started.
    """

    provider = "openai"
    options: Mapping[str, str | bool] = {}
    start_timeout_s = 60.0
    hears_hang_ups = True

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.starts = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)

    @property
    def base_url(self) -> str:
        """For clients."""
        return f"http://127.0.0.1:{self.port}/v1"

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The server's command line."""

    def environment(self) -> Mapping[str, str]:
        """What it needs besides the environment of the tests."""
        return {}

    @abstractmethod
    def running(self) -> int:
        """Requests that it is working on, as it says itself."""

    @abstractmethod
    def written_tokens(self) -> int:
        """Tokens that it has written since it was started."""

    @abstractmethod
    def cached_tokens(self) -> int:
        """Tokens of prompts that it found in its prefix cache since it was started."""

    def start(self) -> None:
        """Start it and wait until it is healthy."""
        self.starts += 1
        self._child = subprocess.Popen(
            list(self.command()), cwd=ROOT, env={**os.environ, **self.environment()}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + self.start_timeout_s
        while not self._healthy():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.kill()
                self._log.seek(0)
                raise AssertionError(f"it did not start:\n{self._log.read().decode(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it, and all that it has started, at once."""
        child, self._child = self._child, None
        if child is not None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(60)
            assert child.stdin is not None
            child.stdin.close()

    def stop(self) -> None:
        """The end."""
        self.kill()
        self._log.close()

    def get(self, path: str) -> str:
        """What it answers to ``GET path``."""
        with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as response:
            return str(response.read().decode())

    def metric(self, *names: str) -> int:
        """The sum of Prometheus metrics by name, over all their labels."""
        text = self.get("/metrics")
        found = [re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE) for name in names]
        assert any(found), f"no metric {names} in\n{text[:2000]}"
        return int(sum(float(value) for values in found for value in values))

    def _healthy(self) -> bool:
        try:
            self.get("/health")
        except (URLError, OSError):
            return False
        return True


PYTHON = sys.executable
