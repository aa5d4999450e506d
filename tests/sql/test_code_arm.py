"""A model writes an SQL expression that answers in its place, where that is proved: whole queries against a simulated server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.engine.physical import expression_answers, expression_check
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from benchmarks.server import LoopbackServer
from benchmarks.server.answers import scripted_answer
from benchmarks.server.asked import asked_choices, asked_schema, user_text

from .test_arm_kinds import explained, sure, world
from .test_arms import rows

ROWS = 240
KINDS = ("please refund order", "where is my parcel", "thank you, all is well,")
BODY = f"CASE i % 3 {' '.join(f'WHEN {n} THEN {kind!r}' for n, kind in enumerate(KINDS))} END || ' number ' || i"
FILTER = "SELECT id FROM t WHERE LLM_FILTER('the customer wants money back', body) ORDER BY id"
CLASSIFY = "SELECT id, LLM_CLASSIFY(body, ['Complaint', 'Question', 'Praise']) AS kind FROM t ORDER BY id"
LABELS = ("Complaint", "Question", "Praise")
KEPT = [(i,) for i in range(ROWS) if i % 3 == 0]
CLASSES = [(i, LABELS[i % 3]) for i in range(ROWS)]
REFUND = "contains(body, 'refund')"


def truth(text: str, choices: Sequence[str]) -> str | None:
    """What the model says of a row; of a prompt without one it says nothing."""
    if "no refund" in text:
        return "No"
    kind = next((number for number, words in enumerate(KINDS) if words in text), None)
    if kind is None:
        return None
    return choices[kind] if len(choices) == 3 else "No" if kind else "Yes"


class Server:
    """Answers rows truly, and writes these expressions, one a request."""

    def __init__(self, *expressions: str) -> None:
        self.expressions, self.written = expressions, 0

    def __call__(self, body: dict[str, Any]) -> Any:
        text, choices = user_text(body), asked_choices(body)
        if "SQL expression" in str(body["messages"][0]["content"]):
            self.written += 1
            return self.expressions[min(self.written, len(self.expressions)) - 1]
        if "number" in (asked_schema(body) or {}).get("properties", {}):
            return json.dumps({"kind": text.split()[1], "number": int(text.split()[-1])})
        if choices is None:
            return scripted_answer(body)  # rows that share a prompt, of which it makes nothing
        said = truth(text.rpartition("\n\n")[2], choices)
        return dict.fromkeys(choices, -1.0) if said is None else sure(said, choices)


@contextmanager
def shop(tmp_path: Path, *expressions: str) -> Iterator[tuple[anserdb.Connection, LoopbackServer, Server]]:
    model = Server(*expressions)
    with world(tmp_path, model, [], body=BODY, size=ROWS) as (con, server):
        con.sql("SET llm_code_arms = true")
        yield con, server, model


def test_it_is_off_unless_it_is_allowed(tmp_path: Path) -> None:
    with shop(tmp_path, REFUND) as (con, _, model):
        con.sql("RESET llm_code_arms")
        assert "SQL written by" not in explained(con, FILTER)
        con.sql("SET llm_code_arms = true; RESET llm_min_quality")
        assert rows(con, FILTER) == KEPT
        assert not model.written


@pytest.mark.parametrize(
    ("query", "expression", "expected"),
    [
        (FILTER, REFUND, KEPT),
        (FILTER, "```sql\nSELECT body ILIKE '%REFUND%';\n```", KEPT),
        (
            CLASSIFY,
            "CASE WHEN contains(body, 'refund') THEN 'complaint' WHEN contains(body, 'where') THEN 'QUESTION' ELSE 'Praise' END",
            CLASSES,
        ),
    ],
)
def test_a_right_expression_serves_once_it_is_proved(
    query: str, expression: str, expected: list[Any], tmp_path: Path
) -> None:
    with shop(tmp_path, expression) as (con, server, model):
        text = explained(con, query)
        assert (model.written, server.stats.requests < ROWS / 2) == (1, True), text
        assert "arm SQL written by dear: serves" in text
        assert "which proves ≥ 90%" in text
        printed = next(
            line for line in text.splitlines() if "arm SQL written by dear: " in line and "serves" not in line
        )
        assert "refund" in printed.lower()
        paid, sql = server.stats.requests, printed.partition("dear: ")[2]
        assert rows(con, query) == expected
        again = explained(con, query)
        assert server.stats.requests == paid  # a rerun asks nothing
        assert f"arm SQL written by dear: {sql}: serves" in again  # what was proved is taken as it is


def test_what_was_proved_is_taken_by_other_queries(tmp_path: Path) -> None:
    with shop(tmp_path, REFUND, "FALSE") as (con, server, model):
        rows(con, FILTER.replace("WHERE", "WHERE id < 200 AND"))
        paid = server.stats.requests
        found = rows(con, FILTER.replace("WHERE", "WHERE id >= 100 AND"))
        assert found == [row for row in KEPT if row[0] >= 100]
        assert (model.written, server.stats.requests - paid) == (1, 19)


def test_a_rerun_asks_nothing_though_another_model_would_do(tmp_path: Path) -> None:
    with world(tmp_path, Server(REFUND), ["small"], body=BODY, size=ROWS) as (con, server):
        con.sql("SET llm_code_arms = true")
        assert rows(con, FILTER) == KEPT
        paid = server.stats.requests
        assert rows(con, FILTER) == KEPT
        assert rows(con, FILTER) == KEPT
        assert server.stats.requests == paid


def test_what_may_no_longer_be_run_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shop(tmp_path, REFUND) as (con, _, model):
        rows(con, FILTER)
        monkeypatch.setattr(expression_check, "FUNCTIONS", frozenset(("lower",)))
        text = explained(con, FILTER)
        assert "out: the expression of an earlier query cannot be run: The function contains is not allowed" in text
        assert "arm dear: serves" in text
        assert rows(con, FILTER) == KEPT
        assert model.written == 1


def test_an_expression_that_becomes_slow_leaves_rows_to_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop(tmp_path, REFUND) as (con, _, _):
        rows(con, FILTER.replace("WHERE", "WHERE id < 200 AND"))
        real = expression_answers.ExpressionAnswers.open

        async def stop(self: Any) -> tuple[str, ...]:
            names = await real(self)
            self.stopped = True
            return names

        monkeypatch.setattr(expression_answers.ExpressionAnswers, "open", stop)
        text = explained(con, FILTER)
        assert "It takes longer than 10 seconds. The reference is asked instead." in text
        assert rows(con, FILTER) == KEPT


def test_rows_that_changed_are_compared_anew(tmp_path: Path) -> None:
    """The table has another content: what was proved of the one before is forgotten in the first wave."""
    with shop(tmp_path, REFUND) as (con, _, _):
        rows(con, FILTER)
        con.sql(
            f"CREATE OR REPLACE TABLE t AS SELECT i AS id, 'no refund: where is my parcel ' || i AS body FROM range({ROWS}) r(i)"
        )
        assert "rows an arm agreed less than in earlier runs" in explained(con, FILTER)
        assert rows(con, FILTER) == []


def test_fields_are_extracted(tmp_path: Path) -> None:
    query = "SELECT id, LLM_EXTRACT(body, {kind: 'VARCHAR', number: 'INTEGER'}) AS found FROM t ORDER BY id"
    said = "{'kind': split_part(body, ' ', 1), 'number': CAST(regexp_extract(body, '[0-9]+$') AS INTEGER)}"
    with shop(tmp_path, said) as (con, server, _):
        words = [kind.split()[0] for kind in KINDS]
        assert rows(con, query) == [(i, {"kind": words[i % 3], "number": i}) for i in range(ROWS)]
        assert server.stats.requests < ROWS / 2


def test_rows_that_are_alike_are_answered_alike(tmp_path: Path) -> None:
    with shop(tmp_path, REFUND) as (con, server, _):
        con.sql("INSERT INTO t SELECT id, body FROM t WHERE id >= 120")
        assert rows(con, FILTER) == sorted(KEPT + [row for row in KEPT if row[0] >= 120])
        assert server.stats.requests < ROWS / 2


def test_rows_that_it_does_not_know_go_to_the_reference(tmp_path: Path) -> None:
    with shop(tmp_path, f"CASE WHEN {REFUND} THEN TRUE WHEN contains(body, 'thank') THEN FALSE END") as (
        con,
        server,
        _,
    ):
        assert rows(con, FILTER) == KEPT
        assert ROWS / 3 < server.stats.requests < 0.75 * ROWS


def test_an_expression_that_only_fits_the_rows_shown_never_serves(tmp_path: Path) -> None:
    """It is written from the first 16 rows, and proved on others."""
    learnt = f"CAST(regexp_extract(body, '[0-9]+') AS INTEGER) < 16 AND {REFUND}"
    with shop(tmp_path, learnt) as (con, _, model):
        text = explained(con, FILTER)
        assert model.written == 1
        assert "SQL written by dear: serves" not in text
        assert "out: agrees in" in text
        assert rows(con, FILTER) == KEPT


def test_a_wrong_expression_is_corrected_once(tmp_path: Path) -> None:
    with shop(tmp_path, "contains(body, 'parcel')", REFUND) as (con, server, model):
        assert rows(con, FILTER) == KEPT
        assert (model.written, server.stats.requests < ROWS / 2) == (2, True)
        (again,) = [b for b in server.stats.bodies if "What is wrong with it" in user_text(b)]
        assert "contains(body, 'parcel')" in user_text(again)


@pytest.mark.parametrize(
    ("said", "note"),
    [
        ("contains(body, 'parcel')", "the expression is right in"),
        ("(SELECT content FROM read_text('/etc/passwd')) IS NULL", "no expression can be run: SUBQUERY is not allowed"),
        ("", "no expression can be run"),
        ("length(body)", "no expression can be run: Its type is"),
        ("CAST(NULL AS BOOLEAN)", "the expression is right in 0"),
    ],
)
def test_what_cannot_serve_does_no_harm(said: str, note: str, tmp_path: Path) -> None:
    with shop(tmp_path, said) as (con, server, model):
        assert rows(con, FILTER) == KEPT
        assert model.written == 2
        paid = server.stats.requests
        assert note in (text := explained(con, FILTER)), text
        assert server.stats.requests == paid


def test_rows_without_a_text_are_null(tmp_path: Path) -> None:
    query = "SELECT id, LLM_FILTER('the customer wants money back', body) AS back FROM t ORDER BY id"
    with shop(tmp_path, f"{REFUND} OR body IS NULL") as (con, server, _):
        con.sql("UPDATE t SET body = NULL WHERE id % 5 = 0")
        assert rows(con, query) == [(i, None if i % 5 == 0 else i % 3 == 0) for i in range(ROWS)]
        assert server.stats.requests < ROWS / 2


@pytest.mark.parametrize("limit", [1, 5, 60])
def test_a_limit_takes_the_first_rows(limit: int, tmp_path: Path) -> None:
    query = FILTER.replace(" ORDER BY id", f" LIMIT {limit}")
    with shop(tmp_path, REFUND) as (con, _, _):
        assert rows(con, query) == KEPT[:limit]


def test_few_rows_pay_for_no_expression(tmp_path: Path) -> None:
    with shop(tmp_path, REFUND) as (con, _, model):
        assert rows(con, FILTER.replace("WHERE", "WHERE id < 40 AND")) == KEPT[:14]
        assert not model.written


def test_a_profile_compares_it(tmp_path: Path) -> None:
    with shop(tmp_path, REFUND) as (con, _, model):
        con.sql("SET llm_profile_rows = 48")
        (row,) = [row for row in rows(con, f"PROFILE {FILTER}") if row[1] == "SQL written by dear"]
        assert row[2:4] == (32, 1.0)  # the other 16 it was written from
        assert REFUND in row[-1]
        assert model.written == 1
        (plan,) = rows(con, f"EXPLAIN {FILTER}")
        assert f"1:LLM_FILTER by SQL written by dear: {REFUND}; ($0." in plan[-1]


def test_a_model_that_fails_to_write_harms_nobody() -> None:
    def answer(request: Request) -> str:
        assert isinstance(request, Generate)
        if "SQL expression" in request.system:
            raise ModelError("It is not for me to write.", "m")
        choices = request.answer.choices if isinstance(request.answer, ChoiceAnswer) else ()
        return truth(request.user.rpartition("\n\n")[2], choices) or "No"

    model = ScriptedModel([(lambda _: True, answer)], capabilities=Capabilities(concurrency=8), name="m")
    with anserdb.connect(store=":memory:", llm_model="m") as con:
        con.register_model("m", model)
        con.sql(f"CREATE TABLE t AS SELECT i AS id, {BODY} AS body FROM range({ROWS}) r(i)")
        con.sql("SET llm_min_quality = 0.9; SET llm_code_arms = true")
        text = explained(con, FILTER)
        assert "the model wrote none: It is not for me to write." in text, text
        assert rows(con, FILTER) == KEPT
