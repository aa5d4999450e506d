"""LLM_REDACT: the model names the words, and nothing but these words changes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import InvalidAnswer
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Generate, JsonAnswer, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.prompts.folding import CHUNK_CHARACTERS
from anserdb.udfs.prompts.spans import find_spans, replaced
from tests.support.function_call import DYNAMIC, Asker, bound, task


def found(*entities: tuple[str, str]) -> str:
    return json.dumps({"entities": [{"label": label, "text": text} for text, label in entities]})


def redact(*labels: Any, **options: Any) -> Any:
    return task("LLM_REDACT", bound(DYNAMIC, *labels, texts=("t.body", "…")[: 1 + len(labels)], **options))


async def test_every_occurrence_goes_and_nothing_else_changes() -> None:
    text = "  Ada  Byron wrote;\n\tAda Byron is at ada@x.org. Adamant!  "
    ask = Asker(("", found(("Ada Byron", "NAME"), ("ada@x.org", "EMAIL"))))
    call, kind = redact()
    assert await call.run([text], ask) == "  [NAME] wrote;\n\t[NAME] is at [EMAIL]. Adamant!  "
    assert kind.text == "VARCHAR"
    (request,) = ask.generated
    assert isinstance(request.answer, JsonAnswer)
    assert "- IP_ADDRESS: IP addresses" in request.system


async def test_labels_of_the_user_constrain_the_answer() -> None:
    call, _ = redact({"PRODUCT": "things we sell", "person": ""})
    (request,) = call.requests(["x"])
    items = json.loads(request.answer.schema)["properties"]["entities"]["items"]
    assert items["properties"]["label"]["enum"] == ["PRODUCT", "person"]
    assert "- PRODUCT: things we sell\n- person\n" in request.system
    assert await call.run(["a kettle"], Asker(("", found(("kettle", "PRODUCT"))))) == "a [PRODUCT]"
    assert "- email: e-mail addresses" in redact(["email"])[0].requests(["x"])[0].system
    with pytest.raises(InvalidAnswer, match="'NAME' is none of the labels"):
        await call.run(["Ada"], Asker(("", found(("Ada", "NAME")))))


async def test_details_say_what_was_hidden_and_where() -> None:
    call, kind = redact(["NAME"], details=True)
    assert kind.text == (
        'STRUCT("text" VARCHAR, spans STRUCT("label" VARCHAR, "text" VARCHAR, "start" INTEGER, "end" INTEGER)[])'
    )
    answer = await call.run(["Hi Ada, hi Bo."], Asker(("", found(("Bo", "NAME"), ("Ada", "NAME")))))
    assert answer == {
        "text": "Hi [NAME], hi [NAME].",
        "spans": [
            {"label": "NAME", "text": "Ada", "start": 4, "end": 6},
            {"label": "NAME", "text": "Bo", "start": 12, "end": 13},
        ],
    }


def test_a_span_is_a_slice_of_the_input_in_sql() -> None:
    model = ScriptedModel([("", found(("Bo", "NAME"), ("Ünal", "NAME")))])
    with anserdb.connect(":memory:", store=":memory:", llm_model="m") as connection:
        connection.register_model("m", model)
        rows = connection.sql(
            "SELECT list_transform(r.spans, lambda s: body[s.start:s.end] = s.text) AS same, len(r.spans) AS n "
            "FROM (SELECT body, LLM_REDACT(body, ['NAME'], details := true) AS r "
            "FROM (VALUES ('👍🏽 é Bo and Ünal, Bo'), ('Bo met Ünal')) AS t(body))"
        ).fetchall()
    assert rows == [([True] * 3, 3), ([True] * 2, 2)]


async def test_words_that_are_not_in_the_text_are_no_answer() -> None:
    call, _ = redact()
    with pytest.raises(InvalidAnswer, match="names 'Charles', which is not in the text"):
        await call.run(["Ada wrote."], Asker(("", found(("Ada", "NAME"), ("Charles", "NAME")))))
    for wrong in ("none", "[]", '{"entities": [3]}', '{"entities": [{"label": "NAME"}]}'):
        with pytest.raises(InvalidAnswer):
            await call.run(["Ada wrote."], Asker(("", wrong)))
    assert await call.run(["Ada wrote."], Asker(("", found((" ", "NAME"))))) == "Ada wrote."


async def test_words_are_found_over_line_ends_and_in_another_case() -> None:
    call, _ = redact()
    ask = Asker(("", found(("ADA BYRON", "NAME"))))
    assert await call.run(["by Ada\r\n  Byron."], ask) == "by [NAME]."


async def test_a_long_text_is_read_in_pieces() -> None:
    text = f"Ada {'word ' * (CHUNK_CHARACTERS // 5)} Bo {'word ' * 100} and Ada"

    def names(request: Request) -> str:
        assert isinstance(request, Generate)
        return found(*((name, "NAME") for name in ("Ada", "Bo") if f"{name} " in request.user))

    ask = Asker(("", names))
    redacted = await redact()[0].run([text], ask)
    assert len(ask.generated) == 2
    assert redacted == text.replace("Ada", "[NAME]").replace("Bo", "[NAME]")


async def test_blank_texts_and_nulls_need_no_call() -> None:
    ask = Asker()
    assert await redact()[0].run([" "], ask) == " "
    assert await redact(details=True)[0].run([""], ask) == {"text": "", "spans": []}
    assert await task("LLM_REDACT", bound(None))[0].run([], ask) is None
    assert ask.generated == []


@pytest.mark.parametrize("labels", [[], "NAME", ["NAME", "NAME"], ["NAME", ""], [3], None, {"": "x"}])
def test_labels_are_different_names(labels: object) -> None:
    with pytest.raises(ValueError, match="labels as a list of different names"):
        redact(labels)


def test_options_and_examples() -> None:
    (option,) = functions()["LLM_REDACT"].options
    with pytest.raises(ValueError, match="true or false"):
        option.check("yes")
    call, _ = redact(["NAME"])
    assert call.example_answer([{"label": "NAME", "text": "Ada"}]) == found(("Ada", "NAME"))
    for wrong in ("[NAME]", [{"text": "Ada"}], [{"label": "CITY", "text": "Ada"}]):
        with pytest.raises(ValueError, match="the output of an example"):
            call.example_answer(wrong)


@given(
    st.text(st.sampled_from("aAb. \n1_é语"), max_size=30),
    st.lists(st.tuples(st.text(st.sampled_from("aAb. 1é语"), max_size=4), st.sampled_from("XY")), max_size=4),
)
def test_what_is_not_hidden_stays_and_what_is_missing_is_said(text: str, entities: list[tuple[str, str]]) -> None:
    spans, missing = find_spans(text, entities)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    at, kept = 0, []
    for span in spans:
        kept.append(text[at : span.start])
        at = span.end
    kept.append(text[at:])
    assert replaced(text, spans) == "".join(
        piece + (f"[{spans[number].label}]" if number < len(spans) else "") for number, piece in enumerate(kept)
    )
    squeezed = "".join(text.split()).lower()
    for words, _ in entities:
        if words in missing:
            assert words.split() == [] or words not in text
        else:
            assert "".join(words.split()).lower() in squeezed


def test_of_words_that_overlap_nothing_stays_in_view() -> None:
    text = "Ada Byron Street 5, Ada"
    spans, _ = find_spans(
        text, [("Ada Byron", "NAME"), ("Byron Street 5", "ADDRESS"), ("Byron", "NAME"), ("Ada", "NAME")]
    )
    assert replaced(text, spans) == "[NAME] [ADDRESS], [NAME]"
