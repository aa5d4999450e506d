"""The skeleton of a query, found by its keywords outside brackets: CTEs, set-operation branches, clauses of a SELECT block."""

from __future__ import annotations

from dataclasses import dataclass, field

from .tokens import NOTHING, Range, Text

CLAUSES = (
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "WINDOW",
    "QUALIFY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "FETCH",
)
AFTER_TABLE = frozenset((
    "", ")", ",", ";", "]", "ANTI", "ASOF", "AT", "CROSS", "DO", "EXCEPT", "FULL", "GROUP", "INNER", "INTERSECT", "JOIN",
    "LEFT", "NATURAL", "ON", "ON CONFLICT", "ORDER", "PIVOT", "POSITIONAL", "RETURNING", "RIGHT", "SEMI", "SET",
    "TABLESAMPLE", "UNION", "UNPIVOT", "USING", "USING SAMPLE", "WHEN", "WITH", *CLAUSES,
))  # fmt: skip
"""What can follow an item of FROM that is given no name."""

_SAMPLE = "USING SAMPLE"
_TAIL = ("ORDER BY", "LIMIT", "OFFSET", "FETCH")
_SET_OPERATIONS = ("UNION", "INTERSECT", "EXCEPT")


@dataclass(frozen=True, slots=True)
class Cte:
    """``name AS (body)``; ``whole`` covers the entry."""

    name: str
    body: Range
    whole: Range


@dataclass(frozen=True, slots=True)
class Block:
    """One SELECT. ``clauses`` maps a clause's keyword to what follows it; ``order`` lists them as written."""

    whole: Range
    clauses: dict[str, Range] = field(default_factory=dict)

    def clause(self, name: str) -> Range:
        """What follows the keyword; an empty range when the clause is absent."""
        return self.clauses.get(name, NOTHING)


@dataclass(frozen=True, slots=True)
class Query:
    """``WITH ctes <branch> UNION … <tail>``. ``body`` excludes the WITH part; a single branch keeps its own tail."""

    whole: Range
    body: Range
    ctes: tuple[Cte, ...]
    recursive: bool
    branches: tuple[Range, ...]


def parse_query(text: Text, where: Range) -> Query:
    """Split a query into CTEs and branches. Parentheses around all of it are taken off."""
    where = text.unwrap(where)
    ctes, recursive, start = _ctes(text, where)
    body = Range(start, where.hi)
    cuts = [i for i in text.top(body) if text.word(i) in _SET_OPERATIONS]
    branches = [_without_modifiers(text, b) for b in text.cut(body, cuts)]
    if len(branches) > 1:
        branches[-1] = _without_tail(text, branches[-1])
    return Query(where, body, ctes, recursive, tuple(text.unwrap(b) for b in branches))


def parse_block(text: Text, where: Range) -> Block | None:
    """The clauses of a SELECT block; ``None`` when the range is something else (VALUES, PIVOT, TABLE, …)."""
    if text.word(where.lo) not in ("SELECT", "FROM"):
        return None
    marks = [i for i in text.top(where) if _clause(text, i) and not _is_distinct_from(text, i)]
    clauses: dict[str, Range] = {}
    for mark, following in zip(marks, [*marks[1:], where.hi], strict=True):
        name = _clause(text, mark)
        if name in clauses:
            return None
        clauses[name] = Range(mark + (2 if name == _SAMPLE else 1), following)
    return Block(where, clauses) if clauses.get("SELECT") or clauses.get("FROM") else None


def subqueries(text: Text, where: Range) -> list[Range]:
    """Parenthesised queries anywhere inside the range, outermost only."""
    found, index = [], where.lo
    while index < where.hi:
        if text.word(index) == "(" and text.word(index + 1) in ("SELECT", "WITH", "FROM"):
            found.append(text.inside(index))
            index = text.partner[index]
        index += 1
    return found


def _clause(text: Text, index: int) -> str:
    """The keyword of a clause that begins here; "" where none does."""
    if text.word(index) == "USING" and text.word(index + 1) == "SAMPLE":
        return _SAMPLE
    return text.word(index) if text.word(index) in CLAUSES else ""


def _ctes(text: Text, where: Range) -> tuple[tuple[Cte, ...], bool, int]:
    if text.word(where.lo) != "WITH":
        return (), False, where.lo
    recursive = text.word(where.lo + 1) == "RECURSIVE"
    ctes: list[Cte] = []
    begin = index = where.lo + (2 if recursive else 1)
    while index < where.hi:
        if text.word(index) == "(" and text.word(index - 1) in ("AS", "MATERIALIZED"):
            end = text.partner[index]
            name = text.source(Range(begin, begin + 1))
            ctes.append(Cte(name, text.inside(index), Range(begin, end + 1)))
            if text.word(end + 1) != ",":
                return tuple(ctes), recursive, end + 1
            begin = index = end + 2
        else:
            index = text.partner.get(index, index) + 1
    return tuple(ctes), recursive, where.hi


def _without_modifiers(text: Text, branch: Range) -> Range:
    lo = branch.lo
    while text.word(lo) in ("ALL", "DISTINCT", "BY", "NAME", "BY NAME"):
        lo += 1
    return Range(lo, branch.hi)


def _without_tail(text: Text, branch: Range) -> Range:
    return Range(branch.lo, next((i for i in text.top(branch) if text.word(i) in _TAIL), branch.hi))


def _is_distinct_from(text: Text, index: int) -> bool:
    return text.word(index) == "FROM" and text.word(index - 1) == "DISTINCT" and text.word(index - 2) in ("IS", "NOT")
