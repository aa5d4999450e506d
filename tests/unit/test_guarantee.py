"""Promises as people write them, what they are worth together, and what the store keeps of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anserdb.engine.dataflow.certificates import IssuedCertificate
from anserdb.engine.errors import BindError
from anserdb.engine.physical.promises import EVERY_ROW, PER_OPERATOR, WHICH_ROWS, query_certificate, scope_of
from anserdb.engine.plan.cascade import Guarantee
from anserdb.engine.plan.nodes import Plan
from anserdb.engine.plan.walk import calls, reads
from anserdb.engine.settings import Settings
from anserdb.engine.sql.guarantee import guarantee_of
from anserdb.engine.store import Store
from anserdb.engine.store.certificates import CertificateLine, Certificates
from anserdb.engine.types.promise import read_promise
from anserdb.optimizer.cascades.certificate import Bound, Certificate
from anserdb.optimizer.context import Context
from anserdb.optimizer.pipeline import optimize
from tests.support.plans import database, naive_plan

TARGETS = st.floats(0.001, 1.0).map(lambda x: round(x, 4))
SETS = st.sampled_from([("accuracy",), ("precision",), ("recall",), ("precision", "recall")])
F = "LLM_FILTER('angry', body, guarantee := 0.9)"


@given(st.data())
@settings(max_examples=60)
def test_what_is_promised_is_read_back_from_its_own_words(data: st.DataObject) -> None:
    metrics = data.draw(SETS)
    targets = {metric: data.draw(TARGETS) for metric in metrics}
    delta = data.draw(st.none() | st.floats(0.001, 0.999).map(lambda x: round(x, 4)))
    words = data.draw(st.permutations(list(targets.items())))
    parts = [
        f"{m.upper() if data.draw(st.booleans()) else m} {data.draw(st.sampled_from(['>=', '≥', '=']))} {t}"
        for m, t in words
    ]
    text = data.draw(st.sampled_from([", ", " and ", " AND "])).join(parts) + (
        "" if delta is None else f", delta = {delta}"
    )
    read = read_promise(text)
    assert read == targets | ({} if delta is None else {"delta": delta})
    assert guarantee_of(read) == Guarantee(**targets, delta=0.05 if delta is None else delta)
    assert read_promise(guarantee_of(targets).words.replace("(δ = 0.05)", "")) == pytest.approx(targets, rel=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acuracy >= 0.9", "knows no metric acuracy; did you mean accuracy"),
        ("f1 >= 0.9", "it knows accuracy, precision, recall and delta"),
        ("accuracy >= 95", r"write 0.95 or 95%"),
        ("accuracy >= 0", "above 0 and at most 1"),
        ("accuracy <= 0.9", "takes accuracy >= a number, not <="),
        ("recall >= 0.9, delta = 1", "between 0 and 1"),
        ("recall >= 0.9, delta >= 0.1", "takes delta = a number"),
        ("accuracy >= 0.9, recall >= 0.9", "not both kinds"),
        ("recall >= .9, recall >= .8", "recall twice"),
        ("delta = 0.1", "promises nothing"),
        ("accuracy at least 0.9", "cannot be read at 'accuracy at least 0.9'"),
        ("accuracy >= high", "takes a number for accuracy, not 'high'"),
        ("", "cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_promise(text)
    with pytest.raises(BindError, match=message):
        Settings().assign("llm_guarantee", text)


def test_the_setting_takes_a_number_for_accuracy() -> None:
    chosen = Settings()
    chosen.assign("llm_guarantee", 0.95)
    assert read_promise(chosen.llm_guarantee or "") == {"accuracy": 0.95}
    chosen.assign("llm_guarantee", "90 %, delta = 0.1")
    assert read_promise(chosen.llm_guarantee or "") == {"accuracy": 0.9, "delta": 0.1}
    with pytest.raises(BindError, match="llm_guarantee = True"):
        chosen.assign("llm_guarantee", True)
    chosen.assign("llm_guarantee", None)
    assert chosen.llm_guarantee is None


def certificate(accuracy: float | None, rows: int = 1000, delta: float = 0.05) -> Certificate:
    promised = Guarantee(accuracy=accuracy, recall=0.9 if accuracy is None else None, delta=delta)
    bound = Bound("recall", 0.9, 0.91, 0.95) if accuracy is None else Bound("accuracy", accuracy, accuracy, 0.99)
    return Certificate(promised, (bound,), rows, rows // 2, rows // 2, 100, "a test", "abc")


def issued(site: str, proved: Certificate) -> IssuedCertificate:
    return IssuedCertificate(site, "LLM_FILTER", "large", "small", proved)


def plan_of(sql: str, **chosen: Any) -> Plan:
    with database() as connection:
        naive = naive_plan(sql, connection)
    return optimize(naive, Context(Settings(**chosen), candidates=("tiny",))).plan


@pytest.mark.parametrize(
    ("sql", "scope"),
    [
        (f"SELECT id FROM tickets WHERE {F}", WHICH_ROWS),
        (f"SELECT id FROM tickets WHERE {F} AND year > 2020 ORDER BY id", WHICH_ROWS),
        (f"SELECT id FROM tickets WHERE NOT {F}", WHICH_ROWS),
        (f"CREATE TABLE kept AS SELECT id FROM tickets WHERE {F}", WHICH_ROWS),
        (f"SELECT id, {F} AS k FROM tickets", EVERY_ROW),
        (f"SELECT id, {F} AS k, LLM_EXTRACT(body, {{a: 'VARCHAR'}}) AS e FROM tickets", EVERY_ROW),
        (f"SELECT id FROM tickets WHERE {F} LIMIT 3", "LIMIT takes some"),
        (f"SELECT year, count(*) FROM tickets WHERE {F} GROUP BY year", "another query reads them"),
        (f"SELECT DISTINCT year FROM tickets WHERE {F}", "rows are grouped, or made distinct"),
        (f"SELECT id FROM (SELECT id FROM tickets WHERE {F}) WHERE id > 3", "another query reads them"),
        (f"SELECT id FROM tickets WHERE {F} AND LLM_SCORE('x', subject) > 0.5", "a condition on another call drops rows"),
        (f"SELECT id FROM tickets WHERE {F} AND random() > 0.5", "another condition drops rows"),
        (f"SELECT id FROM tickets WHERE NOT {F.replace('0.9', chr(39) + 'recall >= 0.9' + chr(39))}", "reads more than whether it is TRUE"),
        (f"SELECT id FROM tickets WHERE {F} AND {F.replace('angry', 'late')}", PER_OPERATOR),
    ],
)  # fmt: skip
def test_a_certificate_says_what_it_is_about(sql: str, scope: str) -> None:
    assert scope in scope_of(plan_of(sql))


def test_other_calls_that_may_lose_rows_are_not_covered() -> None:
    sql = f"SELECT id FROM tickets WHERE {F} AND LLM_FILTER('late', subject)"
    assert "by their own allowance" in scope_of(plan_of(sql, llm_min_quality=0.9))


def test_of_several_calls_wrong_answers_add_up_and_so_do_deltas() -> None:
    plan = plan_of(f"SELECT id FROM tickets WHERE {F} AND {F.replace('angry', 'late')}")
    both = query_certificate([issued("1", certificate(0.95, 219)), issued("2", certificate(0.9, 1000, 0.1))], plan)
    assert both is not None
    assert both.scope == PER_OPERATOR
    assert (both.wrong, both.delta) == (10 + 100, pytest.approx(0.15))
    assert "at most 110 answers differ from their references' (δ = 0.15)" in both.words
    kinds = query_certificate([issued("1", certificate(0.95)), issued("2", certificate(None))], plan)
    assert kinds is not None
    assert kinds.wrong is None
    assert "precision and recall do not compose" in kinds.words
    assert query_certificate([], plan) is None


def test_the_store_keeps_the_newest_and_knows_whose_they_are() -> None:
    with Store.open(None) as store:
        line = CertificateLine(1.0, "q", "1:LLM_FILTER", "LLM_FILTER", "large", "small", "accuracy", 0.9, 0.05, 0.92, 0.95,
                               1000, 600, 400, 300, "a test", "abc", "", EVERY_ROW)  # fmt: skip
        kept = Certificates(store, kept=3)
        for number in range(5):
            kept.put([line._replace(at=float(number), query_id=f"q{number}")])
        found = store.query("certificates").to_pylist()
        assert [row["query_id"] for row in found] == ["q4", "q3", "q2"]
        assert store.query("certificates", query_id="q3").num_rows == 1
        assert {name: found[0][name] for name in CertificateLine._fields if name not in ("at", "query_id")} == {
            name: value for name, value in line._asdict().items() if name not in ("at", "query_id")
        }


def test_a_proxy_is_of_the_row_and_its_columns_are_read() -> None:
    with database() as connection:
        plan = naive_plan(
            "SELECT id FROM tickets WHERE LLM_FILTER('x', body, guarantee := 0.9, proxy := year / 10)", connection
        )
        same = naive_plan(
            "SELECT id FROM tickets WHERE LLM_FILTER('x', body, guarantee := 0.9, proxy := year)", connection
        )
    for tree, computed in ((plan, True), (same, False)):
        (node,) = calls(tree)
        assert node.call.cascade is not None
        assert node.call.cascade.column in reads(node)
        assert node.call.cascade.column.startswith("__a" if computed else "__c")
        assert all(name not in ("guarantee", "proxy", "delta") for name in node.call.options)
