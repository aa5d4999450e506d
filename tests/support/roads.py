"""Connections that differ in who answers first, for properties of plans in which the order of answers must not matter."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pyarrow as pa

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.batched_prompts import in_company
from tests.support.reader import read


@dataclass(frozen=True, slots=True)
class Road:
    """A connection and its model, which takes its time by a seed and fails on some texts."""

    con: anserdb.Connection
    model: ScriptedModel


@contextmanager
def road(seed: int, capabilities: Capabilities | None = None, **chosen: Any) -> Iterator[Road]:
    """One, whose model reads letters in texts (``reader``); ``capabilities`` : the model's, if not a scripted one's."""
    dice = Random(seed)

    async def some_time(request: Request) -> None:
        del request
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)

    fails = ("fails", ModelError("It fails on this text.", "m"))
    more = {} if capabilities is None else {"capabilities": capabilities}
    model = ScriptedModel([fails, ("", in_company(read))], delay=some_time, **more)
    with anserdb.connect(store=":memory:", llm_model="m", llm_concurrency=8, **chosen) as con:
        con.register_model("m", model)
        yield Road(con, model)


def ran(con: anserdb.Connection, query: str) -> tuple[list[tuple[Any, ...]], Any]:
    """Rows and progress of a query."""
    result = con.sql(query)
    assert result is not None
    return result.fetchall(), result.progress


def asked(model: ScriptedModel) -> Counter[tuple[str, str]]:
    """What a model was asked, and how often."""
    return Counter((r.system, r.user) for r in model.calls if isinstance(r, Generate))


def texts(dice: Random, letters: str, failing: float, rows: range) -> list[str | None]:
    """Texts in which some letters are rare; repeated ones, NULLs, and texts that fail."""
    shares = [dice.random() ** 0.5 for _ in letters]

    def text() -> str | None:
        if dice.random() < 0.08:
            return None
        there = "".join(c for c, share in zip(letters, shares, strict=True) if dice.random() < share)
        return f"{there}{' fails' if dice.random() < failing else ''} {dice.randrange(20)}"

    return [text() for _ in rows]


def give(roads: Sequence[Road], rows: pa.Table) -> None:
    """These rows as table ``t``, and models that have not been asked."""
    for road in roads:
        road.con.duckdb.register("made", rows).execute("CREATE OR REPLACE TABLE t AS SELECT * FROM made")
        road.model.calls.clear()


def counted_failures(progress: Any) -> Counter[str]:
    """Failed rows by call site, as a query counted them."""
    return Counter({site.site: site.failed for site in progress.sites.values() if site.failed})


def written_failures(con: anserdb.Connection, progress: Any) -> Counter[str]:
    """The same, as they stand in the error ledger."""
    errors = f"SELECT call_site FROM llm_errors() WHERE query_id = '{progress.query_id}'"
    return Counter(site for (site,) in ran(con, errors)[0])
