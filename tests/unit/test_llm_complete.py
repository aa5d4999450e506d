"""LLM_COMPLETE: text or any other type, with and without inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from anserdb.engine.errors import InvalidAnswer
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import JsonAnswer, TextAnswer
from anserdb.udfs.spec import Streams
from tests.support.function_call import DYNAMIC, Asker, bound, task


def complete(prompt: Any = "What is it about?", inputs: int = 1, **options: Any) -> Any:
    columns = ["body", "title"][:inputs]
    return task("LLM_COMPLETE", bound(prompt, *[DYNAMIC] * inputs, texts=["'…'", *columns], **options))


async def test_text_by_default() -> None:
    call, kind = complete()
    ask = Asker(("kettle", "  A broken kettle.\n"))
    assert kind.text == "VARCHAR"
    assert await call.run(["The kettle broke."], ask) == "A broken kettle."
    (request,) = ask.generated
    assert request.answer == TextAnswer()
    assert request.system.startswith("What is it about?")
    assert "The kettle broke." in request.user


@pytest.mark.parametrize(
    ("returns", "answer", "value"),
    [
        ("INTEGER", "42", 42),
        ("INTEGER", '"42"', 42),
        ("BOOLEAN", "Yes.", True),
        ("DATE", "2024-02-29", date(2024, 2, 29)),
        ("DATE", "null", None),
        ("ENUM('good','bad')", "Good", "good"),
        ("VARCHAR[]", '["a", "b"]', ["a", "b"]),
        ("STRUCT(a INTEGER)", '```json\n{"a": 1}\n```', {"a": 1}),
        ("JSON", '{"a": 1.10}', '{"a":1.10}'),
    ],
)
async def test_returns_names_the_type(returns: str, answer: str, value: Any) -> None:
    call, kind = complete(returns=returns)
    ask = Asker(("", answer))
    assert await call.run(["x"], ask) == value
    assert kind.text.replace(" ", "") == returns.replace(" ", "")
    assert isinstance(ask.generated[0].answer, JsonAnswer)


def test_a_scalar_may_be_null_and_a_struct_is_an_object() -> None:
    def schema(returns: str) -> Any:
        return json.loads(complete(returns=returns)[0].requests(["x"])[0].answer.schema)

    assert schema("BOOLEAN") == {"type": "boolean"}
    assert schema("STRUCT(a INTEGER)")["type"] == "object"


@pytest.mark.parametrize(
    ("returns", "answer"), [("INTEGER", "about 42"), ("STRUCT(a INTEGER)", "none"), ("DATE", "May")]
)
async def test_an_answer_outside_the_type_is_invalid(returns: str, answer: str) -> None:
    with pytest.raises(InvalidAnswer, match="outside"):
        await complete(returns=returns)[0].run(["x"], Asker(("", answer)))


def test_returns_is_checked() -> None:
    (option,) = functions()["LLM_COMPLETE"].options
    assert option.check("int[]") == "INTEGER[]"
    for wrong, words in (("INTGER", "Did you mean INTEGER"), ("BLOB", "use VARCHAR"), (7, "type as text")):
        with pytest.raises(ValueError, match=words):
            option.check(wrong)


@pytest.mark.parametrize("prompt", [DYNAMIC, "  ", 7])
def test_the_prompt_is_a_text_literal(prompt: Any) -> None:
    with pytest.raises(ValueError, match="text literal"):
        complete(prompt)


async def test_no_input_and_several() -> None:
    ask = Asker(("", "ok"))
    assert await complete(inputs=0)[0].run([], ask) == "ok"
    await complete(inputs=2)[0].run(["first body", 7], ask)
    nothing, both = ask.generated
    assert nothing.user
    assert both.user == "Body: first body\nTitle: 7"


async def test_literal_inputs_keep_their_place_and_null_is_not_asked() -> None:
    call, _ = task("LLM_COMPLETE", bound("Join them.", "one", DYNAMIC, texts=["'…'", "'one'", "body"]))
    assert call.requests(["two"])[0].user == "Text: one\nBody: two"
    ask = Asker()
    assert await task("LLM_COMPLETE", bound("Join them.", None, DYNAMIC))[0].run(["two"], ask) is None
    assert ask.generated == []


def test_placeholders_become_the_inputs_labels() -> None:
    request = complete("Shorten {title}.", inputs=2)[0].requests(["b", "t"])[0]
    assert "Shorten the title." in request.system
    with pytest.raises(ValueError, match="titel"):
        complete("Shorten {titel}.", inputs=2)


@pytest.mark.parametrize("answer", ['["a", null, "b"]', '{"value": ["a", null, "b"]}'])
async def test_elements_of_a_list_are_known_before_it_is_whole(answer: str) -> None:
    heard: list[list[Any]] = []
    bare = json.dumps(json.loads(answer)["value"]) if answer.startswith("{") else answer

    class Wrapping(Asker):
        """A server that demands an object is heard with it, and its reply comes without."""

        async def __call__(self, request: Any, parse: Any) -> Any:
            reply = await self.model.call(request)
            return parse(replace(reply, text=bare))

    result = await complete(returns="VARCHAR[]")[0].stream(["x"], Wrapping(("", answer)), lambda i: heard.append([*i]))
    assert result == ["a", None, "b"]
    assert heard[:3] == [["a"], ["a", None], ["a", None, "b"]][: len(heard)]
    assert heard


async def test_what_is_no_list_is_not_told_and_no_list_has_no_elements() -> None:
    assert not isinstance(complete()[0], Streams)
    call = complete(returns="INTEGER[]")[0]
    assert await call.stream([None], Asker(), pytest.fail) is None
    assert await call.stream(["x"], Asker(("", "null")), pytest.fail) == []
    heard: list[Any] = []
    with pytest.raises(InvalidAnswer, match="outside INTEGER"):
        await call.stream(["x"], Asker(("", '[1, "two"]')), heard.append)
    assert [1, "two"] not in heard
