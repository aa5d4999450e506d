"""Endpoints in simulated time: they take their seconds, and may be down for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.errors import ModelUnavailable
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request, Usage
from anserdb.udfs.models.wrap.gate import Limits
from anserdb.udfs.models.wrap.hedge import Hedge
from anserdb.udfs.models.wrap.limited import Limited
from tests.support.clock import VirtualClock


class Endpoint:
    """A model whose every call takes ``seconds``, and fails after ``failing`` seconds while it is not ``up``.

    Attributes
    ----------
    starts : when calls came. in_flight, most : now, and at once. answered, cancelled : how many.
    """

    def __init__(
        self,
        clock: VirtualClock,
        seconds: float | Callable[[int], float],
        up: Callable[[float], bool] = lambda now: True,
        failing: float = 0.0,
        name: str = "e",
    ) -> None:
        self._clock, self._up, self._failing = clock, up, failing
        self._seconds = seconds if callable(seconds) else lambda number: float(seconds)
        self.identity, self.capabilities = name, Capabilities()
        self.starts: list[float] = []
        self.in_flight = self.most = self.answered = self.cancelled = 0

    async def call(self, request: Request) -> Reply:
        number = len(self.starts)
        self.starts.append(self._clock.now())
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if not self._up(self._clock.now()):
                await self._clock.sleep(self._failing)
                raise ModelUnavailable(f"{self.identity} is down", "m")
            await self._clock.sleep(self._seconds(number))
            if not self._up(self._clock.now()):
                raise ModelUnavailable(f"{self.identity} dropped the connection", "m")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1
        self.answered += 1
        return Reply(self.identity, usage=Usage(10, 1))

    async def close(self) -> None:
        pass


def limited(
    gates: Gates, *endpoints: Endpoint, cap: int, total: int | None = None, hedge: Hedge | None = None, **rates: float
) -> Limited:
    """The endpoints as one model."""
    names = [endpoint.identity for endpoint in endpoints]
    gate = gates.open(Limits(names[0], "m", cap, name="m", others=tuple(names[1:]), total=total, **rates))
    return Limited(endpoints[0], gate, *endpoints[1:], hedge=hedge)


def questions(count: int) -> list[Request]:
    """As many different ones."""
    return [Generate("", f"row {number}") for number in range(count)]
