"""A call with ``on_error := 'fail'`` above a grouping that is made of a guess: the query fails only if the guess was right."""

from __future__ import annotations

import asyncio
import json

import pytest

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import read

SQL = """
SELECT q.id, list(q.sec ORDER BY q.sec)
FROM (
    SELECT d.id AS id, s.ordinal AS sec, list(u.w) AS ws
    FROM docs d, LATERAL LLM_SPLIT(d.body, 'words') s(word), LATERAL LLM_SPLIT(s.word || ' y', 'words') u(w)
    GROUP BY d.id, s.ordinal
) q
WHERE LLM_FILTER('mentions y', q.sec || ': ' || ws::VARCHAR{options})
GROUP BY q.id ORDER BY q.id
"""
GUESS, PART = "1: [y, y]", "1: [x, y]"


def _splits(request: Request) -> bool:
    return isinstance(request, Generate) and '"parts"' in request.system


class Writer:
    """Splits words, and judges all groups but one.

    Parameters
    ----------
    fails : the group that it cannot judge; what comes after is written when that is known.
    errs : the first word of ``x y`` is ``y`` at first, and is taken back.
    """

    def __init__(self, fails: str, *, errs: bool) -> None:
        self.fails, self.errs = fails, errs
        self.failed = asyncio.Event()
        capabilities = Capabilities(choice_scores=False, local=True, concurrency=8)
        self.model = ScriptedModel(
            [(lambda _: True, self._say)], capabilities=capabilities, delay=self._delay, pace=self._pace
        )

    def _say(self, request: Request) -> str | Reply:
        assert isinstance(request, Generate)
        if self.errs and _splits(request) and "x y" in request.user and not request.attempt:
            return json.dumps({"parts": ["y", "not in the text"]})
        return read(request)

    async def _delay(self, request: Request) -> None:
        assert isinstance(request, Generate)
        if self.errs and _splits(request) and request.attempt:
            await self._until_failed()
        if not _splits(request) and self.fails in request.user:
            self.failed.set()
            raise ModelError("cannot judge", "m")

    async def _pace(self, said: str) -> None:
        await asyncio.sleep(0)
        if not self.errs and '"y' in said:
            await self._until_failed()

    async def _until_failed(self) -> None:
        await asyncio.wait_for(self.failed.wait(), 20)
        for _ in range(100):  # until what failed has gone as far as it goes
            await asyncio.sleep(0)


def asked(writer: Writer, options: str, disabled: str = "") -> list[tuple[object, ...]]:
    with anserdb.connect(store=":memory:", llm_model="m", llm_cache=False, llm_disabled_rules=disabled) as con:
        con.register_model("m", writer.model)
        con.sql("CREATE TABLE docs (id INTEGER PRIMARY KEY, body VARCHAR)")
        con.sql("INSERT INTO docs VALUES (1, 'x y')")
        result = con.sql(SQL.format(options=options))
        assert result is not None
        return result.fetchall()


def test_the_guess_is_asked_about() -> None:
    writer = Writer(GUESS, errs=True)
    assert asked(writer, "") == [(1, [1, 2])]
    assert writer.failed.is_set()


def test_a_failure_of_what_is_taken_back_is_none() -> None:
    writer = Writer(GUESS, errs=True)
    assert asked(writer, ", on_error := 'fail'") == [(1, [1, 2])]
    assert writer.failed.is_set()


def test_a_failure_of_what_is_confirmed_fails_the_query_when_it_is() -> None:
    writer = Writer(PART, errs=False)
    with pytest.raises(ModelError, match=r"LLM_FILTER failed on input '1: \[x, y\]': cannot judge"):
        asked(writer, ", on_error := 'fail'")


@pytest.mark.parametrize("fails", [GUESS, PART])
def test_who_hears_of_no_guess_fails_alike(fails: str) -> None:
    """Without the rule: a failure of what is in the list is one, and nothing else is asked about."""
    writer = Writer(fails, errs=False)
    writer.failed.set()
    if fails == PART:
        with pytest.raises(ModelError, match="cannot judge"):
            asked(writer, ", on_error := 'fail'", "early_parts")
    else:
        assert asked(writer, ", on_error := 'fail'", "early_parts") == [(1, [1, 2])]
