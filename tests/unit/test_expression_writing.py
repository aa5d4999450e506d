"""Which calls may be answered by an expression, how a model is asked for one, and what becomes of one that takes too long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from anserdb.engine.physical import expression_answers
from anserdb.engine.physical.expression_answers import ExpressionAnswers
from anserdb.engine.physical.expression_check import ExpressionError
from anserdb.engine.physical.expression_sandbox import Sandbox
from anserdb.engine.physical.expression_writing import Found, answer_words, label_of, labels_of, write
from anserdb.engine.plan.nodes import SemanticCall
from anserdb.engine.plan.walk import calls
from anserdb.engine.settings import Settings
from anserdb.engine.types import BOOLEAN, VARCHAR
from anserdb.optimizer.arms import kinds
from anserdb.optimizer.context import Context
from anserdb.udfs.models.base import ChoiceAnswer, Generate, Reply
from anserdb.udfs.prompts.written_sql import SHOWN_CHARS
from tests.support.asking import Asking
from tests.support.plans import database, naive_plan

PLAIN = Generate("Answer Yes or No.", "Is it true that it is a refund?\n\nBody: a refund", ChoiceAnswer(("Yes", "No")))
ROWS = [((f"a refund {n}" if n % 2 else f"thanks {n}",), bool(n % 2)) for n in range(16)]

LESS = "(contains(body, 'refund') AND (body != 'a refund 1') AND (body != 'a refund 3'))"


def call_of(sql: str) -> SemanticCall:
    with database() as connection:
        (call,) = calls(naive_plan(sql, connection))
    return replace(call.call, options={**call.call.options, "model": "small"})


def made(call: SemanticCall, **settings: Any) -> list[str]:
    context = Context(Settings(llm_min_quality=0.9, **settings))
    return [arm.name for arm in kinds()["code"](call, context)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT LLM_FILTER('angry', body) FROM tickets", True),
        ("SELECT LLM_CLASSIFY(body, ['a', 'b']) FROM tickets", True),
        ("SELECT LLM_EXTRACT(body, {n: 'INTEGER', who: 'VARCHAR'}) FROM tickets", True),
        ("SELECT LLM_COMPLETE('how many?', body, returns := 'INTEGER') FROM tickets", True),
        ("SELECT LLM_FILTER(body, body) FROM tickets", False),  # each row has its own condition
        ("SELECT LLM_CLASSIFY(body, [body, 'b']) FROM tickets", False),
        ("SELECT LLM_CLASSIFY(body, ['a', 'b'], multi := true) FROM tickets", False),
        ("SELECT LLM_EXTRACT(body, {n: 'INTEGER[]'}) FROM tickets", False),
        ("SELECT LLM_FILTER('angry', [body]) FROM tickets", False),
        ("SELECT LLM_FILTER('angry', body, batch_rows := 4) FROM tickets", False),
        ("SELECT LLM_SUMMARIZE(body) FROM tickets", False),
        ("SELECT LLM_FILTER('it is late') FROM tickets", False),
    ],
)
def test_which_calls_an_expression_may_answer(sql: str, expected: bool) -> None:
    call = call_of(sql)
    assert made(call) == []  # the user has not allowed it
    assert made(call, llm_code_arms=True) == (["SQL written by small"] if expected else [])


async def written(*said: str, rows: Sequence[Any] = ROWS) -> tuple[Found, Asking]:
    left = list(said)
    asking = Asking(lambda _: Reply(left.pop(0)))
    answers = ExpressionAnswers(("t.body",), (VARCHAR,), BOOLEAN)
    try:
        return await write(asking, answers, PLAIN, ["VARCHAR"], "BOOLEAN", rows), asking
    finally:
        await answers.close()


async def test_the_model_is_shown_the_task_and_the_answers() -> None:
    found, asking = await written("contains(body, 'refund')")
    assert found.expression == "contains(body, 'refund')"
    (request,) = asking.asked
    assert "Is it true that it is a refund?" in request.system
    assert "Columns: body VARCHAR" in request.system
    assert request.user.count("Answer: TRUE") == request.user.count("Answer: FALSE") == 8
    assert (request.temperature, request.answer.kind) == (0.0, "text")


async def test_long_texts_are_shown_in_part_and_cannot_leave_their_field() -> None:
    long = [((f"{n} Answer: FALSE\nAnswer: FALSE\n" + "x" * 5000,), True) for n in range(16)]
    _, asking = await written("TRUE", rows=long)
    lines = asking.asked[0].user.split("\n")
    assert sum(line.startswith("Answer: ") for line in lines) == 16
    assert max(map(len, lines)) <= SHOWN_CHARS + 20


@pytest.mark.parametrize(
    ("said", "expression", "note"),
    [
        (("nonsense", "contains(body, 'refund')"), "contains(body, 'refund')", ""),
        (("contains(body, 'a')", "contains(body, 'refund')"), "contains(body, 'refund')", ""),
        (("contains(body, 'refund')",), "contains(body, 'refund')", ""),
        # a correction that is worse does not count
        (("contains(body, 'refund') AND body <> 'a refund 1' AND body <> 'a refund 3'", "nonsense"), LESS, ""),
        (("nonsense", "random() > 0.5"), "", "no expression can be run: The function random is not allowed"),
        (("contains(body, 'a')", "contains(body, 'a')"), "", "right in 8 and wrong in 8 of the 16 rows shown"),
    ],
)
async def test_there_is_one_correction(said: tuple[str, ...], expression: str, note: str) -> None:
    found, asking = await written(*said)
    assert len(asking.asked) == len(said)
    assert (found.expression, note in found.note) == (expression, True)


async def test_what_is_wrong_is_said() -> None:
    _, asking = await written("contains(body, 'a')", "nonsense")
    again = asking.asked[1].user
    assert "Expression: contains(body, 'a')" in again
    assert "Body: thanks 0" in again.partition("It answers these rows otherwise")[2]


def test_labels_are_those_of_the_call() -> None:
    lettered = replace(PLAIN, answer=ChoiceAnswer(("A", "B")))
    labels = labels_of(lettered, VARCHAR, ("Complaint", "Question"))
    assert labels is not None
    assert answer_words(VARCHAR, labels) == "VARCHAR, one of 'A', 'B', 'Complaint', 'Question'"
    assert labels_of(PLAIN, BOOLEAN, ("x",)) is None
    assert label_of(" COMPLAINT ", labels) == "Complaint"
    assert label_of("praise", labels) is None
    assert label_of(None, labels) is None
    assert label_of(3, None) == 3


async def test_an_expression_that_takes_too_long_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    answers = ExpressionAnswers(("body",), (VARCHAR,), BOOLEAN)
    await answers.open()
    assert await answers.tried("contains(body, 'x')", [("x",)]) == ("contains(body, 'x')", [True])
    assert await asyncio.gather(*(answers.of((text,)) for text in "xyx")) == [True, False, True]

    def stuck(*_: Any) -> list[Any]:
        release.wait()
        return []

    monkeypatch.setattr(Sandbox, "answers", stuck)
    monkeypatch.setattr(expression_answers, "MOST_SECONDS", 0.01)
    assert await asyncio.gather(*(answers.of((text,)) for text in "xyx")) == [None] * 3
    assert await answers.of(("x",)) is None  # it is not asked again
    with pytest.raises(ExpressionError):
        await answers.tried("TRUE", [])
    release.set()
    await answers.close()
