"""What a block reads from its FROM: column references, stars and subqueries, bound by DuckDB and given plan names."""

from __future__ import annotations

import duckdb

from ..plan.nodes import Column, Source, SourceItem
from .bind_block import BlockBinder
from .guarantee import constants_of
from .guards import split_logical
from .items import Item
from .keys import key_of, name_of, within
from .names import quote
from .query import subqueries
from .row_calls import read_sql, row_column, row_columns, star_columns
from .scope import NotLiftableError, rejected
from .splice import words
from .tokens import Range, Text

_COMPARES = ("IN", "ANY", "ALL", "SOME")
_CONDITIONS = ("WHERE", "HAVING", "QUALIFY")


def bind_source(binder: BlockBinder, regions: list[Range]) -> None:
    """Make the Source of what the regions of the block read, and put its columns in their place in the text."""
    from_sql = binder.from_sql()
    wanted = _wanted(binder, regions)
    stars = [i for i in binder.items if i.name is None and any(within(i.where, r) for r in regions)]
    of_rows = _of_row_calls(binder, wanted)
    labels = {_key(binder, r): words(binder.text, r) for r in reversed(wanted)}
    keys = dict.fromkeys([_key(binder, r) for r in wanted] + _template_names(binder))
    keys = dict.fromkeys(k for k in keys if k not in of_rows and _is_column(binder, k, from_sql))
    items = _described(binder, {k: labels.get(k, k) for k in keys}, from_sql)
    binder.leaves = {i.sql: i.columns[0] for i in items} | of_rows
    for star in stars:
        items += _star(binder, star, from_sql)
    if not binder.items:
        items += _implied_star(binder, from_sql)
    items = items or [SourceItem("1", (Column(binder.names.fresh("c"), "INTEGER", "1"),))]
    binder.plan = Source(binder.scope.prelude(), from_sql, tuple(items), binder.scope.inputs)
    for where in wanted:
        column = binder.leaves.get(_key(binder, where))
        if column is not None:
            binder.splice.replace(where, read_sql(column), frozenset({column.name}))


def _of_row_calls(binder: BlockBinder, wanted: list[Range]) -> dict[str, Column]:
    """What is no column of the Source, but of the rows of a call.

    Raises
    ------
    NotLiftableError : the same words mean one thing in a call's arguments, and another behind it.
    """
    found = row_columns(binder, wanted)
    named = {k: c for k in _template_names(binder) if (c := row_column(k, binder.row_calls)) is not None}
    named |= {_key(binder, where): column for where, column in found.items()}
    if any(found.get(where) != named.get(_key(binder, where)) for where in wanted):
        raise NotLiftableError("a name means two columns")
    return named


def _key(binder: BlockBinder, where: Range) -> str:
    """What a reference is known by: its text, with the inputs in it that take the place of inner queries."""
    return key_of(binder.splice.render(where)[0])


def _described(binder: BlockBinder, labels: dict[str, str], from_sql: str) -> list[SourceItem]:
    """A Source item per text."""
    try:
        types = [t for _, t in binder.describe_items(list(labels), from_sql)] if labels else []
    except duckdb.Error as error:
        raise rejected(error) from None
    made = zip(labels.items(), types, strict=True)
    return [SourceItem(k, (Column(binder.names.fresh("c"), t, label),)) for (k, label), t in made]


def _star(binder: BlockBinder, item: Item, from_sql: str) -> list[SourceItem]:
    if binder.calls_in(item.where):
        raise NotLiftableError("a call stands inside a star expression")
    made, read = _starred(binder, binder.text.source(item.where), from_sql)
    binder.splice.replace(item.where, expanded(read), frozenset(c.name for c in read))
    return made


def _implied_star(binder: BlockBinder, from_sql: str) -> list[SourceItem]:
    made, binder.implied_items = _starred(binder, "*", from_sql)
    return made


def _starred(binder: BlockBinder, star: str, from_sql: str) -> tuple[list[SourceItem], tuple[Column, ...]]:
    """What the Source yields for a star, and all that the star reads."""
    of_source, of_rows = star_columns(binder, star)
    made = [_star_item(binder, star, from_sql)] if of_source else []
    return made, (*(c for item in made for c in item.columns), *of_rows)


def _star_item(binder: BlockBinder, sql: str, from_sql: str) -> SourceItem:
    try:
        described = binder.describe_items([sql], from_sql)
    except duckdb.Error as error:
        raise rejected(error) from None
    return SourceItem(sql, tuple(Column(binder.names.fresh("c"), t, n) for n, t in described))


def expanded(columns: tuple[Column, ...]) -> str:
    """A select list that gives plan columns the user's names again."""
    return ", ".join(f"{read_sql(c)} AS {quote(c.label)}" for c in columns)


def _template_names(binder: BlockBinder) -> list[str]:
    return [key_of(t) for b in binder.calls.values() for t in b.arguments.texts[len(b.located.arguments) :]]


def _is_column(binder: BlockBinder, key: str, from_sql: str) -> bool:
    """Whether a reference is a column of the FROM; if not it must be the alias of a select item."""
    try:
        binder.describe_items([key], from_sql)
        return True
    except duckdb.Error as error:
        if name_of(key) in binder.aliases:
            return False
        raise rejected(error) from None


def _wanted(binder: BlockBinder, regions: list[Range]) -> list[Range]:
    """Column references inside the regions; an operand that holds a subquery counts as one reference."""
    inner = [s for r in regions for s in subqueries(binder.text, r)]
    operands = [o for s in dict.fromkeys(inner) if (o := subquery_operand(binder, s)) is not None]
    named = [o for c in binder.calls.values() for o in constants_of(binder.text, c.located)]
    stars = [i.where for i in binder.items if i.name is None]
    plain = [r for g in regions for r in binder.references_in(g) if not any(within(r, o) for o in [*operands, *named])]
    found = [r for r in dict.fromkeys([*plain, *operands]) if not any(within(r, s) for s in stars)]
    return [r for r in found if not _orders_by_alias(binder, r)]


def _orders_by_alias(binder: BlockBinder, reference: Range) -> bool:
    """``ORDER BY x`` means a select item named x before a column x; ``ORDER BY x + 1`` means the column."""
    order = binder.block.clause("ORDER BY")
    if not within(reference, order) or binder.alias(reference) is None:
        return False
    term = next(t for t in binder.text.split(order) if within(reference, t))
    return binder.text.unwrap(order_core(binder.text, term)) == reference


def order_core(text: Text, term: Range) -> Range:
    """A term of ORDER BY without ASC, DESC and NULLS …"""
    ends = ("ASC", "DESC", "NULLS", "NULLS FIRST", "NULLS LAST")
    return Range(term.lo, next((i for i in text.top(term) if text.word(i) in ends), term.hi))


def subquery_operand(binder: BlockBinder, inner: Range) -> Range | None:
    """The smallest call-free operand around a subquery that can be computed by itself; ``None``: it may stay in its place.

    Raises
    ------
    NotLiftableError : it is compared with a call's answer, and reads columns or inputs of this block.
    """
    text = binder.text
    whole = Range(inner.lo - 1, inner.hi + 1)
    before = text.word(whole.lo - 1)
    if before in ("EXISTS", "ARRAY"):
        return Range(whole.lo - 1, whole.hi)
    if before not in _COMPARES:
        return whole
    places = [i.core for i in binder.items] + [binder.block.clause(c) for c in _CONDITIONS]
    place = next((p for p in places if p and within(whole, p)), None)
    operand = _smallest(text, place, whole) if place else None
    if operand is not None and not binder.calls_in(operand):
        return operand
    if _stands_alone(binder, inner):
        return None
    raise NotLiftableError("a subquery is compared with a call's answer")


def _smallest(text: Text, where: Range, target: Range) -> Range:
    """The innermost operand of AND, OR and NOT that holds the target."""
    where = text.unwrap(where)
    for separator in ("OR", "AND"):
        operands = split_logical(text, where, separator)
        if len(operands) > 1:
            return _smallest(text, next(o for o in operands if within(target, o)), target)
    if text.word(where.lo) == "NOT":
        return _smallest(text, Range(where.lo + 1, where.hi), target)
    return where


def _stands_alone(binder: BlockBinder, inner: Range) -> bool:
    """Whether a subquery reads only tables, so that it means the same anywhere."""
    try:
        binder.catalog.describe(binder.splice.render(inner)[0])
    except duckdb.Error:
        return False
    return not binder.scope.ctes
