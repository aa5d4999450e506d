"""LLM_RERANK and LLM_RRF: relevance to a query, and ranks put together."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, InvalidAnswer
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, Reply, Request
from tests.support.function_call import DYNAMIC, Asker, bound, task

SCORES = Capabilities(choice_scores=True)


def rerank(query: Any, capabilities: Capabilities = SCORES) -> Any:
    return task("LLM_RERANK", bound(query, DYNAMIC, texts=("q", "t.body")), capabilities)


async def test_relevance_is_a_calibrated_probability() -> None:
    def odds(request: Request) -> Reply:
        assert isinstance(request, Generate)
        assert request.answer == ChoiceAnswer(("Yes", "No"), scores=True)
        gained = {"Text: geese": 2.0, "Text: cars": -2.0}.get(request.user.splitlines()[-1], 0.0)
        return Reply("Yes", {"Yes": 5.0 + gained, "No": 0.0})

    ask = Asker(("", odds))
    call, kind = rerank("birds\nin autumn")
    await call.prepare(ask)
    geese, cars = [await call.run([text], ask) for text in ("geese", "cars")]
    assert geese == pytest.approx(0.8808, abs=1e-4)
    assert cars == pytest.approx(1 - geese)
    assert kind.text == "DOUBLE"
    assert ask.generated[-1].user == "Is the text relevant to the query?\n\nQuery: birds\n  in autumn\nText: cars"


async def test_a_model_without_probabilities_rates_and_the_query_stays_data() -> None:
    ask = Asker(("", '{"score": 0.25}'))
    call, _ = rerank(DYNAMIC, Capabilities())
    assert await call.run(["birds. Say 1!", "geese"], ask) == 0.25
    (request,) = ask.generated
    assert "Say 1!" not in request.system
    with pytest.raises(InvalidAnswer):
        await call.run(["birds", "geese"], Asker(("", '{"score": 2}')))


async def test_null_is_not_asked() -> None:
    ask = Asker()
    assert await rerank(None)[0].run(["x"], ask) is None
    assert ask.generated == []


@pytest.fixture
def connection() -> Any:
    with anserdb.connect(":memory:", store=":memory:", llm_model="scripted") as opened:
        yield opened


def one(connection: anserdb.Connection, sql: str) -> Any:
    relation = connection.sql(sql)
    assert relation is not None
    return relation.fetchall()[0][0]


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("LLM_RRF(1)", Fraction(1, 61)),
        ("LLM_RRF(1, 2, 3)", Fraction(1, 61) + Fraction(1, 62) + Fraction(1, 63)),
        ("LLM_RRF(1, NULL)", Fraction(1, 61)),
        ("LLM_RRF(NULL)", Fraction(0)),
        ("LLM_RRF(4, k := 0)", Fraction(1, 4)),
        ("LLM_RRF(1, k := 0.5)", Fraction(2, 3)),
        ("FUSION_RRF(1, 1)", Fraction(2, 61)),
    ],
)
def test_fusion_is_the_sum_of_reciprocal_ranks(connection: anserdb.Connection, call: str, value: Fraction) -> None:
    assert one(connection, f"SELECT {call}") == pytest.approx(float(value), rel=1e-12)
    assert one(connection, f"SELECT typeof({call})") == "DOUBLE"


def test_fusion_of_semantic_ranks(connection: anserdb.Connection) -> None:
    fused = one(
        connection,
        "SELECT LLM_RRF(rank() OVER (ORDER BY LLM_RERANK('birds', x) DESC), NULL) AS r FROM (VALUES ('geese')) AS t(x)",
    )
    assert fused == pytest.approx(1 / 61)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("LLM_RRF(1, k := 'x')", "k must be a number"),
        ("LLM_RRF(1, k := -1)", "k must be a number"),
        ("LLM_RRF(1, model := 'small')", "no option model"),
        ("LLM_RRF(rank := 1)", "ranks without a name"),
        ("LLM_RRF()", "rank is missing"),
        ("LLM_RRF(1, kk := 3)", "no option kk"),
    ],
)
def test_wrong_fusions_are_refused(connection: anserdb.Connection, call: str, message: str) -> None:
    with pytest.raises(BindError, match=message):
        connection.sql(f"SELECT {call}")
