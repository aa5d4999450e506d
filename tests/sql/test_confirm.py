"""``llm_confirm_usd``: nothing dear runs unasked."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator

import pytest

import anserdb
from anserdb.engine.errors import BudgetExceeded, NotSupportedError
from anserdb.engine.interfaces.confirming import Declined
from anserdb.engine.interfaces.shell.commands import Commands
from anserdb.engine.interfaces.shell.runner import Outcome, Runner
from anserdb.engine.interfaces.shell.screen import Screen, Stream
from anserdb.engine.interfaces.shell.vocabulary import Names

LISTED = "list_transform([body], lambda b: LLM_COMPLETE('say', b))"
FILTER = "SELECT id FROM t WHERE LLM_FILTER('Is it about geese?', body)"


@pytest.fixture
def con() -> Iterator[anserdb.Connection]:
    with anserdb.connect(store=":memory:", llm_model="dear") as con:
        con.sql("CREATE MODEL dear (PROVIDER scripted, PRICE_IN 1000, PRICE_OUT 1000)")
        con.sql(
            "CREATE TABLE t AS SELECT i AS id, i % 5 AS g, 'a body of some words ' || i AS body FROM range(50) r(i)"
        )
        yield con


def calls(con: anserdb.Connection) -> int:
    return sum(con.usage().column("calls").to_pylist())


def refusal(con: anserdb.Connection, query: str) -> BudgetExceeded:
    con.sql("SET llm_confirm_usd = 0")
    with pytest.raises(BudgetExceeded) as refused:
        con.sql(query)
    con.sql("RESET llm_confirm_usd")
    return refused.value


@pytest.mark.parametrize(
    "query",
    [
        FILTER,
        f"{FILTER} LIMIT 20",
        "SELECT LLM_COMPLETE('say', body) AS x FROM t LIMIT 5",
        "SELECT LLM_COMPLETE('say', body) AS x FROM t WHERE LLM_FILTER('Is it so?', body) AND id > 10",
        "SELECT CASE WHEN id > 2 THEN LLM_COMPLETE('say', body) END AS x FROM t",
        "SELECT LLM_CLASSIFY(body, ['a', 'b']) AS x, count(*) AS n FROM t GROUP BY x",
        "SELECT g, LLM_AGG(body, 'say') AS x FROM t GROUP BY g",
        "SELECT id FROM t ORDER BY LLM_SCORE('Is it about geese?', body) LIMIT 3",
        f"SELECT {LISTED} AS x FROM t",
        f"SELECT CASE WHEN id > 2 THEN {LISTED} END AS x FROM t WHERE g <> 3",
        "SELECT a.id, b.id FROM t a LEFT JOIN t b ON a.id = b.id AND LLM_FILTER('Is it about geese?', b.body)",
    ],
)
def test_no_query_costs_more_than_its_refusal_says(con: anserdb.Connection, query: str) -> None:
    refused = refusal(con, query)
    assert (refused.setting, refused.limit, refused.rows_done) == ("llm_confirm_usd", 0, 0)
    assert f"up to ${refused.spent:,.4f}" in str(refused)
    assert "unknown" not in str(refused)
    assert calls(con) == 0
    result = con.sql(query)
    assert result is not None
    result.fetchall()
    assert result.progress is not None
    cost = result.progress.cost_usd
    assert cost is not None
    assert 0 < cost <= refused.spent


def test_the_estimate_is_not_absurd(con: anserdb.Connection) -> None:
    result = con.sql("SELECT LLM_COMPLETE('say', body, max_tokens := 8) AS x FROM t")
    assert result is not None
    refused = refusal(con, "SELECT LLM_COMPLETE('say', body, max_tokens := 8) AS x FROM t")
    result.fetchall()
    assert result.progress is not None
    assert refused.spent < 10 * (result.progress.cost_usd or 0)


def test_what_a_first_run_finds_counts_and_nothing_else(con: anserdb.Connection) -> None:
    """Rows that DuckDB drops, and inputs that rows share, cost nothing."""
    few = refusal(con, f"SELECT {LISTED} AS x FROM t WHERE id < 10").spent
    all_of = refusal(con, f"SELECT {LISTED} AS x FROM t").spent
    doubled = refusal(con, f"SELECT {LISTED} AS x FROM t, range(2)").spent
    assert 0 < 4 * few < all_of == doubled
    assert refusal_of_nothing(con, f"SELECT {LISTED} AS x FROM t WHERE id < 0")
    con.sql(f"SET llm_confirm_usd = {few * 1.01}")
    before = calls(con)
    con.sql(f"UPDATE t SET body = {LISTED}[1] WHERE id < 10")
    assert calls(con) == before + 10
    with pytest.raises(BudgetExceeded):
        con.sql(f"UPDATE t SET body = {LISTED}[1] WHERE id >= 10")
    assert calls(con) == before + 10


def refusal_of_nothing(con: anserdb.Connection, query: str) -> bool:
    con.sql("SET llm_confirm_usd = 0")
    result = con.sql(query)
    con.sql("RESET llm_confirm_usd")
    return result is not None and result.fetchall() == []


def test_what_is_cheaper_than_the_sum_runs_unasked(con: anserdb.Connection) -> None:
    most = refusal(con, FILTER).spent
    con.sql(f"SET llm_confirm_usd = {most * 1.01}")
    assert con.sql(FILTER).fetchall()  # type: ignore[union-attr]
    con.sql(f"SET llm_confirm_usd = {most * 0.99}")
    with pytest.raises(BudgetExceeded):
        con.sql(FILTER)


def test_every_door_without_a_person_refuses(con: anserdb.Connection) -> None:
    con.sql("SET llm_confirm_usd = 0.01")
    for run in (con.sql, con.execute, con.cursor().execute, con.explain):
        if run == con.explain:
            con.explain(FILTER)
            with pytest.raises(BudgetExceeded, match=r"SET llm_confirm_usd to a larger sum, or to NULL"):
                con.explain(FILTER, analyze=True)
            continue
        with pytest.raises(BudgetExceeded, match=r"nobody is there to be asked"):
            run(FILTER)
    with pytest.raises(BudgetExceeded):
        con.sql("CREATE TABLE u AS SELECT LLM_COMPLETE('say', body) AS x FROM t")
    assert con.tables() == [("main", "t")]
    assert calls(con) == 0


def test_who_is_asked_decides(con: anserdb.Connection) -> None:
    asked: list[str] = []
    con.sql("SET llm_confirm_usd = 0.01")
    con.confirm = lambda question: bool(asked.append(question)) or len(asked) > 1
    with pytest.raises(Declined):
        con.sql(FILTER)
    assert calls(con) == 0
    assert con.sql(FILTER).fetchall()  # type: ignore[union-attr]
    assert asked[0] == asked[1]
    assert re.match(r"Estimated cost: up to \$\d+\.\d{4} ", asked[0])


def test_an_unknown_price_is_not_free(con: anserdb.Connection) -> None:
    con.sql("CREATE MODEL odd (PROVIDER openai, MODEL 'nobody-knows-it', BASE_URL 'http://192.0.2.1/v1')")
    con.sql("SET llm_confirm_usd = 1_000_000")
    with pytest.raises(BudgetExceeded, match="what model odd costs is unknown"):
        con.sql("SELECT LLM_COMPLETE('say', body, model := 'odd') AS x FROM t")
    with pytest.raises(BudgetExceeded, match=r"up to \$\d.*, and what model odd costs is unknown"):
        con.sql("SELECT LLM_COMPLETE('say', body, model := 'odd'), LLM_COMPLETE('say', body) AS x FROM t")


def test_what_cannot_be_estimated_is_not_free(con: anserdb.Connection) -> None:
    con.sql("SET llm_confirm_usd = 1_000_000")
    with pytest.raises(BudgetExceeded, match="is unknown before it runs"):
        con.sql("SELECT list_transform(list(body), lambda b: LLM_COMPLETE('say', b)) AS x FROM t")


def test_models_of_this_machine_are_never_asked_about(con: anserdb.Connection) -> None:
    con.sql("SET llm_confirm_usd = 0; SET llm_model = 'scripted'")
    assert con.sql(FILTER).fetchall() is not None  # type: ignore[union-attr]
    con.sql("SELECT list_transform(list(body), lambda b: LLM_COMPLETE('say', b)) AS x FROM t").fetchall()  # type: ignore[union-attr]


def test_functions_on_a_plain_connection_cannot_keep_the_promise() -> None:
    import duckdb

    with duckdb.connect() as native, pytest.raises(NotSupportedError, match="llm_confirm_usd"):
        anserdb.load(native, store=":memory:", llm_confirm_usd=1.0)


@pytest.mark.parametrize("answer", [None, True, False])
def test_the_shell_asks_the_person_and_a_script_gets_an_error(con: anserdb.Connection, answer: bool | None) -> None:
    out, err, asked = io.StringIO(), io.StringIO(), list[str]()

    def ask(question: str) -> bool:
        asked.append(question)
        return bool(answer)

    runner = Runner(con, Screen(Stream(out), Stream(err)), ask=None if answer is None else ask)
    commands = Commands(runner, Names(con))
    outcome = commands.run_text(f"SET llm_confirm_usd = 0.01; {FILTER};")
    if answer is None:
        assert (outcome, asked) == (Outcome.ERROR, [])
        assert "nobody is there to be asked" in err.getvalue()
    elif answer:
        assert outcome is Outcome.OK
        assert "model calls" in err.getvalue()
    else:
        assert outcome is Outcome.INTERRUPTED
        assert err.getvalue() == "The query was not run.\n"
    assert (calls(con) > 0) == bool(answer)
    assert con.confirm is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_in_a_terminal(tmp_path: object) -> None:
    from pathlib import Path

    pytest.importorskip("pexpect")
    from tests.faults.test_shell_pty import READY, Terminal

    terminal = Terminal(Path(str(tmp_path)))
    terminal.expect(READY)
    terminal.enter("CREATE MODEL dear (PROVIDER scripted, PRICE_IN 1000, PRICE_OUT 1000);")
    terminal.enter("SET llm_confirm_usd = 0.01;")
    query = "SELECT LLM_COMPLETE('say', x, model := 'dear') AS said FROM (VALUES ('a')) v(x);"
    for reply, seen in (("n\r", "not run"), ("\x03", "not run"), ("y\r", "1 model call")):
        terminal.send(query + "\r")
        terminal.expect(r"Run it\? \[y/N\] ")
        terminal.send(reply)
        assert seen in terminal.expect(READY)
    terminal.send(".quit\r")
    assert terminal.leave() == 0
