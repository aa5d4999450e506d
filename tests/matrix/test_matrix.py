"""Every function in every position: the rows of plain DuckDB with the functions as UDFs, and exactly the inputs that reach the call."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

import anserdb
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Embed, Request
from anserdb.udfs.models.scripted import ScriptedModel

from .by_value import by_value_model
from .positions import POSITIONS, REFUSED, SETUP, Position

FORMS = {
    "LLM_FILTER": ("LLM_FILTER('is it so', {x})", "{v}"),
    "LLM_CLASSIFY": ("LLM_CLASSIFY({x}, ['red', 'green', 'blue'])", "{v} = 'red'"),
    "LLM_SCORE": ("LLM_SCORE('is it so', {x})", "{v} > 0.5"),
    "LLM_COMPLETE": ("LLM_COMPLETE('say', {x})", "{v} < 'text 5'"),
    "LLM_EXTRACT": ("LLM_EXTRACT({x}, {{a: 'VARCHAR', b: 'INTEGER'}})", "({v}).b > 0"),
    "LLM_EMBED": ("LLM_EMBED({x})", "({v})[1] > 0"),
    "LLM_SENTIMENT": ("LLM_SENTIMENT({x})", "{v} = 'positive'"),
    "LLM_TRANSLATE": ("LLM_TRANSLATE({x}, 'French')", "{v} < 'text 5'"),
    "LLM_FIX_GRAMMAR": ("LLM_FIX_GRAMMAR({x})", "{v} < 'text 5'"),
    "LLM_REDACT": ("LLM_REDACT({x})", "{v} < 'm'"),
    "LLM_RERANK": ("LLM_RERANK('red things', {x})", "{v} > 0.5"),
    "LLM_SIMILARITY": ("LLM_SIMILARITY({x}, 'red')", "{v} > 0"),
}
"""Per function a call as a value, and a condition made of it."""
ASKS_NOBODY = {"LLM_COUNT_TOKENS"}
BLANK_STAYS_BLANK = {"LLM_TRANSLATE", "LLM_FIX_GRAMMAR", "LLM_REDACT"}
CASES = [
    pytest.param(position, function, id=f"{position.name}-{function}")
    for position in POSITIONS
    for function in FORMS
    if (position.name, function) != ("lambda", "LLM_SENTIMENT")  # the reference's macro has a lambda itself, and fails
]
_HOLE = re.compile(r"\{([vb])(?::([^}]*))?\}")


def statements(sql: str, function: str) -> list[str]:
    """The SQL with the call in its holes."""
    value, condition = FORMS[function]

    def fill(hole: re.Match[str]) -> str:
        call = value.format(x=hole[2] or "body")
        return call if hole[1] == "v" else f"({condition.format(v=call)})"

    return _HOLE.sub(fill, sql).split("; ")


SETTINGS: dict[str, Any] = {
    "store": ":memory:",
    "llm_model": "matrix",
    "llm_embedding_model": "matrix",
    "llm_on_error": "fail",
    "llm_cache": False,
}


@pytest.fixture(scope="module")
def plain() -> Iterator[duckdb.DuckDBPyConnection]:
    """The reference: DuckDB evaluates the call row by row."""
    con = duckdb.connect(config={"threads": 1})
    with anserdb.load(con, **SETTINGS) as loaded:
        loaded.register_model("matrix", by_value_model())
        yield con
    con.close()


@pytest.fixture(scope="module")
def lifted() -> Iterator[tuple[anserdb.Connection, ScriptedModel]]:
    """AnserDB, and what its model is asked."""
    model, native = by_value_model(), duckdb.connect(config={"threads": 1})
    with anserdb.connect(native, **SETTINGS) as con:
        con.register_model("matrix", model)
        yield con, model
    native.close()


def reset(*connections: Any) -> None:
    for con in connections:
        with contextlib.suppress(duckdb.TransactionException, anserdb.Error):
            con.sql("ROLLBACK")
        for sql in SETUP:
            con.sql(sql)


def words(request: Request) -> str:
    return request.text if isinstance(request, Embed) else request.user


@pytest.mark.parametrize(("position", "function"), CASES)
def test_rows_and_inputs(
    plain: duckdb.DuckDBPyConnection,
    lifted: tuple[anserdb.Connection, ScriptedModel],
    position: Position,
    function: str,
) -> None:
    con, model = lifted
    reset(plain, con)
    *before, last = statements(position.sql, function)
    model.calls.clear()
    inputs = f"SELECT DISTINCT c FROM ({position.asked}) q(c) WHERE c IS NOT NULL"
    asked = None if position.asked is None else {text for (text,) in plain.execute(inputs).fetchall()}
    for sql in before:
        plain.execute(sql)
        con.sql(sql)
    expected = plain.execute(statements(position.plain or position.sql, function)[-1]).fetchall()
    result = con.sql(last)
    assert result is not None
    assert comparable(result.fetchall()) == comparable(expected)
    made = [words(request) for request in model.calls]
    assert len(made) == len(set(made)), "a question was asked twice"
    if asked is not None:
        asked -= {""} if function in BLANK_STAYS_BLANK else set()
        constant = function == "LLM_SIMILARITY"  # its other text
        assert len(made) - constant == len(asked), made


def comparable(rows: list[tuple[Any, ...]]) -> list[str]:
    return [repr(_listed(row)) for row in rows]


def _listed(value: Any) -> Any:
    """A plain connection does not know the length of a vector: FLOAT[] instead of FLOAT[n]."""
    return [_listed(part) for part in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("position", REFUSED, ids=lambda p: p.name)
def test_definitions_are_refused_with_the_way_out(
    lifted: tuple[anserdb.Connection, ScriptedModel], position: Position
) -> None:
    reset(lifted[0])
    with pytest.raises(anserdb.NotSupportedError, match="Store the answers with CREATE TABLE"):
        lifted[0].sql(statements(position.sql, "LLM_COMPLETE")[0])


def test_every_scalar_function_is_in_the_matrix() -> None:
    scalar = {f.sql_name for f in functions().values() if f.kind == "scalar"}
    assert scalar - ASKS_NOBODY == set(FORMS)
