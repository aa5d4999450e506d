"""Prompts by name in calls, through queries on a scripted model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import anserdb
from anserdb.udfs.models.base import Generate
from anserdb.udfs.models.scripted import ScriptedModel


class Asked:
    """A connection with a recording model and prompts ``rude`` (two versions) and ``tone``."""

    def __init__(self) -> None:
        self.model = ScriptedModel()
        self.con = anserdb.connect(store=":memory:", llm_model="mine")
        self.con.register_model("mine", self.model)
        self.con.sql("CREATE PROMPT rude AS 'first words'")
        self.con.sql("CREATE OR REPLACE PROMPT rude AS 'second words about {body}'")
        self.con.sql("CREATE PROMPT tone AS 'which tone'")

    def by(self, query: str) -> str:
        """Everything that the query sent."""
        self.model.calls.clear()
        result = self.con.sql(query)
        assert result is not None
        result.fetchall()
        return "\n".join(f"{c.system}\n{c.user}" for c in self.model.calls if isinstance(c, Generate))


@pytest.fixture
def asked() -> Iterator[Asked]:
    found = Asked()
    with found.con:
        yield found


FROM = "FROM (VALUES ('Hello there')) AS t(body)"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("LLM_FILTER('@rude', body)", "second words about"),
        ("LLM_FILTER('@RUDE@2', body)", "second words about"),
        ("LLM_FILTER('@rude@1', body)", "first words"),
        ("LLM_COMPLETE('@rude')", "second words about"),
        ("LLM_SCORE('@rude@1', body)", "first words"),
        ("LLM_SUMMARIZE(body, '@tone')", "which tone"),
        ("LLM_COMPLETE('say', body, instructions := '@tone')", "which tone"),
    ],
)
def test_a_reference_is_the_prompt_itself(asked: Asked, call: str, words: str) -> None:
    sent = asked.by(f"SELECT {call} {FROM}")
    assert words in sent
    assert "@" not in sent
    assert "Hello there" in sent


@pytest.mark.parametrize(
    ("call", "data"),
    [
        ("LLM_COMPLETE('who is it?', '@rude')", "@rude"),
        ("LLM_COMPLETE('who is it?', body || '@rude')", "Hello there@rude"),
        ("LLM_COMPLETE('is @rude a name?', body)", "is @rude a name?"),
        ("LLM_CLASSIFY(body, ['@rude', 'b'])", "@rude"),
        ("LLM_COMPLETE(' @rude', body)", "@rude"),
    ],
)
def test_everything_else_that_looks_alike_is_data(asked: Asked, call: str, data: str) -> None:
    sent = asked.by(f"SELECT {call} {FROM}")
    assert data in sent
    assert "words" not in sent


def test_the_same_words_by_name_or_in_full_are_one_question(asked: Asked) -> None:
    assert asked.by(f"SELECT LLM_FILTER('first words', body) {FROM}")
    assert asked.by(f"SELECT LLM_FILTER('@rude@1', body) {FROM}") == ""


@pytest.mark.parametrize(
    ("call", "message", "place"),
    [
        ("LLM_FILTER('@rud', body)", "There is no prompt rud.", "'@rud'"),
        ("LLM_FILTER('@rude@3', body)", "Prompt rude has no version 3; it has 1, 2.", "'@rude@3'"),
    ],
)
def test_what_is_missing_names_the_nearest(asked: Asked, call: str, message: str, place: str) -> None:
    query = f"SELECT {call} {FROM}"
    with pytest.raises(anserdb.BindError) as caught:
        asked.by(query)
    assert message in str(caught.value)
    position = caught.value.position
    assert position is not None
    assert query[position.start : position.end] == place
    if "rud." in message:
        assert caught.value.candidates == ("'@rude'",)


def test_a_missing_column_of_a_prompt_is_an_error_of_the_query(asked: Asked) -> None:
    asked.con.sql("CREATE PROMPT bad AS 'look at {nowhere}'")
    with pytest.raises(anserdb.BindError, match="nowhere"):
        asked.by(f"SELECT LLM_FILTER('@bad') {FROM}")


TRIED = "SELECT {select} FROM range(6) r(i) ORDER BY i"


def values(con: anserdb.Connection, select: str) -> list[Any]:
    result = con.sql(TRIED.format(select=select))
    assert result is not None
    return [row[0] for row in result.fetchall()]


@pytest.mark.parametrize("setting", ["null", "fail", "details"])
def test_try_makes_a_failure_null_whatever_the_setting_is(asked: Asked, setting: str) -> None:
    asked.con.sql("CREATE MODEL f USING scripted (fail_ratio 0.5)")
    call = "LLM_COMPLETE('x', 'b' || i, model := 'f')"
    plain = values(asked.con, call)
    assert 0 < plain.count(None) < 6
    asked.con.sql(f"SET llm_on_error = '{setting}'")
    assert values(asked.con, f"TRY({call})") == plain
    assert values(asked.con, f"TRY(upper({call}))") == [x and x.upper() for x in plain]
    both = values(asked.con, f"TRY({call.replace(')', ', on_error := ' + chr(39) + 'fail' + chr(39) + ')')})")
    assert both == plain


def test_try_works_where_no_plan_can_lift_the_call(asked: Asked) -> None:
    asked.con.sql("CREATE MODEL f USING scripted (fail_ratio 0.5)")
    plain = values(asked.con, "LLM_COMPLETE('x', 'b' || i, model := 'f')")
    asked.con.sql("SET llm_on_error = 'fail'")
    lists = values(asked.con, "list_transform([i], lambda v: TRY(LLM_COMPLETE('x', 'b' || v, model := 'f')))")
    assert [x for (x,) in lists] == plain


def test_try_leaves_details_to_a_call_that_asks_for_them(asked: Asked) -> None:
    asked.con.sql("CREATE MODEL f USING scripted (fail_ratio 0.5)")
    found = values(asked.con, "TRY(LLM_COMPLETE('x', 'b' || i, model := 'f', on_error := 'details'))")
    assert all(set(value) == {"value", "error"} for value in found)
    assert any(value["error"] for value in found)


def test_a_call_beside_try_keeps_the_setting(asked: Asked) -> None:
    asked.con.sql("CREATE MODEL f USING scripted (fail_ratio 0.5)")
    asked.con.sql("SET llm_on_error = 'fail'")
    with pytest.raises(anserdb.ModelError):
        values(asked.con, "TRY(i + 1)::VARCHAR || LLM_COMPLETE('x', 'b' || i, model := 'f')")
