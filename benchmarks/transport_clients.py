"""Four ways to send the same requests: a bare aiohttp loop, AsyncOpenAI, an opened model, and a whole query.

All are opened and warmed up before they are measured, keep as many connections alive as there are calls in flight, and run
on an asyncio loop of their own (the query's calls on AnserDB's).
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

import aiohttp
import openai

from anserdb.engine.dataflow.clock import LoopClock
from anserdb.engine.dataflow.gates import Gates
from anserdb.engine.types import parse_type
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Generate, ModelSpec
from anserdb.udfs.models.registry import open_model
from anserdb.udfs.spec import DYNAMIC, Arguments

from .support_clients import CONDITION, MODEL, AnserClient, Body, is_yes
from .support_server import cpu_s

TIMEOUT_S = 120.0
TEXT = ": the parcel that I ordered three weeks ago has still not arrived, and the tracking page says delivered."
Ask = Callable[[str], Awaitable[bool]]


def texts(numbers: Iterable[int]) -> list[str]:
    """What is asked about: as many different texts as numbers."""
    return [f"Ticket {number}{TEXT}" for number in numbers]


class LoopedClient(ABC):
    """A loop of its own, and on it ``asyncio`` by hand.

    Parameters
    ----------
    cap : calls in flight.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._runner = asyncio.Runner()

    def run(self, numbers: range) -> int:
        """Ask about the texts of these numbers; how many answers were yes."""
        return self._runner.run(self._all(texts(numbers)))

    @abstractmethod
    async def open(self) -> tuple[Ask, Callable[[], Awaitable[object]]]:
        """How to ask, and how to close."""

    async def _all(self, asked: list[str]) -> int:
        slots = asyncio.Semaphore(self.cap)

        async def one(text: str) -> bool:
            async with slots:
                return await self._ask(text)

        return sum(await asyncio.gather(*map(one, asked)))

    def __enter__(self) -> LoopedClient:
        self._ask, self._close = self._runner.run(self.open())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(_awaited(self._close))
        self._runner.close()


async def _awaited(close: Callable[[], Awaitable[object]]) -> None:
    await close()


class BareAiohttp(LoopedClient):
    """aiohttp without anything around it: what is left out here is what AnserDB adds."""

    def __init__(self, base_url: str, body: Body, cap: int) -> None:
        super().__init__(cap)
        self._url, self._body = f"{base_url}/chat/completions", body

    async def open(self) -> tuple[Ask, Callable[[], Awaitable[object]]]:
        """One session."""
        connector = aiohttp.TCPConnector(limit=self.cap)
        session = aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"})

        async def ask(text: str) -> bool:
            data = json.dumps(self._body.about(text)).encode()
            async with session.post(self._url, data=data) as response:
                return is_yes(json.loads(await response.read()))

        return ask, session.close


class OpenAIClient(LoopedClient):
    """AsyncOpenAI on its default HTTP client, with enough connections, all of which stay alive, and no timeout in its way."""

    def __init__(self, base_url: str, body: Body, cap: int) -> None:
        super().__init__(cap)
        self._base_url, self._body = base_url, body

    async def open(self) -> tuple[Ask, Callable[[], Awaitable[object]]]:
        """One client."""
        limits = openai.DEFAULT_CONNECTION_LIMITS
        alive = type(limits)(max_connections=4 * self.cap, max_keepalive_connections=4 * self.cap)
        http = openai.DefaultAsyncHttpxClient(limits=alive, timeout=TIMEOUT_S)
        client = openai.AsyncOpenAI(api_key="none", base_url=self._base_url, http_client=http, timeout=TIMEOUT_S)

        async def ask(text: str) -> bool:
            reply: Any = await client.chat.completions.create(**self._body.about(text))
            return bool(json.loads(reply.choices[0].message.content)["answer"] == "Yes")

        return ask, client.close


class ModelClient(LoopedClient):
    """A model as a query opens it: retries, limits, the dispatcher. A call is one that a function would make."""

    def __init__(self, base_url: str, body: Body, cap: int) -> None:
        super().__init__(cap)
        self._base_url, self._body = base_url, body

    async def open(self) -> tuple[Ask, Callable[[], Awaitable[object]]]:
        """One model."""
        spec = ModelSpec(MODEL, "openai", {"base_url": self._base_url, "model": MODEL, "concurrency": self.cap})
        gates = Gates(LoopClock())
        model = open_model(spec, gates=gates.open, concurrency=None, timeout_s=TIMEOUT_S, max_retries=5)
        (question,) = _filter_task().requests(("",))
        assert isinstance(question, Generate)

        async def ask(text: str) -> bool:
            return (await model.call(replace(question, user=question.user + text))).text == "Yes"

        return ask, model.close

    async def _all(self, asked: list[str]) -> int:
        # The model's own limit is the cap: no semaphore on top of it.
        return sum(await asyncio.gather(*map(self._ask, asked)))


def _filter_task() -> Any:
    arguments = Arguments((CONDITION, DYNAMIC), (parse_type("VARCHAR"),) * 2, ("", "body"), {})
    return functions()["LLM_FILTER"].lower(arguments, Capabilities())


def _query(numbers: range) -> str:
    return (
        f"SELECT count(*) FROM (SELECT 'Ticket ' || n || '{TEXT}' AS body "
        f"FROM range({numbers.start}, {numbers.stop}) r(n)) WHERE LLM_FILTER('{CONDITION}', body)"
    )


class QueryClient:
    """A SELECT with LLM_FILTER, from the text of the query to the last row, its answers stored on disk."""

    def __init__(self, base_url: str, body: Body, cap: int) -> None:
        del body  # it writes its own
        self._base_url, self._cap = base_url, cap

    def run(self, numbers: range) -> int:
        """Ask about the texts of these numbers; how many answers were yes."""
        result = self._anser.con.sql(_query(numbers))
        assert result is not None
        return int(result.fetchall()[0][0])

    def planning_cpu_s(self) -> float:
        """Client CPU of planning such a query."""
        before = cpu_s()
        self._anser.plan(_query(range(1000)))
        return cpu_s() - before

    def __enter__(self) -> QueryClient:
        self._anser = AnserClient("SELECT 1", self._base_url, self._cap)
        return self

    def __exit__(self, *exc: object) -> None:
        self._anser.__exit__(*exc)
