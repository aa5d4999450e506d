"""Tokens with their brackets matched: what may be cut where."""

from __future__ import annotations

import pytest

from anserdb.engine.errors import ParseError
from anserdb.engine.sql.tokens import Range, Text


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("a, b", ["a", "b"]),
        ("f(a, b), [c, d], {e: f, g: h}", ["f(a, b)", "[c, d]", "{e: f, g: h}"]),
        ("'a, b', \"c, d\", $$e, f$$", ["'a, b'", '"c, d"', "$$e, f$$"]),
        ("CASE WHEN a THEN b END, c", ["CASE WHEN a THEN b END", "c"]),
        ("a /* , */, b -- , c", ["a", "b"]),
        ("ünï, '😀,', €", ["ünï", "'😀,'", "€"]),
        ("'(', b", ["'('", "b"]),
        ("", []),
        ("$a,$b+$1,f($c,$d)", ["$a", "$b+$1", "f($c,$d)"]),
        ("$x$ $a,$b $x$,$$c,$d$$,$e", ["$x$ $a,$b $x$", "$$c,$d$$", "$e"]),
    ],
)
def test_split_cuts_outside_brackets_strings_and_comments(sql: str, parts: list[str]) -> None:
    text = Text(sql)
    assert [text.source(p) for p in text.split(text.all())] == parts


@pytest.mark.parametrize("verb", ["EXPLAIN", "CALL", "SHOW", "EXECUTE"])
def test_a_command_is_tokenised_to_its_end(verb: str) -> None:
    text = Text(f"SELECT 1; {verb} x ';' y; SELECT 2")
    assert [text.source(p) for p in text.split(text.all(), (";",))] == ["SELECT 1", f"{verb} x ';' y", "SELECT 2"]


def test_a_parameter_is_a_token_by_itself() -> None:
    words = [token.word for token in Text("?::INT, $1::INT, $name, f(?,?), ?").tokens]
    assert [words.count(mark) for mark in ("?", "$", "::")] == [4, 2, 2]


def test_words_are_upper_case_unless_quoted() -> None:
    text = Text("select \"Name\", 'Text', group   BY")
    assert [t.word for t in text.tokens] == ["SELECT", '"Name"', ",", "'Text'", ",", "GROUP BY"]


def test_top_skips_what_brackets_hold() -> None:
    text = Text("a (b (c) d) e")
    assert [text.word(i) for i in text.top(text.all())] == ["A", "(", "E"]


@pytest.mark.parametrize(
    ("sql", "inner"), [("((a))", "a"), ("(a)(b)", "(a)(b)"), ("(a) + (b)", "(a) + (b)"), ("a", "a")]
)
def test_unwrap_takes_off_parentheses_around_everything(sql: str, inner: str) -> None:
    text = Text(sql)
    assert text.source(text.unwrap(text.all())) == inner


def test_a_range_is_its_characters() -> None:
    text = Text("SELECT  'ü' , b")
    assert text.span(Range(1, 3)) == (8, 13)
    assert text.word(99) == text.word(-1) == ""


@pytest.mark.parametrize("sql", ["SELECT (a", "SELECT a)", "SELECT [a)", "SELECT 'a", "SELECT /* a"])
def test_what_cannot_be_read_is_said(sql: str) -> None:
    with pytest.raises(ParseError):
        Text(sql)
