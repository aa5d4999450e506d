"""Three ways to run the same question over the rows of a table: AnserDB, a UDF of DuckDB per row, and asyncio by hand.

They send byte for byte the same requests. The hand-written loop is what a good engineer would write for one scenario who
knows it beforehand: rows by SQL, persistent connections, as many in flight as the server takes.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import duckdb

import anserdb
from anserdb.engine.types import parse_type
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Generate
from anserdb.udfs.models.chat_format import Dialect
from anserdb.udfs.spec import DYNAMIC, Arguments

MODEL = "simulated"
CONDITION = "the customer is angry"
Ask = Callable[[str], Awaitable[bool]]
Rows = Sequence[tuple[int, str]]


@dataclass(slots=True)
class Answered:
    """The ids that a client returned, and when the first was there, in seconds after the start."""

    ids: list[int] = field(default_factory=list)
    first_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Body:
    """A request's JSON around the text of a row."""

    constant: dict[str, Any]
    head: str

    @classmethod
    def like_ours(cls) -> Body:
        """What AnserDB sends for ``LLM_FILTER(CONDITION, body)``: prompt, JSON schema and all."""
        mark = "text"
        arguments = Arguments((CONDITION, DYNAMIC), (parse_type("VARCHAR"),) * 2, ("", "body"), {})
        (request,) = functions()["LLM_FILTER"].lower(arguments, Capabilities()).requests((mark,))
        assert isinstance(request, Generate)
        body = Dialect(MODEL).chat(request)
        user = body["messages"][-1]["content"]
        assert user.endswith(mark)
        return cls(body, user.removesuffix(mark))

    def about(self, text: str) -> dict[str, Any]:
        """The request about one text."""
        system, _ = self.constant["messages"]
        return {**self.constant, "messages": [system, {"role": "user", "content": self.head + text}]}


def is_yes(reply: dict[str, Any]) -> bool:
    """What the server answered."""
    return bool(json.loads(reply["choices"][0]["message"]["content"])["answer"] == "Yes")


# --- AnserDB ------------------------------------------------------------------------------------------------------------


class AnserClient:
    """AnserDB with a store of its own, on disk, that holds nothing yet.

    Parameters
    ----------
    setup : SQL that makes the table. base_url : the server. concurrency : calls in flight.
    """

    def __init__(self, setup: str, base_url: str, concurrency: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="anserdb-bench-")
        self.con = anserdb.connect(store=f"{self._folder.name}/store.db", llm_model=MODEL)
        self.con.sql(setup)
        self.con.sql(
            f"CREATE MODEL {MODEL} (PROVIDER openai, MODEL '{MODEL}', BASE_URL '{base_url}', CONCURRENCY {concurrency})"
        )
        # A connection's first semantic statement lists DuckDB's functions; it is timed by itself.
        self.first_plan_s = self.plan(f"SELECT LLM_FILTER('{CONDITION}', 'text')")

    def plan(self, query: str) -> float:
        """Plan a query without asking anybody; the seconds it took."""
        started = time.perf_counter()
        self.con.sql(f"EXPLAIN {query}")
        return time.perf_counter() - started

    def run(self, query: str) -> Answered:
        """All rows of the query, read as they come."""
        answered, started = Answered(), time.perf_counter()
        result = self.con.sql(query)
        assert result is not None
        while row := result.fetchone():
            answered.first_s = answered.first_s or time.perf_counter() - started
            answered.ids.append(row[0])
        return answered

    def __enter__(self) -> AnserClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.con.close()
        self._folder.cleanup()


# --- a UDF per row ------------------------------------------------------------------------------------------------------


class UdfClient:
    """A Python function in DuckDB that posts a request per row, on one connection that is kept alive."""

    def __init__(self, setup: str, base_url: str, body: Body) -> None:
        address = urlsplit(base_url)
        self._path, self._body = f"{address.path}/chat/completions", body
        self._http = http.client.HTTPConnection(address.hostname or "", address.port)
        self._con = duckdb.connect()
        self._con.execute(setup)
        self._con.create_function("llm_filter", self._ask, [str, str], bool)

    def run(self, query: str) -> Answered:
        """All rows of the query."""
        started = time.perf_counter()
        answered, result = Answered(), self._con.execute(query)
        while row := result.fetchone():
            answered.first_s = answered.first_s or time.perf_counter() - started
            answered.ids.append(row[0])
        return answered

    def _ask(self, _condition: str, text: str) -> bool:
        self._http.request("POST", self._path, json.dumps(self._body.about(text)), {"Content-Type": "application/json"})
        return is_yes(json.loads(self._http.getresponse().read()))

    def __enter__(self) -> UdfClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._con.close()


# --- asyncio by hand ----------------------------------------------------------------------------------------------------


class LoopClient:
    """asyncio and aiohttp by hand.

    Parameters
    ----------
    rows : SQL for the ids and texts that are asked about. loop : what is done with them.
    """

    def __init__(
        self,
        setup: str,
        base_url: str,
        body: Body,
        concurrency: int,
        rows: str,
        loop: Callable[..., Awaitable[list[int]]],
    ) -> None:
        self._url, self._body, self._concurrency = f"{base_url}/chat/completions", body, concurrency
        self._rows, self._loop = rows, loop
        self._con = duckdb.connect()
        self._con.execute(setup)

    def run(self, query: str) -> Answered:
        """All rows; the first is there with the last, as from any loop that gathers."""
        del query
        started = time.perf_counter()
        ids = asyncio.run(self._main())
        return Answered(ids, time.perf_counter() - started)

    async def _main(self) -> list[int]:
        slots = asyncio.Semaphore(self._concurrency)
        connector = aiohttp.TCPConnector(limit=self._concurrency)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(text: str) -> bool:
                async with slots, session.post(self._url, json=self._body.about(text)) as response:
                    return is_yes(await response.json())

            return await self._loop(self._con.execute(self._rows).fetchall(), ask)

    def __enter__(self) -> LoopClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()


async def each_row(rows: Rows, ask: Ask) -> list[int]:
    """One request per row."""
    kept = await asyncio.gather(*(ask(text) for _, text in rows))
    return [row for (row, _), keep in zip(rows, kept, strict=True) if keep]


async def each_text(rows: Rows, ask: Ask) -> list[int]:
    """One request per distinct text."""
    texts = list({text for _, text in rows})
    kept = dict(zip(texts, await asyncio.gather(*map(ask, texts)), strict=True))
    return [row for row, text in rows if kept[text]]


def waves(limit: int, size: int) -> Callable[[Rows, Ask], Awaitable[list[int]]]:
    """Requests in waves of ``size`` until ``limit`` rows are found."""

    async def loop(rows: Rows, ask: Ask) -> list[int]:
        found: list[int] = []
        for start in range(0, len(rows), size):
            found += await each_row(rows[start : start + size], ask)
            if len(found) >= limit:
                break
        return found[:limit]

    return loop
