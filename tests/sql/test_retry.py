"""``CALL llm_retry('query id')``: exactly the failed rows are asked again; and what ``llm_errors()`` says of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

import anserdb
from anserdb.engine.errors import ModelError, ModelTimeout
from anserdb.engine.store import Store, StoredQuery, queries
from anserdb.udfs.models.scripted import Fault, ScriptedModel

QUERY = "SELECT id, LLM_COMPLETE('say', body) AS x FROM t ORDER BY id"


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


class Shop:
    """A table of ten rows, and a model that fails as often as it is told."""

    def __init__(self, store: Path | str = ":memory:", **settings: Any) -> None:
        self.con = anserdb.connect(store=store, llm_model="mine", **settings)
        self.con.sql("CREATE TABLE t AS SELECT i AS id, 'body ' || i || '.' AS body FROM range(10) r(i)")
        self.model = ScriptedModel()
        self.fail()

    def fail(self, *numbers: int, times: int = 1, error: Exception | None = None) -> None:
        """From now on the first ``times`` calls about these rows fail."""
        error = error or ModelError("the model is tired")
        faults = [Fault(rf"body {number}\.", error, times) for number in numbers]
        self.model = ScriptedModel(faults=faults)
        self.con.register_model("mine", self.model)

    def rows(self, query: str, params: Any = None) -> list[tuple[Any, ...]]:
        """What a statement returns."""
        result = self.con.sql(query, params)
        assert result is not None
        return result.fetchall()

    def last(self) -> str:
        """The query that failed last."""
        return str(self.rows("SELECT query_id FROM llm_errors() LIMIT 1")[0][0])

    def retry(self, query_id: str) -> tuple[list[tuple[Any, ...]], int]:
        """The result of a retry, and the calls it made."""
        before = len(self.model.calls)
        return self.rows(f"CALL llm_retry('{query_id}')"), len(self.model.calls) - before


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    with made.con:
        yield made


@pytest.mark.parametrize("failing", [(3,), (0, 4, 9), tuple(range(1, 10))])
def test_only_the_failed_rows_are_asked_again(shop: Shop, failing: tuple[int, ...]) -> None:
    shop.fail(*failing)
    first = shop.rows(QUERY)
    assert [number for number, x in first if x is None] == list(failing)
    full, calls = shop.retry(shop.last())
    assert calls == len(failing)
    assert [number for number, x in full if x is None] == []
    assert [row for row in full if row[0] not in failing] == [row for row in first if row[0] not in failing]
    assert shop.retry(shop.last()) == (full, 0)


def test_equal_failed_inputs_are_one_call(shop: Shop) -> None:
    shop.fail(3)
    query = "SELECT LLM_COMPLETE('say', body) AS x FROM (SELECT body FROM t UNION ALL SELECT body FROM t)"
    assert [x for (x,) in shop.rows(query)].count(None) == 2
    full, calls = shop.retry(shop.last())
    assert (len(full), calls) == (20, 1)


def test_calibration_is_not_paid_again(shop: Shop) -> None:
    shop.fail(2, 5)
    query = "SELECT id, LLM_FILTER('is it nice?', body) AS x FROM t"
    shop.rows(query)
    full, calls = shop.retry(shop.last())
    assert calls == 2
    assert None not in [x for _, x in full]


def test_what_fails_again_can_be_retried_again(shop: Shop) -> None:
    shop.fail(2, 5, times=2)
    shop.rows(QUERY)
    first = shop.last()
    half, calls = shop.retry(first)
    assert (calls, [number for number, x in half if x is None]) == (2, [2, 5])
    second = shop.last()
    assert second != first
    assert shop.retry(second)[1] == 2
    assert shop.retry(first)[1] == 0


def test_a_query_that_ended_in_an_error_is_completed(shop: Shop) -> None:
    shop.con.sql("SET llm_max_calls = 4")
    with pytest.raises(anserdb.BudgetExceeded):
        shop.rows(QUERY)
    (query_id,) = shop.rows("SELECT query_id FROM llm_calls() LIMIT 1")[0]
    shop.con.sql("SET llm_max_calls = NULL")
    full, calls = shop.retry(query_id)
    assert (len(full), calls) == (10, 6)


def test_it_asks_as_it_was_asked_then(shop: Shop) -> None:
    shop.con.sql("CREATE PROMPT how AS 'say it'")
    shop.fail(7)
    first = shop.rows("SELECT id, LLM_COMPLETE('@how', body) AS x FROM t ORDER BY id")
    shop.con.sql("CREATE OR REPLACE PROMPT how AS 'sing it'")
    shop.con.sql("SET llm_model = 'scripted'")
    shop.con.sql("SET llm_on_error = 'fail'")
    full, calls = shop.retry(shop.last())
    assert calls == 1
    assert full[:7] == first[:7]
    assert shop.con.settings.llm_model == "scripted"


def test_parameters_and_system_tables_are_part_of_it(shop: Shop) -> None:
    shop.fail(8)
    query = "SELECT LLM_COMPLETE($how, body) AS x FROM t, (SELECT count(*) AS n FROM llm_models()) WHERE id > $low"
    assert [x is None for (x,) in shop.rows(query, {"how": "it's", "low": 6})] == [False, True, False]
    full, calls = shop.retry(shop.last())
    assert (len(full), calls) == (3, 1)


def test_a_half_read_result_can_be_retried(shop: Shop) -> None:
    shop.fail(0)
    result = shop.con.sql(QUERY)
    assert result is not None
    assert result.fetchone() == (0, None)
    full, _ = shop.retry(shop.last())
    assert len(full) == 10
    assert None not in [x for _, x in full]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE TABLE u AS SELECT LLM_COMPLETE('say', body) AS x FROM t", "it changes data"),
        ("INSERT INTO v SELECT LLM_COMPLETE('say', body) AS x FROM t", "it changes data"),
        ("SELECT LLM_COMPLETE('say', body, cache := false) FROM t", "without the cache"),
        (f"SELECT LLM_COMPLETE('say', body) FROM t WHERE body <> '{'x ' * queries.MOST_CHARS}'", "longer than"),
    ],
)
def test_what_cannot_be_run_again_says_why(shop: Shop, statement: str, reason: str) -> None:
    shop.con.sql("CREATE TABLE v (x VARCHAR)")
    shop.fail(1)
    result = shop.con.sql(statement)
    assert result is not None
    result.fetchall()
    with pytest.raises(anserdb.NotSupportedError, match=reason):
        shop.retry(shop.last())


def test_an_unknown_query_names_the_nearest(shop: Shop) -> None:
    shop.fail(1)
    shop.rows(QUERY)
    known = shop.last()
    with pytest.raises(anserdb.BindError) as caught:
        shop.retry(known[:-1])
    assert caught.value.candidates == (known,)


def test_queries_without_failures_are_not_kept(shop: Shop) -> None:
    shop.rows(QUERY)
    assert shop.con._open_session().store.queries.ids() == []


def test_another_process_can_retry(tmp_path: Path) -> None:
    first = Shop(tmp_path / "s.anser")
    with first.con:
        first.fail(4)
        first.rows(QUERY)
        failed = first.last()
    second = Shop(tmp_path / "s.anser")
    with second.con:
        assert second.retry(failed)[1] == 1


def test_the_oldest_queries_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_QUERIES", 3)
    with Store.open(None) as store:
        for number in range(5):
            store.queries.put(StoredQuery(f"q{number}", 0.0, "SELECT 1", {})).result()
        assert store.queries.ids() == ["q4", "q3", "q2"]
        store.queries.put(StoredQuery("q3", 1.0, "SELECT 2", {})).result()
        assert store.queries.ids() == ["q3", "q4"]
        assert store.queries.find("q0") is None


def test_the_ledger_says_which_row_and_how_often(shop: Shop) -> None:
    shop.fail(3, times=9, error=ModelTimeout("too slow"))
    shop.rows(QUERY)
    shop.model = ScriptedModel([(r"body 5\.", "not a number")])
    shop.con.register_model("mine", shop.model)
    shop.rows("SELECT id, LLM_COMPLETE('how many?', body, returns := 'INTEGER') AS n FROM t ORDER BY id")
    columns = "function, row_number, input_preview, tries, length(input_digest)"
    ledger = shop.rows(f"SELECT {columns} FROM llm_errors() ORDER BY failed_at")
    assert ledger == [
        ("LLM_COMPLETE", 4, "body 3.", 2, 32),  # a call and its retry
        ("LLM_COMPLETE", 6, "body 5.", 3, 32),  # an answer, and two asked for again
    ]


def test_equal_inputs_have_equal_digests(shop: Shop) -> None:
    shop.fail(3, 4, times=9)
    shop.rows("SELECT LLM_COMPLETE('say', body) FROM (SELECT body FROM t UNION ALL SELECT body FROM t)")
    pairs = shop.rows("SELECT input_preview, input_digest FROM llm_errors()")
    assert len(pairs) == 4
    assert len(set(pairs)) == 2
