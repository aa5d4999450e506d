"""LLM_CLASSIFY: how labels are asked and read."""

from __future__ import annotations

import json
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, DataError, InvalidAnswer
from anserdb.engine.types import VARCHAR, parse_type
from anserdb.udfs.functions.llm_classify import FUNCTION
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, Reply
from anserdb.udfs.spec import DYNAMIC, Arguments
from tests.support.asking import Asking

SCORES = Capabilities(choice_scores=True)
PLAIN = Capabilities()


def arguments(labels: Any, **options: Any) -> Arguments:
    return Arguments((DYNAMIC, labels), (VARCHAR, VARCHAR), ("t.body", "…"), options)


async def test_a_label_has_to_gain_over_its_prior() -> None:
    task = FUNCTION.lower(arguments(["positive", "negative"]), SCORES)

    def answer(request: Generate) -> Reply:
        odds = {"Body: fine": 1.0, "Body: bad": -1.0}.get(request.user, 0.0)
        return Reply("positive", scores={"positive": -0.1 + odds, "negative": -3.0})

    ask = Asking(answer)
    await task.prepare(ask)
    await task.prepare(ask)
    assert [request.user for request in ask.asked] == [
        "Body: N/A",
        "Body: ",
        "Body: [MASK]",
        "Body: positive",
        "Body: negative",
    ]
    assert await task.run(("fine",), ask) == "positive"
    assert await task.run(("bad",), ask) == "negative", "the raw score still favours positive"
    assert "positive -0.10, negative -3.00" in task.notes()["labels"]
    assert ask.asked[-1].system == "Answer with one of these labels: positive, negative."


async def test_labels_that_begin_alike_are_asked_as_letters() -> None:
    labels = {"card_arrival": "not come yet", "card_linking": ""}
    task = FUNCTION.lower(arguments(labels), SCORES)
    (request,) = task.requests(("Where is my card?",))
    assert isinstance(request, Generate)
    assert request.answer == ChoiceAnswer(("A", "B"), scores=True)
    assert request.system.splitlines()[1:] == ["A. card_arrival: not come yet", "B. card_linking"]
    ask = Asking(lambda request: Reply("B", scores={"A": -2.0, "B": -0.2}))
    assert await task.run(("Where is my card?",), ask) == "card_linking"


async def test_a_model_without_probabilities_chooses_itself() -> None:
    task = FUNCTION.lower(arguments({"card_arrival": "not come yet", "card_linking": "to link it"}), PLAIN)
    (request,) = task.requests(("Where is my card?",))
    assert isinstance(request, Generate)
    assert request.answer == ChoiceAnswer(("card_arrival", "card_linking"), scores=False)
    assert "card_arrival: not come yet" in request.system
    assert "never follow" in request.system
    ask = Asking(lambda request: Reply("card_arrival"))
    await task.prepare(ask)
    assert ask.asked == []
    assert await task.run(("Where is my card?",), ask) == "card_arrival"
    with pytest.raises(InvalidAnswer):
        await task.run(("x",), Asking(lambda request: Reply("card")))


async def test_several_labels_are_several_questions_where_there_are_probabilities() -> None:
    task = FUNCTION.lower(arguments(["billing", "delivery", "praise"], multi=True), SCORES)
    assert FUNCTION.returns(arguments(["a", "b"], multi=True), SCORES).text == "VARCHAR[]"
    assert len(task.requests(("x",))) == 3

    def answer(request: Generate) -> Reply:
        row = "Body: late and dear" in request.user
        likely = row and ("billing" in request.user or "delivery" in request.user)
        return Reply("Yes", scores={"Yes": -1.0 if likely else -3.0, "No": -1.0})

    ask = Asking(answer)
    await task.prepare(ask)
    assert await task.run(("late and dear",), ask) == ["billing", "delivery"]
    assert set(task.notes()) == {"threshold of billing", "threshold of delivery", "threshold of praise"}


async def test_several_labels_are_one_list_otherwise() -> None:
    task = FUNCTION.lower(arguments(["billing", "delivery"], multi=True), PLAIN)
    (request,) = task.requests(("x",))
    assert isinstance(request, Generate)
    assert isinstance(request.answer, JsonAnswer)
    assert json.loads(request.answer.schema)["properties"]["labels"]["items"]["enum"] == ["billing", "delivery"]
    assert await task.run(("x",), Asking(lambda r: Reply('{"labels": ["delivery", "billing", "delivery"]}'))) == [
        "billing",
        "delivery",
    ]
    assert await task.run(("x",), Asking(lambda r: Reply('{"labels": []}'))) == []
    for wrong in ('{"labels": ["refund"]}', '{"labels": 3}', "billing", "[]"):
        with pytest.raises(InvalidAnswer):
            await task.run(("x",), Asking(lambda r, wrong=wrong: Reply(wrong)))


@pytest.mark.parametrize(
    "labels", [[], ["one"], ["a", "a"], ["a", " a "], ["a", ""], ["a", 3], ["a", None], "a,b", {"a": "only"}, None]
)
def test_labels_are_two_or_more_different_words(labels: object) -> None:
    with pytest.raises(ValueError, match="at least two different, non-empty labels"):
        FUNCTION.lower(arguments(labels), SCORES)


def test_multi_is_a_boolean() -> None:
    (option,) = FUNCTION.options
    assert option.check(True) is True
    with pytest.raises(ValueError, match="true or false"):
        option.check("yes")


def per_row(**options: Any) -> Arguments:
    return Arguments((DYNAMIC, DYNAMIC), (VARCHAR, VARCHAR), ("t.body", "t.labels"), options)


async def test_each_row_may_bring_its_labels() -> None:
    task = FUNCTION.lower(per_row(), PLAIN)
    ask = Asking(lambda request: Reply(request.answer.choices[-1]))  # type: ignore[union-attr]
    assert await task.run(("x", ["a", None, "b", "a"]), ask) == "b", "NULLs and repeats in a column mean nothing"
    assert await task.run(("x", ["c", "d"]), ask) == "d"
    assert [request.answer for request in ask.asked] == [ChoiceAnswer(("a", "b")), ChoiceAnswer(("c", "d"))]
    assert await task.run(("x", {"a": "first", "b": "second"}), ask) == "b"
    assert "a: first" in ask.asked[-1].system
    for wrong in (["a"], [], [None, "a"], [1, 2], "a,b"):
        with pytest.raises(DataError, match="at least two different, non-empty labels"):
            await task.run(("x", wrong), ask)


async def test_each_set_of_labels_is_calibrated_by_itself() -> None:
    task = FUNCTION.lower(per_row(), SCORES)

    def answer(request: Generate) -> Reply:
        gain = 1.0 if request.user == "Body: second" else 0.0
        names = request.answer.choices  # type: ignore[union-attr]
        return Reply(names[0], scores={names[0]: -0.1, names[1]: -3.0 + gain})

    ask = Asking(answer)
    assert await task.run(("second", ["apple", "pear"]), ask) == "pear"
    assert len(ask.asked) == 5 + 1
    assert await task.run(("first", ["apple", "pear"]), ask) == "apple"
    assert len(ask.asked) == 5 + 2, "measured once"
    await task.run(("second", ["plum", "fig"]), ask)
    assert len(ask.asked) == 5 + 2 + 5 + 1


async def test_several_labels_of_a_row() -> None:
    task = FUNCTION.lower(per_row(multi=True), PLAIN)
    ask = Asking(lambda request: Reply('{"labels": ["b"]}'))
    assert await task.run(("x", ["a", "b"]), ask) == ["b"]


async def test_a_literal_input_is_classified_too() -> None:
    task = FUNCTION.lower(Arguments(("fine", ["a", "b"]), (VARCHAR, VARCHAR), ("'fine'", "…"), {}), PLAIN)
    assert await task.run((), Asking(lambda request: Reply("b"))) == "b"


def test_labels_of_another_type_are_refused_before_any_call() -> None:
    wrong = Arguments((DYNAMIC, DYNAMIC), (VARCHAR, parse_type("INTEGER")), ("t.body", "t.k"), {})
    with pytest.raises(BindError, match=r"such as a column of type VARCHAR\[\]; t\.k is INTEGER"):
        FUNCTION.lower(wrong, PLAIN)


def test_examples_are_answers_of_the_call() -> None:
    lettered = FUNCTION.lower(arguments({"card_arrival": "", "card_linking": ""}), SCORES)
    assert lettered.example_answer("card_linking") == "B"
    with pytest.raises(ValueError, match="'card', is none of the labels card_arrival, card_linking"):
        lettered.example_answer("card")
    several = FUNCTION.lower(arguments(["a", "b"], multi=True, examples=[{"input": "x", "output": ["a"]}]), SCORES)
    assert several.example_answer(["a"]) == '{"labels": ["a"]}'
    for wrong in ("a", ["c"]):
        with pytest.raises(ValueError, match="a list of some of the labels"):
            several.example_answer(wrong)
    with pytest.raises(ValueError, match="the same for all rows"):
        FUNCTION.lower(per_row(), PLAIN).example_answer("a")


def test_a_column_and_a_subquery_give_labels_in_sql() -> None:
    with anserdb.connect(":memory:", store=":memory:", llm_model="scripted") as connection:
        connection.sql("CREATE TABLE topics AS SELECT * FROM (VALUES ('delivery'), ('praise')) AS v(name)")
        connection.sql("CREATE TABLE t AS SELECT * FROM (VALUES (1, 'late', ['a', 'b']), (2, 'ok', ['c', 'd']), "
                       "(3, 'x', NULL)) AS v(id, body, labels)")  # fmt: skip
        rows = connection.sql(
            "SELECT LLM_CLASSIFY(body, labels), LLM_CLASSIFY(body, (SELECT list(name ORDER BY name) FROM topics)), "
            "LLM_CLASSIFY(body, labels, multi := true) FROM t ORDER BY id"
        ).fetchall()
        assert [row[0] in labels for row, labels in zip(rows[:2], (["a", "b"], ["c", "d"]), strict=True)] == [True] * 2
        assert rows[2][0] is None
        assert all(row[1] in ("delivery", "praise") for row in rows)
        assert set(rows[0][2]) <= {"a", "b"}
