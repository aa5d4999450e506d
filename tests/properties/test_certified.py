"""Calls under a promise: where the proxy is right they give what they give without it; where not, as many rows as was promised."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

import anserdb
from anserdb.udfs.models.base import Capabilities, Generate, Reply, Request
from anserdb.udfs.models.scripted import ScriptedModel

ROWS = 320
KEEPS = "LLM_FILTER('is red', body{})"
SORTS = "LLM_CLASSIFY(body, ['red', 'green', 'blue']{})"
LABELS = ("red", "green", "blue")
ACCURATE = "accuracy >= 0.9"


def number(request: Request) -> int | None:
    assert isinstance(request, Generate)
    found = re.findall(r"number (\d+)", request.user)
    return int(found[-1]) if found else None


def colour(given: int) -> str:
    """The truth."""
    return LABELS[Random(given).randrange(3)]


def said(request: Request, label: str, sure: float) -> Reply:
    """A label, or whether it is red, as surely as that."""
    assert isinstance(request, Generate)
    if "Yes" in request.answer.choices:  # type: ignore[union-attr]
        yes = sure if label == "red" else -sure
        return Reply("Yes" if yes > 0 else "No", scores={"Yes": yes, "No": 0.0})
    return Reply(label, scores={name: sure * (name == label) for name in LABELS})


def right(request: Request) -> Reply:
    given = number(request)
    return said(request, "red", 0.0) if given is None else said(request, colour(given), 1 + given % 7)


def often(request: Request) -> Reply:
    """Right in nine of ten, and less sure where it is wrong."""
    given = number(request)
    if given is None:
        return said(request, "red", 0.0)
    sure = Random(given + 0.5).random() * 5
    wrong = Random(given + 0.25).random() < 0.25 * (5 - sure) / 5
    return said(request, LABELS[(LABELS.index(colour(given)) + wrong) % 3], 0.1 + sure)


def never(request: Request) -> Reply:
    given = number(request)
    return said(request, "red", 0.0) if given is None else said(request, LABELS[given % 3], 5.0)


PROXIES: dict[str, Callable[[Request], Reply]] = {"right": right, "often": often, "never": never}


def model(name: str, answer: Callable[[Request], Any], *, scores: bool = True) -> ScriptedModel:
    capabilities = Capabilities(choice_scores=scores, local=True, concurrency=32)
    return ScriptedModel([("", answer)], capabilities=capabilities, name=name)


def connected(
    proxy: Callable[[Request], Any], *, rows: int = ROWS, scores: bool = True, **settings: Any
) -> tuple[anserdb.Connection, ScriptedModel, ScriptedModel]:
    con = anserdb.connect(":memory:", store=":memory:", llm_model="large", **{"llm_cache": False, **settings})
    large, small = model("large", right), model("small", proxy, scores=scores)
    con.register_model("large", large)
    con.register_model("small", small)
    con.sql(table(rows))
    con.sql("CREATE TABLE k AS SELECT i AS kind, 'name ' || i AS name FROM (FROM range(7) UNION ALL SELECT 9) r(i)")
    return con, large, small


def table(rows: int) -> str:
    """Numbers, some twice, some rows NULL."""
    random = Random(7)
    bodies = ("NULL" if random.random() < 0.05 else f"'number {random.randrange(4 * rows)}'" for _ in range(rows))
    listed = ", ".join(f"({at}, {at % 8}, {body}, random())" for at, body in enumerate(bodies))
    return f"CREATE TABLE t AS FROM (VALUES {listed or '(0, 0, NULL, 0.0)'}) AS v(id, kind, body, score) LIMIT {rows}"


def promising(call: str, guarantee: str = ACCURATE, proxy: str = "'small'") -> str:
    return call.format(f", guarantee := '{guarantee}', delta := 0.1, proxy := {proxy}")


QUERIES = (
    ("SELECT id FROM t WHERE {}", KEEPS),
    ("SELECT id FROM t WHERE NOT {} ORDER BY score", KEEPS),
    ("SELECT id, {} AS c FROM t", SORTS),
    ("SELECT id, CASE WHEN kind < 7 THEN {} END AS c FROM t", SORTS),
    ("SELECT k.name, t.id, {} AS c FROM k LEFT JOIN t USING (kind)", SORTS),
    ("SELECT k.name, count(*) FROM t JOIN k ON t.kind < 1 AND LLM_FILTER('is red', body, name{}) GROUP BY ALL", None),
    ("SELECT id FROM t WHERE {} AND kind < 7 UNION ALL SELECT id FROM t WHERE kind = 9", KEEPS),
    ("SELECT max(a.id) FROM (SELECT id, {} AS c FROM t) a ANTI JOIN k ON a.id = k.kind WHERE c", KEEPS),
)


@pytest.mark.parametrize(("query", "call"), QUERIES)
def test_a_proxy_that_is_right_changes_nothing(query: str, call: str | None) -> None:
    con, large, small = connected(right)
    written = query if call is None else query.replace("{}", call)
    with con:
        expected, _ = run(con, written.replace("{}", ""))
        alone = len(large.calls)
        large.calls.clear()
        assert not small.calls
        found, (proved,) = run(con, promising(written))
    assert sorted(found, key=repr) == sorted(expected, key=repr), written
    if "ORDER BY" in written:
        assert found == expected
    assert len(large.calls) < 0.6 * alone
    assert (proved.reference, proved.proxy, proved.certificate.reason) == ("large", "small", "")


@pytest.mark.parametrize(
    ("proxy", "guarantee"),
    [
        ("right", "recall >= 0.8"),
        ("often", ACCURATE),
        ("often", "precision >= 0.7, recall >= 0.7"),
        ("never", ACCURATE),
        ("never", "precision >= 0.9"),
    ],
)
def test_as_many_rows_are_as_the_reference_has_them_as_was_promised(proxy: str, guarantee: str) -> None:
    con, large, _ = connected(PROXIES[proxy])
    with con:
        found, (proved,) = run(con, promising(f"SELECT id, body, {KEEPS} FROM t", guarantee))
    asked = {number(request) for request in large.calls}
    numbers = {row: int(body.split()[1]) for row, body, _ in found if body is not None}
    assert all((answer is None) == (body is None) for _, body, answer in found)
    kept, keeps = {row for row, _, answer in found if answer}, {row for row in numbers if colour(numbers[row]) == "red"}
    assert all(numbers[row] not in asked for row in kept ^ keeps), "one that the reference was asked about"
    rows, same = len(numbers), len(kept & keeps)
    measured = {
        "accuracy": 1 - len(kept ^ keeps) / rows,
        "precision": same / len(kept) if kept else 1.0,
        "recall": same / len(keeps),
    }
    for bound in proved.certificate.bounds:
        assert measured[bound.metric] >= bound.certified >= bound.target
    certificate = proved.certificate
    assert (certificate.rows, certificate.by_proxy + certificate.by_reference) == (rows, rows)
    assert certificate.by_reference == sum(given in asked for given in numbers.values())
    assert bool(certificate.reason) == (certificate.by_proxy == 0)
    assert certificate.by_proxy or proxy != "right"
    if proxy == "never":
        assert certificate.by_proxy < 0.2 * rows or guarantee != ACCURATE


@pytest.mark.parametrize("query", [f"SELECT id, {KEEPS} FROM t", f"SELECT id, {SORTS} FROM t"])
def test_a_rerun_asks_nothing_in_whatever_order_rows_come(query: str) -> None:
    con, large, small = connected(often, llm_cache=True)
    with con:
        found, (proved,) = run(con, promising(query))
        asked = len(large.calls), len(small.calls)
        shuffled = promising(query).replace("FROM t", "FROM (FROM t ORDER BY hash(id)) AS t")
        again, (proved_again,) = run(con, shuffled)
    assert asked == (len(large.calls), len(small.calls))
    assert sorted(again) == sorted(found)
    assert proved_again.certificate == proved.certificate
    assert 0 < proved.certificate.by_proxy < proved.certificate.rows


@pytest.mark.parametrize("rows", [0, 1, 150])
def test_few_rows_are_the_references_without_a_question_to_the_proxy(rows: int) -> None:
    con, large, small = connected(never, rows=rows)
    with con:
        found, (proved,) = run(con, promising(f"SELECT id, {SORTS} FROM t ORDER BY id"))
        asked = len(large.calls)
        assert found == run(con, f"SELECT id, {SORTS.format('')} FROM t ORDER BY id")[0]
    assert not small.calls
    assert len(large.calls) == 2 * asked
    assert proved.certificate.reason
    assert proved.certificate.by_proxy == 0
    assert proved.certificate.rows == sum(label is not None for _, label in found)


def test_few_inputs_are_the_references_however_many_rows_have_them() -> None:
    con, large, small = connected(never)
    with con:
        con.sql("CREATE TABLE s AS SELECT i AS id, 'number ' || i % 150 AS body FROM range(900) r(i)")
        found, (proved,) = run(con, promising(f"SELECT id, {SORTS} FROM s ORDER BY id"))
    assert found == [(at, colour(at % 150)) for at in range(900)]
    assert not small.calls
    assert len({number(request) for request in large.calls} - {None}) == 150
    assert "counting equal ones once, the 150 rows are fewer than" in proved.certificate.reason


@pytest.mark.parametrize(("price", "pays"), [(10.0, False), (9.9, False), (0.1, True)])
def test_a_proxy_that_costs_as_much_as_it_saves_is_not_asked(price: float, pays: bool) -> None:
    con, _, _ = connected(right)
    with con:
        for name, usd in (("dear", 10.0), ("other", price)):
            con.sql(f"CREATE MODEL {name} USING scripted (price_in {usd}, price_out {usd})")
        con.sql("SET llm_model = 'dear'")
        _, (proved,) = run(con, promising(f"SELECT id, {SORTS} FROM t", proxy="'other'"))
        asked = dict(run(con, "SELECT model, count(*) FROM llm_calls() GROUP BY ALL")[0])
    assert ("other" in asked) == pays
    assert ("the proxy cannot pay" in proved.certificate.reason) == (not pays)


def test_a_limit_asks_as_without_a_promise() -> None:
    con, large, small = connected(never)
    with con:
        found, (proved,) = run(con, promising(f"SELECT id FROM t WHERE {KEEPS} LIMIT 5"))
        asked = len(large.calls)
        large.calls.clear()
        assert found == run(con, f"SELECT id FROM t WHERE {KEEPS.format('')} LIMIT 5")[0]
    assert len(large.calls) == asked < ROWS / 2
    assert not small.calls
    assert "LIMIT" in proved.certificate.reason


def test_a_model_without_probabilities_is_believed_in_all_or_in_nothing() -> None:
    def plainly(request: Request) -> str:
        return right(request).text

    con, large, _ = connected(plainly, scores=False)
    with con:
        _, (proved,) = run(con, promising(f"SELECT id, {SORTS} FROM t"))
        ((*_, text),) = run(con, "EXPLAIN ANALYZE " + promising(f"SELECT id, {SORTS} FROM t"))[0]
    assert proved.certificate.by_proxy > 0.4 * proved.certificate.rows
    assert "small gives no probabilities" in text
    inputs, sampled, served = map(int, re.findall(r"(\d+) by the proxy, (\d+) to sample, (\d+) to serve", text)[0])
    assert 2 * (sampled + served) == len([request for request in large.calls if number(request) is not None])
    assert sampled + served < inputs < ROWS


SCORES = {
    "a probability": ("CASE WHEN id % 3 = 0 THEN 0.9 - id * 1e-5 ELSE 0.1 + id * 1e-5 END", 0),
    "any number, the lower the likelier": ("CASE WHEN id % 3 = 0 THEN -100 ELSE 100 END + id / 1e4", 100),
    "of some rows none": ("CASE WHEN id % 2 = 0 THEN (id % 3 = 0)::INT END", 0),
}


@pytest.mark.parametrize("name", SCORES)
def test_a_score_of_the_users_own_answers_where_it_proves_itself(name: str) -> None:
    score, taught = SCORES[name]
    con, large, small = connected(right)
    with con:
        con.sql(
            f"CREATE TABLE s AS SELECT id, 'number ' || id AS body, {score} AS likely FROM (SELECT i AS id FROM range(600) r(i))"
        )
        large._rules = (
            ("", lambda r: said(r, "red" if (number(r) or 0) % 3 == 0 else "blue", float(number(r) is not None))),
        )
        found, (proved,) = run(con, promising(f"SELECT id FROM s WHERE {KEEPS}", proxy="likely"))
    calibrating = sum(number(request) is None for request in large.calls)
    assert sorted(found) == [(at,) for at in range(0, 600, 3)]
    assert proved.certificate.by_proxy > 0.3 * 600
    assert len(large.calls) - calibrating == proved.certificate.by_reference
    assert taught < proved.certificate.labels < taught + 200
    assert not small.calls


def test_labels_of_the_users_own_answer_where_they_prove_themselves() -> None:
    con, large, _ = connected(right)
    known = ", ".join(f"({at}, 'number {at}', '{colour(at)}')" for at in range(600))
    with con:
        con.sql(f"CREATE TABLE s AS FROM (VALUES {known}) AS v(id, body, label)")
        query = promising(f"SELECT id, {SORTS} FROM s ORDER BY id", proxy="{label: label, confidence: id % 7}")
        found, (proved,) = run(con, query)
    assert found == [(at, colour(at)) for at in range(600)]
    assert proved.certificate.by_proxy > 0.7 * 600
    assert len(large.calls) < 300


def run(con: anserdb.Connection, query: str) -> tuple[list[tuple[Any, ...]], list[Any]]:
    """Rows, and what was proved."""
    result = con.sql(query)
    assert result is not None
    return result.fetchall(), result.certificates
