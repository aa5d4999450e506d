"""Queries whose prompts share beginnings: asked in another order, answered as ever, found again whatever the order is then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.udfs.models.base import Capabilities, Generate, ModelSpec, Request
from anserdb.udfs.models.openai_compatible import create as openai
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.models.vllm import create as vllm
from anserdb.udfs.prompts.inputs import fields, rearranged

TABLES = """
CREATE TABLE products AS SELECT i AS pid, 'about ' || i || repeat(' and on', 40) AS description FROM range(10) t(i);
CREATE TABLE reviews AS
SELECT i AS id, i * 7 % 10 AS pid, CASE WHEN i % 11 <> 0 THEN 'review ' || i END AS review FROM range(150) t(i);
"""
QUERIES = (
    "SELECT id, LLM_FILTER('they fit', {inputs}) AS fits FROM reviews JOIN products USING (pid)",
    "SELECT id FROM reviews JOIN products USING (pid) WHERE LLM_FILTER('they fit', {inputs}) ORDER BY id DESC",
    "SELECT list(id), first(id) FROM reviews JOIN products USING (pid) WHERE LLM_FILTER('they fit', {inputs})",
    "SELECT id, CASE WHEN id % 3 = 0 THEN LLM_COMPLETE('why', {inputs}) END AS y FROM reviews JOIN products USING (pid)",
    "SELECT id FROM reviews JOIN products USING (pid) WHERE LLM_FILTER('they fit', {inputs}) LIMIT 5",
)
WRITTEN, TURNED = "description, review", "review, description"


def lines(request: Request) -> dict[str, str]:
    """The inputs of a prompt by name."""
    assert isinstance(request, Generate)
    return dict(line.split(": ", 1) for line in request.user.splitlines() if ": " in line)


def answer(request: Request) -> str:
    """Depends on the inputs, not on their order."""
    number = int(lines(request)["Review"].split()[-1])
    if number == 40:
        raise ModelError("no answer to this one", "m")
    return "Yes" if number % 3 else "No"


def model_of(**capabilities: Any) -> ScriptedModel:
    known = {"local": True, "concurrency": 4, "prefix_cache": True, **capabilities}
    return ScriptedModel([("", answer)], capabilities=Capabilities(**known))


def connect(model: ScriptedModel, store: Path | str = ":memory:", **chosen: Any) -> anserdb.Connection:
    made = anserdb.connect(duckdb.connect(config={"threads": 1}), store=str(store), llm_model="m", **chosen)
    made.register_model("m", model)
    made.sql(TABLES)
    return made


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def shared(calls: Sequence[Request], name: str, lanes: int = 4) -> int:
    """Calls whose input is that of one of the last answered before it, and stands first."""
    found = [next(iter(lines(call).items())) for call in calls]
    return sum(
        here[0] == name and here in found[max(0, at - 2 * lanes + 1) : max(0, at - lanes + 1)]
        for at, here in enumerate(found)
    )


@pytest.mark.parametrize("order", ["written", "shared"])
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("inputs", [WRITTEN, TURNED])
def test_order_changes_no_result(query: str, order: str, inputs: str) -> None:
    one, other = model_of(), model_of()
    text = query.format(inputs=inputs)
    with connect(one, llm_input_order=order) as con, connect(other, llm_disabled_rules="prefix_order") as plain:
        assert rows(con, text) == rows(plain, text)
        one.calls.clear()
        rows(con, text)
        assert [call for call in one.calls if lines(call)["Review"] != "review 40"] == []  # whose failure is not kept


def test_rows_are_asked_by_what_they_share() -> None:
    model, plain = model_of(), model_of(prefix_cache=False)
    for one in (model, plain):
        with connect(one) as con:
            rows(con, QUERIES[0].format(inputs=WRITTEN))
    assert shared(model.calls, "Description") > len(model.calls) // 2 > 10 * shared(plain.calls, "Description")
    assert sorted(map(repr, model.calls)) == sorted(map(repr, plain.calls))  # the prompts themselves are the same


def test_the_order_of_inputs_is_changed_only_if_asked_for() -> None:
    model, plain = model_of(), model_of()
    with connect(model, llm_input_order="shared") as con, connect(plain) as other:
        rows(con, QUERIES[0].format(inputs=TURNED))
        rows(other, QUERIES[0].format(inputs=TURNED))
    assert shared(model.calls, "Description") > len(model.calls) // 2
    assert {next(iter(lines(call))) for call in plain.calls} == {"Review"}


def test_an_answer_is_found_again_when_the_rows_call_for_another_order(tmp_path: Path) -> None:
    query = QUERIES[0].format(inputs=TURNED)
    model = model_of()
    with connect(model, tmp_path / "answers", llm_input_order="shared") as con:
        first = rows(con, query)
        asked = {repr(call): call for call in model.calls}
        assert all(next(iter(lines(call))) == "Description" for call in asked.values())
    again = model_of()
    with connect(again, tmp_path / "answers", llm_input_order="shared") as con:
        # Now the descriptions differ and the reviews are alike, but for the rows of before.
        con.sql("INSERT INTO products SELECT 10 + i, i || repeat(' x', 200) FROM range(400) t(i)")
        con.sql("INSERT INTO reviews SELECT 1000 + i, 10 + i, repeat('very ', 90) || 'review 1' FROM range(400) t(i)")
        both = rows(
            con, query.replace("FROM reviews", "FROM (SELECT * FROM reviews ORDER BY id < 1000, id) AS reviews")
        )
        assert {row for row in both if row[0] < 1000} == set(first)
        new = [call for call in again.calls if lines(call)["Review"] != "review 40"]
        assert {next(iter(lines(call))) for call in new} == {"Review"}
        assert all(lines(call)["Review"].startswith("very") for call in new)


def test_answers_to_prompts_as_written_stay_apart(tmp_path: Path) -> None:
    query = QUERIES[0].format(inputs=TURNED)
    for order, calls in (("written", True), ("shared", True), ("written", False), ("shared", False)):
        model = model_of()
        with connect(model, tmp_path / "answers", llm_input_order=order) as con:
            rows(con, query)
        assert any(lines(call)["Review"] != "review 40" for call in model.calls) is calls


def test_explain_says_what_was_done() -> None:
    with connect(model_of(), llm_input_order="shared") as con:
        ((text,),) = rows(con, f"EXPLAIN ANALYZE {QUERIES[0].format(inputs=TURNED)}")
    assert "rows and inputs by shared prefix" in text
    assert "inputs: in the order Description, Review" in text
    assert "of a prompt" in text


def test_a_failed_row_has_no_number_where_rows_are_asked_in_another_order() -> None:
    with connect(model_of()) as con, connect(model_of(prefix_cache=False)) as plain:
        for each, number in ((con, None), (plain, 41)):
            rows(each, QUERIES[0].format(inputs=WRITTEN))
            (found,) = rows(each, "SELECT row_number, input_preview FROM llm_errors()")
            assert found[0] == number
            assert "review 40" in found[1]


@given(
    st.lists(st.tuples(st.from_regex(r"[a-z][a-z ]{0,5}", fullmatch=True), st.text()), min_size=1, max_size=4),
    st.data(),
)
@examples(max_examples=100, deadline=None)
def test_inputs_are_told_apart_whatever_they_hold(inputs: list[tuple[str, str]], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(inputs))))
    names, values = [name for name, _ in inputs], [value for _, value in inputs]
    written, turned = fields(names, values), fields([names[i] for i in order], [values[i] for i in order])
    for head in ("", "Is it so?\n\n", "Name: x\n\nIs it so?\n\n"):
        assert rearranged(head + written, order) == head + turned


def test_what_models_say_of_their_prefix_caches() -> None:
    def known(create: Any, provider: str, **options: Any) -> tuple[bool, int, int]:
        found = create(ModelSpec("m", provider, options)).capabilities
        return found.prefix_cache, found.prefix_block_tokens, found.prefix_min_tokens

    assert known(openai, "openai", base_url="http://127.0.0.1:1/v1") == (False, 1, 0)
    assert known(openai, "openai", base_url="https://api.openai.com/v1") == (True, 128, 1024)
    mine = {"prefix_cache": True, "prefix_block_tokens": 64, "prefix_min_tokens": 256}
    assert known(openai, "openai", base_url="http://127.0.0.1:1/v1", **mine) == (True, 64, 256)
    assert known(vllm, "vllm", base_url="http://127.0.0.1:1/v1") == (True, 16, 0)
