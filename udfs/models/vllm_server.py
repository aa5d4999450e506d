"""A vLLM server as a child process: started on demand, waited for, stopped with its whole process group."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO

from ...engine.errors import ModelUnavailable
from .http_errors import redact
from .orphan_guard import OrphanGuard

Command = Callable[[int], Sequence[str]]
_POLL_S = 0.1
_GRACE_S = 10.0
_LOG_TAIL = 2000


def vllm_command(model: str, served_name: str, *, python: str = "", extra: str = "") -> Command:
    """The command line, given the port.

    Parameters
    ----------
    model : a folder or a hub name. served_name : what clients call it.
    python : the interpreter that has vLLM (default: this one). extra : more arguments, as in a shell.

    >>> vllm_command("m", "m", python="python")(8000)[:3]
    ['python', '-m', 'vllm.entrypoints.openai.api_server']
    """

    def command(port: int) -> Sequence[str]:
        # The module, not the `vllm serve` script: that one fails where only the CPU build of vLLM is installed.
        module = [python or sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        options = ["--model", model, "--served-model-name", served_name, "--host", "127.0.0.1", "--port", str(port)]
        return [*module, *options, *shlex.split(extra)]

    return command


class ServerProcess:
    """A server on this machine that lives as long as its model is open.

    Parameters
    ----------
    name : the model's SQL name, for messages.
    command : the command line for a port.
    start_timeout_s : seconds until it must answer ``GET /health``; loading weights takes its time.
    """

    def __init__(self, name: str, command: Command, *, start_timeout_s: float = 600.0) -> None:
        self._name, self._command, self._start_timeout_s = name, command, start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: OrphanGuard | None = None
        self._log: IO[bytes] | None = None
        self._port = 0

    @property
    def pid(self) -> int | None:
        """The child's process id, which is its group's too; ``None`` when it does not run."""
        return self._process.pid if self._process else None

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}/v1"

    async def start(self) -> str:
        """Start the child and wait until it is healthy; returns its address.

        Raises
        ------
        ModelUnavailable : it cannot be started, exited, or did not get ready in time; with the end of its log.
        """
        self._port = _free_port()
        self._spawn(list(self._command(self._port)))
        deadline = time.monotonic() + self._start_timeout_s
        try:
            while not await _healthy(self._port):
                self._check(deadline)
                await asyncio.sleep(_POLL_S)
        except BaseException:
            self.kill()
            raise
        return self.base_url

    async def stop(self) -> None:
        """Stop the child, politely first; idempotent."""
        if (process := self._process) is not None:
            _signal_group(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _GRACE_S)
        self.kill()

    def kill(self) -> None:
        """Stop the child at once; also runs at interpreter exit."""
        process, self._process = self._process, None
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.release()
        if process is not None:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None
        atexit.unregister(self.kill)

    def _spawn(self, command: list[str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by kill)
        try:
            # A group of its own: Ctrl-C in the shell stops the query, not the server, and its workers die with it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            self.kill()
            hint = "Set the option python to an interpreter that has vllm."
            raise ModelUnavailable(
                f"Model {self._name}: {command[0]} cannot be started ({error.strerror}). {hint}", self._name
            ) from None
        atexit.register(self.kill)
        self._guard = OrphanGuard(self._process.pid)

    def _check(self, deadline: float) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            hint = "Install vllm there, or set the option python to an interpreter that has it."
            raise self._failed(f"exited with code {code} before it was ready. {hint}")
        if time.monotonic() > deadline:
            raise self._failed(f"was not ready after {self._start_timeout_s:g} s: raise start_timeout_s.")

    def _failed(self, what: str) -> ModelUnavailable:
        tail = ""
        if self._log is not None:
            self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LOG_TAIL))
            tail = redact(self._log.read().decode("utf-8", "replace").strip())
        error = ModelUnavailable(
            f"Model {self._name}: its server {what} The end of its log:\n{tail or '(empty)'}", self._name
        )
        error.retryable = False  # the next attempt would load the weights again, for the same end
        return error


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _healthy(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), 5.0)
        return b" 200" in status
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
