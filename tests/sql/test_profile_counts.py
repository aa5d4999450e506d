"""What profiles teach: rows count once however often they are profiled, prompts for several calls are compared, too."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import anserdb
from anserdb.engine.physical import stages
from anserdb.engine.physical.arm_notes import arm_lines
from anserdb.engine.physical.operators.call_stage import Armed
from anserdb.engine.plan.nodes import Arms
from anserdb.optimizer.search.bounds import Proof
from anserdb.optimizer.search.chooser import DELTA, Chooser
from anserdb.udfs.models.base import Capabilities
from anserdb.udfs.models.scripted import ScriptedModel
from benchmarks.server import LoopbackServer
from benchmarks.server import Profile as BenchProfile

from .test_merged_calls import BOTH, said

ROWS = 80
COLOUR, SHADE = "LLM_CLASSIFY(body, ['red', 'blue'])", "LLM_CLASSIFY(body, ['pale', 'dark'])"
ONE, TWO = f"SELECT id, {COLOUR} AS c FROM t", f"SELECT id, {COLOUR} AS c, {SHADE} AS s FROM t"


@pytest.fixture
def con(tmp_path: Path) -> Any:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="dear") as con:
        for name in ("dear", "good"):
            con.register_model(name, ScriptedModel(capabilities=Capabilities(), seed=len(name), name=name))
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({ROWS}) r(i)")
        con.sql("SET llm_profile_rows = 40; SET llm_candidate_models = 'good'")
        yield con


def dicts(con: anserdb.Connection, query: str) -> list[dict[str, Any]]:
    result = con.sql(query)
    assert result is not None
    return result.arrow().to_pylist()


def counted(con: anserdb.Connection) -> dict[tuple[str, str, str, str], tuple[float, ...]]:
    columns = "inputs", "rows", "compared", "agreement"
    found = dicts(con, "SELECT * FROM llm_statistics()")
    return {
        (row["function"], row["instruction"], row["model"], row["arm"]): tuple(row[name] for name in columns)
        for row in found
    }


@pytest.mark.parametrize("cache", ["true", "false"])
@pytest.mark.parametrize("query", [ONE, TWO])
def test_rows_count_once_however_often_they_are_profiled(con: anserdb.Connection, query: str, cache: str) -> None:
    con.sql(f"SET llm_cache = {cache}")
    dicts(con, f"PROFILE {query}")
    once = counted(con)
    assert any(arm and compared == 40 for (*_, arm), (_, _, compared, _) in once.items())
    dicts(con, f"PROFILE {query}")
    assert counted(con) == once
    con.sql("SET llm_profile_rows = 50")
    dicts(con, f"PROFILE {query}")
    more = [compared for (*_, arm), (_, _, compared, _) in counted(con).items() if arm == "good"]
    assert max(more) == 50.0  # and 40 where what is known tells that it never will do


def test_an_arm_whose_answers_were_all_there_is_compared_all_the_same(con: anserdb.Connection) -> None:
    for model in ("dear", "good"):
        con.sql(f"SET llm_model = {model}")
        dicts(con, ONE)
    con.sql("SET llm_model = dear")
    dicts(con, f"PROFILE {ONE}")
    assert {compared for (*_, arm), (_, _, compared, _) in counted(con).items() if arm == "good"} == {40.0}


def test_one_prompt_for_two_calls_is_profiled_beside_each_alone(con: anserdb.Connection) -> None:
    con.sql("SET llm_candidate_models = 'dear'")
    found = {(row["call"], row["arm"]): row for row in dicts(con, f"PROFILE {TWO}")}
    both = found["1:LLM_CLASSIFY + 2:LLM_CLASSIFY", "dear, one prompt"]
    assert (both["rows"], both["agreement"] is None) == (40, False)
    assert both["agreement_low"] <= both["agreement"] <= both["agreement_high"]
    for call in ("1:LLM_CLASSIFY", "2:LLM_CLASSIFY"):
        assert found[call, "dear"]["rows"] == found[call, "dear, 8 rows a prompt"]["rows"] == 40
    (taught,) = [row for row in dicts(con, "SELECT * FROM llm_statistics()") if row["arm"] == "dear, one prompt"]
    assert (taught["compared"], taught["agreement"]) == (40.0, pytest.approx(both["agreement"]))
    assert taught["function"] == "LLM_CLASSIFY + LLM_CLASSIFY"
    con.sql("SET llm_disabled_rules = 'merged_calls'")
    assert {row["call"] for row in dicts(con, f"PROFILE {TWO}")} == {"1:LLM_CLASSIFY", "2:LLM_CLASSIFY"}


def test_calls_of_a_plan_share_the_probability_of_being_wrong(
    con: anserdb.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[float] = []

    class Noted(Chooser):
        def __post_init__(self) -> None:
            super().__post_init__()
            made.append(self.delta)

    monkeypatch.setattr(stages, "Chooser", Noted)
    con.sql("SET llm_min_quality = 0.9; SET llm_disabled_rules = 'merged_calls'")
    dicts(con, TWO)
    assert made == [DELTA / 2] * 2


def test_an_arm_that_is_out_proves_nothing() -> None:
    chooser = Chooser(2, lambda: [1.0, 0.1], lambda: 0.1, lambda _: None)
    tally = chooser.tallies[1]
    tally.certified = Proof([0.1], 0.05)
    for _ in range(100):
        tally.see(1.0, "a", "a")
    nobody: Any = None
    stage: Any = SimpleNamespace(written=None)
    armed = Armed(("dear", "good"), (stage,), chooser, nobody, nobody, nobody)
    call: Any = SimpleNamespace(arms=Arms((), "cost", 0.1, 1), top_k=None)
    assert "which proves ≥ 90%" in arm_lines(armed, call, ran=True)[-1]
    tally.why = "disagreed in audits"
    line = arm_lines(armed, call, ran=True)[-1]
    assert "out: disagreed in audits" in line
    assert "proves" not in line


def test_one_prompt_for_two_calls_is_a_plan_to_choose(tmp_path: Path) -> None:
    with (
        LoopbackServer(BenchProfile("m", price_in=1.0, price_out=1.0), answer=said(lambda *_: None)) as server,
        anserdb.connect(store=tmp_path / "s.anser", llm_model="m", llm_concurrency=16) as con,
    ):
        con.sql(f"CREATE MODEL m USING openai (model 'm', base_url '{server.base_url}', price_in 1.0, price_out 1.0)")
        con.sql(
            "CREATE TABLE t AS SELECT i AS id, repeat('some words of ' || i || ' ', 50) AS body FROM range(80) r(i)"
        )
        con.sql("SET llm_profile_rows = 60; SET llm_candidate_models = 'm'")
        dicts(con, f"PROFILE {BOTH}")
        alone, one = "1:LLM_EXTRACT by m, 2:LLM_EXTRACT by m", "1:LLM_EXTRACT + 2:LLM_EXTRACT by m, one prompt"
        plans = {row["arms"].replace("; ", ", "): row for row in dicts(con, f"SHOW FRONTIER FOR {BOTH}")}
        assert plans[one]["usd"] < 0.75 * plans[alone]["usd"]
        assert plans[one]["quality"] > 0.9
        assert plans[alone]["chosen"]
        con.sql("SET llm_min_quality = 0.8")
        assert [row["arms"] for row in dicts(con, f"SHOW FRONTIER FOR {BOTH}") if row["chosen"]] == [one]
        assert one in con.explain(BOTH)
