"""Joins of which likely pairs are asked: whole queries with a scripted judge, beside the same queries that ask every pair."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from benchmarks.join_judge import block_of, judged

SIDE, NUMBERS = 60, 50
JOIN = "SELECT a.id, b.id FROM a JOIN b ON LLM_FILTER('the same product', a.name, b.title)"
TABLES = f"""
CREATE TABLE a AS SELECT i AS id, 'gadget mark ' || (1000 + i % {NUMBERS}) || ' in grey' AS name FROM range({SIDE}) r(i);
INSERT INTO a VALUES (-1, NULL), (-2, NULL);
CREATE TABLE b AS SELECT i AS id, 'mark ' || (1000 + i) || ' of that gadget' AS title FROM range({SIDE}) r(i);
INSERT INTO b VALUES (-1, NULL), (-2, 'mark 1003 of that gadget'), (-3, 'a 1007, also called thing');
"""


class Judge(ScriptedModel):
    """Yes if both say the same number; it keeps what it was asked, and fails for some numbers."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.blocks: list[str] = []
        self.fails = ""
        capabilities = Capabilities(choice_scores=False, concurrency=64)
        super().__init__([(lambda _: True, self._said)], capabilities=capabilities, name="judge")

    def _said(self, request: Request) -> str:
        assert isinstance(request, Generate)
        alone = block_of(request.user) is None
        (self.asked if alone else self.blocks).append(request.user)
        return judged(request.user, self._same)

    def _same(self, left: str, right: str, pairs: int) -> bool:
        (first,), (second,) = re.findall(r"\d{4}", left), re.findall(r"\d{4}", right)
        if self.fails and self.fails in (first, second) and pairs == 1:
            raise ModelError("It cannot be said.")
        return first == second


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def con(judge: Judge, tmp_path: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser") as con:
        con.register_model("judge", judge)
        con.sql(
            "SET llm_model = 'judge'; SET llm_cache = false; SET llm_disabled_rules = 'arms, join_classification, join_keys'"
        )
        con.sql(TABLES)
        yield con


def rows(con: anserdb.Connection, query: str = JOIN) -> Counter[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return Counter(result.fetchall())


def test_the_same_rows_of_few_questions_with_nulls_and_duplicates(con: anserdb.Connection, judge: Judge) -> None:
    every = rows(con)
    asked = len(judge.asked)
    assert every[(3, -2)] == every[(53, -2)] == every[(3, 3)] == 1, "duplicates multiply"
    con.sql("SET llm_min_quality = 0.6")
    judge.asked.clear()
    assert rows(con) == every, "all matches have their number in common"
    assert len(judge.asked) == len(set(judge.asked)) < asked / 2


def test_without_permission_every_pair_is_asked(con: anserdb.Connection, judge: Judge) -> None:
    rows(con)
    assert len(set(judge.asked)) == NUMBERS * (SIDE + 1)


def test_further_conditions_hold_and_rows_keep_their_order(con: anserdb.Connection) -> None:
    query = f"{JOIN} AND a.id > 10 WHERE b.id % 2 = 1"
    every = list(rows(con, query))
    con.sql("SET llm_min_quality = 0.5")
    found = list(rows(con, query))
    assert found == [row for row in every if row in found]
    assert len(found) >= len(every) / 2


WAYS = {
    True: r"likely ones alone, all in ([\d,]+) blocks.*and ([\d,]+) others that blocks named.*if blocks overlook no larger share",
    False: r"blocking by ()shared words.*and ([\d,]+) sampled from the others.*\(δ = [\d.]+\)$",
}


@pytest.mark.parametrize("in_blocks", [True, False])
def test_explain_analyze_says_what_was_asked_and_proved(con: anserdb.Connection, judge: Judge, in_blocks: bool) -> None:
    con.sql("SET llm_min_quality = 0.6")
    # A condition that comes with the row cannot be asked of many pairs at once.
    join = JOIN if in_blocks else JOIN.replace("'the same product', a.name", "'Is it ' || a.name || '?'")
    ((explained,),) = rows(con, f"EXPLAIN ANALYZE {join}")
    line = next(line for line in explained.splitlines() if "join:" in line)
    found = re.search(r"of ([\d,]+) distinct pairs ([\d,]+) candidates.*recall ≥ ([\d.]+)%", line)
    way = re.search(WAYS[in_blocks], line)
    assert found is not None, line
    assert way is not None, line
    pairs, candidates, others, blocks = (
        int((n or "0").replace(",", "")) for n in (*found.groups()[:2], way[2], way[1])
    )
    assert pairs == NUMBERS * (SIDE + 1)
    assert candidates + others == len(judge.asked)
    assert blocks == len(judge.blocks)
    assert bool(blocks) == in_blocks
    assert 60 <= float(found[3]) <= 100
    assert "semantic_join" in explained


def test_a_pair_that_fails_is_null_and_in_the_ledger(con: anserdb.Connection, judge: Judge) -> None:
    con.sql("SET llm_min_quality = 0.6; SET llm_max_retries = 0; SET llm_max_error_ratio = 1")
    judge.fails = "1005"
    found = rows(con)
    assert not [pair for pair in found if pair[0] in (5, 55) or pair[1] == 5]
    assert found[(3, 3)] == 1
    assert rows(con, "SELECT count(*) > 0 FROM llm_errors()") == {(True,): 1}


@pytest.mark.parametrize("where", ["a.id < 0", "a.id < 3"])
def test_few_pairs_are_all_asked(con: anserdb.Connection, judge: Judge, where: str) -> None:
    every = rows(con, f"{JOIN} WHERE {where}")
    asked = sorted(judge.asked)
    con.sql("SET llm_min_quality = 0.5")
    judge.asked.clear()
    assert rows(con, f"{JOIN} WHERE {where}") == every
    assert sorted(judge.asked) == asked


def test_a_left_join_keeps_rows_without_a_partner(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.5")
    query = JOIN.replace("JOIN", "LEFT JOIN") + " WHERE a.id IN (-1, 3)"
    assert rows(con, query.replace(" FROM a ", " FROM (FROM a WHERE id < 5) a ")) == {
        (3, 3): 1,
        (3, -2): 1,
        (-1, None): 1,
    }


def test_a_limit_stops_early_as_ever(con: anserdb.Connection, judge: Judge) -> None:
    con.sql("SET llm_min_quality = 0.5")
    assert rows(con, f"{JOIN} LIMIT 1").total() == 1
    assert len(judge.asked) < 1_000
