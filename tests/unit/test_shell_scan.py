"""Cutting input into statements and dot commands."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.engine.interfaces.shell.scan import is_finished, pieces


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1; SELECT ';'", ["SELECT 1", "SELECT ';'"]),
        ("SELECT 'it''s; fine'; x", ["SELECT 'it''s; fine'", "x"]),
        (r"SELECT E'a\';'; x", [r"SELECT E'a\';'", "x"]),
        ('SELECT 1 AS "a;b"; x', ['SELECT 1 AS "a;b"', "x"]),
        ("SELECT $tag$ ; $$ ; $tag$; x", ["SELECT $tag$ ; $$ ; $tag$", "x"]),
        ("SELECT $1; x", ["SELECT $1", "x"]),
        ("SELECT 1 -- ; no\n; x", ["SELECT 1 -- ; no", "x"]),
        ("SELECT /* ; /* ; */ ; */ 1; x", ["SELECT /* ; /* ; */ ; */ 1", "x"]),
        (";; -- nothing\n/* nothing */ ;", []),
        (".help x; y\nSELECT 1;\n  .tables", [".help x; y", "SELECT 1", ".tables"]),
        ("SELECT 1\n.5;", ["SELECT 1\n.5"]),
    ],
)
def test_pieces(text: str, expected: list[str]) -> None:
    assert [piece.text for piece in pieces(text)] == expected


def test_pieces_know_their_line_and_kind() -> None:
    found = list(pieces("-- a\n\nSELECT 1;\n.mode csv\nSELECT\n2"))
    assert [(piece.line, piece.command, piece.finished) for piece in found] == [
        (3, False, True),
        (4, True, True),
        (5, False, False),
    ]


@pytest.mark.parametrize(
    "text", ["SELECT 1;", "", "  \n", ".tables", "-- a comment", "SELECT 1; /* x */ -- y", "SELECT ';';"]
)
def test_finished(text: str) -> None:
    assert is_finished(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT ';",
        'SELECT ";',
        "SELECT $$;",
        "/* ;",
        "SELECT 1; SELECT 2",
        "SELECT 1 /* ; */",
        "SELECT E'\\';",
    ],
)
def test_unfinished(text: str) -> None:
    assert not is_finished(text)


_FRAGMENTS = st.sampled_from(
    ["SELECT 1", "SELECT ';'", "SELECT $$;$$", "SELECT 1 /* ; */", 'SELECT 1 AS ";"', "VALUES (1)", "--;\n"]
)


@given(st.lists(_FRAGMENTS, max_size=6), st.sampled_from([";", ";\n", " ; -- x;\n", ";;"]))
def test_as_many_statements_as_duckdb_finds(fragments: list[str], between: str) -> None:
    text = between.join(fragments)
    with duckdb.connect() as connection:
        assert len(list(pieces(text))) == len(connection.extract_statements(text))
