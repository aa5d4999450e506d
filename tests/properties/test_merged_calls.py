"""Calls in one prompt: the rows of the plan as written, and never more calls, whatever the calls are and where they stand.

The model answers a task alike, alone and among others. That one prompt serves is not waited for: it does from the first row on.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anserdb
from anserdb.engine.physical import merged_groups
from anserdb.optimizer.search.assignment import Assignment
from anserdb.optimizer.search.chooser import Chooser
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, Request
from anserdb.udfs.models.scripted import ScriptedModel

ROWS = 10
CALLS = (
    "LLM_EXTRACT(body, {a: 'INTEGER'})",
    "LLM_EXTRACT(body, {b: 'INTEGER', c: 'INTEGER'}).c",
    "LLM_CLASSIFY(body, ['red', 'blue'])",
    "LLM_FILTER('angry', body)",
    "LLM_FILTER('is {body} a question', body)",
    "LLM_COMPLETE('How many?', body, returns := 'INTEGER')",
    "LLM_SENTIMENT(body)",
)
FILTERS = ("LLM_FILTER('angry', body)", "LLM_FILTER('kind', body)", "LLM_CLASSIFY(body, ['red', 'blue']) = 'red'")
GUARDS = ("{}", "CASE WHEN k = 1 THEN {} END", "CASE WHEN k < 2 THEN {} ELSE NULL END")


def drawn(*words: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=4).digest(), "big")


def of_schema(schema: dict[str, Any], text: str) -> Any:
    if "properties" in schema:
        return {name: of_schema(part, f"{name} {text}") for name, part in schema["properties"].items()}
    if "enum" in schema:
        return schema["enum"][drawn(sorted(schema["enum"]), text) % len(schema["enum"])]
    return drawn(text) % 100


def answered(spoilt: int, request: Request) -> str:
    """``spoilt`` : of so many texts, one has a part that is no answer."""
    assert isinstance(request, Generate)
    text = request.user.rpartition("\n\n")[2]
    if isinstance(request.answer, ChoiceAnswer):
        return str(of_schema({"enum": list(request.answer.choices)}, text))
    assert isinstance(request.answer, JsonAnswer)
    schema = json.loads(request.answer.schema)
    tasks = schema.get("properties", {})
    if "task_1" not in tasks:
        return json.dumps(of_schema(schema, text))
    said = {name: of_schema(part, text) for name, part in tasks.items()}
    return json.dumps(said | ({"task_1": ["no answer"]} if spoilt and drawn(text) % spoilt == 0 else {}))


@st.composite
def queries(draw: st.DrawFn) -> str:
    chosen = draw(st.lists(st.sampled_from(CALLS), min_size=1, max_size=4))
    guard = draw(st.sampled_from(GUARDS))
    items = ", ".join(f"{guard.format(call)} AS c{number}" for number, call in enumerate(chosen))
    where = " AND ".join(draw(st.lists(st.sampled_from(FILTERS), max_size=2, unique=True)))
    return f"SELECT id, {items} FROM t{f' WHERE {where}' if where else ''} ORDER BY id"


def run(query: str, spoilt: int, *, merge: bool) -> tuple[list[tuple[Any, ...]], int]:
    model = ScriptedModel([("", partial(answered, spoilt))], capabilities=Capabilities(), name="consistent")
    with anserdb.connect(store=":memory:", llm_model="consistent") as con:
        con.register_model("consistent", model)
        con.sql("SET llm_cache = false; SET llm_disabled_rules = 'arms'")
        con.sql(
            f"CREATE TABLE t AS SELECT i AS id, i % 3 AS k, nullif('text ' || (i % 8), 'text 5') AS body FROM range({ROWS}) r(i)"
        )
        if merge:
            con.sql("SET llm_min_quality = 0.9")
        result = con.sql(query)
        assert result is not None
        return result.fetchall(), len(model.calls)


class Proven(Chooser):
    """As if the first other way had proved itself."""

    def assign(self) -> Assignment:
        self.seen += 1
        return Assignment(self.seen, (1,), 1, "serve")


def test_two_calls_are_one() -> None:
    query = f"SELECT id, {CALLS[0]}, {CALLS[2]} FROM t ORDER BY id"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(merged_groups, "Chooser", Proven)
        rows, calls = run(query, 0, merge=True)
    reference, most = run(query, 0, merge=False)
    assert (rows, 2 * calls) == (reference, most)


@settings(max_examples=25, deadline=None)
@given(query=queries(), spoilt=st.sampled_from([0, 0, 3]))
def test_rows_are_those_of_the_plan_as_written(query: str, spoilt: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(merged_groups, "Chooser", Proven)
        rows, calls = run(query, spoilt, merge=True)
    reference, most = run(query, 0, merge=False)
    assert rows == reference
    assert spoilt or calls <= most
