"""``ranking := 'refine'`` and its like: the first rows by comparing rows, whole queries against a model that knows the order."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, BudgetExceeded, Interrupted, ModelUnavailable
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, Reply, Request, Usage
from anserdb.udfs.models.scripted import Fault, ScriptedModel
from tests.support.gate import Gate

ROWS = 60
COMPARING = ("refine", "quickselect", "heap", "tournament")
SCORE = "LLM_SCORE('is large', body{})"


def strengths(text: str) -> list[float]:
    """The numbers that a prompt shows; a content-free input is worth nothing."""
    inputs = text.rpartition("\n\n")[2].splitlines()
    return [float(found[0]) if (found := re.findall(r"-?\d+", line)) else 0.0 for line in inputs]


def judge(request: Request) -> Reply:
    """Likes large numbers, and the first place a little, which is none of the row's doing."""
    assert isinstance(request, Generate)
    assert isinstance(request.answer, ChoiceAnswer)
    first, second = request.answer.choices
    shown = strengths(request.user)
    odds = 0.1 * (shown[0] - shown[1]) + 0.5 if len(shown) == 2 else 0.1 * shown[0]
    scores = {first: -math.log1p(math.exp(-odds)), second: -math.log1p(math.exp(odds))}
    return Reply(max(scores, key=lambda name: scores[name]), scores, usage=Usage(10, 1))


def larger(request: Request) -> str:
    assert isinstance(request, Generate)
    first, second = strengths(request.user)
    return "A" if first > second else "B"


def rating(request: Request) -> str:
    assert isinstance(request, Generate)
    return f'{{"score": {strengths(request.user)[0] / 100}}}'


def modelled(*, scores: bool = True, faults: tuple[Fault, ...] = ()) -> ScriptedModel:
    capabilities = Capabilities(choice_scores=scores, local=True, concurrency=16)
    return ScriptedModel([("", judge)], capabilities=capabilities, faults=faults)


@pytest.fixture
def model() -> ScriptedModel:
    return modelled()


@pytest.fixture
def con(model: ScriptedModel) -> Iterator[anserdb.Connection]:
    with anserdb.connect(":memory:", store=":memory:", llm_model="m") as con:
        con.register_model("m", model)
        # 37 is prime to 60: every number once, in no order; every twelfth body is NULL.
        con.sql(
            f"CREATE TABLE t AS SELECT i AS id, CASE WHEN i % 12 > 0 THEN 'number ' || (i * 37 % {ROWS}) END AS body "
            f"FROM range({ROWS}) r(i)"
        )
        yield con


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def query(algorithm: str, tail: str = "DESC LIMIT 5", select: str = "id, body") -> str:
    """The naive query for ``""``."""
    key = SCORE.format(f", ranking := '{algorithm}'" if algorithm else "")
    return f"SELECT {select} FROM t ORDER BY {key} {tail}"


def compared(model: ScriptedModel) -> list[Generate]:
    asked = [call for call in model.calls if isinstance(call, Generate)]
    return [call for call in asked if call.answer == ChoiceAnswer(("A", "B"), scores=True)]


@pytest.mark.parametrize("algorithm", COMPARING)
@pytest.mark.parametrize(
    "tail",
    ["DESC LIMIT 5", "LIMIT 4 OFFSET 3", "DESC NULLS FIRST LIMIT 7", "ASC NULLS LAST LIMIT 58", "DESC LIMIT 100"],
)
def test_the_first_rows_are_those_of_scores(
    con: anserdb.Connection, model: ScriptedModel, algorithm: str, tail: str
) -> None:
    ranked = rows(con, query(algorithm, tail, "body"))
    assert compared(model)
    assert ranked == rows(con, query("", tail, "body"))


@pytest.mark.parametrize("setting", ["default_order = 'desc'", "default_null_order = 'nulls_first'"])
def test_words_left_out_mean_what_the_settings_say(con: anserdb.Connection, setting: str) -> None:
    con.sql(f"SET {setting}")
    assert rows(con, query("refine", "LIMIT 8", "body")) == rows(con, query("", "LIMIT 8", "body"))


def test_pointwise_is_the_naive_plan(con: anserdb.Connection, model: ScriptedModel) -> None:
    assert rows(con, query("pointwise")) == rows(con, query(""))
    assert not compared(model)


def test_null_is_never_asked_and_equal_rows_once(con: anserdb.Connection, model: ScriptedModel) -> None:
    con.sql("CREATE OR REPLACE TABLE t AS SELECT i AS id, 'number ' || i % 4 AS body FROM range(40) r(i)")
    con.sql("INSERT INTO t VALUES (99, NULL)")
    assert [body for _, body in rows(con, query("quickselect", "DESC LIMIT 12"))] == ["number 3"] * 10 + [
        "number 2"
    ] * 2
    texts = [call.user for call in compared(model)]
    assert len(texts) == len(set(texts)) <= 3 + 4 * 3
    assert not any("None" in text or "NULL" in text for text in texts)


def test_places_that_nulls_take_are_not_asked_for(con: anserdb.Connection, model: ScriptedModel) -> None:
    assert rows(con, query("quickselect", "DESC NULLS FIRST LIMIT 5", "body")) == [(None,)] * 5
    assert not model.calls


def test_limit_0_asks_nothing(con: anserdb.Connection, model: ScriptedModel) -> None:
    assert rows(con, query("heap", "LIMIT 0")) == []
    assert not model.calls


@pytest.mark.parametrize("where", ["false", "body IS NULL"])
def test_nothing_to_compare_asks_nothing(con: anserdb.Connection, model: ScriptedModel, where: str) -> None:
    found = rows(con, f"SELECT id FROM (SELECT * FROM t WHERE {where}) t {query('refine').partition('FROM t ')[2]}")
    assert len(found) == (0 if where == "false" else 5)
    assert not model.calls


def test_a_place_is_worth_nothing_in_either_order(con: anserdb.Connection) -> None:
    con.sql("CREATE OR REPLACE TABLE t AS SELECT i AS id, 'number ' || i AS body FROM range(6) r(i)")
    ranked = [body for _, body in rows(con, query("quickselect", "DESC LIMIT 6"))]
    assert ranked == [f"number {n}" for n in reversed(range(6))]


@pytest.mark.parametrize("algorithm", ["refine", "tournament"])
def test_a_model_without_probabilities_says_which(algorithm: str) -> None:
    with anserdb.connect(":memory:", store=":memory:", llm_model="m") as con:
        rated = ScriptedModel([("Of which", larger), ("", rating)], capabilities=Capabilities(local=True))
        con.register_model("m", rated)
        con.sql("CREATE TABLE t AS SELECT i AS id, 'number ' || (i * 7 % 40) AS body FROM range(40) r(i)")
        assert rows(con, query(algorithm, "DESC LIMIT 3", "body")) == [("number 39",), ("number 38",), ("number 37",)]


def test_it_goes_with_filters_below_and_calls_beside(con: anserdb.Connection, model: ScriptedModel) -> None:
    key = SCORE.format(", ranking := 'refine'")
    found = rows(
        con,
        f"SELECT body, LLM_SCORE('is odd', body) > 0.5 AS odd FROM t WHERE LLM_SCORE('is small', body) > 0.9 "
        f"ORDER BY {key} LIMIT 3",
    )
    assert [body for body, _ in found] == ["number 22", "number 23", "number 25"]
    shown = {
        call.user
        for call in model.calls
        if isinstance(call, Generate) and "is odd" in call.user and "number" in call.user
    }
    assert len(shown) == 3  # only of the rows that are left


def test_a_subquery_is_ranked_by_itself(con: anserdb.Connection) -> None:
    inner = query("refine", "DESC LIMIT 3", "id, body")
    assert rows(con, f"SELECT count(*), max(id) FROM ({inner})") == rows(
        con, f"SELECT count(*), max(id) FROM ({query('', 'DESC LIMIT 3', 'id, body')})"
    )


def test_failed_comparisons_are_told_and_leave_the_rest(con: anserdb.Connection) -> None:
    lost = Fault(r"(?s)number 59.*number 5[78]|number 5[78].*number 59", ModelUnavailable("lost"), times=99)
    con.register_model("m2", modelled(faults=(lost,)))
    con.sql("SET llm_model = 'm2'; SET llm_max_retries = 0")
    result = con.sql(query("quickselect"))
    assert result is not None
    assert {body for _, body in result.fetchall()} <= {f"number {n}" for n in range(53, 60)}
    assert any("comparisons failed" in notice for notice in result.notices)


def test_a_failed_score_is_null_and_fail_fails(con: anserdb.Connection) -> None:
    con.register_model("m2", modelled(faults=(Fault(r"number 59", ModelUnavailable("lost"), times=99),)))
    con.sql("SET llm_model = 'm2'; SET llm_max_retries = 0")
    assert [body for (body,) in rows(con, query("refine", "DESC LIMIT 2", "body"))] == ["number 58", "number 57"]
    assert "lost" in str(rows(con, "SELECT error FROM llm_errors()"))
    with pytest.raises(ModelUnavailable, match="failed on input"):
        rows(con, query("refine").replace("ranking", "on_error := 'fail', ranking"))


def test_nobody_there_is_an_error(con: anserdb.Connection) -> None:
    con.register_model("dead", modelled(faults=(Fault("number", ModelUnavailable("nobody"), times=99),)))
    con.sql("SET llm_model = 'dead'; SET llm_max_retries = 0")
    with pytest.raises(ModelUnavailable, match="nobody"):
        rows(con, query("heap"))


def test_a_budget_ends_it(con: anserdb.Connection, model: ScriptedModel) -> None:
    con.sql("SET llm_max_calls = 70")
    with pytest.raises(BudgetExceeded):
        rows(con, query("refine"))
    assert len(model.calls) <= 70


def test_an_interrupt_ends_it(con: anserdb.Connection) -> None:
    gate = Gate("body: number", concurrency=4)
    con.register_model("gate", gate.model)
    con.sql("SET llm_model = 'gate'")
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            rows(con, query("quickselect"))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    gate.wait_for(4)
    con.interrupt()
    thread.join(60)
    assert [type(error) for error in raised] == [Interrupted]


def test_a_rerun_pays_nothing(con: anserdb.Connection, model: ScriptedModel) -> None:
    first, asked = rows(con, query("refine")), len(model.calls)
    assert rows(con, query("refine")) == first
    assert len(model.calls) == asked


def test_explain_says_how(con: anserdb.Connection) -> None:
    (planned,) = rows(con, f"EXPLAIN {query('refine')}")
    assert "first 5 by refine" in planned[-1]
    (ran,) = rows(con, f"EXPLAIN ANALYZE {query('refine')}")
    assert re.search(r"ranking: refine, \d+ questions in \d+ rounds", ran[-1])


def test_other_options_reach_comparisons(con: anserdb.Connection, model: ScriptedModel) -> None:
    rows(con, query("heap").replace("ranking", "seed := 7, instructions := 'Be strict.', ranking"))
    asked = compared(model)
    assert all(call.seed == 7 and call.system.endswith("Be strict.") for call in asked)


def test_a_constant_input_stands_once(con: anserdb.Connection, model: ScriptedModel) -> None:
    rows(con, "SELECT id FROM t ORDER BY LLM_RERANK('large ones', body, ranking := 'heap') DESC LIMIT 1")
    assert all(call.user.count("Query: large ones\nA text: ") == 1 for call in compared(model))


@pytest.mark.parametrize(
    ("source", "inputs", "mark"),
    [
        ("t", "body, id", "by shared prefix"),
        ("t, LATERAL LLM_SPLIT(t.body, 'words') AS s(part)", "s.part", "as they are written"),
    ],
)
def test_what_single_rows_are_marked_with_is_left_out(
    con: anserdb.Connection, source: str, inputs: str, mark: str
) -> None:
    con.register_model(
        "m2", ScriptedModel(capabilities=Capabilities(choice_scores=True, local=True, prefix_cache=True))
    )
    con.sql("SET llm_model = 'm2'")

    def planned(algorithm: str) -> str:
        key = f"LLM_SCORE('is large', {inputs}, ranking := '{algorithm}')"
        return str(rows(con, f"EXPLAIN SELECT id FROM {source} ORDER BY {key} LIMIT 3"))

    assert mark in planned("pointwise")
    assert mark not in planned("refine")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT id, {} AS s FROM t ORDER BY s DESC LIMIT 3", "its value is in the SELECT list"),
        ("SELECT id FROM t ORDER BY {} DESC", "there is no LIMIT"),
        ("SELECT id FROM t ORDER BY {} DESC, id LIMIT 3", "not the only key"),
        ("SELECT id FROM t ORDER BY id, {} DESC LIMIT 3", "not the only key"),
        ("SELECT id FROM t ORDER BY -{} LIMIT 3", "not the only key"),
        ("SELECT id FROM t WHERE {} > 0.5 ORDER BY id LIMIT 3", "not the only key"),
        ("SELECT DISTINCT id, body FROM t ORDER BY {} LIMIT 3", "many rows at once"),
        ("SELECT id FROM t ORDER BY CASE WHEN id > 3 THEN {} END LIMIT 3", "not the only key"),
        ("SELECT (SELECT {} FROM (SELECT t.id)) FROM t", "stay in its text"),
        ("UPDATE t SET id = 1 WHERE {} > 0.5", "stay in its text"),
    ],
)
def test_where_it_does_not_apply_it_says_why(con: anserdb.Connection, statement: str, reason: str) -> None:
    with pytest.raises(BindError, match=f"ranking := 'refine' does not apply: .*{reason}"):
        con.sql(statement.format(SCORE.format(", ranking := 'refine'")))


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("batch_rows := 4", "several rows in a prompt"),
        ("on_error := 'details'", "on_error is 'details'"),
        ("examples := [{input: 'a', output: 1}]", "examples show"),
    ],
)
def test_options_that_comparisons_have_no_use_for(con: anserdb.Connection, option: str, reason: str) -> None:
    with pytest.raises(BindError, match=reason):
        con.sql(query("refine").replace("ranking", f"{option}, ranking"))


def test_only_known_rankings(con: anserdb.Connection) -> None:
    with pytest.raises(BindError, match="'pointwise', 'refine', 'quickselect', 'heap' or 'tournament'"):
        con.sql(query("bubble"))


@pytest.mark.parametrize(("algorithm", "most"), [("refine", 110), ("quickselect", 165)])
def test_explain_counts_comparisons(con: anserdb.Connection, algorithm: str, most: int) -> None:
    con.sql("CREATE OR REPLACE TABLE t AS SELECT i AS id, 'number ' || i AS body FROM range(55) r(i)")
    (planned,) = rows(con, f"EXPLAIN {query(algorithm, 'DESC LIMIT 1')}")
    assert f"calls≈{most}" in planned[-1]
    assert f"at most, by {algorithm}" in planned[-1]
