"""``SET llm_router = 'bandit'``: whole queries against a simulated server with a bill, whose small model is right the surer it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError
from anserdb.engine.physical.operators.routed import WeighingAsker
from benchmarks.server import LoopbackServer, Profile
from benchmarks.server.asked import asked_choices, user_text
from tests.sql.test_arms import chance, rows

ROWS = 480
CALL = "LLM_CLASSIFY(body, ['red', 'green', 'blue'])"
QUERY = f"SELECT id, {CALL} AS colour FROM t ORDER BY id"
PRICES = (("dear", 10.0, 40.0), ("small", 0.5, 2.0), ("poison", 0.1, 0.4))


def answer(body: dict[str, Any]) -> Any:
    """The dear model's answer is the truth; the small one errs where it is not sure, and another always, surely."""
    text, model = user_text(body), body["model"]
    choices = sorted(asked_choices(body) or ())
    at, sure = int(chance(text, "truth") * len(choices)), 5.0 * chance(text, "sure")
    if model == "poison" or (model == "small" and chance(text, model) < 0.5 * math.exp(-2.0 * sure)):
        at = (at + 1) % len(choices)
    sure = 5.0 if model == "poison" else sure
    return {name: -0.01 if n == at else -0.02 - sure for n, name in enumerate(choices)}


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    profiles = [Profile(name, price_in=price_in, price_out=price_out) for name, price_in, price_out in PRICES]
    with LoopbackServer(*profiles, answer=answer) as server:
        yield server


@pytest.fixture
def con(server: LoopbackServer, tmp_path: Path) -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="dear", llm_concurrency=8) as con:
        for name, price_in, price_out in PRICES:
            con.sql(
                f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
                f"price_in {price_in}, price_out {price_out}, logprobs true)"
            )
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({ROWS}) r(i)")
        con.sql("SET llm_candidate_models = 'small'")
        yield con


def routed(con: anserdb.Connection, quality: float = 0.85) -> None:
    con.sql(f"SET llm_min_quality = {quality}; SET llm_router = 'bandit'")


def by(server: LoopbackServer, model: str) -> int:
    return sum(body["model"] == model for body in server.stats.bodies)


def explained(con: anserdb.Connection, query: str = QUERY) -> str:
    return "\n".join(str(line) for (line,) in rows(con, f"EXPLAIN ANALYZE {query}"))


def test_money_is_saved_quality_kept_and_a_rerun_asks_nothing(con: anserdb.Connection, server: LoopbackServer) -> None:
    routed(con)
    first, asked = rows(con), len(server.stats.bodies)
    assert by(server, "dear") < 0.75 * ROWS
    assert rows(con) == first
    assert len(server.stats.bodies) == asked
    con.sql("SET llm_router = 'none'; SET llm_min_quality = NULL")
    assert sum(map(tuple.__eq__, rows(con), first)) >= 0.85 * ROWS


def test_nobody_is_routed_without_permission(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("SET llm_router = 'bandit'")
    rows(con)
    assert by(server, "small") == 0


def test_analyze_shows_the_split_by_fifths_audits_and_regret(con: anserdb.Connection) -> None:
    routed(con)
    said = explained(con)
    assert "routing: by the row, small or dear; agreement ≥ 85.0% with dear" in said
    assert "routing: rows 1 to 96: dear" in said
    assert "routing: rows 385 to 480:" in said
    assert "by a one-sided 97.5% bound" in said
    assert "routing: regret" in said


def test_a_poisoned_model_answers_nothing(con: anserdb.Connection, server: LoopbackServer) -> None:
    rows_of_reference = rows(con)
    con.sql("SET llm_candidate_models = 'poison'")
    routed(con, 0.9)
    assert rows(con) == rows_of_reference
    assert by(server, "poison") < 300


def test_a_model_that_is_not_there_is_nobodys_loss(con: anserdb.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = rows(con)
    asked, ask = list[Any](), WeighingAsker.ask

    def counted(self: WeighingAsker, values: Any, emit: Any) -> Any:
        asked.append(values)
        return ask(self, values, emit)

    monkeypatch.setattr(WeighingAsker, "ask", counted)
    con.sql(
        "CREATE MODEL gone USING openai (model 'gone', base_url 'http://127.0.0.1:9/v1', price_in 0.1, price_out 0.4)"
    )
    con.sql("SET llm_candidate_models = 'gone'; SET llm_max_retries = 0")
    routed(con)
    assert rows(con) == reference
    assert 0 < len(asked) < ROWS / 4, "to find out takes many requests, and once is enough"


def test_a_short_table_is_the_references(con: anserdb.Connection) -> None:
    query = QUERY.replace("ORDER", "WHERE id < 40 ORDER")
    reference = rows(con, query)
    routed(con, 0.5)
    assert rows(con, query) == reference


def test_feedback_of_the_user_decides_who_is_trusted(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql(
        "CREATE TABLE said AS SELECT body, LLM_CLASSIFY(body, ['red', 'green', 'blue'], model := 'small') AS k FROM t"
    )
    con.sql("CREATE TABLE gold AS SELECT body, CASE k WHEN 'red' THEN 'green' ELSE 'red' END AS label FROM said")
    given = rows(con, "CALL llm_feedback('gold', 'LLM_CLASSIFY(body, [''red'', ''green'', ''blue''])')")
    assert given == [(ROWS, ROWS)]
    reference = rows(con)
    routed(con)
    assert rows(con) == reference  # by the user's word the small model is always wrong


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("llm_feedback('nowhere', 'LLM_FILTER(''rude'', body)')", "nowhere"),
        ("llm_feedback('t', 'LLM_FILTER(''rude'', body)')", "no column label"),
        ("llm_feedback('gold', 'upper(body)')", "as it stands in your query"),
    ],
)
def test_feedback_that_cannot_be_read_is_refused(con: anserdb.Connection, call: str, message: str) -> None:
    con.sql("CREATE TABLE gold AS SELECT body, true AS label FROM t")
    with pytest.raises(BindError, match=message):
        con.sql(f"CALL {call}")
