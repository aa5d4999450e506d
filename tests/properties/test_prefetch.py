"""Random statements whose calls stay in the text: rows of plain DuckDB, and exactly the questions that EMBEDDED asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

import anserdb
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import reader_model, reference
from tests.support.two_tables import fill

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Without the phase that explains failures: it takes minutes."""

texts = st.sampled_from([None, "", "x", "y", "x y", "X z", "xx"])
numbers = st.sampled_from([None, 0, 1, 2])
t_rows = st.lists(st.tuples(texts, texts, numbers), max_size=7)
u_rows = st.lists(st.tuples(texts, numbers), max_size=5)

conditions = st.sampled_from([
    "LLM_FILTER('mentions x', {})",
    "NOT LLM_FILTER('mentions y', {})",
    "LLM_FILTER('mentions y', {}) IS NULL",
    "COALESCE(LLM_FILTER('mentions x', {}), true)",
    "LLM_COMPLETE('s', {}) > 's(x'",
    "LLM_CLASSIFY({}, ['x', 'y', 'other']) IN ('y', 'other')",
    "CASE WHEN t.n > 0 THEN LLM_FILTER('mentions x', {}) ELSE true END",
    "LLM_FILTER('mentions x', LLM_COMPLETE('s', {}))",
])  # fmt: skip
values = st.sampled_from([
    "LLM_COMPLETE('v', {})",
    "LLM_CLASSIFY({}, ['x', 'y', 'other'])",
    "upper(LLM_COMPLETE('v', {}))",
    "LLM_COMPLETE('outer', LLM_COMPLETE('inner', {}))",
])  # fmt: skip
plain = st.sampled_from(["t.n > 0", "t.n IS NULL", "t.id % 2 = 0", "t.a LIKE '%x%'", "true"])
together = st.sampled_from(["{0}", "{0} AND {1}", "{1} AND {0}", "{0} OR {1}"])
of_inner = st.sampled_from(["u.c", "t.a || u.c", "COALESCE(u.c, t.b)"])
of_both = st.sampled_from(["t.a", "u.c", "t.a || u.c", "COALESCE(u.c, t.b)"])


@st.composite
def joins(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["LEFT", "RIGHT", "FULL", "SEMI", "ANTI", ""]))
    key = draw(st.sampled_from(["t.n = u.n", "t.n = u.n AND t.id >= u.id", "t.id > u.id", "true"]))
    calls = [draw(conditions).format(draw(of_both)) for _ in range(draw(st.sampled_from([1, 1, 2])))]
    both = "" if kind in ("SEMI", "ANTI") else ", u.id"
    inner = "t.id IN (SELECT w.n FROM u w)" if kind == "" else key
    condition = draw(together).format(f"({inner})", f"({' AND '.join(calls)})")
    if kind == "FULL":
        condition = f"{key} AND ({' AND '.join(calls)})"
    return f"SELECT t.id{both} FROM t {kind} JOIN u ON {condition} ORDER BY ALL"


@st.composite
def lambdas(draw: st.DrawFn) -> str:
    forms = ["list_transform([t.a, t.b], lambda e: {v})", "list_filter([t.a, t.b], lambda e: {c})"]
    forms += ["list_transform(list_filter([t.a, t.b], lambda e: {c}), lambda e: {v})"]
    items = [
        f"{form.format(v=draw(values).format('e'), c=draw(conditions.filter(lambda c: 't.n' not in c)).format('e'))} AS l{i}"
        for i, form in enumerate(draw(st.lists(st.sampled_from(forms), min_size=1, max_size=2)))
    ]
    return f"SELECT t.id, {', '.join(items)} FROM t WHERE {draw(plain)} ORDER BY ALL"


@st.composite
def correlated(draw: st.DrawFn) -> str:
    condition, value = draw(conditions).format(draw(of_both)), draw(values).format(draw(of_inner))
    key = draw(st.sampled_from(["u.n = t.n", "u.n >= t.n", "u.id = t.id"]))
    form = draw(st.sampled_from([
        "SELECT t.id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE {k} AND {c})",
        "SELECT t.id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE {k} AND {c}) AND {p}",
        "SELECT t.id, (SELECT max({v}) FROM u WHERE {k}) AS m FROM t WHERE {p}",
        "SELECT t.id, (SELECT count(*) FROM u WHERE {k} AND {c}) AS m FROM t",
        "SELECT t.id FROM t WHERE t.n IN (SELECT u.n FROM u WHERE {k} AND {c})",
        "SELECT t.id FROM t WHERE t.n NOT IN (SELECT u.n FROM u WHERE {k} AND {c})",
        "SELECT t.id, CASE WHEN {p} THEN (SELECT min({v}) FROM u WHERE {k}) END AS m FROM t",
        "SELECT t.id, l.v FROM t, LATERAL (SELECT {v} AS v FROM u WHERE {k}) l",
        "WITH q AS (SELECT t.id, EXISTS (SELECT 1 FROM u WHERE {k} AND {c}) AS e FROM t) SELECT * FROM q WHERE e OR id > 2",
        "SELECT t.id FROM t WHERE (SELECT u.n FROM u WHERE {k} AND NOT COALESCE({c}, false)) > 0",
    ]))  # fmt: skip
    return form.format(k=key, c=condition, v=value, p=draw(plain)) + " ORDER BY ALL"


@st.composite
def changes(draw: st.DrawFn) -> str:
    condition = draw(conditions).format("t.b")
    return draw(st.sampled_from([
        f"UPDATE t SET a = {draw(values).format('t.b')} WHERE {draw(plain)}",
        f"UPDATE t SET a = {draw(values).format('t.b')}, b = {draw(values).format('t.a')}",
        f"UPDATE t SET n = 7 WHERE {draw(together).format(condition, draw(plain))}",
        f"UPDATE t SET n = 7 FROM u WHERE t.id = u.n AND {draw(conditions).format(draw(of_both))}",
        f"DELETE FROM t WHERE {draw(together).format(condition, draw(plain))}",
        f"DELETE FROM t USING u WHERE t.id = u.n AND {draw(conditions).format(draw(of_both))}",
        f"INSERT INTO u SELECT t.id, list_transform([t.a], lambda e: {draw(values).format('e')})[1], t.n FROM t WHERE {draw(plain)}",
    ]))  # fmt: skip


statements = st.one_of(joins(), lambdas(), correlated(), changes()).filter(lambda s: "LLM_" in s)


@dataclass
class Roads:
    """The same tables three times: with and without the rule, and in DuckDB alone."""

    prefetch: anserdb.Connection
    embedded: anserdb.Connection
    plain: duckdb.DuckDBPyConnection
    models: tuple[ScriptedModel, ScriptedModel]

    def fill(self, t: list[tuple[Any, ...]], u: list[tuple[Any, ...]]) -> None:
        fill((self.prefetch.duckdb, self.embedded.duckdb, self.plain), t, u)


def connection(model: ScriptedModel, **chosen: Any) -> anserdb.Connection:
    native = duckdb.connect(config={"threads": 1})
    made = anserdb.connect(native, store=":memory:", llm_model="reader", llm_cache=False, **chosen)
    made.register_model("reader", model)
    return made


@pytest.fixture(scope="module")
def roads() -> Iterator[Roads]:
    alone = duckdb.connect(config={"threads": 1})
    reference(alone)
    models = (reader_model(), reader_model())
    with connection(models[0]) as prefetch, connection(models[1], llm_disabled_rules="prefetch") as embedded:
        yield Roads(prefetch, embedded, alone, models)
    alone.close()


def outcome(ask: Any, native: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """Rows, tables and whether it failed: a subquery with several rows is an error everywhere."""
    try:
        done = ask(statement)
        rows = done.fetchall() if statement.startswith(("SELECT", "WITH")) else []
    except (anserdb.Error, duckdb.Error) as error:
        return "More than one row" in str(error) or repr(error)
    if not statement.startswith(("SELECT", "WITH")):
        rows = native.execute("SELECT 't', * FROM t ORDER BY ALL").fetchall()
        rows += native.execute("SELECT 'u', * FROM u ORDER BY ALL").fetchall()
    return Counter(map(repr, rows))


@given(statement=statements, t=t_rows, u=u_rows)
@pytest.mark.timeout(900)
@settings(
    max_examples=60,
    phases=PHASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_same_rows_for_the_same_questions(
    roads: Roads, statement: str, t: list[tuple[Any, ...]], u: list[tuple[Any, ...]]
) -> None:
    roads.fill(t, u)
    note(statement)
    shown = roads.prefetch.explain(statement).split("\n")[0]
    note(shown)
    event(" ".join(shown.split()[:2]))
    for model in roads.models:
        model.calls.clear()
    expected = outcome(roads.plain.execute, roads.plain, statement)
    assert outcome(roads.embedded.execute, roads.embedded.duckdb, statement) == expected
    assert outcome(roads.prefetch.execute, roads.prefetch.duckdb, statement) == expected
    asked, embedded = (Counter(model.calls) for model in roads.models)
    assert asked == embedded
