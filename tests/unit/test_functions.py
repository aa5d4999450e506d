"""Every declared function is fit for the binder, the help and the documentation."""

from __future__ import annotations

import dataclasses
import re

import duckdb
import pytest
import sqlglot

from anserdb.engine.errors import InternalError
from anserdb.udfs.functions import by_name, functions
from anserdb.udfs.spec import SemanticFunction

DECLARED = sorted({function.sql_name for function in functions().values()})
COMMON = {"model", "on_error", "temperature", "max_tokens", "cache"}


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
