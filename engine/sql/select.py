"""Blocks without aggregation: filters and calls over the Source, the user's SELECT on top."""

from __future__ import annotations

from ..plan.nodes import Expr, Relation
from .bind_block import BlockBinder, Item, input_marker, quote
from .guards import split_logical
from .tokens import Range

_TAIL = ("WINDOW", "QUALIFY", "ORDER BY", "LIMIT", "OFFSET", "FETCH")
_MULTIPLIES = frozenset({"OVER", "UNNEST", "DISTINCT", "GENERATE_SUBSCRIPTS"})


def bind_rows(binder: BlockBinder, conditions: list[Range], regions: list[Range]) -> None:
    """Source, WHERE and the conditions of joins: what happens to rows before they are projected or grouped."""
    binder.bind_source(regions)
    where = binder.block.clause("WHERE")
    conjuncts = split_logical(binder.text, where, "AND") if where else []
    for conjunct in [*conditions, *conjuncts]:
        binder.add_conjunct(conjunct)


def bind_select(binder: BlockBinder, conditions: list[Range]) -> Relation:
    """A block that neither groups nor aggregates."""
    clauses = [binder.block.clause(c) for c in ("SELECT", "WHERE", *_TAIL)]
    bind_rows(binder, conditions, [c for c in clauses if c] + conditions)
    return project(binder, fixed_names(binder))


def project(binder: BlockBinder, names: dict[Range, str]) -> Relation:
    """The select list, QUALIFY, ORDER BY and LIMIT over the plan so far."""
    for item in binder.items:
        binder.add_calls(item.core)
    tail: list[str] = []
    uses: frozenset[str] = frozenset()
    for name in (c for c in binder.block.clauses if c in _TAIL):
        binder.add_calls(binder.block.clause(name))
        sql, used = binder.splice.render(binder.block.clause(name))
        tail.append(f" {name} {sql}")
        uses |= used
    items: list[str] = []
    for item in binder.items:
        sql, used = binder.splice.render(item.where)
        items.append(
            sql if item.name is None or item.aliased else f"{sql} AS {quote(names.get(item.where, item.name))}"
        )
        uses |= used
    sql = f"SELECT {_distinct(binder)}{', '.join(items)} FROM {input_marker()}{''.join(tail)}"
    order = _order(binder)
    rowwise = _rowwise(binder) and (order is not None or not binder.block.clause("ORDER BY"))
    return binder.finish(sql, uses, rowwise=rowwise, limit=_limit(binder) if rowwise else None, order_by=order)


def fixed_names(binder: BlockBinder) -> dict[Range, str]:
    """The names DuckDB gives to unnamed expressions, which rewriting would change."""
    found = {}
    from_sql = binder.splice.render(binder.from_range)[0]
    for item in binder.items:
        if item.name is not None and not item.aliased and not binder.calls_in(item.where) and item.core:
            described = binder.try_describe(binder.text.source(item.core), from_sql)
            if described is not None:
                found[item.where] = described
    return found


def _distinct(binder: BlockBinder) -> str:
    clause = binder.block.clause("SELECT")
    first = next(i.where.lo for i in binder.items)
    if first == clause.lo:
        return ""
    return binder.splice.render(Range(clause.lo, first))[0] + " "


def _rowwise(binder: BlockBinder) -> bool:
    if binder.block.clause("QUALIFY") or binder.block.clause("WINDOW"):
        return False
    select = binder.block.clause("SELECT")
    return not any(binder.text.word(i) in _MULTIPLIES for i in range(select.lo, select.hi))


def _limit(binder: BlockBinder) -> int | None:
    """LIMIT plus OFFSET, when both are plain numbers."""
    limit, offset = binder.block.clause("LIMIT"), binder.block.clause("OFFSET")
    if not limit or binder.block.clause("FETCH"):
        return None
    words = [binder.text.source(r) for r in (limit, offset) if r]
    return sum(int(w) for w in words) if all(w.isdigit() for w in words) else None


def _order(binder: BlockBinder) -> Expr | None:
    """ORDER BY over the input's columns; ``None`` if absent or if a term cannot be expressed there."""
    clause = binder.block.clause("ORDER BY")
    terms = [_term(binder, t) for t in binder.text.split(clause)] if clause else []
    known = [t for t in terms if t is not None]
    if not known or len(known) < len(terms):
        return None
    label = " ".join(binder.text.source(clause).split())
    return Expr(", ".join(t.sql for t in known), frozenset().union(*(t.uses for t in known)), label)


def _term(binder: BlockBinder, term: Range) -> Expr | None:
    text = binder.text
    end = next(
        (i for i in text.top(term) if text.word(i) in ("ASC", "DESC", "NULLS", "NULLS FIRST", "NULLS LAST")), term.hi
    )
    core, suffix = Range(term.lo, end), text.source(Range(end, term.hi)) if end < term.hi else ""
    item = _named_item(binder, core)
    if item is None and text.word(core.lo) in ("ALL", "*"):
        return None
    expr = binder.splice.expr(item.core if item else core)
    known = {c.name for c in binder.plan_columns()}
    if not expr.uses or not expr.uses <= known or _names_alias(binder, core, item):
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
    return binder.aliases.get(word.strip('"').lower())


def _names_alias(binder: BlockBinder, core: Range, item: Item | None) -> bool:
    words = {binder.text.word(i).strip('"').lower() for i in range(core.lo, core.hi)}
    return item is None and bool(words & set(binder.aliases))
