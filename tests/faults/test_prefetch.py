"""PREFETCH when something fails: rows, the ledger, policies and budgets are those of EMBEDDED, and nothing is asked twice."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import duckdb
import pytest

import anserdb
from anserdb.engine.errors import BudgetExceeded, Interrupted, ModelError, ModelUnavailable
from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel

ROWS = 400
JOIN = "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.id AND LLM_COMPLETE('say', t.body) > '' ORDER BY ALL"
LAMBDA = "SELECT list_transform([body, body || '!'], lambda x: LLM_COMPLETE('say', x{options})) AS l FROM t ORDER BY id"
ONE_ROW = "SELECT id, (SELECT u.id FROM u WHERE u.id <= t.id AND LLM_COMPLETE('say', u.body) IS NULL) AS x FROM t"


def fails(text: str) -> bool:
    """One input in ten."""
    return text.rstrip("!").endswith("7")


def _said(request: Request) -> str:
    assert isinstance(request, Generate)
    return f"said {request.user}"


def model(*rules: Any, **options: Any) -> ScriptedModel:
    capabilities = Capabilities(local=True, concurrency=32)
    return ScriptedModel([*rules, ("", _said)], capabilities=capabilities, **options)


def failing(error: Exception) -> ScriptedModel:
    return model((fails, error))


def connected(model: ScriptedModel, *, prefetch: bool, **settings: Any) -> anserdb.Connection:
    """``t`` and ``u`` with a body for every number; every tenth ends in 7."""
    chosen: dict[str, Any] = {"llm_model": "m", "llm_cache": False, "llm_max_error_ratio": 1.0, **settings}
    made = anserdb.connect(duckdb.connect(config={"threads": 1}), store=":memory:", **chosen)
    made.settings.assign("llm_disabled_rules", "" if prefetch else "prefetch")
    made.register_model("m", model)
    for name in ("t", "u"):
        made.sql(f"CREATE TABLE {name} AS SELECT i AS id, 'text ' || (i % 80) AS body FROM range({ROWS}) r(i)")
    return made


def both(sql: str, make: Any, **settings: Any) -> list[tuple[Any, ...]]:
    """What comes of a statement with and without the rule: rows or the error, the ledger, notices, counters, questions."""
    found = []
    for prefetch in (True, False):
        asked = make()
        with connected(asked, prefetch=prefetch, **settings) as con:
            mode = con.explain(sql).split()[1]
            assert mode == ("PREFETCH" if prefetch else "EMBEDDED")
            try:
                result = con.sql(sql)
                assert result is not None
                rows: Any = result.fetchall()
                notices = result.notices
            except anserdb.Error as error:
                rows, notices = f"{type(error).__name__}: {error}", []
            ledger = con.execute("SELECT row_number, error FROM llm_errors() ORDER BY ALL").fetchall()
            found.append((rows, notices, ledger, asked))
    return found


@pytest.mark.parametrize("options", ["", ", on_error := 'details'"])
def test_failed_rows_are_counted_as_rows(options: str) -> None:
    (rows, notices, ledger, asked), (other, others, other_ledger, embedded) = both(
        LAMBDA.format(options=options), lambda: failing(ModelError("no", "m"))
    )
    assert rows == other
    assert notices == others != []
    assert ledger == other_ledger
    assert len(ledger) == 2 * ROWS // 10
    questions = Counter(asked.calls)
    assert set(questions) == set(embedded.calls)
    assert max(questions.values()) == 1


def test_the_first_failure_fails_the_statement_with_the_same_words() -> None:
    (said, *_), (other, *_) = both(JOIN, lambda: failing(ModelError("no", "m")), llm_on_error="fail")
    assert said == other
    assert "1:LLM_COMPLETE failed on input 'text 7'" in said


def test_rows_that_share_an_input_are_counted_as_such() -> None:
    with connected(model(), prefetch=True, llm_cache=True) as con:
        for figures in ("rows=800 calls=160 cached=0 shared=640", "rows=800 calls=0 cached=160 shared=640"):
            assert figures in str(con.explain(LAMBDA.format(options=""), analyze=True))


def test_too_many_failures_end_it_before_all_is_asked() -> None:
    sql = JOIN.replace("t.body)", "t.body || t.id)")
    (said, _, _, asked), (other, *_) = both(
        sql, lambda: model((lambda text: "9" not in text, ModelError("no", "m"))), llm_max_error_ratio=0.3
    )
    assert "more than llm_max_error_ratio" in said
    assert "more than llm_max_error_ratio" in other
    assert len(asked.calls) < ROWS


@pytest.mark.usefixtures("short_backoff")
def test_where_nobody_listens_it_is_said_after_few_requests() -> None:
    (said, _, _, asked), (other, *_) = both(JOIN, lambda: model((lambda _: True, ModelUnavailable("nobody", "m"))))
    assert said == other
    assert "nobody" in said
    assert len(set(asked.calls)) <= 80


def test_a_budget_holds_and_the_next_run_goes_on() -> None:
    asked = model()
    with connected(asked, prefetch=True, llm_max_calls=30, llm_cache=True) as con:
        with pytest.raises(BudgetExceeded):
            con.execute(JOIN).fetchall()
        assert len(asked.calls) == 30
        con.settings.assign("llm_max_calls", None)
        con.execute(JOIN).fetchall()
    assert Counter(asked.calls) == Counter(set(asked.calls))
    assert len(asked.calls) == 80


def test_it_can_be_stopped_while_it_asks_and_the_connection_stays_usable() -> None:
    began = threading.Event()

    async def forever(_: Request) -> None:
        began.set()
        await asyncio.Event().wait()

    asked = model(delay=forever)
    with connected(asked, prefetch=True) as con:
        stopper = threading.Thread(target=lambda: (began.wait(30), con.interrupt()))
        stopper.start()
        with pytest.raises(Interrupted):
            con.execute(JOIN).fetchall()
        stopper.join()
        assert asked.in_flight == 0
        assert con.execute("SELECT count(*) FROM t").fetchall() == [(ROWS,)]


def test_an_error_that_only_the_first_run_meets_does_no_harm() -> None:
    (rows, _, _, asked), (other, _, _, embedded) = both(ONE_ROW, model)
    assert rows == other == [(i, None) for i in range(ROWS)]
    assert Counter(asked.calls) == Counter(embedded.calls)


def test_within_a_transaction_there_is_no_first_run_that_could_end_it() -> None:
    asked = model()
    with connected(asked, prefetch=True) as con:
        con.sql("BEGIN")
        con.sql("DELETE FROM t WHERE id > 2")
        assert "an error of its first run would end the transaction" in con.explain(ONE_ROW)
        assert con.execute(ONE_ROW).fetchall() == [(i, None) for i in range(3)]
        con.sql("ROLLBACK")
        assert "PREFETCH" in con.explain(ONE_ROW)


def test_more_inputs_than_there_is_room_for_are_asked_by_the_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anserdb.engine.physical.inputs.Inputs.__init__.__defaults__", (50, 1 << 20))
    (rows, _, _, asked), (other, _, _, embedded) = both(JOIN, model)
    assert rows == other
    assert Counter(asked.calls) == Counter(embedded.calls)


def test_equal_inputs_are_one_call_when_the_answers_have_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anserdb.engine.physical.prefetch_asking.MOST_ANSWER_BYTES", 500)
    (rows, _, _, asked), (other, _, _, embedded) = both(JOIN, model)
    assert rows == other
    assert Counter(asked.calls) == Counter(embedded.calls)


def test_rows_that_share_prompts_share_them_beforehand() -> None:
    sql = JOIN.replace("t.body)", "t.body, batch_rows := 8)")
    (rows, _, _, asked), (other, _, _, embedded) = both(
        sql, lambda: ScriptedModel(capabilities=Capabilities(local=True, concurrency=4))
    )
    assert len(rows) == len(other) == ROWS
    assert len(asked.calls) <= len(embedded.calls)
