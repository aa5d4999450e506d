"""The grouping of a block as a DuckDB fragment, and the edits that make the rest of the block read its columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import duckdb

from ..plan.nodes import Column, Grouping, Input, Relation, Source, SourceItem
from .aggregates_at import aggregate_at, semantic_aggregate
from .bind_block import BlockBinder
from .embed import collected
from .guards import split_logical
from .keys import key_of
from .names import stub
from .query import subqueries
from .scope import NotLiftableError
from .source import subquery_operand
from .splice import words
from .tokens import Range

_ROWS = "«rows»"


@dataclass(frozen=True, slots=True)
class Place:
    """What the text above the grouping reads at one place.

    Parameters
    ----------
    where : its tokens. repeats : the grouping expression that it repeats. collects : it is a semantic aggregate, which
        reads the list of its group.
    """

    where: Range
    repeats: Range | None = None
    collects: bool = False


@dataclass(slots=True)
class _Reading:
    """A column of the fragment: the user's words for it, and the places that read it."""

    label: str
    places: list[Place] = field(default_factory=list)


def bind_grouping(binder: BlockBinder, groups: list[Range], plain: bool, *, over_rows: bool) -> None:
    """Make the fragment the plan.

    Parameters
    ----------
    groups : grouping expressions; ``plain``: they are all there is to GROUP BY (no ROLLUP and the like).
    over_rows : it reads the row-level plan so far instead of the FROM.
    """
    having = " AND ".join(f"({_resolved(binder, h)})" for h in _conjuncts(binder) if not _asks(binder, h))
    parts = [binder.splice.render(g)[0] for g in groups]
    group_sql = ", ".join(parts) if plain else binder.splice.render(binder.block.clause("GROUP BY"))[0]
    wanted = _wanted(binder, groups)
    from_sql = _ROWS if over_rows else binder.splice.render(binder.from_range)[0]
    sql = f"SELECT {', '.join(wanted) or '1'}" + (f" FROM {from_sql}" if from_sql else "")
    sql += "" if over_rows else _clause(binder, "WHERE")
    sql += f" GROUP BY {group_sql}" if group_sql else ""
    sql += f" HAVING {having}" if having else ""
    sql += "" if over_rows else _clause(binder, "USING SAMPLE")
    columns = _columns(binder, sql, wanted)
    grouping = Grouping("", tuple(wanted), tuple(parts), having) if plain and parts and wanted else None
    _install(binder, sql, columns, grouping if over_rows and _stands_alone(binder, sql) else None, over_rows=over_rows)
    for column, reading in zip(columns, wanted.values(), strict=False):
        for place in reading.places:
            _read(binder, place, column)
    binder.leaves = {key_of(k): c for k, c in zip(wanted, columns, strict=False)}


def upper_conjuncts(binder: BlockBinder) -> list[Range]:
    """Conjuncts of HAVING that ask once per group; the others are part of the fragment."""
    return [c for c in _conjuncts(binder) if _asks(binder, c)]


def _read(binder: BlockBinder, place: Place, column: Column) -> None:
    if place.collects:
        binder.collected[place.where.lo] = column
    else:
        binder.splice.replace(place.where, column.name, frozenset({column.name}))
        binder.covered.update(binder.calls_in(place.where))


def _wanted(binder: BlockBinder, groups: list[Range]) -> dict[str, _Reading]:
    """What the fragment yields, by its SQL."""
    wanted: dict[str, _Reading] = {}
    items = [i.where for i in binder.items]
    clauses = [c for c in map(binder.block.clause, ("QUALIFY", "WINDOW", "ORDER BY")) if c]
    for region in [*items, *upper_conjuncts(binder), *clauses]:
        for place in _places(binder, region, groups):
            sql = _sql(binder, place)
            wanted.setdefault(sql, _Reading(words(binder.text, place.where))).places.append(place)
    for bound in binder.calls.values():
        for text in bound.arguments.texts[len(bound.located.arguments) :]:
            if bound.located.whole.lo not in binder.done:
                known = binder.leaves.get(key_of(text))
                wanted.setdefault(known.name if known else key_of(text), _Reading(text))
    return wanted


def _sql(binder: BlockBinder, place: Place) -> str:
    if place.collects:
        return collected(binder.splice, binder.calls[place.where.lo].located)
    return binder.splice.render(place.repeats or place.where)[0]


def _places(binder: BlockBinder, region: Range, groups: list[Range]) -> Iterator[Place]:
    """Aggregates, subqueries, repeated grouping expressions, then any other column."""
    inner = {s.lo - 1: subquery_operand(binder, s) for s in subqueries(binder.text, region)}
    operands = {o.lo: o for o in inner.values() if o is not None}
    columns = {r.lo: r for r in binder.references_in(region)}
    index = region.lo
    while index < region.hi:
        place = _place_at(binder, index, region, groups)
        if place is None and index in operands:
            place = Place(operands[index])
        if place is None and index in columns and not _is_alias(binder, columns[index]):
            place = Place(columns[index])
        if place is not None:
            yield place
            index = place.where.hi
        else:
            index = binder.text.partner[index] + 1 if index in inner else index + 1


def _place_at(binder: BlockBinder, index: int, region: Range, groups: list[Range]) -> Place | None:
    semantic, aggregate = semantic_aggregate(binder, index), aggregate_at(binder, index)
    if semantic is not None:
        return Place(semantic.whole, collects=True)
    if aggregate is not None:
        return Place(aggregate)
    if binder.text.word(index - 1) in (".", "AS"):
        return None
    for group in sorted(groups, key=lambda g: g.lo - g.hi):
        where = Range(index, index + group.hi - group.lo)
        if where.hi <= region.hi and _words(binder, where) == _words(binder, group):
            return Place(where, repeats=group)
    return None


def _columns(binder: BlockBinder, sql: str, wanted: dict[str, _Reading]) -> list[Column]:
    described = binder.describe(sql.replace(_ROWS, f"({stub(binder.plan_columns())}) AS __rows"))
    labels = [r.label for r in wanted.values()] or ["1"]
    if len(described) != len(labels):
        raise NotLiftableError("an aggregate of several columns")
    return [Column(binder.names.fresh("g"), t, label) for label, (_, t) in zip(labels, described, strict=True)]


def _stands_alone(binder: BlockBinder, sql: str) -> bool:
    """Whether the text means the same on a connection that has nothing but its rows."""
    try:
        binder.catalog.describe(sql.replace(_ROWS, f"({stub(binder.plan_columns())}) AS __rows"), private=True)
        return True
    except duckdb.Error:
        return False


def _install(
    binder: BlockBinder, sql: str, columns: list[Column], grouping: Grouping | None, *, over_rows: bool
) -> None:
    aliases = ", ".join(c.name for c in columns)
    if not over_rows:
        items = tuple(SourceItem(c.name, (c,)) for c in columns)
        binder.plan = Source(binder.scope.prelude(), f"({sql}) AS __groups({aliases})", items, binder.scope.inputs)
        return
    name = binder.names.fresh("in")
    sql = f"SELECT * FROM ({sql.replace(_ROWS, name)}) AS __groups({aliases})"
    grouped = words(binder.text, binder.block.clause("GROUP BY")) or "()"
    # A text that stands alone reads no CTE.
    prelude, others = ("", ()) if grouping else (binder.scope.prelude(), binder.scope.inputs)
    binder.plan = Relation(
        prelude + sql,
        (Input(name, binder.plan), *others),
        tuple(columns),
        frozenset(c.name for c in binder.plan_columns()),
        session=True,
        grouping=None if grouping is None else replace(grouping, rows=name),
        label=f"SELECT {', '.join(c.label for c in columns)} GROUP BY {grouped}",
    )


def _conjuncts(binder: BlockBinder) -> list[Range]:
    clause = binder.block.clause("HAVING")
    return split_logical(binder.text, clause, "AND") if clause else []


def _asks(binder: BlockBinder, conjunct: Range) -> bool:
    """Whether a conjunct of HAVING holds a call on groups, by itself or through the name of a select item."""
    named = [i for r in binder.references_in(conjunct) if (i := binder.alias(r)) is not None]
    starts = [s for where in (conjunct, *(i.core for i in named)) for s in binder.calls_in(where)]
    return any(s not in binder.done for s in starts)


def _resolved(binder: BlockBinder, conjunct: Range) -> str:
    binder.resolve_aliases(conjunct)
    return binder.splice.render(conjunct)[0]


def _clause(binder: BlockBinder, name: str) -> str:
    sql, _ = binder.splice.render(binder.block.clause(name))
    return f" {name} {sql}" if sql else ""


def _words(binder: BlockBinder, where: Range) -> tuple[str, ...]:
    return tuple(binder.text.word(i) for i in range(where.lo, where.hi))


def _is_alias(binder: BlockBinder, where: Range) -> bool:
    """ORDER BY, HAVING and call arguments may name a select item."""
    return binder.alias(where) is not None and key_of(binder.text.source(where)) not in binder.leaves
