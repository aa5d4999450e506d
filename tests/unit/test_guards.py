"""Which rows reach a call."""

from __future__ import annotations

import pytest

from anserdb.engine.sql.guards import Guard, split_logical, visit_calls
from anserdb.engine.sql.tokens import Text


def guards(sql: str) -> dict[str, str]:
    """Per call ``f1()``, ``f2()``, …, in the order of visits, its guards as text."""
    text = Text(sql)
    starts = frozenset(i for i, t in enumerate(text.tokens) if t.word[:1] == "F" and t.word[1:].isdigit())
    found: dict[str, str] = {}

    def visit(start: int, passed: tuple[Guard, ...]) -> None:
        found[text.word(start).lower()] = " & ".join(shown(g) for g in passed)

    def shown(guard: Guard) -> str:
        equals = f"{text.source(guard.equals)} = " if guard.equals else ""
        return f"{equals}{text.source(guard.operand)} {guard.test}"

    visit_calls(text, text.all(), starts, visit)
    return found


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("f1(a)", {"f1": ""}),
        ("f1(f2(a))", {"f2": "", "f1": ""}),
        ("f1(a) AND b", {"f1": "b IS NOT FALSE"}),
        ("f1(a) OR b IS NULL", {"f1": "b IS NULL IS NOT TRUE"}),
        ("f1(a) AND f2(b)", {"f1": "", "f2": "f1(a) IS NOT FALSE"}),
        ("f1(a) OR f2(b)", {"f1": "", "f2": "f1(a) IS NOT TRUE"}),
        ("NOT (a OR f1(b))", {"f1": "a IS NOT TRUE"}),
        ("a OR b AND f1(c)", {"f1": "a IS NOT TRUE & b IS NOT FALSE"}),
        ("a BETWEEN 1 AND 2 AND f1(c)", {"f1": "a BETWEEN 1 AND 2 IS NOT FALSE"}),
        ("f1(a) BETWEEN 1 AND f2(b)", {"f1": "", "f2": ""}),
        ("COALESCE(a, f1(b), f2(c))", {"f1": "a IS NULL", "f2": "a IS NULL & f1(b) IS NULL"}),
        ("if(a, f1(b), f2(c))", {"f1": "a IS TRUE", "f2": "a IS NOT TRUE"}),
        ("CASE WHEN a THEN f1(b) ELSE f2(c) END", {"f1": "a IS TRUE", "f2": "a IS NOT TRUE"}),
        (
            "CASE WHEN f1(a) THEN 1 WHEN f2(b) THEN f3(c) END",
            {"f1": "", "f2": "f1(a) IS NOT TRUE", "f3": "f1(a) IS NOT TRUE & f2(b) IS TRUE"},
        ),
        ("CASE a WHEN 1 THEN f1(b) ELSE f2(c) END", {"f1": "a = 1 IS TRUE", "f2": "a = 1 IS NOT TRUE"}),
        ("upper(f1(a)) || [f2(b)][1]", {"f1": "", "f2": ""}),
        ("if(a, max(f1(b)) OVER (ORDER BY f2(c)), f3(d))", {"f1": "", "f2": "", "f3": "a IS NOT TRUE"}),
        ("a AND sum(b) FILTER (f1(c)) OVER w > 1", {"f1": ""}),
        ("a AND sum(b) FILTER (f1(c)) > 1", {"f1": "a IS NOT FALSE"}),
        ("if(a, unnest(if(b, f1(c), d)), d)", {"f1": "b IS TRUE"}),
        ("x = 'a AND b' AND f1(c)", {"f1": "x = 'a AND b' IS NOT FALSE"}),
    ],
)
def test_conditions_before_a_call_guard_it(sql: str, expected: dict[str, str]) -> None:
    found = guards(sql)
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("a AND b AND c", ["a", "b", "c"]),
        ("(a AND b)", ["a", "b"]),
        ("a AND b OR c", ["a AND b OR c"]),
        ("a BETWEEN 1 AND 2 AND b", ["a BETWEEN 1 AND 2", "b"]),
        ("(a OR b) AND c", ["(a OR b)", "c"]),
    ],
)
def test_a_conjunction_is_split_at_its_own_ands(sql: str, parts: list[str]) -> None:
    text = Text(sql)
    assert [text.source(p) for p in split_logical(text, text.all(), "AND")] == parts
