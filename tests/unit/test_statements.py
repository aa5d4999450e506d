"""Statements of our own."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from anserdb.engine.errors import ParseError
from anserdb.engine.sql.statements import (
    CreateModel,
    DropModel,
    Explain,
    SetSetting,
    ShowModels,
    Statement,
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
        ("SHOW MODELS", ShowModels()),
        ("DROP MODEL IF EXISTS m", DropModel("m", True)),
        ('DROP MODEL "My m"', DropModel("My m", False)),
        (
            "CREATE OR REPLACE MODEL m (PROVIDER openai, MODEL 'gpt', concurrency 8, stream true)",
            CreateModel("m", "openai", {"model": "gpt", "concurrency": 8, "stream": True}, replace=True),
        ),
        ("CREATE MODEL IF NOT EXISTS m (provider := scripted)", CreateModel("m", "scripted", if_not_exists=True)),
        ("CALL llm_create_model('m', {provider: 'scripted', seed: 3})", CreateModel("m", "scripted", {"seed": 3})),
        ("CALL llm_drop_model('m')", DropModel("m", False)),
        ("EXPLAIN SELECT 1", Explain("SELECT 1", False, "text")),
        ("EXPLAIN ANALYZE SELECT ';'", Explain("SELECT ';'", True, "text")),
        ("EXPLAIN (ANALYZE, FORMAT json) SELECT 1", Explain("SELECT 1", True, "json")),
    ],
)
def test_statements(sql: str, statement: Statement) -> None:
    assert parsed(sql) == statement


@pytest.mark.parametrize(
    "sql", ["SET threads = 2", "SHOW TABLES", "CREATE TABLE model (a INT)", "DROP TABLE model", "SELECT 1", "CALL pragma_version()"]
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
        ("SET llm_max_calls = nope + 1", "not a constant", "nope + 1"),
        ("CALL llm_drop_model()", "llm_drop_model", "llm_drop_model"),
    ],
)
def test_mistakes_are_placed(sql: str, message: str, place: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parsed(sql)
    position = caught.value.position
    assert position is not None
    assert sql[position.start : position.end] == place


def test_scripts_are_split_verbatim() -> None:
    script = "SELECT ';' AS a;\n\n-- only a comment;\nSELECT $$;$$ ;; EXPLAIN SELECT 'x;y'; /* end */"
    assert split_statements(script) == ["SELECT ';' AS a", "SELECT $$;$$", "EXPLAIN SELECT 'x;y'"]


def test_system_tables_are_put_in() -> None:
    text = Text("SELECT * FROM llm_calls() c JOIN LLM_MODELS() m USING (x) WHERE 'llm_calls()' = y")
    found = with_table_functions(text, lambda name: f"<{name}>")
    assert found == "SELECT * FROM <llm_calls> c JOIN <llm_models> m USING (x) WHERE 'llm_calls()' = y"
    assert with_table_functions(Text("SELECT llm_calls FROM t"), str) is None
