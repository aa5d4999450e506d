"""Which rows reach a call: the conditions that CASE, COALESCE, IF, AND and OR put before it.

The structure is read from the tokens, because only they have offsets: OR binds weakest, then AND (not BETWEEN's), then
NOT. Whatever is not one of the guarding forms is opaque, and the calls inside it inherit the guards of its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .tokens import NOTHING, Range, Text


@dataclass(frozen=True, slots=True)
class Guard:
    """``(operand) <test>``, where test is ``IS TRUE``, ``IS NOT TRUE``, ``IS NOT FALSE`` or ``IS NULL``.

    ``equals``: for ``CASE x WHEN y``, the operand is compared with this range first.
    """

    operand: Range
    test: str
    equals: Range = NOTHING


Visit = Callable[[int, tuple[Guard, ...]], None]
_COALESCE = ("COALESCE", "IFNULL", "NVL")
_OF_ALL_ROWS = ("UNNEST", "GENERATE_SUBSCRIPTS", "OVER")
"""What is read for all rows, whatever stands around it."""


def visit_calls(text: Text, where: Range, starts: frozenset[int], visit: Visit, guards: tuple[Guard, ...] = ()) -> None:
    """Call ``visit(token index of the call's name, guards)`` for the calls starting at ``starts``, in evaluation order.

    Calls inside a call's arguments come before it, under the same guards.
    """
    if not any(where.lo <= s < where.hi for s in starts):
        return None
    where = text.unwrap(where)
    for separator, test in (("OR", "IS NOT TRUE"), ("AND", "IS NOT FALSE")):
        operands = split_logical(text, where, separator)
        if len(operands) > 1:
            return _visit_operands(text, operands, test, starts, visit, guards)
    if text.word(where.lo) == "NOT":
        return visit_calls(text, Range(where.lo + 1, where.hi), starts, visit, guards)
    return _visit_opaque(text, where, starts, visit, guards)


def split_logical(text: Text, where: Range, separator: str) -> list[Range]:
    """Cut at AND or OR outside brackets; the AND of a BETWEEN does not count.

    A range whose AND stands beside a weaker OR is not a conjunction: ``a OR b AND c`` has one part for AND.
    """
    where = text.unwrap(where)
    top = [i for i in text.top(where) if not text.tokens[i].quoted]
    if separator == "AND" and any(text.word(i) == "OR" for i in top):
        return [where]
    cuts, between = [], 0
    for index in top:
        if text.word(index) == "BETWEEN":
            between += 1
        elif text.word(index) == "AND" and between:
            between -= 1
        elif text.word(index) == separator:
            cuts.append(index)
    return text.cut(where, cuts)


def _visit_operands(
    text: Text, operands: list[Range], test: str, starts: frozenset[int], visit: Visit, guards: tuple[Guard, ...]
) -> None:
    """Operands without a call guard all that have one, wherever they stand; earlier ones with a call guard the later."""
    plain = tuple(Guard(o, test) for o in operands if not any(o.lo <= s < o.hi for s in starts))
    passed = guards + plain
    for operand in operands:
        if any(operand.lo <= s < operand.hi for s in starts):
            visit_calls(text, operand, starts, visit, passed)
            passed = (*passed, Guard(operand, test))


def _visit_opaque(text: Text, where: Range, starts: frozenset[int], visit: Visit, guards: tuple[Guard, ...]) -> None:
    for index in text.top(where):
        closing = text.partner.get(index)
        if closing is None or closing < index:
            continue
        inner = text.inside(index)
        if text.word(index) == "CASE":
            _visit_case(text, inner, starts, visit, guards)
        elif guards and _of_all_rows(text, index):
            _visit_opaque(text, Range(index, closing + 1), starts, visit, ())
        elif text.word(index - 1) in _COALESCE and index > where.lo:
            _visit_coalesce(text, inner, starts, visit, guards)
        elif text.word(index - 1) == "IF" and index > where.lo:
            _visit_if(text, inner, starts, visit, guards)
        else:
            for part in text.split(inner):
                visit_calls(text, part, starts, visit, guards)
        if index - 1 in starts:
            visit(index - 1, guards)


def _of_all_rows(text: Text, index: int) -> bool:
    """Whether a bracket belongs to a window function, its FILTER or its window, or to what makes many rows of one."""
    end = text.partner[index] + 1
    if text.word(end) == "FILTER":
        end = text.partner.get(end + 1, end) + 1
    return text.word(index - 1) in _OF_ALL_ROWS or text.word(end) == "OVER"


def _visit_coalesce(text: Text, inner: Range, starts: frozenset[int], visit: Visit, guards: tuple[Guard, ...]) -> None:
    for part in text.split(inner):
        visit_calls(text, part, starts, visit, guards)
        guards = (*guards, Guard(part, "IS NULL"))


def _visit_if(text: Text, inner: Range, starts: frozenset[int], visit: Visit, guards: tuple[Guard, ...]) -> None:
    parts = text.split(inner)
    tests = ["", "IS TRUE", "IS NOT TRUE"]
    for part, test in zip(parts, tests, strict=False):
        visit_calls(text, part, starts, visit, (*guards, Guard(parts[0], test)) if test else guards)


def _visit_case(text: Text, inner: Range, starts: frozenset[int], visit: Visit, guards: tuple[Guard, ...]) -> None:
    marks = [i for i in text.top(inner) if text.word(i) in ("WHEN", "THEN", "ELSE")]
    operand = Range(inner.lo, marks[0]) if marks else inner
    visit_calls(text, operand, starts, visit, guards)
    condition = NOTHING
    for mark, following in zip(marks, [*marks[1:], inner.hi], strict=True):
        part = Range(mark + 1, following)
        if text.word(mark) == "WHEN":
            visit_calls(text, part, starts, visit, guards)
            condition = part
        elif text.word(mark) == "THEN":
            visit_calls(text, part, starts, visit, (*guards, Guard(condition, "IS TRUE", operand)))
            guards = (*guards, Guard(condition, "IS NOT TRUE", operand))
        else:
            visit_calls(text, part, starts, visit, guards)
