"""ORDER BY a score LIMIT k with a cheap model as a screen: as without the rule where the screen is right, and as good as allowed where not."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BudgetExceeded
from anserdb.engine.physical.operators import top_k as operator
from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel

ROWS = 700


@pytest.fixture(autouse=True)
def priced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of the tests have no prices, and answer too fast for their times to say anything."""
    monkeypatch.setattr(operator, "_price", lambda _stage, _arm: 0.01)


def number(request: Request) -> int:
    assert isinstance(request, Generate)
    found = re.findall(r"number (\d+)", request.user)
    return int(found[-1]) if found else 0


def model(name: str, score: Callable[[int], float]) -> ScriptedModel:
    capabilities = Capabilities(choice_scores=False, local=True, concurrency=64)
    return ScriptedModel(
        [("", lambda request: f'{{"score": {score(number(request))}}}')], capabilities=capabilities, name=name
    )


SCREENS: dict[str, Callable[[int], float]] = {
    "the same order": lambda n: (n / 10_000) ** 2,
    "nearly": lambda n: min(1.0, max(0.0, n / 10_000 + Random(n).gauss(0, 0.03))),
    "nothing to do with it": lambda n: Random(n).random(),
    "one score for all": lambda _: 0.5,
    "answers that are no scores": lambda _: 7.0,
}


def table(seed: int) -> str:
    """Numbers, some of them twice, some rows NULL."""
    random = Random(seed)
    rows = (
        f"({at}, {at % 3}, {'NULL' if random.random() < 0.04 else repr('number ' + str(random.randrange(10_000)))})"
        for at in range(ROWS)
    )
    return f"CREATE TABLE t AS FROM (VALUES {', '.join(rows)}) AS v(id, kind, body)"


def connected(seed: int, screen: Callable[[int], float]) -> tuple[anserdb.Connection, ScriptedModel, ScriptedModel]:
    con = anserdb.connect(":memory:", store=":memory:", llm_model="reference", llm_cache=False)
    reference, cheap = model("reference", lambda n: n / 10_000), model("cheap", screen)
    con.register_model("reference", reference)
    con.register_model("cheap", cheap)
    con.sql(table(seed))
    con.sql(
        "SET llm_min_quality = 0.5; SET llm_screened_top_k = true; SET llm_candidate_models = 'cheap'; SET llm_max_error_ratio = 1"
    )
    return con, reference, cheap


def rows(con: anserdb.Connection, query: str, disabled: str) -> list[tuple[Any, ...]]:
    con.sql(f"SET llm_disabled_rules = '{disabled}'")
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def query(random: Random, limit: int) -> str:
    key, way = "LLM_SCORE('is large', body)", random.choice(("DESC", "ASC"))
    nulls = random.choice(("", " NULLS FIRST", " NULLS LAST"))
    skipped = random.choice(("", " OFFSET 2"))
    where = random.choice(("", "WHERE kind < 2 ", "WHERE id < 0 "))
    shown = random.choice((f"{key} AS s", "body"))
    by = "s" if shown.endswith(" s") else key
    return f"SELECT {shown} FROM t {where}ORDER BY {by} {way}{nulls} LIMIT {limit}{skipped}"


@pytest.mark.parametrize("seed", range(3))
def test_a_screen_in_the_same_order_changes_nothing(seed: int) -> None:
    random = Random(seed)
    con, _, _ = connected(seed, SCREENS["the same order"])
    with con:
        for limit in (1, 5, 12):
            sql = query(random, limit)
            assert rows(con, sql, "") == rows(con, sql, "screened_top_k"), sql


@pytest.mark.parametrize("name", SCREENS)
def test_enough_of_the_first_rows_are_found_whatever_the_screen_says(name: str) -> None:
    con, reference, cheap = connected(11, SCREENS[name])
    sql = "SELECT LLM_SCORE('is large', body) AS s FROM t ORDER BY s DESC NULLS LAST LIMIT 12"
    with con:
        found = rows(con, sql, "")
        asked, screened = len(reference.calls), len(cheap.calls)
        expected = rows(con, sql, "screened_top_k")
        every = len(reference.calls) - asked
    assert screened > 0
    assert len(set(found) & set(expected)) >= 0.5 * len(set(expected))
    assert (asked < 0.9 * every) == (name in ("the same order", "nearly"))
    if asked == every:
        assert found == expected


def test_equal_rows_are_asked_once_and_count_as_often_as_they_are_there() -> None:
    con, reference, _ = connected(2, SCREENS["the same order"])
    with con:
        con.sql("CREATE TABLE twice AS FROM t UNION ALL FROM t")
        sql = "SELECT id, LLM_SCORE('is large', body) AS s FROM twice ORDER BY s DESC LIMIT 12"
        found = rows(con, sql, "")
        assert len(reference.calls) < ROWS
        assert sorted(found) == sorted(rows(con, sql, "screened_top_k"))


def test_explain_names_the_screen_and_a_run_what_it_spared() -> None:
    con, _, _ = connected(3, SCREENS["nearly"])
    sql = "SELECT id FROM t ORDER BY LLM_SCORE('is large', body) DESC LIMIT 12"
    with con:
        (planned,) = rows(con, f"EXPLAIN {sql}", "")
        (ran,) = rows(con, f"EXPLAIN ANALYZE {sql}", "")
    assert "screened_top_k" in planned[-1]
    assert "cheap as a screen" in planned[-1]
    assert "screen, where it is proved to leave ≥ 50% of the first 12 rows by reference" in planned[-1]
    assert re.search(r"candidates of cheap as a screen and [\d,]+ of [\d,]+ others scored", ran[-1])


def test_a_budget_that_may_run_out_is_no_time_for_samples() -> None:
    con, _, cheap = connected(3, SCREENS["nearly"])
    with con:
        con.sql("SET llm_on_budget = 'partial'; SET llm_max_tokens = 10000000")
        rows(con, "SELECT id FROM t ORDER BY LLM_SCORE('is large', body) DESC LIMIT 12", "")
    assert not cheap.calls


def test_a_rerun_finds_all_answers_in_whatever_order_rows_come() -> None:
    con, reference, cheap = connected(5, SCREENS["nearly"])
    with con:
        con.sql("SET llm_cache = true")
        sql = "SELECT LLM_SCORE('is large', body) AS s FROM t ORDER BY s DESC LIMIT 12"
        found = rows(con, sql, "")
        asked = len(reference.calls), len(cheap.calls)
        assert rows(con, sql.replace("FROM t", "FROM (FROM t ORDER BY hash(id)) AS t"), "") == found
    assert (len(reference.calls), len(cheap.calls)) == asked


@pytest.mark.parametrize("most", [30, 300])
def test_a_cap_ends_the_query_whoever_is_asked(most: int) -> None:
    con, reference, cheap = connected(5, SCREENS["nearly"])
    with con:
        con.sql(f"SET llm_max_calls = {most}")
        with pytest.raises(BudgetExceeded):
            rows(con, "SELECT id FROM t ORDER BY LLM_SCORE('is large', body) DESC LIMIT 12", "")
    assert len(reference.calls) + len(cheap.calls) <= most
