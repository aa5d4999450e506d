"""Every declared function is fit for the binder, the help and the documentation."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import duckdb
import pytest
import sqlglot

import anserdb
from anserdb.engine.errors import InternalError
from anserdb.engine.sql.common_options import COMMON_OPTIONS
from anserdb.engine.sql.dialects.own import DIALECT as OWN
from anserdb.udfs.functions import by_name, functions
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.spec import SemanticFunction

DECLARED = sorted({function.sql_name for function in functions().values()})
COMMON = {option.name for option in COMMON_OPTIONS}


@pytest.fixture(params=DECLARED)
def function(request: pytest.FixtureRequest) -> SemanticFunction:
    return functions()[request.param]


def test_the_functions_are_found() -> None:
    assert set(DECLARED) >= {"LLM_EXTRACT", "LLM_COMPLETE", "LLM_SUMMARIZE", "LLM_EMBED", "LLM_SIMILARITY"}
    assert functions()["AI_GENERATE"] is functions()["LLM_COMPLETE"]
    with pytest.raises(TypeError):
        functions()["LLM_NEW"] = functions()["LLM_EMBED"]  # type: ignore[index]


def test_one_name_has_one_owner() -> None:
    embed = functions()["LLM_EMBED"]
    other = dataclasses.replace(embed, sql_name="LLM_OTHER", aliases=("ai_embed",))
    with pytest.raises(InternalError, match="ai_embed is claimed by LLM_EMBED and by LLM_OTHER"):
        by_name([embed, other])


def test_names(function: SemanticFunction) -> None:
    assert re.fullmatch(r"LLM_[A-Z_]+", function.sql_name)
    assert all(alias == alias.upper() for alias in function.aliases)


def test_summary_is_one_sentence(function: SemanticFunction) -> None:
    assert re.fullmatch(r"[A-Z`].{10,120}\.", function.summary)
    assert not re.search(r"\.\s", function.summary)


def test_parameters(function: SemanticFunction) -> None:
    parameters = function.parameters
    names = [parameter.name for parameter in parameters if not parameter.variadic] + [
        option.name for option in function.options
    ]
    assert len(set(names)) == len(names)
    assert not COMMON & set(names)
    assert all(name == name.lower() and name.isidentifier() for name in names)
    assert not any(parameter.variadic for parameter in parameters[:-1])
    optional = [parameter.optional for parameter in parameters]
    assert optional == sorted(optional), "what may be left out comes last"
    assert all(option.summary for option in function.options)
    if function.kind == "aggregate":
        assert parameters[0].kind == "value"


def test_example_is_sql_over_values_that_mentions_the_name(function: SemanticFunction) -> None:
    assert re.search(rf"\b{function.sql_name}\(", function.example)
    assert "VALUES" in function.example
    assert not function.example.rstrip().endswith(";")
    assert sqlglot.parse_one(function.example, dialect="duckdb").find(sqlglot.exp.Select)


def test_example_is_sql_to_duckdb_too(function: SemanticFunction) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.CatalogException, match=r"(?i)llm_"):
        connection.execute(function.example)  # everything but the function is known


@pytest.fixture(scope="module")
def scripted() -> Iterator[anserdb.Connection]:
    # No row may fail. What is to be redacted has to stand in the text, which a hashed answer never does.
    entities = '{"entities": [{"label": "NAME", "text": "Ada Byron"}, {"label": "EMAIL", "text": "ada@example.org"}]}'
    parts = '{"parts": ["The kettle broke after a day.", "The lid never closed."]}'
    with anserdb.connect(
        ":memory:", store=":memory:", llm_model="m", llm_embedding_model="m", llm_max_error_ratio=0
    ) as connection:
        connection.register_model("m", ScriptedModel([("Ada Byron", entities), ("lid never closed", parts)]))
        yield connection


EXAMPLES = {name: functions()[name].example for name in DECLARED} | {form.names[0]: form.example for form in OWN.forms}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_on_the_scripted_model(name: str, scripted: anserdb.Connection) -> None:
    relation = scripted.sql(EXAMPLES[name])
    assert relation is not None
    assert relation.arrow().num_rows


def test_every_name_calls_the_same(scripted: anserdb.Connection, function: SemanticFunction) -> None:
    for _ in range(2):  # the second time from the store, as every alias gets it
        expected = scripted.sql(function.example)
        assert expected is not None
        rows = sorted(expected.fetchall(), key=repr)
    for alias in function.aliases:
        result = scripted.sql(re.sub(rf"\b{function.sql_name}\b", alias.lower(), function.example))
        assert result is not None
        assert sorted(result.fetchall(), key=repr) == rows


@pytest.fixture(scope="module")
def loaded() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        anserdb.load(connection, store=":memory:", llm_model="scripted", llm_embedding_model="scripted")
        yield connection


@pytest.mark.parametrize("name", [name for name in DECLARED if name != "LLM_REDACT"])
def test_example_runs_in_plain_duckdb_too(name: str, loaded: duckdb.DuckDBPyConnection) -> None:
    relation = loaded.sql(EXAMPLES[name])
    assert relation.columns
    assert all(value is not None for row in relation.fetchall() for value in row if name != "LLM_EXTRACT")


def test_types_that_depend_on_the_call_hold_in_plain_duckdb(loaded: duckdb.DuckDBPyConnection) -> None:
    [types] = loaded.sql(
        "SELECT typeof(llm_agg(x, 'how many?', returns := 'INTEGER')), "
        "typeof(any_value(llm_redact(x, details := true))), typeof(any_value(llm_redact(x))), "
        "typeof(any_value(llm_sentiment(x, aspects := ['price', 'end date']))), typeof(any_value(llm_sentiment(x))) "
        "FROM (VALUES ('a')) AS t(x)"
    ).fetchall()
    details = 'STRUCT("text" VARCHAR, spans STRUCT("label" VARCHAR, "text" VARCHAR, "start" INTEGER, "end" INTEGER)[])'
    assert types == ("INTEGER", details, "VARCHAR", 'STRUCT(price VARCHAR, "end date" VARCHAR)', "VARCHAR")
