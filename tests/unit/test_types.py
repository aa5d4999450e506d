"""Types: reading, composing, schemas, and every rule of what an answer may look like."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from anserdb.engine.types import (
    SqlType,
    arrow_type,
    details_type,
    from_json,
    from_text,
    json_schema,
    json_text,
    needs_cast,
    parse_type,
    read_json,
    struct_of,
    to_arrow,
)

PLUS_TWO = timezone(timedelta(hours=2))


def test_struct_fields_may_have_any_name() -> None:
    names = ["select", "end date", 'a"b', "size", "child", "Ünïcode", "1st"]
    kind = struct_of(dict.fromkeys(names, "INTEGER"))
    assert [name for name, _ in kind.fields] == names
    assert parse_type(kind.text) == kind


def test_union_has_its_members_only() -> None:
    assert [name for name, _ in parse_type("UNION(size INT, b VARCHAR)").fields] == ["size", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("INTGER", "Did you mean INTEGER?"),
        ("STRUCT(a BOOLAEN)", "'BOOLAEN' in 'STRUCT(a BOOLAEN)' is not a DuckDB type. Did you mean BOOLEAN?"),
        ("MONEY!!", "for instance VARCHAR, DECIMAL(9,2)"),
        ("STRUCT(a INT, A INT)", "names the field A twice"),
        ("", "'' is not a DuckDB type"),
        ("INTEGER; DROP TABLE t", "is not a DuckDB type"),
    ],
)
def test_unknown_types_say_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="DuckDB") as caught:
        parse_type(text)
    assert words in str(caught.value)


def test_details_type_holds_the_value_and_the_error() -> None:
    kind = details_type(parse_type("DECIMAL(9,2)[]"))
    assert [(name, child.text) for name, child in kind.fields] == [("value", "DECIMAL(9,2)[]"), ("error", "VARCHAR")]


def test_schema_of_a_struct_is_closed_and_every_field_nullable() -> None:
    schema = json_schema(parse_type("STRUCT(b SMALLINT, a ENUM('x','y')[2], m MAP(VARCHAR, DATE), j JSON)"))
    assert list(schema["properties"]) == schema["required"] == ["b", "a", "m", "j"]  # the user's order
    assert schema["additionalProperties"] is False
    null = {"type": "null"}
    assert schema["properties"]["b"] == {"anyOf": [{"type": "integer", "minimum": -32768, "maximum": 32767}, null]}
    array = schema["properties"]["a"]["anyOf"][0]
    assert (array["minItems"], array["maxItems"], array["items"]["enum"]) == (2, 2, ["x", "y"])
    day = {"anyOf": [{"type": "string", "format": "date"}, null]}
    assert schema["properties"]["m"]["anyOf"][0] == {"type": "object", "additionalProperties": day}
    assert "null" in schema["properties"]["j"]["type"]


@pytest.mark.parametrize("text", ["BIGINT", "HUGEINT"])
def test_bounds_beyond_exact_json_integers_are_left_to_the_check(text: str) -> None:
    assert json_schema(parse_type(text)) == {"type": "integer"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("INTERVAL", "a model cannot answer in INTERVAL; use VARCHAR, or BIGINT for a number of seconds."),
        ("STRUCT(a STRUCT(raw BLOB)[])", "a[].raw: a model cannot answer in BLOB; use VARCHAR."),
        ("STRUCT(u UNION(i INT))", "u: a model cannot answer in UNION(i INTEGER); use STRUCT"),
        ("STRUCT(t TIMESTAMP_NS)", "t: a model cannot answer in TIMESTAMP_NS; use TIMESTAMP."),
        ("MAP(STRUCT(a INT), INT)", "the keys of a MAP"),
        ("MAP(BLOB, INT)", "key: a model cannot answer in BLOB"),
    ],
)
def test_types_without_an_answer_name_the_place_and_the_substitute(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="answer") as caught:
        json_schema(parse_type(text))
    assert message in str(caught.value)


ACCEPTED: list[tuple[str, str, Any]] = [
    ("INTEGER", '"42"', 42),
    ("INTEGER", "42.0", 42),
    ("INTEGER", '" -7 "', -7),
    ("INTEGER", '""', None),
    ("INTEGER", '"null"', None),
    ("HUGEINT", str(2**127 - 1), 2**127 - 1),
    ("BOOLEAN", "true", True),
    ("BOOLEAN", '"Yes"', True),
    ("BOOLEAN", '"no"', False),
    ("BOOLEAN", "0", False),
    ("DOUBLE", "1", 1.0),
    ("DOUBLE", '"2.5e3"', 2500.0),
    ("DECIMAL(9,2)", "1234.50", Decimal("1234.50")),
    ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", Decimal("1234567890123456789012345678.0123456789")),
    ("DECIMAL(4,2)", "12.345", Decimal("12.35")),
    ("DECIMAL(4,2)", "0E+400", Decimal("0.00")),
    ("VARCHAR", "1.10", "1.10"),
    ("VARCHAR", "true", "true"),
    ("VARCHAR", '"null"', "null"),
    ("VARCHAR", '""', ""),
    ("DATE", '"2024-02-29"', date(2024, 2, 29)),
    ("TIME", '"09:30"', time(9, 30)),
    ("TIMETZ", '"09:30:00+02:00"', time(9, 30, tzinfo=PLUS_TWO)),
    ("TIMESTAMP", '"2024-05-01 10:00:00.25"', datetime(2024, 5, 1, 10, 0, 0, 250000)),
    ("TIMESTAMP", '"2024-05-01T10:00:00Z"', datetime(2024, 5, 1, 10)),
    ("TIMESTAMP", '"2024-05-01"', datetime(2024, 5, 1)),
    ("TIMESTAMPTZ", '"2024-05-01T10:00:00+02:00"', datetime(2024, 5, 1, 8, tzinfo=UTC)),
    ("ENUM('Open','closed')", '"open"', "Open"),
    ("ENUM('a','null')", '"null"', "null"),
    ("UUID", '"123E4567E89B12D3A456426614174000"', UUID("123e4567-e89b-12d3-a456-426614174000")),
    ("JSON", '{"a":[1.10,null,"ü"]}', '{"a":[1.10,null,"ü"]}'),
    ("JSON", "null", None),
    ("INTEGER[]", '[1,null,"3"]', [1, None, 3]),
    ("INTEGER[]", "null", None),
    ("FLOAT[2]", "[0.5, 1]", (0.5, 1.0)),
    ("MAP(DATE, INTEGER)", '{"2024-01-01": 5}', {date(2024, 1, 1): 5}),
    ("STRUCT(a INTEGER, b STRUCT(c DATE))", '{"A": 1, "b": {"c": ""}}', {"a": 1, "b": {"c": None}}),
    ("STRUCT(a INTEGER, b VARCHAR)", '{"a": 1}', {"a": 1, "b": None}),
    ("STRUCT(a INTEGER)", '{"a": 1, "remark": "x"}', {"a": 1}),
]


@pytest.mark.parametrize(("text", "answer", "value"), ACCEPTED)
def test_answers_that_mean_one_thing_are_taken(text: str, answer: str, value: Any) -> None:
    result = from_json(read_json(answer), parse_type(text))
    assert result == value
    assert type(result) is type(value)


REFUSED = [
    ("INTEGER", "42.5", "the answer: 42.5 is not a whole number, as INTEGER needs"),
    ("INTEGER", '"1,234"', "the answer: '1,234' is not of type INTEGER"),
    ("INTEGER", "true", "is not of type INTEGER"),
    ("TINYINT", "300", "300 is out of range for TINYINT (-128 to 127)"),
    ("UBIGINT", "-1", "out of range for UBIGINT"),
    ("HUGEINT", "1E+999999999", "out of range for HUGEINT"),
    ("BOOLEAN", '"maybe"', "'maybe' is neither true nor false"),
    ("BOOLEAN", "2", "neither true nor false"),
    ("DOUBLE", '"1.234,50"', "is not of type DOUBLE"),
    ("DOUBLE", "1E+400", "out of range for DOUBLE"),
    ("FLOAT", "1E+39", "out of range for FLOAT"),
    ("DECIMAL(4,2)", "99.999", "out of range for DECIMAL(4,2)"),
    ("DECIMAL(4,2)", "1E+999999999", "out of range for DECIMAL(4,2)"),
    ("DECIMAL(9,2)", '"$5"', "'$5' is not of type DECIMAL(9,2)"),
    ("VARCHAR", '["a"]', "a list is not text"),
    ("VARCHAR", '"\\ud83d"', "half a character"),
    ("DATE", '"2024-02-30"', "'2024-02-30' is not of type DATE"),
    ("DATE", '"01/02/2024"', "is not of type DATE"),
    ("DATE", "20240501", "is not of type DATE"),
    ("TIME", '"09:30:00+02:00"', "is not of type TIME"),
    ("TIMESTAMP", '"2024-05-01T10:00:00+02:00"', "cannot hold; use TIMESTAMPTZ"),
    ("TIMESTAMPTZ", '"2024-05-01T10:00:00"', "needs; use TIMESTAMP for local times"),
    ("TIMESTAMPTZ", '"0001-01-01T00:00:00+02:00"', "is not of type TIMESTAMP WITH TIME ZONE"),
    ("ENUM('a','b')", '"c"', "'c' is not one of 'a', 'b'"),
    ("ENUM('a','A')", '" A"', "is not one of"),
    ("UUID", '"1234"', "is not of type UUID"),
    ("INTEGER[]", '"1"', "'1' is not a list"),
    ("INTEGER[2]", "[1]", "1 values, but INTEGER[2] holds exactly 2"),
    ("MAP(INTEGER, INTEGER)", '{"1": 1, "01": 2}', "['01']: the key stands there twice"),
    ("MAP(INTEGER, INTEGER)", '{"": 1}', "a MAP key cannot be NULL"),
    ("STRUCT(claim STRUCT(amounts TINYINT[]))", '{"claim": {"amounts": [1, 300]}}', "claim.amounts[1]: 300 is out of"),
    ("STRUCT(amount INTEGER)", '{"amuont": 1}', "the field 'amount' is missing, and 'amuont' is not a field"),
    ("STRUCT(a INTEGER)", "[1]", "a list is not an object"),
]


@pytest.mark.parametrize(("text", "answer", "message"), REFUSED)
def test_answers_that_could_be_wrong_are_refused(text: str, answer: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        from_json(read_json(answer), parse_type(text))
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "yes", "[" * 100_000, "9" * 5_000, "1e" + "9" * 30])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the answer is not JSON"):
        read_json(text)


def test_deep_json_is_refused_not_a_crash() -> None:
    with pytest.raises(ValueError, match="a list is not of type JSON"):
        from_json(json.loads("[" * 900 + "]" * 900), parse_type("JSON"))


def test_json_text_keeps_every_digit() -> None:
    text = '{"a":1234567890123456789.12345678901234567890,"b":[1E+2,-0.0,"\\"\\n"]}'
    assert json_text(read_json(text)) == text


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("42.", "INTEGER", 42),
        ("`2024-01-01`", "DATE", date(2024, 1, 1)),
        ('"positive"', "ENUM('positive','negative')", "positive"),
        ("Positive.", "ENUM('positive','negative')", "positive"),
        ("etc.", "ENUM('etc.','etc')", "etc."),
        (" plain text. ", "VARCHAR", "plain text."),
        ("```json\n[1, 2]\n```", "INTEGER[]", [1, 2]),
        ("null", "DOUBLE", None),
        ('{"a": 1.0}', "JSON", '{"a":1.0}'),
    ],
)
def test_scalars_answered_as_text(text: str, kind: str, value: Any) -> None:
    assert from_text(text, parse_type(kind)) == value


def test_a_sentence_is_no_number() -> None:
    with pytest.raises(ValueError, match=r"amount: 'about 42' is not of type INTEGER"):
        from_text("about 42", parse_type("INTEGER"), "amount")


def columns(values: list[Any], kind: SqlType) -> list[tuple[Any, str]]:
    """What DuckDB reads from the Arrow column, with the announced cast, and the type it then sees."""
    with duckdb.connect() as connection:
        connection.register("t", pa.table({"c": to_arrow(values, kind)}))
        column = f"CAST(c AS {kind})" if needs_cast(kind) else "c"
        return connection.execute(f"SELECT {column}, typeof({column}) FROM t").fetchall()


@pytest.mark.parametrize(("text", "answer", "value"), ACCEPTED)
def test_every_accepted_value_reaches_duckdb_as_its_type(text: str, answer: str, value: Any) -> None:
    kind = parse_type(text)
    assert columns([value, None], kind) == [(value, kind.text), (None, kind.text)]


def test_unsupported_types_have_no_arrow_type() -> None:
    with pytest.raises(ValueError, match="use VARCHAR"):
        arrow_type(parse_type("STRUCT(b BLOB)"))


def test_empty_columns_keep_their_type() -> None:
    kind = parse_type("STRUCT(e ENUM('a'), u UUID[])")
    assert len(to_arrow([], kind)) == 0
    assert to_arrow([], kind).type == arrow_type(kind)
