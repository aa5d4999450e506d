"""What results look like, in every format."""

from __future__ import annotations

import csv
import io
import json

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.interfaces.shell.cells import Rows
from anserdb.engine.interfaces.shell.formats import FORMATS, write_raw
from anserdb.engine.interfaces.shell.screen import Screen, Stream
from anserdb.engine.interfaces.shell.table import render_table, write_table
from anserdb.engine.interfaces.shell.wrap import cell_len, shorten, wrap


def rows_of(sql: str) -> Rows:
    with duckdb.connect() as connection:
        relation = connection.sql(sql)
        table = relation.to_arrow_table()
        return Rows(relation.columns, [str(t) for t in relation.types], table.to_batches(max_chunksize=7))


def printed(sql: str, mode: str, colour: bool = False, fancy: bool = True) -> str:
    out = io.StringIO()
    FORMATS[mode](rows_of(sql), Screen(Stream(out, colour), Stream(io.StringIO()), fancy=fancy))
    return out.getvalue()


@pytest.fixture(autouse=True)
def _width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")


EVERYTHING = """SELECT 1.50::DECIMAL(9,2) AS d, 'a,"b"' AS t, NULL AS n, '' AS e, {x: 1, y: 'q'} AS s, [1, 2] AS l,
    'nan'::DOUBLE AS f, '{"k": 1}'::JSON AS j, true AS b, DATE '2026-01-02' AS day, 1 AS same, 2 AS same"""


def test_csv() -> None:
    read = list(csv.reader(io.StringIO(printed(EVERYTHING, "csv"))))
    assert read[0] == ["d", "t", "n", "e", "s", "l", "f", "j", "b", "day", "same", "same"]
    assert read[1] == [
        "1.50", 'a,"b"', "", "", "{'x': 1, 'y': q}", "[1, 2]", "nan", '{"k": 1}', "true", "2026-01-02", "1", "2",
    ]  # fmt: skip


def test_csv_tells_null_from_empty() -> None:
    assert printed("SELECT NULL AS a, '' AS b", "csv") == 'a,b\n,""\n'


def test_json_is_json() -> None:
    (row,) = json.loads(printed(EVERYTHING.replace("2 AS same", "2 AS other"), "json"))
    assert row == {
        "d": 1.5, "t": 'a,"b"', "n": None, "e": "", "s": {"x": 1, "y": "q"}, "l": [1, 2], "f": None, "j": {"k": 1},
        "b": True, "day": "2026-01-02", "same": 1, "other": 2,
    }  # fmt: skip


def test_json_keeps_digits() -> None:
    assert printed("SELECT 12345678901234567890.10::DECIMAL(38,2) AS d", "json") == '[{"d":12345678901234567890.10}]\n'


@pytest.mark.parametrize(("sql", "count"), [("SELECT 1 AS a WHERE false", 0), ("FROM range(20)", 20)])
def test_json_of_any_length(sql: str, count: int) -> None:
    assert len(json.loads(printed(sql, "json"))) == count
    assert len(printed(sql, "jsonl").splitlines()) == count


def test_markdown() -> None:
    expected = "| a | b |\n|---|---|\n| x\\|y | NULL |\n"
    assert printed("SELECT 'x|y' AS a, NULL AS b", "markdown") == expected


def test_line() -> None:
    assert printed("SELECT 1 AS a, 'x' AS bcd UNION ALL SELECT 2, 'y'", "line") == (
        "  a = 1\nbcd = x\n\n  a = 2\nbcd = y\n"
    )


def test_raw() -> None:
    out = io.StringIO()
    write_raw(rows_of("SELECT 'k' AS k, E'line 1\\n  line 2\\n' AS v"), Screen(Stream(out), Stream(out)))
    assert out.getvalue() == "line 1\n  line 2\n"


def test_time_zone_is_the_connections() -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        table = connection.sql("SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS t").to_arrow_table()
    out = io.StringIO()
    FORMATS["csv"](Rows.of(table), Screen(Stream(out), Stream(out)))
    assert out.getvalue() == "t\n2026-01-01 09:00:00+09\n"


def test_table() -> None:
    assert printed("SELECT 7 AS n, 'geese' AS word, NULL AS nothing", "table") == (
        "┌─────────┬─────────┬─────────┐\n"
        "│    n    │  word   │ nothing │\n"
        "│ integer │ varchar │  null   │\n"
        "├─────────┼─────────┼─────────┤\n"
        "│       7 │ geese   │ NULL    │\n"
        "└─────────┴─────────┴─────────┘\n"
    )


def test_table_without_box_characters() -> None:
    assert printed("SELECT 7 AS n", "table", fancy=False).isascii()


def test_null_is_dim_and_a_text_null_is_not() -> None:
    lines = printed("SELECT NULL AS a, 'NULL' AS b", "table", colour=True).splitlines()
    assert lines[4].count("\x1b[2mNULL") == 1


def test_no_colour_means_no_escape() -> None:
    assert "\x1b" not in printed(EVERYTHING, "table")


def test_data_cannot_steer_the_terminal() -> None:
    for mode in ("table", "line", "markdown"):
        assert "\x1b" not in printed("SELECT E'\\x1b[2J' AS a", mode)


def test_forty_rows_of_many() -> None:
    lines = printed("SELECT i FROM range(1234) t(i)", "table").splitlines()
    assert len(lines) == 40 + 6
    assert lines[-1] == "… 1,234 rows (40 shown)"


def test_no_rows() -> None:
    assert printed("SELECT 1 AS a WHERE false", "table").splitlines()[-1] == "0 rows"


def test_long_text_is_wrapped_when_there_is_room() -> None:
    text = printed("SELECT 1 AS id, repeat('many geese fly ', 20) AS story", "table")
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("geese") == 20


def test_long_text_is_shortened_among_many_rows() -> None:
    lines = printed("SELECT i, repeat('geese ', 50) AS story FROM range(30) t(i)", "table").splitlines()
    assert len(lines) == 30 + 5
    assert all(len(line) == 60 for line in lines)
    assert "…" in lines[10]


def test_narrow_columns_keep_their_width_beside_a_long_one() -> None:
    line = printed("SELECT 'a whole label' AS label, repeat('x', 500) AS story", "table").splitlines()[4]
    assert "a whole label" in line


def test_columns_of_the_middle_go_first() -> None:
    many = ", ".join(f"repeat('x', 20) AS column_{i}" for i in range(12))
    lines = printed(f"SELECT {many}", "table").splitlines()
    assert max(map(len, lines)) <= 60
    assert "column_0" in lines[1]
    assert "column_11" in lines[1]
    assert lines[-1] == "12 columns (3 shown)"


@given(
    st.lists(st.lists(st.none() | st.text(max_size=80), min_size=1, max_size=5), min_size=1, max_size=20),
    st.integers(20, 90),
)
def test_lines_are_one_width_within_the_screen(values: list[list[str | None]], width: int) -> None:
    columns = min(map(len, values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        screen = Screen(Stream(io.StringIO()), Stream(io.StringIO()))
        shown = [tuple(row[:columns]) for row in values]
        lines = list(render_table(["name"] * columns, ["VARCHAR"] * columns, shown, len(shown), screen))
    box = [line for line in lines if line[0] in "┌│├└"]
    assert {cell_len(line) for line in box} == {cell_len(box[0])}
    assert cell_len(box[0]) <= width


@given(st.text(max_size=200), st.integers(2, 30), st.integers(1, 5))
def test_wrapped_text_fits(text: str, width: int, limit: int) -> None:
    lines = wrap(text, width, limit)
    assert 1 <= len(lines) <= limit
    assert all(cell_len(line) <= width for line in lines)
    assert cell_len(shorten(text.replace("\n", " "), width)) <= width


def test_a_table_counts_rows_that_it_does_not_show() -> None:
    screen = Screen(Stream(io.StringIO()), Stream(io.StringIO()))
    assert write_table(rows_of("FROM range(100)"), screen, max_rows=3) == 100
