"""Who runs an application over all documents: AnserDB, or a LangGraph program, both with so many calls in flight."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

import anserdb

from .ancestry_apps import App, Document
from .ancestry_graphs import GRAPHS, MODEL


@dataclass(slots=True)
class Answers:
    """What each document got, and when, in seconds after the start of the whole."""

    texts: dict[int, str] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def add(self, document: int, text: str, seconds: float) -> None:
        """A document is done."""
        self.texts[document], self.seconds[document] = text, seconds


class AnserClient:
    """AnserDB without a cache; its store is on disk. Planning the query counts.

    Parameters
    ----------
    base_url : the server. cap : calls in flight.
    """

    def __init__(self, base_url: str, cap: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="anserdb-bench-")
        self._con = anserdb.connect(store=f"{self._folder.name}/store.db", llm_model=MODEL)
        self._con.sql("CREATE TABLE docs(id INTEGER PRIMARY KEY, body VARCHAR, task VARCHAR, passages VARCHAR[])")
        self._con.sql(
            f"CREATE MODEL {MODEL} (PROVIDER openai, MODEL '{MODEL}', BASE_URL '{base_url}', CONCURRENCY {cap})"
        )
        self._con.sql("SET llm_cache = false")

    def load(self, documents: Sequence[Document]) -> None:
        """The table is these documents."""
        rows = [(each.id, each.body, each.task, list(each.passages)) for each in documents]
        self._con.duckdb.execute("DELETE FROM docs")
        self._con.duckdb.executemany("INSERT INTO docs VALUES (?, ?, ?, ?)", rows)

    def run(self, app: App) -> Answers:
        """Rows, read as they come."""
        answers, started = Answers(), time.perf_counter()
        result = self._con.sql(app.sql)
        assert result is not None
        while row := result.fetchone():
            answers.add(row[0], row[1], time.perf_counter() - started)
        return answers

    def close(self) -> None:
        """Close the connection."""
        self._con.close()
        self._folder.cleanup()


class GraphClient:
    """A LangGraph program, run for all documents at once; a first-in-first-out semaphore keeps the cap.

    Parameters
    ----------
    documents_at_once : how many of them are begun; ``None``: all.
    """

    def __init__(self, base_url: str, cap: int, documents_at_once: int | None = None) -> None:
        self._url, self._cap, self._at_once = f"{base_url}/chat/completions", cap, documents_at_once
        self._documents: Sequence[Document] = ()

    def load(self, documents: Sequence[Document]) -> None:
        """The documents."""
        self._documents = documents

    def run(self, app: App) -> Answers:
        """All of them. Compiling the graph does not count."""
        return asyncio.run(self._run(app))

    def close(self) -> None:
        """Nothing is open."""

    async def _run(self, app: App) -> Answers:
        slots = asyncio.Semaphore(self._cap)
        begun = asyncio.Semaphore(self._at_once or len(self._documents))
        answers = Answers()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=self._cap)) as session:

            async def ask(body: dict[str, Any]) -> str:
                async with slots, session.post(self._url, json=body) as response:
                    reply = await response.json()
                    return str(reply["choices"][0]["message"]["content"])

            async def one(document: Document) -> None:
                async with begun:
                    state = await graph.ainvoke(asdict(document))
                if "answer" in state:
                    answers.add(document.id, state["answer"], time.perf_counter() - started)

            graph = GRAPHS[app.name](ask)
            started = time.perf_counter()
            await asyncio.gather(*map(one, self._documents))
        return answers
