"""A model whose answers a test holds back and lets go, from another thread."""

from __future__ import annotations

import asyncio
import threading

from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel

PATIENCE_S = 60.0


class Gate:
    """Counts the questions that arrived; holds those that contain ``held`` until :meth:`open`.

    ``model`` answers every question with its last line in capitals.
    """

    def __init__(self, held: str = "", *, concurrency: int = 8) -> None:
        self._held, self._opened, self._arrived = held, threading.Event(), threading.Condition()
        self.count = self.cancelled = 0
        capabilities = Capabilities(embeds=True, choice_scores=True, local=True, concurrency=concurrency, dimension=4)
        self.model = ScriptedModel([("", shout)], capabilities=capabilities, delay=self._pass)

    def open(self) -> None:
        """Let everything pass."""
        self._opened.set()

    def wait_for(self, count: int) -> None:
        """Block until so many questions have arrived."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.count >= count, PATIENCE_S)

    async def _pass(self, request: Request) -> None:
        with self._arrived:
            self.count += 1
            self._arrived.notify_all()
        try:
            while self._held in question(request) and not self._opened.is_set():
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def question(request: Request) -> str:
    """The text that was asked about."""
    return request.user if isinstance(request, Generate) else request.text


def shout(request: Request) -> str:
    """The row in capitals."""
    return question(request).splitlines()[-1].rpartition(": ")[2].upper()
