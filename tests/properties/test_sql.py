"""Random queries: the same text in AnserDB, with and without rules, and in DuckDB alone with the functions as plain UDFs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import anserdb
from anserdb.udfs.models.base import ChoiceAnswer, Generate
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import reader_model, reference, shown_values
from tests.support.two_tables import fill

Rows = list[tuple[Any, ...]]

texts = st.sampled_from([None, "", "x", "y", "x y", "X z", "xx"])
numbers = st.sampled_from([None, 0, 1, 2])
t_rows = st.lists(st.tuples(texts, texts, numbers), max_size=7)
u_rows = st.lists(st.tuples(texts, numbers), max_size=4)

# --- expressions ----------------------------------------------------------------------------------------------------


def column(table: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{table}.a", f"{table}.b"] if table == "t" else ["u.c"])


def relational(table: str) -> st.SearchStrategy[str]:
    forms = ["{t}.n > 0", "{t}.n IS NULL", "{t}.id % 2 = 0", "{c} LIKE '%x%'", "{c} IS NOT NULL", "{t}.n IN (1, 2)"]
    forms += ["{t}.n BETWEEN 0 AND 1", "{t}.n IN (SELECT w.n FROM u w)", "EXISTS (SELECT 1 FROM u w WHERE w.n = {t}.n)"]
    return st.builds(lambda form, c: form.format(t=table, c=c), st.sampled_from(forms), column(table))


def semantic(table: str) -> st.SearchStrategy[str]:
    forms = [
        "LLM_FILTER('mentions x', {c})",
        "LLM_FILTER('mentions y', {c}, {d})",
        "LLM_FILTER('mentions z', COALESCE({c}, 'z'))",
        "LLM_CLASSIFY({c}, ['x', 'y', 'other']) = 'x'",
        "LLM_CLASSIFY({c}, ['x', 'y', 'other']) IN ('y', {d})",
        "LLM_CLASSIFY({c}, ['x', 'y', 'other']) IN (SELECT w.c FROM u w)",
        "LLM_SCORE('mentions x', {c}) BETWEEN 0.2 AND 0.6",
        "LLM_COMPLETE('s', {c}) = LLM_COMPLETE('s', {d})",
    ]
    return st.builds(lambda f, c, d: f.format(c=c, d=d), st.sampled_from(forms), column(table), column(table))


def predicates(table: str) -> st.SearchStrategy[str]:
    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("({} AND {})".format, inner, inner),
            st.builds("({} OR {})".format, inner, inner),
            st.builds("NOT {}".format, inner),
            st.builds("(CASE WHEN {} THEN {} ELSE {} END)".format, inner, inner, inner),
            st.builds("(CASE WHEN {} THEN {} END)".format, inner, inner),
            st.builds("COALESCE({}, {})".format, inner, inner),
            st.builds("(({}) IS NOT TRUE)".format, inner),
            st.builds("if({}, {}, {})".format, inner, inner, inner),
        )

    return st.recursive(st.one_of(relational(table), semantic(table), semantic(table)), larger, max_leaves=5)


def values(table: str) -> st.SearchStrategy[str]:
    base = st.one_of(
        column(table),
        st.builds("LLM_COMPLETE('v', {})".format, column(table)),
        st.builds("LLM_CLASSIFY({}, ['y', 'x', 'other'])".format, column(table)),
        st.builds("LLM_COMPLETE('outer', LLM_COMPLETE('inner', {}))".format, column(table)),
        st.builds("LLM_EXTRACT({}, {{name: 'VARCHAR', amount: 'INTEGER'}}).name".format, column(table)),
    )

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("CASE WHEN {} THEN {} ELSE {} END".format, predicates(table), inner, inner),
            st.builds("COALESCE({}, {})".format, inner, inner),
            st.builds("upper({})".format, inner),
            st.builds("({} || {})".format, inner, inner),
        )

    return st.recursive(base, larger, max_leaves=3)


# --- queries --------------------------------------------------------------------------------------------------------


@st.composite
def row_queries(draw: st.DrawFn) -> str:
    """One table, or two joined; perhaps an order that leaves no ties, and then perhaps a limit."""
    join = draw(st.sampled_from(["", "", "JOIN", "LEFT JOIN", "RIGHT JOIN", "SEMI JOIN", ","]))
    both = join in ("JOIN", "LEFT JOIN", "RIGHT JOIN", ",")
    table = draw(st.sampled_from(["t", "u"])) if both else "t"
    items = [f"{v} AS v{i}" for i, v in enumerate(draw(st.lists(values(table), min_size=1, max_size=2)))]
    source = "t"
    if join == ",":
        source = "t, u"
    elif join:
        condition = draw(st.sampled_from(["t.n = u.n", "t.n = u.n AND {p}", "{p} AND t.id >= u.id"]))
        source = f"t {join} u ON {condition.format(p=draw(predicates(draw(st.sampled_from(['t', 'u'])))))}"
    where = f" WHERE {draw(predicates('t' if not both else table))}" if draw(st.booleans()) else ""
    ids = "t.id, u.id" if both else "t.id"
    query = f"SELECT {ids}, {', '.join(items)} FROM {source}{where}"
    if draw(st.booleans()):
        key = draw(
            st.one_of(
                values(table),
                st.just("v0"),
                st.just("LLM_SCORE('mentions x', {})".format(f"{table}.{'a' if table == 't' else 'c'}")),
            )
        )
        direction = draw(st.sampled_from(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]))
        query += f" ORDER BY {key}{direction}, {ids}"
        if draw(st.booleans()):
            query += f" LIMIT {draw(st.integers(0, 4))}{draw(st.sampled_from(['', ' OFFSET 1']))}"
    return query


@st.composite
def group_queries(draw: st.DrawFn) -> str:
    """Groups by plain and semantic keys; aggregates of both kinds; perhaps HAVING."""
    key = draw(st.one_of(st.just("t.n"), values("t")))
    aggregates = ["count(*)", f"count({draw(values('t'))})", f"max({draw(values('t'))})", "LLM_SUMMARIZE(t.a)"]
    aggregates += [f"LLM_COMPLETE('g', max({draw(column('t'))}))", f"count(*) FILTER (WHERE {draw(predicates('t'))})"]
    chosen = draw(st.lists(st.sampled_from(aggregates), min_size=1, max_size=2))
    items = ", ".join(f"{a} AS g{i}" for i, a in enumerate(chosen))
    where = f" WHERE {draw(predicates('t'))}" if draw(st.booleans()) else ""
    group = draw(st.sampled_from(["k", "1", "ALL", key]))
    havings = ["", " HAVING count(*) > 1", " HAVING LLM_FILTER('mentions x', max(t.a))"]
    havings += [" HAVING count(*) > 1 AND max(LLM_SCORE('mentions x', t.b)) > 0.1"]
    return f"SELECT {key} AS k, {items} FROM t{where} GROUP BY {group}{draw(st.sampled_from(havings))}"


@st.composite
def wrapped_queries(draw: st.DrawFn) -> str:
    """A query inside a CTE, a derived table or a set operation, with calls around it."""
    inner = draw(st.one_of(row_queries(), group_queries()).filter(lambda q: " u.id" not in q and "LIMIT" not in q))
    outer = draw(
        st.sampled_from(
            [
                "WITH q AS ({}) SELECT count(*) FROM q",
                "WITH q AS ({0}) SELECT count(*) FROM q JOIN ({0}) r ON true",
                "SELECT LLM_COMPLETE('w', COLUMNS(*)::VARCHAR) FROM ({}) q",
                "SELECT * FROM ({}) q WHERE LLM_FILTER('mentions x', q::VARCHAR)",
                "SELECT count(*) FROM ({0}) UNION ALL SELECT count(LLM_COMPLETE('z', t.a)) FROM t",
                "SELECT DISTINCT * FROM (({0}) INTERSECT ({0}))",
                "SELECT t.id FROM t WHERE EXISTS ({})",
            ]
        )
    )
    return outer.format(inner)


queries = st.one_of(row_queries(), row_queries(), group_queries(), wrapped_queries()).filter(lambda q: "LLM_" in q)

# --- both roads -----------------------------------------------------------------------------------------------------


@dataclass
class Roads:
    """Three engines over the same tables."""

    optimized: anserdb.Connection
    naive: anserdb.Connection
    plain: duckdb.DuckDBPyConnection
    models: tuple[ScriptedModel, ScriptedModel]

    def fill(self, t: list[tuple[Any, ...]], u: list[tuple[Any, ...]]) -> None:
        fill((self.optimized.duckdb, self.naive.duckdb, self.plain), t, u)


def connection(model: ScriptedModel, **chosen: Any) -> anserdb.Connection:
    made = anserdb.connect(duckdb.connect(config={"threads": 1}), store=":memory:", llm_model="reader", **chosen)
    made.register_model("reader", model)
    return made


@pytest.fixture(scope="module")
def roads() -> Iterator[Roads]:
    plain = duckdb.connect(config={"threads": 1})
    reference(plain)
    models = (reader_model(), reader_model())
    with connection(models[0]) as optimized, connection(models[1], llm_disabled_rules="all") as naive:
        yield Roads(optimized, naive, plain, models)
    plain.close()


def ran(connection: anserdb.Connection, query: str, *, cache: bool) -> tuple[Rows, int]:
    """Rows, and calls made."""
    connection.settings.assign("llm_cache", cache)
    result = connection.sql(query)
    assert result is not None
    rows = result.fetchall()
    assert result.progress is not None
    return rows, result.progress.calls


def comparable(rows: Rows, query: str) -> Any:
    ordered = "ORDER BY" in query and "(SELECT " not in query.replace("(SELECT w.n", "").replace("(SELECT w.c", "")
    return [repr(r) for r in rows] if ordered else Counter(repr(r) for r in rows)


@given(query=queries, t=t_rows, u=u_rows)
@pytest.mark.timeout(900)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_rows_are_those_of_duckdb_and_rules_never_add_calls(
    roads: Roads, query: str, t: list[tuple[Any, ...]], u: list[tuple[Any, ...]]
) -> None:
    roads.fill(t, u)
    note(query)
    expected = comparable(roads.plain.execute(query).fetchall(), query)
    optimized, calls = ran(roads.optimized, query, cache=False)
    assert comparable(optimized, query) == expected
    naive, naive_calls = ran(roads.naive, query, cache=False)
    assert comparable(naive, query) == expected
    assert calls <= naive_calls
    assert comparable(ran(roads.optimized, query, cache=True)[0], query) == expected
    assert ran(roads.optimized, query, cache=True)[1] == 0


@given(p=relational("t"), q=relational("t"), t=t_rows, u=u_rows)
@pytest.mark.timeout(900)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_only_rows_that_reach_a_call_are_asked(
    roads: Roads, p: str, q: str, t: list[tuple[Any, ...]], u: list[tuple[Any, ...]]
) -> None:
    roads.fill(t, u)
    kept = f"({q} OR LLM_FILTER('mentions x', t.b))"
    asked = "CASE WHEN {} THEN LLM_COMPLETE('g', t.a) ELSE COALESCE(t.b, LLM_COMPLETE('h', t.a)) END"
    reached = {
        "filter": f"SELECT t.b FROM t WHERE ({q}) IS NOT TRUE AND t.b IS NOT NULL",
        "g": f"SELECT t.a FROM t WHERE {kept} AND ({p}) IS TRUE AND t.a IS NOT NULL",
        "h": f"SELECT t.a FROM t WHERE {kept} AND ({p}) IS NOT TRUE AND t.b IS NULL AND t.a IS NOT NULL",
    }
    expected = {(k, text.strip()) for k, sql in reached.items() for (text,) in roads.plain.execute(sql).fetchall()}
    for made, model in zip((roads.optimized, roads.naive), roads.models, strict=True):
        model.calls.clear()
        ran(made, f"SELECT {asked.format(p)} AS v FROM t WHERE {kept}", cache=False)
        assert {question(r) for r in model.calls if isinstance(r, Generate)} == expected


def question(request: Generate) -> tuple[str, str]:
    """Which call asked, and of what text."""
    kind = "filter" if isinstance(request.answer, ChoiceAnswer) else request.system.partition("\n")[0]
    return kind, shown_values(request)[0]
