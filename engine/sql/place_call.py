"""A bound call put on the plan: its guard and its arguments computed, then the call itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plan.cascade import Cascade
from ..plan.nodes import Call, Column, Compute, Computed, Expr, SemanticCall
from ..plan.walk import columns
from ..types import needs_cast, parse_type
from .bind_call import BoundCall
from .call_text import position
from .guarantee import check_score
from .guards import Guard
from .keys import key_of
from .labels import truth_of
from .names import stub
from .scope import NotLiftableError
from .splice import words

if TYPE_CHECKING:
    from .bind_block import BlockBinder

_MULTIPLIES = ("UNNEST", "GENERATE_SUBSCRIPTS")


def place_call(binder: BlockBinder, bound: BoundCall, guards: tuple[Guard, ...]) -> None:
    """Add the call to the binder's plan, and put its answer in its place in the text."""
    located = bound.located
    guard = _guard(binder, guards)
    arguments = _arguments(binder, bound, guard)
    output = Column(binder.names.fresh("s"), bound.type.text, words(binder.text, located.whole))
    cascade = _cascade(binder, bound, guard)
    types = ["VARCHAR"] * len(bound.arguments.constants)
    for index, column in arguments.items():
        types[index] = column.type
    call = SemanticCall(
        site=f"{len(binder.done) + 1}:{located.function.sql_name}",
        function=located.function.sql_name,
        constants=bound.arguments.constants,
        arguments=tuple(c.name for c in arguments.values()),
        argument_types=tuple(types),
        argument_texts=bound.arguments.texts,
        options=dict(bound.options),
        guard=guard.name if guard else None,
        output=output,
        truth=truth_of(binder, bound, arguments),
        cascade=cascade,
    )
    binder.plan = Call(binder.plan, call)
    binder.done[located.whole.lo] = output
    sql = f"CAST({output.name} AS {output.type})" if needs_cast(bound.type) else output.name
    binder.splice.replace(located.whole, sql, frozenset({output.name}))


def _arguments(binder: BlockBinder, bound: BoundCall, guard: Column | None) -> dict[int, Column]:
    """The column per dynamic position; expressions are computed, only for rows that the guard lets through."""
    available = {c.name: c for c in columns(binder.plan)}
    found: dict[int, Column] = {}
    computed: list[Computed] = []
    for index in bound.dynamic:
        expr = _argument(binder, bound, index)
        column = available.get(expr.sql)
        if column is None:
            expr = _guarded(expr, guard)
            column = Column(binder.names.fresh("a"), type_of(binder, expr), expr.label)
            computed.append(Computed(column, expr))
        found[index] = column
    if computed:
        binder.plan = Compute(binder.plan, tuple(computed))
    return found


def _argument(binder: BlockBinder, bound: BoundCall, index: int) -> Expr:
    collected = binder.collected.get(bound.located.whole.lo)
    if collected is not None and index == 0:
        return Expr(collected.name, frozenset({collected.name}), collected.label)
    if index < len(bound.located.arguments):
        where = bound.located.arguments[index]
        binder.resolve_aliases(where)
        expr = binder.splice.expr(where)
        _check_rows(expr, "an argument")
        return expr
    column = binder.leaves[key_of(bound.arguments.texts[index])]
    return Expr(column.name, frozenset({column.name}), column.label)


def _cascade(binder: BlockBinder, bound: BoundCall, guard: Column | None) -> Cascade | None:
    """What is promised of the answers; an expression that is the proxy is computed as arguments are."""
    promise = bound.promise
    if promise is None or promise.score is None:
        return None if promise is None else promise.cascade()
    binder.resolve_aliases(promise.score)
    expr = binder.splice.expr(promise.score)
    _check_rows(expr, "a proxy")
    kind = type_of(binder, expr)
    check_score(parse_type(kind), bound.type, position(binder.text, promise.score))
    if any(column.name == expr.sql for column in columns(binder.plan)):
        return promise.cascade(expr.sql)
    column = Column(binder.names.fresh("a"), kind, expr.label)
    binder.plan = Compute(binder.plan, (Computed(column, _guarded(expr, guard)),))
    return promise.cascade(column.name)


def _check_rows(expr: Expr, what: str) -> None:
    if any(f"{word}(" in expr.sql.upper().replace(" ", "") for word in _MULTIPLIES):
        raise NotLiftableError(f"{what} multiplies rows")


def _guarded(expr: Expr, guard: Column | None) -> Expr:
    if guard is None:
        return expr
    return Expr(f"CASE WHEN {guard.name} THEN {expr.sql} END", expr.uses | {guard.name}, expr.label)


def _guard(binder: BlockBinder, guards: tuple[Guard, ...]) -> Column | None:
    if not guards:
        return None
    tests = [_test(binder, g) for g in guards]
    sql = " AND ".join(f"({t.sql})" for t in tests)
    label = " AND ".join(t.label for t in tests)
    column = Column(binder.names.fresh("g"), "BOOLEAN", label)
    expr = Expr(sql, frozenset().union(*(t.uses for t in tests)), label)
    binder.plan = Compute(binder.plan, (Computed(column, expr),))
    return column


def _test(binder: BlockBinder, guard: Guard) -> Expr:
    binder.resolve_aliases(guard.operand)
    operand = binder.splice.expr(guard.operand)
    _check_rows(operand, "a condition before a call")
    label = f"{operand.label} {guard.test}"
    if not guard.equals:
        return Expr(f"({operand.sql}) {guard.test}", operand.uses, label)
    equals = binder.splice.expr(guard.equals)
    _check_rows(equals, "a condition before a call")
    return Expr(f"(({equals.sql}) = ({operand.sql})) {guard.test}", operand.uses | equals.uses, label)


def type_of(binder: BlockBinder, expr: Expr) -> str:
    """DuckDB's type of an expression over the plan so far."""
    return binder.describe(f"SELECT {expr.sql} FROM ({stub(columns(binder.plan))}) AS __in")[0][1]
