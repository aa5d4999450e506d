"""Every function in every position: the rows of plain DuckDB with the functions as UDFs, and exactly the inputs that reach the call."""

from __future__ import annotations

from pathlib import Path

import pytest

from anserdb.udfs.functions import functions

from .doors import Doors, comparable
from .forms import ASKS_NOBODY, BLANK_STAYS_BLANK, SCALARS, TO_MANY, filled
from .laterals import LATERALS
from .positions import DEFINITIONS, POSITIONS, Position
from .statements import STATEMENTS

DUCKDB_FAILS = {
    # the reference's macro has a lambda itself, and fails in another
    ("lambda", "LLM_SENTIMENT"),
    ("comprehension", "LLM_SENTIMENT"),
    # of rows without a partner, DuckDB casts what no expression has given: "list with length 140196912672008"
    ("left lateral", "LLM_EMBED"),
}
CASES = [
    pytest.param(position, function, id=f"{position.name}-{function}")
    for positions, forms in (((*POSITIONS, *STATEMENTS, *DEFINITIONS), SCALARS), (LATERALS, TO_MANY))
    for position in positions
    for function in forms
    if (position.name, function) not in DUCKDB_FAILS
]
TEXTS = "SELECT body FROM t UNION SELECT note FROM u"


@pytest.mark.parametrize(("position", "function"), CASES)
def test_rows_and_inputs(both: Doors, tmp_path: Path, position: Position, function: str) -> None:
    both.begin(writes=position.writes)
    form = SCALARS[function]
    ours = filled(position.sql.replace("FILE", str(tmp_path / "ours")), form)
    reference = filled((position.plain or position.sql).replace("FILE", str(tmp_path / "reference")), form)
    (asked,) = filled(position.asked or TEXTS, form)
    reaches = both.plain.execute(f"SELECT DISTINCT * FROM ({asked}) q").fetchall()
    for sql in reference:
        both.plain.execute(sql)
    assert comparable(both.rows(ours)) == comparable(both.plain.fetchall())
    blank = function in BLANK_STAYS_BLANK
    inputs = sorted(row for row in reaches if None not in row and not (blank and "" in row))
    if position.asked is not None:
        assert both.asked() == inputs
    else:
        assert set(both.asked()) <= set(inputs)


def test_every_scalar_function_is_in_the_matrix() -> None:
    scalar = {f.sql_name for f in functions().values() if f.kind == "scalar"}
    assert scalar - ASKS_NOBODY == set(SCALARS)
    assert {f.sql_name for f in functions().values() if f.to_many} == set(TO_MANY)
