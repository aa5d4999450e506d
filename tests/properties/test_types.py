"""A value on the road answer → Python → Arrow → DuckDB is what DuckDB makes of the same literal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anserdb.engine.types import from_json, json_schema, json_text, needs_cast, parse_type, quote, read_json, to_arrow
from anserdb.udfs.models import deterministic


@dataclass(frozen=True)
class Case:
    """One value: as JSON text in a model's answer, and as a SQL literal."""

    answer: str
    literal: str


@dataclass(frozen=True)
class Family:
    """A type and how its values are drawn."""

    text: str
    cases: st.SearchStrategy[Case]


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def of_text(text: str) -> Case:
    return Case(json.dumps(text), quoted(text))


def plain(text: str) -> Case:
    return Case(text, text)


def signed(name: str, bits: int) -> Family:
    return Family(name, st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(lambda value: plain(f"{value}")))


def unsigned(name: str, bits: int) -> Family:
    return Family(name, st.integers(0, 2**bits - 1).map(lambda value: plain(f"{value}")))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
LABELS = ["open", "it's", "Ü", "two words", ""]
LEAVES = [
    signed("TINYINT", 8), signed("SMALLINT", 16), signed("INTEGER", 32), signed("BIGINT", 64), signed("HUGEINT", 128),
    unsigned("UTINYINT", 8), unsigned("UINTEGER", 32), unsigned("UBIGINT", 64), unsigned("UHUGEINT", 128),
    Family("BOOLEAN", st.sampled_from([plain("true"), plain("false")])),
    Family("DOUBLE", st.floats(allow_nan=False, allow_infinity=False).map(lambda v: Case(repr(v), f"'{v!r}'::DOUBLE"))),
    Family("FLOAT", st.floats(allow_nan=False, allow_infinity=False, width=32).map(
        lambda v: Case(repr(v), f"'{v!r}'::FLOAT"))),
    Family("DECIMAL(38,6)", st.decimals(-(10**31), 10**31, places=9).map(lambda v: Case(f"{v:f}", f"'{v:f}'"))),
    Family("DECIMAL(4,2)", st.decimals(-99, 99, places=3).map(lambda v: Case(f"{v:f}", f"'{v:f}'"))),
    Family("VARCHAR", TEXTS.map(of_text)),
    Family("DATE", st.dates().map(lambda v: of_text(v.isoformat()))),
    Family("TIME", st.times().map(lambda v: of_text(v.isoformat()))),
    Family("TIME WITH TIME ZONE", st.times().map(lambda v: of_text(v.isoformat() + "+05:30"))),
    Family("TIMESTAMP", MOMENTS.map(lambda v: of_text(v.isoformat()))),
    Family("TIMESTAMP_S", MOMENTS.map(lambda v: of_text(v.isoformat(" ")))),
    Family("TIMESTAMP_MS", MOMENTS.map(lambda v: of_text(v.isoformat()))),
    Family("TIMESTAMP WITH TIME ZONE", MOMENTS.map(lambda v: of_text(v.replace(tzinfo=UTC).isoformat()))),
    Family("UUID", st.uuids().map(lambda v: of_text(str(v)))),
    Family(f"ENUM({', '.join(map(quoted, LABELS))})", st.sampled_from(LABELS).map(of_text)),
    Family("JSON", st.recursive(st.booleans() | st.integers() | TEXTS, lambda inner: st.lists(inner, max_size=3)).map(
        lambda v: Case(json.dumps(v), quoted(json_text(v)) + "::JSON"))),
]  # fmt: skip


def nullable(cases: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    return st.one_of(st.just(Case("null", "NULL")), cases)


def as_list(inner: Family) -> Family:
    items = st.lists(nullable(inner.cases), max_size=4)
    return Family(f"{inner.text}[]", items.map(lambda row: bracketed(row, f"{inner.text}[]")))


def as_array(inner: Family) -> Family:
    items = st.lists(nullable(inner.cases), min_size=2, max_size=2)
    return Family(f"{inner.text}[2]", items.map(lambda row: bracketed(row, f"{inner.text}[2]")))


def bracketed(row: list[Case], text: str) -> Case:
    answers, literals = ", ".join(case.answer for case in row), ", ".join(case.literal for case in row)
    return Case(f"[{answers}]", f"CAST([{literals}] AS {text})")


def as_struct(inner: Family, other: Family) -> Family:
    text = f'STRUCT({quote("end date")} {inner.text}, "select" {other.text})'

    def case(pair: tuple[Case, Case]) -> Case:
        first, second = pair
        answer = f'{{"end date": {first.answer}, "select": {second.answer}}}'
        return Case(answer, f"CAST({{'end date': {first.literal}, 'select': {second.literal}}} AS {text})")

    return Family(text, st.tuples(nullable(inner.cases), nullable(other.cases)).map(case))


def as_map(inner: Family) -> Family:
    text = f"MAP(VARCHAR, {inner.text})"

    def case(row: list[tuple[str, Case]]) -> Case:
        answers = ", ".join(f"{json.dumps(key)}: {value.answer}" for key, value in row)
        keys, values = ", ".join(quoted(key) for key, _ in row), ", ".join(value.literal for _, value in row)
        return Case(f"{{{answers}}}", f"CAST(MAP([{keys}], [{values}]) AS {text})")

    pairs = st.lists(st.tuples(TEXTS, nullable(inner.cases)), max_size=3, unique_by=lambda pair: pair[0])
    return Family(text, pairs.map(case))


FAMILIES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(as_list), inner.map(as_array), inner.map(as_map), st.tuples(inner, inner).map(lambda p: as_struct(*p))
    ),
    max_leaves=4,
)


Connection = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def check(connection: Connection, family: Family, cases: list[Case]) -> None:
    kind = parse_type(family.text)
    values: list[Any] = [from_json(read_json(case.answer), kind) for case in cases]
    connection.register("answers", pa.table({"i": list(range(len(cases))), "c": to_arrow(values, kind)}))
    got = f"CAST(c AS {kind})" if needs_cast(kind) else "c"
    literals = ", ".join(f"({i}, CAST({case.literal} AS {kind}))" for i, case in enumerate(cases))
    rows = connection.execute(
        f"SELECT {got}, l.v, {got} IS NOT DISTINCT FROM l.v, typeof({got}), typeof(l.v) "
        f"FROM answers JOIN (VALUES {literals}) l(i, v) USING (i)"
    ).fetchall()
    assert len(rows) == len(cases)
    for value, expected, same, seen, announced in rows:
        assert same, (value, expected)
        assert seen == announced == kind.text


@pytest.mark.parametrize("family", LEAVES, ids=lambda family: family.text)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_scalar_reaches_duckdb_as_the_same_literal(
    connection: Connection, family: Family, data: st.DataObject
) -> None:
    check(connection, family, data.draw(st.lists(nullable(family.cases), min_size=5, max_size=20)))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_nested_value_reaches_duckdb_as_the_same_literal(connection: Connection, data: st.DataObject) -> None:
    family = data.draw(FAMILIES)
    check(connection, family, data.draw(st.lists(nullable(family.cases), min_size=1, max_size=4)))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_python_value_is_the_one_that_duckdb_returns(connection: Connection, data: st.DataObject) -> None:
    family = data.draw(FAMILIES.filter(lambda f: "TIMESTAMP_" not in f.text and "FLOAT" not in f.text))
    case = data.draw(family.cases)
    kind = parse_type(family.text)
    row = connection.execute(f"SELECT CAST({case.literal} AS {kind})").fetchone()
    assert row is not None
    assert from_json(read_json(case.answer), kind) == row[0]


@settings(max_examples=80, deadline=None)
@given(family=FAMILIES.filter(lambda family: "TIME WITH" not in family.text), question=st.text(max_size=5))
def test_what_the_schema_allows_the_reader_takes(family: Family, question: str) -> None:
    kind = parse_type(family.text)
    answer = json.dumps(deterministic.json_value(question, json.loads(json.dumps(json_schema(kind)))))
    value = from_json(read_json(answer), kind)
    assert value is not None
    assert to_arrow([value], kind).null_count == 0
