"""What holds of every dialect: what is a call and what is not, where errors point, what the user hears."""

from __future__ import annotations

import duckdb
import pytest

import anserdb
from anserdb.engine.errors import BindError, ParseError, ProgrammingError
from anserdb.engine.sql import bind as binder
from anserdb.engine.sql.dialects import types
from anserdb.engine.sql.dialects.types import duckdb_type, schema_type
from anserdb.engine.sql.locate import mentions
from anserdb.engine.sql.tokens import Text
from anserdb.udfs.functions import functions

from .conftest import Bench

UNTOUCHED = [
    "SELECT 'AI.IF(body)', $$prompt(body)$$ FROM tickets",
    'SELECT "prompt"(body), "ai_gen"(body) FROM tickets',
    "SELECT 1 -- AI.IF(body)\n/* prompt(body) */ FROM tickets",
    "SELECT prompt FROM (SELECT body AS prompt FROM tickets)",
    "SELECT s.prompt(body), AI.NOTHING(body), other.AI.IF(body) FROM tickets",
    "INSERT INTO prompt(a, b) VALUES (1, 2)",
    "CREATE TABLE IF NOT EXISTS embedding (id INTEGER)",
    "CREATE INDEX i ON embedding(id)",
    "COPY prompt(a) TO 'x.csv'",
    "WITH prompt(a) AS (SELECT 1) SELECT a FROM prompt",
    "WITH q AS (SELECT 1), prompt(a) AS (SELECT 2) SELECT a FROM prompt",
    "WITH q AS (SELECT 1), prompt(a) AS MATERIALIZED (SELECT 2) SELECT a FROM prompt",
    "SELECT * FROM tickets AS prompt(a, b, c)",
    "SELECT * FROM tickets prompt(a, b, c)",
    "SELECT * FROM (SELECT 1) prompt(a)",
    "WITH RECURSIVE prompt(a) AS (SELECT 1) SELECT a FROM prompt",
    "SELECT * FROM prompt('x')",
    "SELECT * FROM tickets JOIN embedding('x') ON true",
    "CREATE MACRO prompt(x) AS x",
    "SELECT LLM_FILTER('x', body), AI_FILTER('x', body), AI_COMPLETE('Say it.', body) FROM tickets",
]


@pytest.mark.parametrize("sql", UNTOUCHED)
def test_what_is_no_call_of_a_dialect_stays(bench: Bench, sql: str) -> None:
    assert bench.spoken(sql) is None


REWRITTEN = [
    ("SELECT id FROM tickets WHERE NOT prompt('x')", "SELECT id FROM tickets WHERE NOT LLM_COMPLETE('x')"),
    ("SELECT 1 ORDER BY prompt('x')", "SELECT 1 ORDER BY LLM_COMPLETE('x')"),
    ("SELECT a IS DISTINCT FROM prompt('x')", "SELECT a IS DISTINCT FROM LLM_COMPLETE('x')"),
    ("SELECT 1 + trim('a' FROM prompt('x'))", "SELECT 1 + trim('a' FROM LLM_COMPLETE('x'))"),
    ("SELECT [prompt('x')], (prompt('y'))", "SELECT [LLM_COMPLETE('x')], (LLM_COMPLETE('y'))"),
    ("SELECT CASE WHEN prompt('x') THEN 1 END", "SELECT CASE WHEN LLM_COMPLETE('x') THEN 1 END"),
    ("SELECT DISTINCT ON (a) prompt('x')", "SELECT DISTINCT ON (a) LLM_COMPLETE('x')"),
    ("UPDATE t SET a = prompt('x')", "UPDATE t SET a = LLM_COMPLETE('x')"),
    ("SELECT 1 + /* why */ AI . GENERATE -- so\n", None),
    ("SELECT 1 + ai./* c */if((/* a */ 'x', -- b\n y)) -- z", "SELECT 1 + LLM_FILTER('x {0}', y) -- z"),
    ("SELECT Prompt (\n'x' ) AS y;\n", "SELECT LLM_COMPLETE('x') AS y;\n"),
]


@pytest.mark.parametrize(("sql", "expected"), REWRITTEN)
def test_calls_are_found_wherever_they_stand(bench: Bench, sql: str, expected: str | None) -> None:
    assert bench.text(sql) == (sql if expected is None else expected)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT prompt, embedding FROM documents",
        "CREATE TABLE documents (embedding FLOAT[384], email_address VARCHAR)",
        "SELECT * FROM openai.models JOIN main.ai USING (id)",
    ],
)
def test_plain_sql_is_not_even_tokenised(sql: str) -> None:
    assert not mentions(sql, functions())


def test_a_statement_without_a_dialect_is_tokenised_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    class Counted(Text):
        def __init__(self, sql: str) -> None:
            read.append(sql)
            super().__init__(sql)

    monkeypatch.setattr(binder, "Text", Counted)
    session = bench.connection._open_session()
    plain, spoken = "SELECT LLM_FILTER('x', body) FROM tickets", "SELECT AI.IF(('x', body)) FROM tickets"
    assert binder.bind(plain, session) is not None
    assert read == [plain]
    assert binder.bind(spoken, session) is not None
    assert read == [plain, spoken, bench.text(spoken)]


def test_nested_calls_are_rewritten_from_the_inside_of_their_arguments(bench: Bench) -> None:
    found = bench.expression("ai_gen('Fix: ' || prompt('Translate ' || body))")
    assert found == "LLM_COMPLETE('Fix: {0}', LLM_COMPLETE('Translate {0}', body))"


def test_a_canonical_call_may_hold_one_of_a_dialect(bench: Bench) -> None:
    assert bench.expression("LLM_FILTER('x', prompt('y', model := 'known'))") == (
        "LLM_FILTER('x', LLM_COMPLETE('y', model := 'known'))"
    )


NAMES = [
    ("SELECT AI.IF(('x ', body)) FROM tickets", ["ai_if"]),
    ("SELECT id, prompt('x'), ai_gen('y') AS z FROM tickets", ["id", "prompt", "z"]),
    ("SELECT AI.GENERATE_INT(('x ', body)).result FROM tickets", ["result"]),
    ("SELECT upper(prompt('x ' || body)) FROM tickets", ["upper(prompt('x ' || body))"]),
    ("SELECT * FROM (SELECT prompt('x'))", ["prompt"]),
]


@pytest.mark.parametrize(("sql", "names"), NAMES)
def test_columns_are_called_by_the_users_words(bench: Bench, sql: str, names: list[str]) -> None:
    assert bench.run(f"SELECT * FROM ({sql}) WHERE false" if "upper" not in sql else sql).names == names


MISTAKES = [
    ("SELECT id, AI.IF(('x ', bodi)) FROM tickets", "bodi", "not found"),
    ("SELECT AI.IF(('x ', body), conection_id => 'a') FROM tickets", "conection_id", "BigQuery's AI.IF has no option"),
    ("SELECT prompt(body, tempreture := 1) FROM tickets", "tempreture", "Did you mean temperature"),
    ("SELECT prompt(body, temperature := 9) FROM tickets", "9", "from 0 to 2"),
    ("SELECT ai_query('known', body, returnType => 'INTEGR') FROM tickets", "'INTEGR'", "Databricks' AI_QUERY"),
    ("SELECT ai_query(city, body) FROM tickets", "city", "must be a constant"),
    ("SELECT AI.GENERATE() FROM tickets", "AI.GENERATE()", "prompt is missing"),
    ("SELECT embedding('a', 'known-embed', 3) FROM tickets", "embedding('a', 'known-embed', 3)", "3 are given"),
    ("SELECT prompt('a', text := 'b')", "prompt('a', text := 'b')", "given twice"),
    ("SELECT ai_gen(DISTINCT 'a')", "ai_gen(DISTINCT 'a')", "not an aggregate"),
    ("SELECT prompt('x') OVER () FROM tickets", "prompt('x')", "OVER"),
    ("SELECT AI_FILTER('x', body, retrun_error_details => true) FROM tickets", "retrun_error_details", "Snowflake"),
    ("SELECT prompt('a', struct := {x: 'T'}, return_type := 'INTEGER')", None, "exclude each other"),
    ("SELECT AI_FILTER(PROMPT('{1} or {0}', body)) FROM tickets", "PROMPT('{1} or {0}', body)", "no {1}"),
    ("SELECT ai_gen('a'), prompt('b' || bodi) FROM tickets", "bodi", "not found"),
]


@pytest.mark.parametrize(("sql", "place", "message"), MISTAKES)
def test_mistakes_point_into_the_users_text(bench: Bench, sql: str, place: str | None, message: str) -> None:
    with pytest.raises(BindError) as caught:
        bench.run(sql)
    assert message in str(caught.value)
    position = caught.value.position
    assert position is not None
    assert position.sql == sql
    assert place is None or sql[position.start : position.end] == place
    assert "LLM_COMPLETE(" not in str(caught.value)


def test_a_statement_that_nobody_can_read_is_refused_in_its_own_words(bench: Bench) -> None:
    with pytest.raises(ParseError, match="syntax error") as caught:
        bench.run("SELECT ai_classify(body, array('a', 'b')) FROM WHERE")
    assert "array('a', 'b')" in str(caught.value)


def test_parameters_are_arguments(bench: Bench) -> None:
    result = bench.connection.sql("SELECT ai_classify(?, array('a', ?)) AS x", ["it", "b"])
    assert result is not None
    assert result.fetchall() == bench.run("SELECT LLM_CLASSIFY('it', ['a', 'b']) AS x").rows


def test_options_without_meaning_and_unknown_models_are_one_notice_each(bench: Bench) -> None:
    call = "AI.IF(('x ', body), connection_id => 'c', optimization_mode => 'o', endpoint => 'gemini-2.5-flash')"
    found = bench.run(f"SELECT {call}, {call.replace('x', 'y')} FROM tickets WHERE id < 3")
    assert found.notices[0] == "connection_id, optimization_mode of BigQuery have no meaning here and are ignored."
    assert found.notices[1].startswith("There is no model gemini-2.5-flash: the default model answers")
    assert len(found.notices) == 2


def test_a_model_of_ours_is_taken_without_a_notice(bench: Bench) -> None:
    found = bench.spoken("SELECT ai_query('known', 'x ' || body)")
    assert found is not None
    assert "model := 'known'" in found.sql
    assert found.notices == ()


def test_functions_of_the_user_come_first() -> None:
    with anserdb.connect(store=":memory:", llm_model="scripted", llm_embedding_model="scripted") as connection:
        for statement in (
            "CREATE MACRO prompt(x) AS 'mine ' || x",
            "CREATE MACRO embedding(x) AS TABLE SELECT x AS y",
            "CREATE SCHEMA ai",
            "CREATE MACRO ai.score(x) AS x || '!'",
        ):
            connection.sql(statement)
        result = connection.sql("SELECT prompt('a'), ai.score('b'), y FROM embedding('c')")
        assert result is not None
        assert result.fetchall() == [("mine a", "b!", "c")]
        other = connection.sql("SELECT AI.IF(('x ', 'y')) IS NULL, prompt('a')")
        assert other is not None
        assert other.fetchall() == [(False, "mine a")]


def test_an_embedded_call_is_rewritten_too(bench: Bench) -> None:
    sql = "SELECT list_transform(['a', 'b'], lambda c: {call}) AS x"
    spoken, ours = "prompt('say ' || c)", "LLM_COMPLETE('say {0}', c)"
    assert bench.run(sql.format(call=spoken)).rows == bench.run(sql.format(call=ours)).rows


def test_statements_that_store_answers(bench: Bench) -> None:
    bench.connection.sql("CREATE OR REPLACE TABLE answers AS SELECT id, AI.IF(('x ', body)) AS ok FROM tickets")
    stored = bench.run("SELECT id, ok FROM answers ORDER BY id").rows
    assert stored == bench.run("SELECT id, LLM_FILTER('x {0}', body) AS ok FROM tickets ORDER BY id").rows


def test_a_statement_without_a_model_is_duckdbs(bench: Bench) -> None:
    found = bench.run("SELECT id, fusion_rrf(id, NULL) FROM tickets ORDER BY 2 DESC LIMIT 1;")
    assert (found.names, found.rows, sum(found.asked.values())) == (["id", "fusion_rrf"], [(1, 1 / 61)], 0)
    with pytest.raises(ProgrammingError) as caught:
        bench.run("SELECT fusion_rrf(nope) FROM tickets")
    assert caught.value.position is not None
    assert caught.value.position.sql[caught.value.position.start :].startswith("nope")


@pytest.mark.parametrize(
    ("written", "dialect", "ours"),
    [
        ("STRUCT<a STRING, b ARRAY<INT64>>", "bigquery", 'STRUCT("a" VARCHAR, b BIGINT[])'),
        ("NUMERIC", "bigquery", "DECIMAL(38,9)"),
        ("STRUCT<a: INT, b: MAP<STRING, DOUBLE>>", "databricks", 'STRUCT("a" INTEGER, b MAP(VARCHAR, DOUBLE))'),
        ("VARCHAR[]", "databricks", "VARCHAR[]"),
    ],
)
def test_types_of_other_systems(written: str, dialect: str, ours: str) -> None:
    assert duckdb.type(duckdb_type(written, dialect)) == duckdb.type(ours)


@pytest.mark.parametrize(
    ("schema", "ours"),
    [
        ({"type": ["integer", "null"]}, "BIGINT"),
        ({"anyOf": [{"type": "null"}, {"type": "array", "items": {"type": "number"}}]}, "DOUBLE[]"),
        ({"type": "array"}, "VARCHAR[]"),
        ({"type": ["string", "null"], "enum": ["a", None]}, "ENUM('a')"),
    ],
)
def test_schemas_of_what_may_be_null(schema: object, ours: str) -> None:
    assert schema_type(schema) == ours


@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"type": ["string", "integer"]}, {"type": "object"}, [], {}])
def test_schemas_without_a_type_are_refused(schema: object) -> None:
    with pytest.raises(ValueError, match="JSON schema"):
        schema_type(schema)


def test_schemas_of_other_systems() -> None:
    inner = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}, "b c": {"type": "number"}}}
    wrapped = {"type": "json_schema", "json_schema": {"name": "n", "schema": inner}}
    assert schema_type(wrapped) == types.schema_type(inner) == """STRUCT("a" ENUM('x', 'y'), "b c" DOUBLE)"""
