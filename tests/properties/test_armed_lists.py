"""Arms of calls whose answers become rows: the rows are those of who serves, whatever the others say and whenever they say it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from random import Random
from typing import Any

import pytest

import anserdb
from anserdb.engine.physical import stages
from anserdb.optimizer.search.assignment import Assignment
from anserdb.optimizer.search.chooser import Chooser
from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.batched_prompts import in_company
from tests.support.reader import read
from tests.support.stutter import stuttering_model

QUERIES = {
    "rows": "SELECT d.id, s.ordinal, s.word FROM docs d, LATERAL LLM_SPLIT(d.body, 'words') s(word)",
    "filter": "SELECT d.id, s.word FROM docs d, LATERAL LLM_SPLIT(d.body, 'words') s(word) WHERE LLM_FILTER('mentions x', s.word)",
    "groups": "SELECT d.id, count(s.word), list(s.word) FROM docs d LEFT JOIN LATERAL LLM_SPLIT(d.body, 'words') s(word) ON true "
    "GROUP BY ALL",
    "two levels": "SELECT d.id, list(u.w) FROM docs d, LATERAL LLM_SPLIT(d.body, 'words') s(word), "
    "LATERAL LLM_SPLIT(s.word || ' y z', 'words') u(w) WHERE LLM_FILTER('mentions y', u.w) GROUP BY d.id",
    "table": "SELECT d.id, e.name, e.amount, e.ordinal FROM docs d, "
    "LATERAL LLM_EXTRACT_TABLE(d.body, {name: 'VARCHAR', amount: 'INTEGER'}) e",
}


class Compares(Chooser):
    """Every row is for all arms, and the reference's answer is the row's."""

    def assign(self) -> Assignment:
        self.compares = True
        return super().assign()  # type: ignore[return-value]


class Serves(Chooser):
    """As if the first arm had proved itself."""

    def assign(self) -> Assignment:
        self.seen += 1
        return Assignment(self.seen, (1,), 1, "serve")


def liar(request: Request) -> str:
    """Half of each list, and a row that is not there."""
    said = in_company(read)(request)
    assert isinstance(request, Generate)
    if '"parts"' in request.system or '"rows"' in request.system:
        (name, found), *_ = json.loads(str(said)).items()
        return json.dumps({name: found[::2]})
    return str(said)


async def pace(_: str) -> None:
    await asyncio.sleep(0)


def rows(sql: str, chooser: type[Chooser] | None, other: ScriptedModel) -> tuple[Counter[str], ScriptedModel]:
    random = Random(3)
    bodies = [
        " ".join(random.choice(("x", "y", "name=q", "amount=3")) for _ in range(random.randrange(7))) for _ in range(25)
    ]
    values = ", ".join(f"({number}, '{body}')" for number, body in enumerate(bodies))
    with (
        anserdb.connect(store=":memory:", llm_model="m", llm_cache=False) as con,
        pytest.MonkeyPatch.context() as patched,
    ):
        con.register_model("m", stuttering_model(pace))
        con.register_model("other", other)
        con.sql(f"CREATE TABLE docs AS FROM (VALUES {values}, (25, NULL), (26, '')) AS v(id, body)")
        if chooser is not None:
            patched.setattr(stages, "Chooser", chooser)
            con.sql(
                "SET llm_min_quality = 0.9; SET llm_candidate_models = 'other'; SET llm_disabled_rules = 'merged_calls'"
            )
        result = con.sql(sql)
        assert result is not None
        return Counter(map(repr, result.fetchall())), other


def model(answer: Any) -> ScriptedModel:
    capabilities = Capabilities(choice_scores=False, concurrency=8)
    return ScriptedModel([(lambda _: True, answer)], capabilities=capabilities, name="other", pace=pace)


@pytest.mark.parametrize("name", QUERIES)
def test_rows_are_those_of_who_serves(name: str) -> None:
    expected, _ = rows(QUERIES[name], None, model(in_company(read)))
    compared, other = rows(QUERIES[name], Compares, model(liar))
    assert compared == expected
    assert other.calls
    served, other = rows(QUERIES[name], Serves, model(in_company(read)))
    assert served == expected
    assert other.calls
    lied, _ = rows(QUERIES[name], Serves, model(liar))
    assert lied != expected


def test_an_arm_that_fails_leaves_the_row_to_the_reference() -> None:
    def fails(request: Request) -> str:
        return "no list" if "x" in str(getattr(request, "user", "")) else str(in_company(read)(request))

    for name in ("filter", "groups", "table"):
        expected, _ = rows(QUERIES[name], None, model(in_company(read)))
        assert rows(QUERIES[name], Serves, model(fails))[0] == expected
