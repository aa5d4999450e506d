"""``labels := 'gold'``: arms and the call's own model are compared with right answers that the user has, on a server with a bill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError, NotSupportedError
from benchmarks.server import LoopbackServer, Profile
from tests.sql.test_arms import said_by

ROWS = 600
CALL = "LLM_CLASSIFY(body, ['red', 'green', 'blue'])"
LABELLED = CALL.replace(")", ", labels := 'gold')")
QUERY = f"SELECT id, {LABELLED} AS colour FROM t ORDER BY id"
PLAIN = QUERY.replace(LABELLED, CALL)
FEW, FEW_PLAIN = (query.replace("ORDER", "WHERE id < 200 ORDER") for query in (QUERY, PLAIN))
PRICES = (("dear", 10.0, 40.0), ("good", 0.5, 2.0), ("bad", 0.1, 0.4), ("oracle", 90.0, 90.0))


def profiles() -> list[Profile]:
    return [Profile(name, price_in=price_in, price_out=price_out) for name, price_in, price_out in PRICES]


def connect(server: LoopbackServer, store: str | Path) -> anserdb.Connection:
    con = anserdb.connect(store=store, llm_model="dear", llm_concurrency=32)
    for name, price_in, price_out in PRICES:
        con.sql(
            f"CREATE MODEL {name} USING openai (model '{name}', base_url '{server.base_url}', "
            f"price_in {price_in}, price_out {price_out})"
        )
    con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item number ' || i AS body FROM range({ROWS}) r(i)")
    return con


@pytest.fixture(scope="module")
def truth() -> list[str]:
    """What is right, by id."""
    with LoopbackServer(*profiles(), answer=said_by({})) as server, connect(server, ":memory:") as con:
        return [str(label) for (label,) in rows(con, f"SELECT {CALL} FROM t ORDER BY id")]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """The model that queries name is often wrong; a cheap one is nearly always right, and so often says something else."""
    with LoopbackServer(*profiles(), answer=said_by({"dear": 0.75, "good": 0.99, "bad": 0.6})) as server:
        yield server


@pytest.fixture
def con(server: LoopbackServer, truth: list[str], tmp_path: Path) -> Iterator[anserdb.Connection]:
    with connect(server, tmp_path / "s.anser") as con:
        con.sql(f"CREATE TABLE truth AS SELECT *, ({truth})[id + 1] AS label FROM t")
        con.sql("CREATE TABLE gold AS SELECT body, label FROM truth WHERE id % 2 = 0")
        con.sql("SET llm_candidate_models = 'good, bad'; SET llm_profile_rows = 64")
        yield con


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def profile(con: anserdb.Connection, query: str) -> dict[str, dict[str, Any]]:
    result = con.sql(f"PROFILE {query}")
    assert result is not None
    return {row["arm"]: row for row in result.arrow().to_pylist()}


def explained(con: anserdb.Connection, query: str) -> str:
    (found,) = rows(con, query)
    return str(found[-1])


def right(con: anserdb.Connection, answers: list[tuple[Any, ...]]) -> float:
    truth = dict(rows(con, "SELECT id, label FROM truth"))
    return sum(truth[id_] == colour for id_, colour in answers) / len(answers)


def test_a_profile_compares_everybody_with_the_labels(con: anserdb.Connection) -> None:
    con.sql("SET llm_profile_rows = 400; DELETE FROM gold WHERE body NOT LIKE '%0'")
    found = profile(con, QUERY)
    answers = rows(con, PLAIN.replace("ORDER", "WHERE id % 10 = 0 ORDER"))
    assert {row["rows"] for row in found.values()} == {ROWS // 10}
    assert found["dear"]["agreement"] == pytest.approx(right(con, answers), abs=1e-3)
    assert found["dear"]["agreement"] < 0.85 < 0.95 < found["good"]["agreement"]
    assert found["dear"]["agreement_low"] < found["dear"]["agreement"] < found["dear"]["agreement_high"]
    assert all("agreement is with labels in gold" in row["note"] for row in found.values())
    frontier = con.sql("SHOW FRONTIER")
    assert frontier is not None
    (chosen,) = [row["arms"] for row in frontier.arrow().to_pylist() if row["chosen"]]
    assert chosen == "1:LLM_CLASSIFY by dear", "answers may not change, however much better others are"
    con.sql("SET llm_profile_rows = 64")
    against_model = profile(con, PLAIN)
    assert against_model["good"]["agreement"] < 0.85
    assert not any("labels" in row["note"] for row in against_model.values())


def test_who_agrees_with_the_labels_serves_though_it_differs_from_the_model(
    con: anserdb.Connection, server: LoopbackServer
) -> None:
    con.sql("SET llm_min_quality = 0.9; SET llm_cache = false")
    reference = rows(con, PLAIN)
    assert right(con, reference) < 0.85, "nobody proves to agree with the model, so it answers"
    spent = server.bill.usd
    found = con.sql(QUERY)
    assert found is not None
    answers = found.fetchall()
    assert right(con, answers) > right(con, reference) + 0.05, "until the proof, the query's own model answers"
    assert right(con, answers[-ROWS // 3 :]) > 0.95
    assert float(server.bill.usd - spent) < 0.7 * float(spent)
    (notice,) = [notice for notice in found.notices if "labels" in notice]
    assert re.search(r"dear agrees with labels in gold in (6|7)\d\.\d% of \d+ rows", notice)
    assert "less than llm_min_quality asks for (90%)" in notice


def test_every_print_says_with_whom_it_compares(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.9")
    before = explained(con, f"EXPLAIN {QUERY}")
    assert "against labels in gold" in before
    assert "proves agreement ≥ 90% with labels in gold; first compared on 16 rows with a label" in before
    assert "quality not measured: agreement with labels in gold" in before
    during = explained(con, f"EXPLAIN ANALYZE {QUERY}").splitlines()
    assert any("arm good: serves" in line and "which proves ≥ 90%" in line for line in during)
    (quality,) = [line for line in during if "quality: agreement with labels in gold; dear agrees in" in line]
    assert "found wanting: below 90%" in quality
    after = explained(con, f"EXPLAIN {QUERY}")
    (chosen,) = [line for line in after.splitlines() if line.startswith("chosen: ")]
    assert "by good" in chosen
    assert "agreement with labels in gold" in chosen
    frontier = con.sql(f"SHOW FRONTIER FOR {QUERY}")
    assert frontier is not None
    assert {row["quality_is"] for row in frontier.arrow().to_pylist()} == {"agreement with labels in gold"}
    plain = con.sql(f"SHOW FRONTIER FOR {PLAIN}")
    assert plain is not None
    (alone,) = plain.arrow().to_pylist()
    assert (alone["quality"], alone["quality_is"]) == (1.0, "agreement with dear"), "they do not mix"


def test_what_was_proved_lasts_as_long_as_the_labels(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.9")
    profile(con, QUERY)
    assert "quality ≥" in explained(con, f"EXPLAIN {QUERY}")
    assert "rows of earlier runs" in explained(con, f"EXPLAIN ANALYZE {QUERY}")
    con.sql("DELETE FROM gold WHERE body = 'item number 0'")
    assert "quality not measured" in explained(con, f"EXPLAIN {QUERY}")


@pytest.mark.parametrize("quality", ["NULL", "0.9"])
def test_a_label_never_is_an_answer(con: anserdb.Connection, server: LoopbackServer, quality: str) -> None:
    con.sql("CREATE OR REPLACE TABLE gold AS SELECT body, 'mauve' AS label FROM t")
    reference = rows(con, FEW_PLAIN)
    requests = server.stats.requests
    con.sql(f"SET llm_min_quality = {quality}")
    assert rows(con, FEW) == reference
    if quality == "NULL":
        assert server.stats.requests == requests


def test_the_same_rows_are_answered_by_the_same_however_many_at_once(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.9; SET llm_cache = false; SET llm_disabled_rules = 'prefix_order'")
    con.sql("SET llm_candidate_models = 'good'")
    found = []
    for concurrency, name in ((4, "gold"), (64, "again")):  # another table: what was proved by the first does not count
        con.sql("CREATE OR REPLACE TABLE again AS SELECT * FROM gold UNION ALL SELECT 'no row has this', 'red'")
        con.sql(f"SET llm_concurrency = {concurrency}")
        found.append(rows(con, QUERY.replace("'gold'", f"'{name}'").replace("ORDER", "WHERE id < 400 ORDER")))
    assert found[0] == found[1]


def test_that_nobody_is_good_enough_is_no_reason_to_refuse(con: anserdb.Connection) -> None:
    con.sql("SET llm_candidate_models = 'bad'")
    profile(con, QUERY)
    con.sql("SET llm_min_quality = 0.9; SET llm_max_cost_usd = 5")
    found = con.sql(QUERY)
    assert found is not None
    assert found.fetchall() == rows(con, PLAIN)
    assert any("less than llm_min_quality asks for" in notice for notice in found.notices)


def test_rows_without_a_label_are_no_sample(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.9; CREATE OR REPLACE TABLE gold AS SELECT body, label FROM truth WHERE id < 8")
    assert rows(con, FEW) == rows(con, FEW_PLAIN), "eight rows prove nothing"
    lines = explained(con, f"EXPLAIN ANALYZE {FEW}").splitlines()
    assert any("of 8 rows with a label" in line for line in lines)


def test_inputs_nobody_has_labelled(con: anserdb.Connection, server: LoopbackServer) -> None:
    con.sql("CREATE OR REPLACE TABLE gold AS SELECT upper(body) AS body, label FROM truth")
    requests = server.stats.requests
    with pytest.raises(NotSupportedError, match="No row of the query has a label in gold"):
        con.sql(f"PROFILE {FEW}")
    assert server.stats.requests == requests
    con.sql("SET llm_min_quality = 0.9")
    found = con.sql(FEW)
    assert found is not None
    assert found.fetchall() == rows(con, FEW_PLAIN)
    assert any("none of its 200 inputs is in gold" in notice for notice in found.notices)


def test_filters_are_judged_by_what_should_be_kept(con: anserdb.Connection) -> None:
    con.sql(
        "CREATE TABLE odd AS SELECT body AS any_name, LLM_FILTER('is odd', body, model := 'oracle') AS label FROM t LIMIT 100"
    )
    one, two = "LLM_FILTER('is odd', body, labels := 'odd')", "LLM_FILTER('is rare', body)"
    query = f"SELECT id FROM t WHERE {one}"
    found = profile(con, query)
    assert found["good"]["f1"] > found["dear"]["f1"] > 0
    assert 0 < found["dear"]["kept"] < 1
    con.sql("SET llm_candidate_models = 'good'")
    both = con.sql(f"PROFILE {query} AND {two}")
    assert both is not None
    compared = {(row["call"], row["arm"]): row for row in both.arrow().to_pylist()}
    assert compared[("1:LLM_FILTER", "good")]["note"] == "agreement is with labels in odd"
    assert compared[("2:LLM_FILTER", "good")]["note"] == ""
    assert compared[("2:LLM_FILTER", "good")]["rows"] == compared[("2:LLM_FILTER", "dear")]["rows"] > 0


def test_a_model_is_judged_where_nobody_else_may_answer(con: anserdb.Connection) -> None:
    con.sql("SET llm_candidate_models = 'dear'")
    found = profile(con, QUERY.replace("labels :=", "batch_rows := 4, labels :="))
    (own,) = found.values()
    assert own["rows"] == 64
    assert 0 < own["agreement"] < 1


@pytest.mark.parametrize(
    ("table", "call", "message"),
    [
        ("", "LLM_CLASSIFY(body, ['a', 'b'], labels := ['a'])", "labels takes the name of a table with right answers"),
        ("", "LLM_CLASSIFY(body, ['a', 'b'], labels := 'x y')", "labels takes the name of a table or view"),
        ("", "LLM_FILTER('q', body, labels := 'nowhere')", "names no table or view that can be read"),
        ("body VARCHAR, answer BOOLEAN", "LLM_FILTER('q', body, labels := 'made')", "made has no column label.*answer"),
        (
            "body VARCHAR, label VARCHAR",
            "LLM_FILTER('q', body, labels := 'made')",
            r"label in made is VARCHAR, but LLM_FILTER gives BOOLEAN.*CAST\(\"label\" AS BOOLEAN\)",
        ),
        (
            "body DATE, label BOOLEAN",
            "LLM_FILTER('q', body, labels := 'made')",
            "body in made is DATE, but the input body is VARCHAR",
        ),
        (
            "a VARCHAR, b VARCHAR, label BOOLEAN",
            "LLM_FILTER('q', body, labels := 'made')",
            "does not have the inputs of LLM_FILTER, which is body.*it has a, b",
        ),
        ("body VARCHAR, label BOOLEAN", "LLM_FILTER('q', body, labels := 'made')", "No row of made is labelled"),
        ("body VARCHAR, label VARCHAR", "LLM_COMPLETE('q', body, labels := 'made')", "not compared with labels"),
        ("body VARCHAR, label VARCHAR", "LLM_SUMMARIZE(body, labels := 'made')", "no option labels"),
        (
            "body VARCHAR, label BOOLEAN",
            "LLM_FILTER('q', body, on_error := 'details', labels := 'made')",
            "details of failures",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused_when_the_call_is_bound(table: str, call: str, message: str) -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted") as con:
        con.sql("CREATE TABLE t (body VARCHAR)")
        if table:
            con.sql(f"CREATE TABLE made ({table})")
        with pytest.raises(BindError, match=message) as caught:
            con.sql(f"SELECT {call} AS x FROM t")
    assert caught.value.position is not None


def test_an_input_has_one_label(con: anserdb.Connection) -> None:
    con.sql("INSERT INTO gold SELECT body, CASE label WHEN 'red' THEN 'blue' ELSE 'red' END FROM gold LIMIT 1")
    rows(con, QUERY)  # nobody compares
    with pytest.raises(BindError, match=r"gold has two different labels for 'item number 0'.*mode\(label\)"):
        con.sql(f"PROFILE {QUERY}")


@pytest.mark.parametrize(
    "gold",
    [
        "CREATE VIEW other AS SELECT body, label, 1 AS who FROM gold UNION ALL SELECT body, NULL, 2 FROM t",
        "CREATE TABLE other AS SELECT label AS LABEL, upper(body) AS any_name FROM gold",
        "CREATE SCHEMA s; CREATE TABLE s.other AS SELECT body, label::ENUM('red', 'green', 'blue') AS label FROM gold",
    ],
)
def test_where_labels_may_be(con: anserdb.Connection, gold: str) -> None:
    con.sql(gold)
    con.sql("SET llm_profile_rows = 20; SET llm_candidate_models = 'good'")
    name = "s.other" if "s.other" in gold else "other"
    query = QUERY.replace("gold", name)
    if "any_name" in gold:  # an expression has no name: by position
        query = query.replace("(body,", "(upper(body),")
    found = profile(con, query)
    assert {row["rows"] for row in found.values()} == {20}
    assert f"labels in {name}" in found["good"]["note"]


def test_rules_that_compare_with_the_model_leave_such_calls_alone(con: anserdb.Connection) -> None:
    con.sql(
        "SET llm_min_quality = 0.8; CREATE TABLE pairs AS SELECT a.body, b.body AS other, true AS label FROM t a, t b LIMIT 9"
    )
    joined = (
        "EXPLAIN SELECT a.id FROM t a JOIN (SELECT body AS other FROM t) b ON LLM_FILTER('the same', a.body, b.other{})"
    )
    two = f"EXPLAIN SELECT {CALL}, LLM_SENTIMENT(body{{}}) FROM t"
    assert "likely pairs" in explained(con, joined.format(""))
    assert "likely pairs" not in explained(con, joined.format(", labels := 'pairs'"))
    assert "in one prompt" in explained(con, two.format(""))
    con.sql("CREATE TABLE moods AS SELECT body, 'mixed' AS label FROM t")
    assert "in one prompt" not in explained(con, two.format(", labels := 'moods'"))
