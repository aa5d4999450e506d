"""LLM_EXTRACT_TABLE: the rows' types, the prompt, and what an answer may be."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import InvalidAnswer
from anserdb.udfs.models.base import Generate, JsonAnswer, Reply
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.asking import Asking
from tests.support.function_call import DYNAMIC, Asker, bound, task

FIELDS = {"item": "VARCHAR -- what is ordered", "price": "DECIMAL(9,2)"}


def table(fields: Any = None, source: Any = DYNAMIC, **options: Any) -> Any:
    return task("LLM_EXTRACT_TABLE", bound(source, fields or FIELDS, texts=("m.body", "…"), **options))


def rows(*found: Any) -> str:
    return json.dumps({"rows": found})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (FIELDS, "STRUCT(item VARCHAR, price DECIMAL(9,2), ordinal BIGINT)[]"),
        ("STRUCT(a INTEGER, b VARCHAR[])", "STRUCT(a INTEGER, b VARCHAR[], ordinal BIGINT)[]"),
        ({"who": {"first name": "VARCHAR"}}, 'STRUCT(who STRUCT("first name" VARCHAR), ordinal BIGINT)[]'),
    ],
)
def test_result_type(fields: Any, text: str) -> None:
    assert table(fields)[1].text == text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"price": "DECMAL(9,2)"},
            "The field price: 'DECMAL' in 'DECMAL(9,2)' is not a DuckDB type. Did you mean DECIMAL?",
        ),
        ({"Ordinal": "INT"}, "LLM_EXTRACT_TABLE numbers its rows in a column ordinal"),
        ("DATE", "LLM_EXTRACT_TABLE gives a STRUCT, not DATE"),
        (DYNAMIC, "LLM_EXTRACT_TABLE needs its fields"),
        ({"wait": "INTERVAL"}, "wait: a model cannot answer in INTERVAL"),
    ],
)
def test_fields_that_cannot_be(fields: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        table(fields)


async def test_rows_are_numbered_and_typed_and_one_that_states_nothing_is_none() -> None:
    call, _ = table()
    reply = '{"rows": [{"item": "kettle", "price": 24.90}, {"item": null, "price": null}, {"ITEM": "lamp", "price": "9.5"}]}'
    ask = Asker(("", reply))
    assert await call.run(["One kettle and a lamp."], ask) == [
        {"item": "kettle", "price": Decimal("24.90"), "ordinal": 1},
        {"item": "lamp", "price": Decimal("9.5"), "ordinal": 2},
    ]
    (request,) = ask.generated
    assert "- item: text or null (what is ordered)\n- price: number with at most 2 decimals or null" in request.system
    assert isinstance(request.answer, JsonAnswer)
    schema = json.loads(request.answer.schema)
    assert list(schema["properties"]["rows"]["items"]["properties"]) == ["item", "price"]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (rows({"item": "kettle", "price": "dear"}), r"rows\[0\].price"),
        (rows({"item": "kettle", "price": 1}, 7), r"rows\[1\]"),
        (rows(None), "no list of objects"),
        ('{"rows": {"item": "x"}}', "no list of objects"),
        ('[{"item": "x"}]', "it has no rows"),
        ("nothing", "the answer is not JSON"),
        (rows({"item": "kettle", "prise": 1}), "'price' is missing, and 'prise' is not a field"),
    ],
)
async def test_other_answers_are_refused(reply: str, message: str) -> None:
    with pytest.raises(InvalidAnswer, match=message):
        await table()[0].run(["One kettle."], Asker(("", reply)))


async def test_rows_are_emitted_typed_and_numbered_while_the_model_writes_on() -> None:
    emitted: list[Any] = []
    reply = rows({"item": "kettle", "price": 24.90}, {"item": None, "price": None}, {"ITEM": "lamp", "price": "9.5"})
    result = await table()[0].stream(["One kettle and a lamp."], Asker(("", reply)), emitted.append)
    assert result == await table()[0].run(["One kettle and a lamp."], Asker(("", reply)))
    assert emitted == [result[:1], result]
    assert result[1] == {"item": "lamp", "price": Decimal("9.5"), "ordinal": 2}


@pytest.mark.parametrize("bad", [{"item": "lamp", "price": "dear"}, None, 7])
async def test_nothing_is_emitted_from_a_row_on_that_does_not_fit(bad: Any) -> None:
    emitted: list[Any] = []
    reply = rows({"item": "kettle", "price": 1}, bad, {"item": "lamp", "price": 2})
    with pytest.raises(InvalidAnswer):
        await table()[0].stream(["One kettle."], Asker(("", reply)), emitted.append)
    assert [[row["item"] for row in found] for found in emitted] == [["kettle"]]


async def test_a_row_that_is_blank_states_nothing() -> None:
    assert await table()[0].run(["One kettle."], Asker(("", rows("", {"item": "kettle", "price": 1})))) == [
        {"item": "kettle", "price": Decimal(1), "ordinal": 1}
    ]


async def test_a_long_text_is_read_piece_by_piece_in_order() -> None:
    text = " ".join(f"item{number}" for number in range(2_000))

    def every_word(request: Generate) -> Reply:
        words = request.user.removeprefix("Body: ").split()
        return Reply(rows(*({"item": word, "price": None} for word in words)))

    ask = Asking(every_word)
    found = await table()[0].run([text], ask)
    assert [(row["ordinal"], row["item"]) for row in found] == [(n + 1, f"item{n}") for n in range(2_000)]
    assert len(ask.asked) > 1


async def test_blank_and_null_texts_are_not_asked() -> None:
    ask = Asker(("", rows()))
    assert await table()[0].run(["  "], ask) == []
    assert await table(source=None)[0].run([], ask) is None
    assert not ask.generated
    assert await table()[0].run(["Good morning."], ask) == []


def test_an_example_is_a_list_of_structs() -> None:
    call, _ = table()
    assert json.loads(call.example_answer([{"item": "kettle"}])) == {"rows": [{"item": "kettle", "price": None}]}
    with pytest.raises(ValueError, match="must be a list of structs"):
        call.example_answer({"item": "kettle"})
    with pytest.raises(ValueError, match="no STRUCT"):
        call.example_answer([{"price": "dear"}])


def test_types_that_arrow_lacks_arrive_in_every_column() -> None:
    fields = "{id: 'UUID', size: 'HUGEINT', kind: 'ENUM(''a'', ''b'')', more: 'JSON', tags: ['UUID']}"
    value = "00000000-0000-4000-8000-000000000001"
    reply = rows({"id": value, "size": 2**100, "kind": "b", "more": {"x": 1}, "tags": [value]})
    with anserdb.connect(store=":memory:", llm_model="m") as connection:
        connection.register_model("m", ScriptedModel([("", reply)]))
        connection.sql("CREATE TABLE m AS SELECT 'text' AS body")
        call = f"LLM_EXTRACT_TABLE(body, {fields})"
        lifted = connection.sql(f"SELECT * EXCLUDE (body) FROM (SELECT * FROM m, {call} r WHERE r.kind > 'a')")
        embedded = connection.sql(f"SELECT (SELECT r FROM {call} r WHERE r.kind > 'a') AS row FROM m")
        assert lifted is not None
        assert embedded is not None
        assert [str(t) for t in lifted.types][:5] == ["UUID", "HUGEINT", "ENUM('a', 'b')", "JSON", "UUID[]"]
        (row,), (other,) = lifted.fetchall(), embedded.fetchall()
        assert row == tuple(other[0].values())
        assert (str(row[0]), row[1], row[2]) == (value, 2**100, "b")
