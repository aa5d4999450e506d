"""Strict coercion, through queries: what a model says beside its type is repaired by rule, asked for again, or an error row.

Never a guess: each case names the road that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

import anserdb
from anserdb.udfs.models.base import Embed, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.doors import connect
from tests.support.loopback import LoopbackServer

ROW = "the parcel of row one"


@dataclass
class Told:
    """What came of one row: its value, how often the model was asked about it, and the ledger's line."""

    value: Any
    asked: int
    error: str | None


def ask(call: str, *answers: str) -> Told:
    """Run ``SELECT call`` on a model that gives these answers in turn, the last one for ever."""
    given = 0

    def answer(request: Request) -> str:
        nonlocal given
        assert not isinstance(request, Embed)
        given += 1
        return answers[min(given, len(answers)) - 1]

    with anserdb.connect(store=":memory:", llm_model="mine") as con:
        con.register_model("mine", ScriptedModel([(ROW, answer)]))
        result = con.sql(f"SELECT {call} AS x FROM (VALUES ('{ROW}')) AS t(body)")
        assert result is not None
        ((value,),) = result.fetchall()
        ledger = con.sql("SELECT error, tries FROM llm_errors()")
        assert ledger is not None
        lines = ledger.fetchall()
    assert not lines or lines[0][1] == given
    return Told(value, given, lines[0][0] if lines else None)


LABEL = "LLM_CLASSIFY(body, ['billing', 'bug report'])"
NUMBER = "LLM_COMPLETE('how many?', body, returns := 'INTEGER')"
MONEY = "LLM_COMPLETE('how much?', body, returns := 'DECIMAL(4,2)')"
FLOAT = "LLM_COMPLETE('how much?', body, returns := 'FLOAT')"
LIST = "LLM_COMPLETE('which?', body, returns := 'INTEGER[]')"
CLAIM = (
    "LLM_EXTRACT(body, {item: 'VARCHAR', n: 'INTEGER', kind: 'ENUM(''a'',''b'')', price: 'DECIMAL(4,2)', due: 'DATE'})"
)
WHOLE = '{"item": "tea", "n": 2, "kind": "a", "price": 1.5, "due": "2024-02-29"}'
VALUE = {"item": "tea", "n": 2, "kind": "a", "price": Decimal("1.50"), "due": date(2024, 2, 29)}


REPAIRED: list[tuple[str, str, Any]] = [
    (LABEL, "Billing", "billing"),
    (LABEL, " 'bug report'. ", "bug report"),
    (LABEL, "**billing**", "billing"),
    (NUMBER, '"42"', 42),
    (NUMBER, " 42.0 ", 42),
    (NUMBER, "```json\n42\n```", 42),
    (MONEY, '"12.5"', Decimal("12.50")),
    (FLOAT, "3.4028235e38", 3.4028234663852886e38),  # as DuckDB prints the greatest
    (MONEY, "12.345", Decimal("12.35")),
    (LIST, 'Sure:\n```json\n[1, "2"]\n```\nAnything else?', [1, 2]),
    (CLAIM, WHOLE, VALUE),
    (CLAIM, f"```json\n{WHOLE}\n```", VALUE),
    (CLAIM, f"Here is the JSON you asked for:\n\n```\n{WHOLE}\n```\n\nLet me know!", VALUE),
    (CLAIM, f"{WHOLE}\n\nI hope this helps.", VALUE),
    (CLAIM, f"The answer: {WHOLE}", VALUE),
    (CLAIM, f'<think>Is it {{"n": 3}}? No.</think>\n{WHOLE}', VALUE),
    (CLAIM, WHOLE.replace("2,", '"2",').replace('"a"', '"A"').replace("1.5", '"1.50"'), VALUE),
    (CLAIM, WHOLE.replace('"item"', '"ITEM"'), VALUE),
    (CLAIM, WHOLE.replace('"n": 2', '"n": 2, "n": 2'), VALUE),  # twice the same is no doubt
    (CLAIM, WHOLE.replace('"kind": "a", ', ""), {**VALUE, "kind": None}),  # a field left out has no value
    (CLAIM, WHOLE.replace('"a"', '"null"').replace("1.5", '""'), {**VALUE, "kind": None, "price": None}),
]


@pytest.mark.parametrize(("call", "answer", "value"), REPAIRED)
def test_what_can_mean_one_thing_only_is_repaired_by_rule(call: str, answer: str, value: Any) -> None:
    assert ask(call, answer) == Told(value, 1, None)


REFUSED: list[tuple[str, str, str]] = [
    (LABEL, "refund", "none of: 'billing', 'bug report'"),
    (LABEL, "billing, bug report", "none of"),
    (LABEL, "", "none of"),
    (NUMBER, "42 apples", "'42 apples' is not of type INTEGER"),
    (NUMBER, "1,234", "not of type INTEGER"),
    (NUMBER, "42.5", "not a whole number"),
    (NUMBER, "99999999999", "out of range for INTEGER"),
    (NUMBER, "forty-two", "not of type INTEGER"),
    (MONEY, "123.45", "out of range for DECIMAL(4,2)"),
    (MONEY, "99.995", "out of range for DECIMAL(4,2)"),
    (MONEY, "$12.50", "not of type DECIMAL(4,2)"),
    (LIST, "It says so in [1].", "not JSON"),
    (LIST, "```\n[1]\n```\nor\n```\n[2]\n```", "not JSON"),
    (CLAIM, f"{WHOLE} or {WHOLE}", "not JSON"),
    (CLAIM, WHOLE[:-1], "not JSON"),
    (CLAIM, WHOLE.replace('"', "'"), "not JSON"),
    (CLAIM, f"[{WHOLE}]", "a list is not an object"),
    (CLAIM, WHOLE.replace('"a"', '"c"'), "kind: 'c' is not one of 'a', 'b'"),
    (CLAIM, WHOLE.replace("1.5", "123.45"), "price: 123.45 is out of range for DECIMAL(4,2)"),
    (CLAIM, WHOLE.replace("2,", "2.5,"), "n: 2.5 is not a whole number"),
    (CLAIM, WHOLE.replace("2,", "NaN,"), "not JSON"),
    (CLAIM, WHOLE.replace("2024-02-29", "2023-02-29"), "due: '2023-02-29' is not of type DATE"),
    (CLAIM, WHOLE.replace("2024-02-29", "29/02/2024"), "due: '29/02/2024' is not of type DATE"),
    (CLAIM, WHOLE.replace('"price"', '"prize"'), "'price' is missing, and 'prize' is not a field"),
    (CLAIM, WHOLE.replace('"tea"', '{"name": "tea"}'), "item: an object is not text"),
    (CLAIM, WHOLE.replace('"n": 2', '"n": 2, "n": 3'), "'n' stands there twice"),
    (CLAIM, WHOLE.replace('"n": 2', '"n": 2, "N": 3'), "n: the field stands there twice"),
]


@pytest.mark.parametrize(("call", "answer", "words"), REFUSED)
def test_all_else_is_asked_for_again_and_then_an_error_row(call: str, answer: str, words: str) -> None:
    told = ask(call, answer)
    assert told.value is None
    assert told.asked == 3
    assert words in str(told.error)


@pytest.mark.parametrize(
    ("call", "wrong", "right", "value"),
    [
        (LABEL, "refund", "billing", "billing"),
        (NUMBER, "about 42", "42", 42),
        (MONEY, "123.45", "12.34", Decimal("12.34")),
        (CLAIM, WHOLE.replace('"a"', '"c"'), WHOLE, VALUE),
        (CLAIM, "I cannot do that.", WHOLE, VALUE),
    ],
)
def test_a_second_answer_that_fits_is_taken(call: str, wrong: str, right: str, value: Any) -> None:
    assert ask(call, wrong, right) == Told(value, 2, None)


@pytest.mark.parametrize(
    ("answer", "rows", "calls"),
    [
        ('{"value": "7"}', [(7,)], 1),
        ('```json\n{"value": 7}\n```', [(7,)], 1),
        ('Sure! {"value": 7} Is that all?', [(7,)], 1),
        ('<think>seven?</think>{"value": 7}', [(7,)], 1),
        ("7", [(7,)], 1),
        ('{"value": 7.5}', [(None,)], 3),
        ('{"value": "many"}', [(None,)], 3),
        ("many", [(None,)], 3),
    ],
)
def test_the_same_holds_behind_a_server(answer: str, rows: list[tuple[Any, ...]], calls: int) -> None:
    with LoopbackServer(answer=lambda _: answer) as server, connect(server, rows=1) as con:
        result = con.sql("SELECT LLM_COMPLETE('how many?', body, returns := 'INTEGER') AS n FROM t")
        assert result is not None
        assert result.fetchall() == rows
        assert len(server.stats.headers) == calls
