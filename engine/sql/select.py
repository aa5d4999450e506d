"""Blocks without aggregation: filters and calls over the Source, the user's SELECT on top."""

from __future__ import annotations

from dataclasses import replace

from ..plan.nodes import Expr, Relation
from .bind_block import INPUT, BlockBinder, Projection
from .guards import split_logical
from .items import Item, after_distinct, unnests
from .keys import key_of
from .names import quote
from .ranked import ranked
from .row_calls import add_row_calls, arguments_of
from .scope import NotLiftableError
from .select_unnest import add_unnested, unnested_item
from .source import bind_source, expanded, order_core
from .splice import words
from .tokens import NOTHING, Range

_COUNTS = ("LIMIT", "OFFSET", "FETCH")
_READS = ("WINDOW", "QUALIFY", "ORDER BY")
_TAIL = (*_READS, *_COUNTS)
_MULTIPLIES = frozenset({"OVER", "UNNEST", "DISTINCT", "GENERATE_SUBSCRIPTS"})


def bind_rows(binder: BlockBinder, conditions: list[Range], regions: list[Range]) -> None:
    """Source, WHERE and the conditions of joins: what happens to rows before they are projected or grouped."""
    bind_source(binder, regions + arguments_of(binder))
    add_row_calls(binder)
    where = binder.block.clause("WHERE")
    conjuncts = split_logical(binder.text, where, "AND") if where else []
    for conjunct in [*conditions, *conjuncts]:
        binder.add_conjunct(conjunct)


def bind_select(binder: BlockBinder, conditions: list[Range]) -> Relation:
    """A block that neither groups nor aggregates."""
    clauses = [binder.block.clause(c) for c in ("SELECT", "WHERE", *_READS)]
    names = fixed_names(binder)
    bind_rows(binder, conditions, [c for c in clauses if c] + conditions)
    return project(binder, names, unnested_item(binder))


def check_counts(binder: BlockBinder) -> None:
    """LIMIT and OFFSET are read before any row is.

    Raises
    ------
    NotLiftableError : a call stands in one.
    """
    for clause in _COUNTS:
        if binder.calls_in(binder.block.clause(clause)):
            raise NotLiftableError(f"a call stands in {clause}")


def project(binder: BlockBinder, names: dict[Range, str], unnested: Item | None = None) -> Relation:
    """The select list, QUALIFY, ORDER BY and LIMIT over the plan so far.

    Parameters
    ----------
    unnested : an item that makes many rows of one, in the plan.
    """
    distinct = _distinct(binder)
    if unnested is not None:
        add_unnested(binder, unnested)
    else:
        for item in binder.items:
            binder.add_calls(item.core)
    pieces = [binder.splice.render(distinct)] if distinct else []
    items = [_item(binder, item, names) for item in binder.items]
    if binder.implied_items:
        items.append((expanded(binder.implied_items), frozenset(c.name for c in binder.implied_items)))
    tail = [_tail(binder, name) for name in binder.block.clauses if name in _TAIL]
    head = " ".join([*(sql for sql, _ in pieces), ", ".join(sql for sql, _ in items)])
    sql = f"SELECT {head} FROM {INPUT}{''.join(sql for sql, _ in tail)}"
    uses = frozenset[str]().union(*(used for _, used in (*pieces, *items, *tail)))
    order = _order(binder)
    rowwise = (unnested is not None or _rowwise(binder)) and (order is not None or not binder.block.clause("ORDER BY"))
    relation = binder.finish(Projection(sql, uses, _label(binder)))
    whole = replace(relation, rowwise=rowwise, limit=_limit(binder) if rowwise else None, order_by=order)
    shown = frozenset[str]().union(*(used for _, used in (*pieces, *items)))
    return ranked(binder, whole, order, shown)


def _item(binder: BlockBinder, item: Item, names: dict[Range, str]) -> tuple[str, frozenset[str]]:
    sql, uses = binder.splice.render(item.where)
    fixed = item.name is None or item.aliased or (item.where not in names and unnests(binder.text, item.core))
    return (sql if fixed else f"{sql} AS {quote(names.get(item.where, item.name or ''))}"), uses


def _tail(binder: BlockBinder, name: str) -> tuple[str, frozenset[str]]:
    binder.add_calls(binder.block.clause(name))
    sql, uses = binder.splice.render(binder.block.clause(name))
    return f" {name} {sql}", uses


def _label(binder: BlockBinder) -> str:
    tail = [f"{name} {words(binder.text, where)}" for name, where in binder.block.clauses.items() if name in _TAIL]
    return " ".join(["SELECT", words(binder.text, binder.block.clause("SELECT")) or "*", *tail])


def fixed_names(binder: BlockBinder) -> dict[Range, str]:
    """The names DuckDB gives to unnamed expressions, which rewriting would change."""
    found = {}
    from_sql = binder.whole_from_sql()
    windows = binder.splice.render(binder.block.clause("WINDOW"))[0]
    over = f" WINDOW {windows}" if windows and not binder.calls_in(binder.block.clause("WINDOW")) else ""
    for item in binder.items:
        if item.name is not None and not item.aliased and not binder.calls_in(item.where) and item.core:
            described = binder.try_describe(binder.splice.render(item.core)[0], from_sql + over)
            if described is not None:
                found[item.where] = described
    return found


def _distinct(binder: BlockBinder) -> Range:
    """``DISTINCT`` or ``DISTINCT ON (…)``, its calls planned."""
    clause = binder.block.clause("SELECT")
    where = Range(clause.lo, after_distinct(binder.text, clause)) if clause else NOTHING
    binder.add_calls(where)
    return where


def _rowwise(binder: BlockBinder) -> bool:
    if binder.block.clause("QUALIFY") or binder.block.clause("WINDOW"):
        return False
    select = binder.block.clause("SELECT")
    return not any(binder.text.word(i) in _MULTIPLIES for i in range(select.lo, select.hi))


def _limit(binder: BlockBinder) -> int | None:
    """How many rows are needed: LIMIT plus OFFSET, when both are plain numbers; none for LIMIT 0."""
    limit, offset = binder.block.clause("LIMIT"), binder.block.clause("OFFSET")
    if not limit or binder.block.clause("FETCH"):
        return None
    counts = [binder.text.source(r) for r in (limit, offset) if r]
    if not all(c.isdigit() for c in counts):
        return None
    return sum(int(c) for c in counts) if int(counts[0]) else 0


def _order(binder: BlockBinder) -> Expr | None:
    """ORDER BY over the input's columns; ``None`` if absent or if a term cannot be expressed there."""
    clause = binder.block.clause("ORDER BY")
    terms = [_term(binder, t) for t in binder.text.split(clause)] if clause else []
    known = [t for t in terms if t is not None]
    if not known or len(known) < len(terms):
        return None
    return Expr(
        ", ".join(t.sql for t in known), frozenset().union(*(t.uses for t in known)), words(binder.text, clause)
    )


def _term(binder: BlockBinder, term: Range) -> Expr | None:
    text, core = binder.text, order_core(binder.text, term)
    suffix = text.source(Range(core.hi, term.hi)) if core.hi < term.hi else ""
    item = _named_item(binder, core)
    if item is None and text.word(core.lo) in ("ALL", "*"):
        return None
    where = item.core if item else core
    expr = binder.splice.expr(where)
    known = {c.name for c in binder.plan_columns()}
    if not expr.uses or not expr.uses <= known or _names_alias(binder, where):
        return None
    return Expr(f"{expr.sql} {suffix}".strip(), expr.uses, expr.label)


def _named_item(binder: BlockBinder, core: Range) -> Item | None:
    """ORDER BY 2, or ORDER BY alias."""
    if core.hi - core.lo != 1:
        return None
    word = binder.text.source(core)
    if word.isdigit():
        position = int(word) - 1
        stars = any(i.name is None for i in binder.items)
        return binder.items[position] if not stars and position < len(binder.items) else None
    return binder.alias(core)


def _names_alias(binder: BlockBinder, where: Range) -> bool:
    """Whether the text reads a select item by its name, which means nothing below the select list."""
    places = [r for r in binder.references_in(where) if binder.alias(r) is not None]
    return any(key_of(binder.text.source(r)) not in binder.leaves for r in places)
