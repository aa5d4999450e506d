"""Text changed by offset."""

from __future__ import annotations

import pytest

from anserdb.engine.sql.splice import Splice, words
from anserdb.engine.sql.tokens import Range, Text


def spliced() -> Splice:
    """``a + f(b, c)``: b becomes __c1, then f(…) becomes __s2."""
    splice = Splice(Text("SELECT a + f(b, c) FROM t"))
    splice.replace(Range(5, 6), "__c1", frozenset({"__c1"}))
    splice.replace(Range(3, 9), "__s2", frozenset({"__s2"}))
    return splice


def test_the_outermost_edit_inside_the_range_counts() -> None:
    splice = spliced()
    assert splice.render(Range(1, 9)) == ("a + __s2", frozenset({"__s2"}))
    assert splice.render(Range(5, 8)) == ("__c1, c", frozenset({"__c1"}))
    assert splice.render(Range(9, 11)) == ("FROM t", frozenset())
    assert splice.render(Range(0, 0)) == ("", frozenset())


def test_a_later_edit_of_the_same_range_wins() -> None:
    splice = spliced()
    splice.replace(Range(3, 9), "1")
    assert splice.render(Range(1, 9)) == ("a + 1", frozenset())


def test_an_expression_keeps_the_users_words() -> None:
    expr = spliced().expr(Range(1, 9))
    assert (expr.sql, expr.label) == ("a + __s2", "a + f(b, c)")


@pytest.mark.parametrize(("offset", "character"), [(0, "S"), (7, "a"), (11, "f"), (13, "f"), (16, "F"), (21, "t")])
def test_an_offset_leads_back_to_the_users_character(offset: int, character: str) -> None:
    splice = spliced()
    whole = splice.text.all()
    assert splice.render(whole)[0] == "SELECT a + __s2 FROM t"
    assert splice.text.sql[splice.origin(whole, offset)] == character


def test_words_are_on_one_line() -> None:
    text = Text("a\n   +  b")
    assert words(text, text.all()) == "a + b"
