"""Statements of our own."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from anserdb.engine.errors import ParseError
from anserdb.engine.sql.statements import (
    AlterModel,
    CompactAnswers,
    CreateModel,
    CreatePrompt,
    DropAnswers,
    DropModel,
    DropPrompt,
    Explain,
    RenameModel,
    Retry,
    SetSetting,
    ShowModels,
    ShowPrompts,
    Statement,
    names_catalogue,
    names_secret,
    parse_statement,
    split_statements,
    with_table_functions,
)
from anserdb.engine.sql.tokens import Text


def evaluate(sql: str) -> Any:
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT {sql}").fetchone()
    assert row is not None
    return row[0]


def parsed(sql: str) -> Statement | None:
    return parse_statement(Text(sql), evaluate)


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("SET llm_model = 'big'", SetSetting("llm_model", "big")),
        ("set session LLM_MODEL to big", SetSetting("llm_model", "big")),
        ("SET llm_max_calls = 10 * 10", SetSetting("llm_max_calls", 100)),
        ("SET llm_max_calls = NULL", SetSetting("llm_max_calls", None)),
        ("SET llm_cache = off", SetSetting("llm_cache", False)),
        ("RESET llm_model", SetSetting("llm_model", None)),
        ("RESET llm_model;", SetSetting("llm_model", None)),
        ("SHOW MODELS", ShowModels()),
        ("DROP MODEL IF EXISTS m", DropModel("m", True)),
        ('DROP MODEL "My m"', DropModel("My m", False)),
        ('DROP MODEL "My ""m"""', DropModel('My "m"', False)),
        ("CALL llm_create_model('m', {'PROVIDER': 'Scripted', 'Seed': 3})", CreateModel("m", "scripted", {"seed": 3})),
        (
            "CREATE OR REPLACE MODEL m (PROVIDER openai, MODEL 'gpt', concurrency 8, stream true)",
            CreateModel("m", "openai", {"model": "gpt", "concurrency": 8, "stream": True}, replace=True),
        ),
        ("CREATE MODEL IF NOT EXISTS m (provider := scripted)", CreateModel("m", "scripted", if_not_exists=True)),
        ("CALL llm_create_model('m', {provider: 'scripted', seed: 3})", CreateModel("m", "scripted", {"seed": 3})),
        ("CREATE MODEL m USING vllm", CreateModel("m", "vllm")),
        (
            "create or replace model m using OpenAI (model 'x', price_in 0.4, context 8000, rpm = 60, structured none);",
            CreateModel(
                "m",
                "openai",
                {"model": "x", "price_in": 0.4, "context": 8000, "rpm": 60, "structured": "none"},
                replace=True,
            ),
        ),
        ("ALTER MODEL m SET (price_in 0.5, api_key_env NULL)", AlterModel("m", {"price_in": 0.5, "api_key_env": None})),
        ('ALTER MODEL m RENAME TO "gpt-4.1"', RenameModel("m", "gpt-4.1")),
        ("CREATE PROMPT p AS 'is {body} ' || 'rude?'", CreatePrompt("p", "is {body} rude?")),
        ("CREATE OR REPLACE PROMPT p AS $$It's$$", CreatePrompt("p", "It's", replace=True)),
        ("CREATE PROMPT IF NOT EXISTS p AS 'x'", CreatePrompt("p", "x", if_not_exists=True)),
        ("DROP PROMPT IF EXISTS p", DropPrompt("p", True)),
        ("SHOW PROMPTS;", ShowPrompts()),
        (
            "CALL llm_create_model('m', {provider: 'scripted', price_in: 0.4}, replace := true)",
            CreateModel("m", "scripted", {"price_in": 0.4}, replace=True),
        ),
        ("CALL llm_alter_model('m', {PRICE_IN: 2, rpm: NULL})", AlterModel("m", {"price_in": 2, "rpm": None})),
        ("CALL llm_alter_model('m', rename_to := 'n')", RenameModel("m", "n")),
        ("CALL llm_drop_model('m', if_exists := true)", DropModel("m", True)),
        ("CALL llm_create_prompt('p', 'x', if_not_exists := true)", CreatePrompt("p", "x", if_not_exists=True)),
        ("CALL llm_drop_prompt('p')", DropPrompt("p", False)),
        ("CALL llm_retry('abc')", Retry("abc")),
        ("DROP ANSWERS", DropAnswers()),
        ("drop answers (model small, OLDER_THAN INTERVAL 2 HOURS)", DropAnswers("small", None, 7200.0)),
        ("CALL llm_cache_clear()", DropAnswers()),
        ("CALL llm_cache_clear(function := 'LLM_FILTER', model := 'm')", DropAnswers("m", "LLM_FILTER")),
        ("CALL llm_cache_clear(older_than := INTERVAL 1 DAY)", DropAnswers(None, None, 86400.0)),
        ("COMPACT ANSWERS;", CompactAnswers()),
        ("CALL llm_cache_compact()", CompactAnswers()),
        ("CALL llm_drop_model('m')", DropModel("m", False)),
        ("EXPLAIN SELECT 1", Explain("SELECT 1", False, "text")),
        ("EXPLAIN ANALYZE SELECT ';'", Explain("SELECT ';'", True, "text")),
        ("EXPLAIN (ANALYZE, FORMAT json) SELECT 1", Explain("SELECT 1", True, "json")),
        ("EXPLAIN ANALYSE (FORMAT 'JSON') SELECT 1", Explain("SELECT 1", True, "json")),
        ("EXPLAIN (SELECT 1) UNION (SELECT 2)", Explain("(SELECT 1) UNION (SELECT 2)", False, "text")),
        ("EXPLAIN ANALYZE (SELECT 1)", Explain("(SELECT 1)", True, "text")),
    ],
)
def test_statements(sql: str, statement: Statement) -> None:
    assert parsed(sql) == statement


@pytest.mark.parametrize(
    "sql", ["SET threads = 2", "SHOW TABLES", "CREATE TABLE model (a INT)", "DROP TABLE model", "SELECT 1", "CALL pragma_version()",
     "ALTER TABLE model RENAME TO prompt", "SHOW models_of_mine", "CREATE OR REPLACE VIEW prompt AS SELECT 1", "SHOW prompt"]
)  # fmt: skip
def test_all_else_is_duckdbs_business(sql: str) -> None:
    assert parsed(sql) is None


@pytest.mark.parametrize(
    ("sql", "message", "place"),
    [
        ("SET llm_model 'x'", "SET llm_model = value", "'x'"),
        ("CREATE MODEL m PROVIDER x", "CREATE MODEL m \\(PROVIDER", "PROVIDER"),
        ("CREATE MODEL m (MODEL 'x')", "PROVIDER: openai", "("),
        ("DROP MODEL", "a model's name", "MODEL"),
        ('CREATE MODEL "" USING scripted', "a model's name, which is not empty", '""'),
        ("CALL llm_create_model('', {provider: 'scripted'})", "llm_create_model\\('name'", "llm_create_model"),
        ("RESET llm_model now", "the end of RESET llm_model", "now"),
        ("SET llm_max_calls = nope + 1", "not a constant", "nope + 1"),
        ("CALL llm_drop_model()", "llm_drop_model", "llm_drop_model"),
        ("CALL llm_cache_clear(older_than := 7)", "older_than := INTERVAL", "llm_cache_clear"),
        ("COMPACT ANSWERS now", "the end of COMPACT", "now"),
        ("CALL llm_drop_model('m', if_exist := true)", "if_exists := true", "llm_drop_model"),
        ("CALL llm_create_promt('p', 'x')", "There is llm_create_prompt\\('name', 'text", "llm_create_promt"),
        ("CREATE MODEL m USNG openai", "USING openai", "USNG"),
        ("CREATE MODEL m USING", "a provider after USING: openai", "USING"),
        ("CREATE MODEL m USING openai model 'x'", "USING openai \\(model", "model"),
        ("CREATE MODEL m USING openai (model 'x') extra", "the end of CREATE MODEL", "extra"),
        ("CREATE MODEL m USING openai (model)", "an option and its value", "model"),
        ("CREATE MODEL m USING openai (rpm 1, rpm 2)", "rpm is given twice", "rpm 2"),
        ("CREATE MODEL IF EXISTS m USING openai", "IF NOT EXISTS", "EXISTS"),
        ("CREATE MODEL gpt-4 USING openai", "CREATE MODEL gpt USING openai", "-"),
        ("ALTER MODEL m SET price_in 3", "SET \\(option value", "price_in"),
        ("ALTER MODEL m", "RENAME TO new_name", "m"),
        ("CREATE PROMPT p 'x'", "CREATE PROMPT p AS", "'x'"),
        ("CREATE PROMPT p AS 3", "non-empty text", "3"),
        ("DROP PROMPT p@2", "it drops all versions", "@"),
    ],
)
def test_mistakes_are_placed(sql: str, message: str, place: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parsed(sql)
    position = caught.value.position
    assert position is not None
    assert sql[position.start : position.end] == place


@pytest.mark.parametrize(
    ("sql", "ours"),
    [
        ("-- of all the models there are, this one:\nCREATE MODEL m USING openai", True),
        ("/* a */ drop /* b */ prompt p", True),
        ("/* a */ -- b\n" * 60 + "CREATE MODEL m USING openai", True),
        ("/* a */ -- b\n" * 60 + "SELECT 1", False),
        ("PROFILE SELECT 1", True),
        ("show /* a */ frontier for SELECT 1", True),
        ("SHOW FRONTIERS", False),
        ("CREATE TABLE models (model INT)", False),
        ("SELECT 'CREATE MODEL m'", False),
    ],
)
def test_statements_about_the_catalogue_are_known_by_their_first_words(sql: str, ours: bool) -> None:
    assert names_catalogue(sql) is ours


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE SECRET llm_key (TYPE http, BEARER_TOKEN 'x')",
        "CREATE OR REPLACE PERSISTENT SECRET IF NOT EXISTS llm_key (TYPE http)",
        "-- llm_\nCREATE TEMPORARY SECRET llm_key (TYPE http)",
        "DROP SECRET llm_key",
    ],
)
def test_statements_about_secrets_are_duckdbs(sql: str) -> None:
    assert names_secret(sql)


def test_no_error_shows_what_stands_in_quotes() -> None:
    with pytest.raises(ParseError) as caught:
        parsed("CREATE MODEL m USING openai (api_key 'k-e-y', model)")
    assert "'*****'" in str(caught.value)
    assert "k-e-y" not in str(caught.value)


def test_scripts_are_split_verbatim() -> None:
    script = "SELECT ';' AS a;\n\n-- only a comment;\nSELECT $$;$$ ;; EXPLAIN SELECT 'x;y'; /* end */"
    assert split_statements(script) == ["SELECT ';' AS a", "SELECT $$;$$", "EXPLAIN SELECT 'x;y'"]


def test_system_tables_are_put_in() -> None:
    text = Text("SELECT * FROM llm_calls() c JOIN LLM_MODELS() m USING (x) WHERE 'llm_calls()' = y")
    found = with_table_functions(text, lambda name: f"<{name}>")
    assert found == "SELECT * FROM <llm_calls> c JOIN <llm_models> m USING (x) WHERE 'llm_calls()' = y"
    assert with_table_functions(Text("SELECT llm_calls FROM t"), str) is None
