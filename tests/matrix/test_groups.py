"""Every aggregate in every position: the answers of plain DuckDB, and exactly the lists of values that reach the call, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

import anserdb
from anserdb.udfs.functions import functions

from .doors import Doors, comparable
from .forms import AGGREGATES, SCALARS, filled
from .groups import GROUPS
from .positions import Position

CASES = [
    pytest.param(position, form, id=f"{position.name}-{name}")
    for position in GROUPS
    for name, form in AGGREGATES.items()
]


@pytest.mark.parametrize(("position", "form"), CASES)
def test_rows_and_lists(both: Doors, tmp_path: Path, position: Position, form: tuple[str, str]) -> None:
    both.begin(writes=position.writes)
    asked = f"SELECT DISTINCT list_filter(l, lambda x: x IS NOT NULL) FROM ({position.asked or 'SELECT NULL'}) q(l)"
    lists = sorted(tuple(values) for (values,) in both.plain.execute(asked).fetchall() if values)
    for sql in filled((position.plain or position.sql).replace("FILE", str(tmp_path / "reference")), form):
        both.plain.execute(sql)
    ours = filled(position.sql.replace("FILE", str(tmp_path / "ours")), form)
    assert comparable(both.rows(ours)) == comparable(both.plain.fetchall())
    assert both.asked() == lists


@pytest.mark.parametrize("form", AGGREGATES.values(), ids=AGGREGATES)
def test_scalar_calls_below_and_above(both: Doors, form: tuple[str, str]) -> None:
    both.begin(writes=False)
    below = "{v:" + SCALARS["LLM_COMPLETE"][0].format(x="body") + "|id}"
    (sql,) = filled(f"SELECT LLM_COMPLETE('say', {below}) FROM t", form)
    collected = "SELECT list(LLM_COMPLETE('say', body) ORDER BY id) AS l FROM t"
    reference = f"SELECT LLM_COMPLETE('say', (SELECT {form[0].format(x='x', order='')} FROM (SELECT unnest(l) AS x))) FROM ({collected})"
    result = both.con.sql(sql)
    assert result is not None
    assert result.fetchall() == both.plain.execute(reference).fetchall()
    both.asked()


@pytest.mark.parametrize("form", AGGREGATES.values(), ids=AGGREGATES)
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT max({v}) FROM t", "cannot be nested"),
        ("SELECT id FROM t WHERE {b}", "WHERE clause cannot contain aggregates"),
        ("SELECT {v:'red'} FROM t", "needs the .* of a group"),
    ],
)
def test_what_no_aggregate_may_do_is_said(both: Doors, form: tuple[str, str], sql: str, says: str) -> None:
    both.begin(writes=False)
    with pytest.raises(anserdb.ProgrammingError, match=says):
        both.con.sql(filled(sql, form)[0])
    assert both.asked() == []


def test_every_aggregate_is_in_the_matrix() -> None:
    declared = {f.sql_name for f in functions().values() if f.kind == "aggregate"}
    assert declared == {name.split()[0] for name in AGGREGATES}
