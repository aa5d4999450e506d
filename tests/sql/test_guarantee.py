"""Guarantees from SQL to the certificate: who answers, what is said before and after, and where it can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anserdb
from anserdb.engine.errors import BindError
from anserdb.engine.physical.promises import EVERY_ROW, PER_OPERATOR, WHICH_ROWS, QueryCertificate
from anserdb.optimizer.cascades.calibration import METHOD
from anserdb.udfs.models.base import Capabilities, Generate, Request
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import shown_values

ROWS = 1200
KEPT = "LLM_FILTER('is good', body, guarantee := 'accuracy >= 0.9', proxy := score)"
QUERY = f"SELECT id FROM t WHERE {KEPT} ORDER BY id"


def good(number: int) -> bool:
    """What the reference says: mostly what the score says, and near the middle as often the contrary."""
    score = number / ROWS
    return (score > 0.5) != (abs(score - 0.5) < 0.1 and number % 3 == 0)


def answer(request: Request) -> str:
    assert isinstance(request, Generate)
    (body, *_) = shown_values(request)
    number = int(body.split()[-1])
    return "Yes" if good(number) else "No"


@pytest.fixture
def con(tmp_path: Path) -> Iterator[anserdb.Connection]:
    capabilities = Capabilities(choice_scores=False, local=True, concurrency=64)
    with anserdb.connect(store=tmp_path / "s.anser", llm_model="large") as con:
        con.register_model("large", ScriptedModel([(lambda _: True, answer)], capabilities=capabilities, name="large"))
        con.register_model("tiny", ScriptedModel([(lambda _: True, answer)], capabilities=capabilities, name="tiny"))
        con.sql("SET llm_candidate_models = 'tiny'")
        con.sql(f"CREATE TABLE t AS SELECT i AS id, 'item ' || i AS body, i / {ROWS} AS score FROM range({ROWS}) r(i)")
        yield con


def certificate_of(cursor: anserdb.Cursor) -> QueryCertificate | None:
    """As it is now: a type checker takes a property that was ``None`` for ``None`` for ever."""
    return cursor.certificate


def lines(con: anserdb.Connection) -> list[dict[str, Any]]:
    result = con.sql("FROM llm_certificates()")
    assert result is not None
    return result.arrow().to_pylist()


def rows(con: anserdb.Connection, query: str) -> list[tuple[Any, ...]]:
    result = con.sql(query)
    assert result is not None
    return result.fetchall()


def test_a_cursor_has_the_certificate_when_its_rows_are_there(con: anserdb.Connection) -> None:
    with con.cursor() as cursor:
        assert certificate_of(cursor) is None
        cursor.execute(QUERY)
        assert certificate_of(cursor) is None, "nothing has run"
        kept = {id_ for (id_,) in cursor.fetchall()}
        found = certificate_of(cursor)
        assert found is not None
        (issued,) = found.calls
        proved = issued.certificate
        wrong = sum((number in kept) != good(number) for number in range(ROWS))
        assert (found.wrong, wrong <= ROWS // 10) == (ROWS // 10, True)
        assert (found.scope, found.delta) == (WHICH_ROWS, 0.05)
        assert (issued.site, issued.function, issued.reference) == ("1:LLM_FILTER", "LLM_FILTER", "large")
        assert proved.rows == ROWS == proved.by_proxy + proved.by_reference
        assert proved.by_proxy > ROWS / 2
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
        assert certificate_of(cursor) is None, "nobody promises anything of plain SQL"


def test_the_store_has_it_afterwards_and_results_have_it_too(con: anserdb.Connection, tmp_path: Path) -> None:
    result = con.sql(QUERY)
    assert result is not None
    assert (result.certificates, result.certificate) == ([], None)
    result.fetchall()
    (issued,) = result.certificates
    (line,) = lines(con)
    proved = issued.certificate
    assert (line["call_site"], line["reference"], line["metric"], line["target"]) == (
        "1:LLM_FILTER",
        "large",
        "accuracy",
        0.9,
    )
    assert (line["rows"], line["labels"], line["sample_digest"]) == (proved.rows, proved.labels, proved.sample_digest)
    assert (line["scope"], line["reason"], line["method"]) == (WHICH_ROWS, "", METHOD)
    called = rows(con, f"SELECT count(*) FROM llm_calls() WHERE query_id = '{line['query_id']}'")
    assert called[0][0] == proved.by_reference
    con.close()
    with anserdb.connect(store=tmp_path / "s.anser") as later:
        assert rows(later, "SELECT query_id FROM llm_certificates()") == [(line["query_id"],)]


def test_explain_says_what_is_promised_and_analyze_what_was_proved(con: anserdb.Connection) -> None:
    before = con.explain(QUERY)
    assert "guarantee: accuracy ≥ 0.9 (δ = 0.05), of agreement with large" in before
    assert "guarantee: expected: large about 600 of 1,200 rows, 200 of them labels for the proof (prior" in before
    assert f"guarantee: about {WHICH_ROWS}" in before
    assert "certificate" not in before
    assert rows(con, "SELECT count(*) FROM llm_calls()") == [(0,)], "EXPLAIN asks nobody"
    after = con.explain(QUERY, analyze=True)
    assert re.search(
        r"certificate: accuracy ≥ 0.9 asked for, ≥ 0\.9\d* proved \(δ = 0.05\), estimate 0\.\d+; reference: large",
        after,
    )
    assert re.search(
        r"certificate: rows=1,200 by proxy=\d+ by reference=\d+ labels=\d+; test: betting.*; sample: [0-9a-f]{8,}",
        after,
    )
    assert f"certificate: about {WHICH_ROWS}" in after
    document = json.loads(rows(con, f"EXPLAIN (ANALYZE, FORMAT json) {QUERY}")[0][0])
    (issued,) = document["certificates"]
    assert (issued["bounds"][0]["metric"], issued["rows"]) == ("accuracy", ROWS)
    assert '"cascade": {"accuracy": 0.9, "delta": 0.05, "proxy": "expression", "name": ""}' in re.sub(
        r"\s+", " ", json.dumps(document)
    )


def test_few_rows_are_the_references_and_it_is_known_beforehand(con: anserdb.Connection) -> None:
    few = QUERY.replace("ORDER", "AND id < 150 ORDER")
    assert "guarantee: expected: large answers every row: the 150 rows are fewer than the 200" in con.explain(few)
    result = con.sql(few)
    assert result is not None
    assert result.fetchall() == [(number,) for number in range(150) if good(number)]
    (issued,) = result.certificates
    assert (issued.certificate.by_reference, issued.certificate.by_proxy) == (150, 0)
    assert "fewer than the 200" in issued.certificate.reason
    assert "the reference answered every row: the 150 rows are fewer" in con.explain(few, analyze=True)


def test_a_limit_stops_early_and_says_so(con: anserdb.Connection) -> None:
    result = con.sql(f"SELECT id FROM t WHERE {KEPT} LIMIT 3")
    assert result is not None
    assert len(result.fetchall()) == 3
    (issued,) = result.certificates
    assert "LIMIT" in issued.certificate.reason
    assert result.certificate is not None
    assert "LIMIT takes some" in result.certificate.scope


def test_the_setting_guarantees_what_it_can_and_names_its_proxy(con: anserdb.Connection) -> None:
    con.sql("SET llm_guarantee = 'accuracy >= 0.9, delta = 0.1'")
    query = "SELECT id, LLM_COMPLETE('say', body) AS s FROM t WHERE LLM_FILTER('is good', body)"
    text = con.explain(query)
    assert "1:LLM_FILTER  model=large  distinct  or proxy tiny, accuracy ≥ 0.9 (δ = 0.1)" in text
    assert "2:LLM_COMPLETE  model=large  distinct\n" in text
    con.sql("SET llm_guarantee_proxy = 'nobody'")
    with pytest.raises(BindError, match="no proxy nobody"):
        con.sql(query)
    con.sql("RESET llm_guarantee")
    assert "proxy" not in con.explain(query)


def test_a_call_without_its_own_promise_takes_the_settings(con: anserdb.Connection) -> None:
    con.sql("SET llm_guarantee = 'accuracy >= 0.9, delta = 0.1'")
    text = con.explain("SELECT id FROM t WHERE LLM_FILTER('is good', body, delta := 0.01, proxy := score)")
    assert "accuracy ≥ 0.9 (δ = 0.01)" in text


def test_several_promises_are_per_operator(con: anserdb.Connection) -> None:
    query = f"SELECT id FROM t WHERE {KEPT} AND {KEPT.replace('is good', 'is fine')}"
    assert f"guarantee: {PER_OPERATOR}" in con.explain(query)
    result = con.sql(query)
    assert result is not None
    result.fetchall()
    found = result.certificate
    assert found is not None
    assert [issued.site for issued in found.calls] == ["1:LLM_FILTER", "2:LLM_FILTER"]
    first, second = (issued.certificate for issued in found.calls)
    assert found.wrong is not None
    assert abs(found.wrong - 0.1 * (first.rows + second.rows)) <= 2
    assert found.delta == pytest.approx(0.1)
    assert {line["scope"] for line in lines(con)} == {PER_OPERATOR}


def test_in_the_text_of_a_statement_the_reference_answers_and_a_notice_says_why(con: anserdb.Connection) -> None:
    result = con.sql(
        "SELECT list_filter([body], lambda x: LLM_FILTER('is good', x, guarantee := 0.9)) AS f FROM t WHERE id < 3"
    )
    assert result is not None
    result.fetchall()
    (notice,) = [notice for notice in result.notices if "accuracy" in notice]
    assert (
        "1:LLM_FILTER: accuracy ≥ 0.9 (δ = 0.05) holds because large answers every row: the calls of this statement stay"
        in notice
    )
    assert result.certificates == []


def test_it_is_about_every_row_where_answers_are_shown(con: anserdb.Connection) -> None:
    result = con.sql(f"SELECT id, {KEPT} AS k FROM t")
    assert result is not None
    assert sum(k != good(id_) for id_, k in result.fetchall()) <= ROWS // 10
    assert result.certificate is not None
    assert result.certificate.scope == EVERY_ROW


def test_arms_of_other_calls_do_not_share_what_is_promised(con: anserdb.Connection) -> None:
    con.sql("SET llm_min_quality = 0.9")
    text = con.explain(f"SELECT id, LLM_EXTRACT(body, {{n: 'VARCHAR'}}) AS e FROM t WHERE {KEPT}")
    assert "1:LLM_FILTER  model=large  distinct  or proxy expression" in text
    assert "arms: the cheapest that proves agreement ≥ 90% with large answers" in text
    assert "by their own allowance" in text


def test_a_proxy_can_be_a_parameter_an_argument_of_a_macro_or_a_select_items_name(con: anserdb.Connection) -> None:
    con.sql(f"CREATE MACRO good(b, s) AS {KEPT.replace('body', 'b').replace('score', 's')}")
    plain = rows(con, QUERY)
    assert rows(con, "SELECT id FROM t WHERE good(body, score) ORDER BY id") == plain
    named = con.sql(
        f"SELECT id FROM (SELECT id, 10 * score AS s, body FROM t) WHERE {KEPT.replace(':= score', ':= s / ?')} ORDER BY id",
        [10],
    )
    assert named is not None
    assert named.fetchall() == plain
    item = con.sql(f"SELECT id, score AS s FROM t WHERE {KEPT.replace(':= score', ':= s')} ORDER BY id")
    assert item is not None
    assert [(id_,) for id_, _ in item.fetchall()] == plain
    assert item.certificate is not None


def test_a_rerun_asks_nobody_and_draws_the_same_rows(con: anserdb.Connection) -> None:
    first, second = con.sql(QUERY), con.sql(QUERY)
    assert first is not None
    assert second is not None
    assert first.fetchall() == second.fetchall()
    assert second.progress is not None
    assert second.progress.calls == 0
    assert first.certificates == second.certificates


def test_what_it_may_cost_counts_both_models_and_what_it_is_expected_to_less(con: anserdb.Connection) -> None:
    con.sql("CREATE MODEL dear (PROVIDER scripted, PRICE_IN 100, PRICE_OUT 100)")
    con.sql("CREATE MODEL cheap (PROVIDER scripted, PRICE_IN 10, PRICE_OUT 10)")
    con.sql("SET llm_model = 'dear'; SET llm_confirm_usd = 0.0001; SET llm_candidate_models = 'cheap'")

    def most(query: str) -> float:
        with pytest.raises(anserdb.Error, match=r"up to \$") as refused:
            rows(con, query)
        return float(re.findall(r"up to \$([\d.]+)", str(refused.value))[0])

    alone = most("SELECT id FROM t WHERE LLM_FILTER('is good', body)")
    both = most("SELECT id FROM t WHERE LLM_FILTER('is good', body, guarantee := 0.9)")
    assert both == pytest.approx(1.1 * alone, rel=0.01)
    by_score = most(QUERY)
    assert by_score == pytest.approx(alone, rel=0.01), "an expression costs nothing"
    (total,) = re.findall(
        r"total: calls≈([\d,]+)", con.explain("SELECT id FROM t WHERE LLM_FILTER('is good', body, guarantee := 0.9)")
    )
    calibrating = 2 * 14
    assert abs(int(total.replace(",", "")) - (ROWS + ROWS / 2)) <= calibrating
