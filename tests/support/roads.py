"""Connections that differ in who answers first, for properties of plans in which the order of answers must not matter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.udfs.models.base import Capabilities, Request
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
