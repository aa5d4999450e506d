"""Kills a child's process group when this process ends in a way that runs no clean-up (``kill -9``, the OOM killer).

A small process waits at the other end of a pipe: when its parent is gone, whatever the reason, the pipe closes. Linux's
``PR_SET_PDEATHSIG`` would reach only the child and not its workers, and would fire when the *thread* that started it ends.
"""

from __future__ import annotations

import subprocess
import sys

_WATCH = "import os, signal, sys; sys.stdin.buffer.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"


class OrphanGuard:
    """Guards the process group ``group`` until :meth:`release`."""

    def __init__(self, group: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, str(group)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """End the guard before it can take another process for its group's; idempotent."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
