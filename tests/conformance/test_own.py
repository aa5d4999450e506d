"""Our own queries on every road; DuckDB's thousands are for ``make conformance``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .inject import forced, order_keys
from .roads import PROJECTED, TOP, verdicts
from .suites import Case, Step

_QUERIES = ("SELECT", "FROM", "WITH", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "(")
_RETURNS = ("RETURNING", "EXECUTE", "DESCRIBE", "SUMMARIZE", "SHOW")


def own_cases() -> list[Case]:
    """The cases of ``own.sql``."""
    text = (Path(__file__).parent / "own.sql").read_text()
    parts = re.split(r"^-- case: (\w+)\n", text, flags=re.M)[1:]
    named = zip(parts[::2], parts[1::2], strict=True)
    return [Case("own", name, tuple(_step(s) for s in re.split(r";\n+", body) if s.strip())) for name, body in named]


def _step(sql: str) -> Step:
    return Step(sql, sql.startswith(_QUERIES) or any(word in sql.upper() for word in _RETURNS))


@pytest.mark.parametrize("case", own_cases(), ids=lambda case: case.name)
def test_every_road_leads_where_duckdb_goes(case: Case) -> None:
    found = list(verdicts(case))
    failed = [f"{v.road}: {v.reason}\n{v.sql}" for v in found if v.status == "failed"]
    assert not failed, "\n\n".join(failed)
    without_call = {v.sql for v in found if v.road in (PROJECTED, TOP) and v.status == "skipped"}
    refused = {"SELECT nothing FROM stock"}  # it fails in DuckDB, too
    assert not [sql for sql in without_call - refused if sql.startswith(_QUERIES)]


@pytest.mark.parametrize(
    ("sql", "with_call"),
    [
        ("SELECT a, FROM t", "SELECT a, LLM_COMPLETE('x', 'k') AS __c FROM t"),
        ("SELECT 1 IS DISTINCT FROM 2", "SELECT 1 IS DISTINCT FROM 2, LLM_COMPLETE('x', 'k') AS __c"),
        ("SELECT 'é' -- ,\n FROM t;", "SELECT 'é', LLM_COMPLETE('x', 'k') AS __c -- ,\n FROM t"),
        ("FROM t SELECT a WHERE b", "FROM t SELECT a, LLM_COMPLETE('x', 'k') AS __c WHERE b"),
        (
            "WITH w(i) AS (SELECT 1) (SELECT i FROM w) UNION SELECT 2 ORDER BY 1",
            "WITH w(i) AS (SELECT 1) (SELECT i, LLM_COMPLETE('x', 'k') AS __c FROM w) "
            "UNION SELECT 2, LLM_COMPLETE('x', 'k') AS __c ORDER BY 1",
        ),
    ],
)
def test_a_call_goes_into_every_select_list_of_the_query(sql: str, with_call: str) -> None:
    assert forced(sql)[0].sql == with_call


def test_no_call_goes_into_what_is_no_query() -> None:
    assert forced("INSERT INTO t SELECT 1") == []
    assert [f.form for f in forced("VALUES (1)")] == ["around"]


def test_rows_are_ordered_by_result_columns_or_by_something_else() -> None:
    assert order_keys("SELECT a, b FROM t ORDER BY t.b DESC, 1 NULLS FIRST LIMIT 2", ("a", "b")) == [1, 0]
    assert order_keys("SELECT a FROM t ORDER BY a + 1", ("a",)) is None
    assert order_keys("SELECT a FROM (FROM t ORDER BY a)", ("a",)) == []
