"""Blocks that group or aggregate: row-level calls below, a grouping in DuckDB, calls on groups above it.

A call belongs below when it stands in WHERE, in GROUP BY (or repeats one of its expressions) or inside an aggregate's
argument; every other call, and every semantic aggregate, asks once per group.
"""

from __future__ import annotations

from ..plan.nodes import Column, Input, Relation, Source, SourceItem
from .bind_block import BlockBinder, Item, stub
from .guards import split_logical
from .locate import LocatedCall
from .scope import Unliftable, references
from .select import bind_rows, fixed_names, project
from .splice import Splice
from .tokens import Range

_GROUPINGS = ("ROLLUP", "CUBE", "GROUPING SETS", "GROUPING")


def is_aggregated(binder: BlockBinder) -> bool:
    """Whether the block has GROUP BY, HAVING or an aggregate function of its own."""
    if binder.block.clause("GROUP BY") or binder.block.clause("HAVING"):
        return True
    return any(_aggregates_in(binder, binder.block.clause(c)) for c in ("SELECT", "ORDER BY"))


def bind_aggregate(binder: BlockBinder, conditions: list[Range]) -> Relation:
    """A block that groups."""
    groups, plain_groups = _group_items(binder)
    below = _calls_below(binder, groups, conditions)
    names = fixed_names(binder)
    if below:
        clauses = ("SELECT", "WHERE", "GROUP BY", "HAVING", "ORDER BY")
        bind_rows(binder, conditions, [c for c in map(binder.block.clause, clauses) if c] + conditions)
        for start in below:
            binder.add_calls(binder.located[start].whole)
        fragment_from = "«rows»"
        where = ""
    else:
        fragment_from = binder.splice.render(binder.from_range)[0]
        where = _clause(binder, "WHERE")
    _bind_grouping(binder, groups, plain_groups, fragment_from, where)
    for conjunct in _having(binder, semantic=True):
        binder.add_conjunct(conjunct)
    return project(binder, names)


def _bind_grouping(binder: BlockBinder, groups: list[Range], plain: bool, from_sql: str, where: str) -> None:
    """The fragment in the middle, and edits that make the rest of the block read its columns."""
    having = " AND ".join(f"({_having_sql(binder, h)})" for h in _having(binder, semantic=False))
    if plain:
        group_sql = ", ".join(binder.splice.render(g)[0] for g in groups)
    else:
        group_sql = binder.splice.render(binder.block.clause("GROUP BY"))[0]
    wanted = _wanted(binder, groups)
    items = {key: sql for key, (sql, _) in wanted.items()}
    select = ", ".join(items.values()) or "1"
    sql = f"SELECT {select} FROM {from_sql}{where}" if from_sql else f"SELECT {select}"
    sql += f" GROUP BY {group_sql}" if group_sql else ""
    sql += f" HAVING {having}" if having else ""
    columns = _describe(binder, sql, list(items), from_sql)
    _install(binder, sql, columns, from_sql)
    for column, (_, places) in zip(columns, wanted.values(), strict=False):
        for place in places:
            if isinstance(place, int):
                binder.collected[place] = column
            else:
                binder.splice.replace(place, column.name, frozenset({column.name}))
    binder.leaves = dict(zip(items, columns, strict=False))


Wanted = dict[str, tuple[str, list[Range | int]]]


def _wanted(binder: BlockBinder, groups: list[Range]) -> Wanted:
    """Fragment items by key: their SQL and the places (ranges, or semantic aggregates by start) that read them."""
    wanted: Wanted = {}

    def add(key: str, sql: str, place: Range | int) -> None:
        wanted.setdefault(key, (sql, []))[1].append(place)

    group_words = [(_words(binder, g), g) for g in groups]
    for region in _upper_regions(binder):
        for place in _places(binder, region, [w for w, _ in group_words]):
            if isinstance(place, int):
                add(f"list {place}", collected(binder.splice, binder.located[place]), place)
            else:
                sql = binder.splice.render(place)[0]
                add(sql.lower(), sql, place)
    for bound in binder.bound.values():
        for text in bound.arguments.texts[len(bound.located.arguments) :]:
            if bound.located.whole.lo not in binder.done:
                add(text.lower(), binder.leaves[text.lower()].name if text.lower() in binder.leaves else text, -1)
    return wanted


def _places(binder: BlockBinder, region: Range, group_words: list[tuple[str, ...]]) -> list[Range | int]:
    """What a region above the grouping reads: aggregates, group expressions, then any other column."""
    text, found, index = binder.text, [], region.lo
    own = {r.lo: r for r in references(text, binder.block.whole, binder.tree)}
    while index < region.hi:
        size = max((len(w) for w in group_words if _words(binder, Range(index, index + len(w))) == w), default=0)
        aggregate = _aggregate_at(binder, index)
        located = binder.located.get(index)
        if located is not None and located.function.kind == "aggregate":
            found.append(index)
            index = located.whole.hi
        elif aggregate is not None:
            found.append(aggregate)
            index = aggregate.hi
        elif size and index + size <= region.hi and text.word(index - 1) not in (".", "AS"):
            found.append(Range(index, index + size))
            index += size
        elif index in own and not _is_alias(binder, own[index]):
            found.append(own[index])
            index = own[index].hi
        else:
            index += 1
    return found


def collected(splice: Splice, located: LocatedCall) -> str:
    """``LLM_SUMMARIZE(DISTINCT x ORDER BY y) FILTER (WHERE z)`` collects ``list(…)``."""
    argument = splice.render(located.arguments[0])[0]
    inside = f"{'DISTINCT ' if located.distinct else ''}{argument}"
    if located.order_by:
        inside += f" ORDER BY {splice.render(located.order_by)[0]}"
    condition = f" AND ({splice.render(located.filter)[0]})" if located.filter else ""
    return f"list({inside}) FILTER (WHERE ({argument}) IS NOT NULL{condition})"


def _describe(binder: BlockBinder, sql: str, keys: list[str], from_sql: str) -> list[Column]:
    prelude = binder.scope.binding_prelude()
    if from_sql == "«rows»":
        sql = sql.replace("«rows»", f"({stub(binder.plan_columns())}) AS __rows")
    described = binder.describe_block(prelude + sql)
    return [Column(binder.names.fresh("g"), t, k) for k, (_, t) in zip(keys or ["1"], described, strict=False)]


def _install(binder: BlockBinder, sql: str, columns: list[Column], from_sql: str) -> None:
    """Make the fragment the plan: over the row-level plan if there is one, else a Source of its own."""
    aliases = ", ".join(c.name for c in columns)
    if from_sql == "«rows»":
        name = binder.names.fresh("in")
        inner = sql.replace("«rows»", name)
        inputs = (Input(name, binder.plan),)
        sql = f"SELECT * FROM ({inner}) AS __groups({aliases})"
        uses = frozenset(c.name for c in binder.plan_columns())
        binder.plan = Relation(
            binder.scope.prelude() + sql, (*inputs, *binder.scope.inputs), tuple(columns), uses, session=True
        )
    else:
        items = tuple(SourceItem(c.name, (c,)) for c in columns)
        binder.plan = Source(binder.scope.prelude(), f"({sql}) AS __groups({aliases})", items, binder.scope.inputs)


def _group_items(binder: BlockBinder) -> tuple[list[Range], bool]:
    """The grouping expressions, with ordinals, aliases and ALL resolved; whether the list of them is all of GROUP BY."""
    clause = binder.block.clause("GROUP BY")
    if not clause:
        return [], True
    if binder.text.source(clause).strip().upper() in ("ALL", "*"):
        return [i.core for i in binder.items if not _aggregates_in(binder, i.core)], True
    parts = binder.text.split(clause)
    if any(binder.text.word(p.lo) in _GROUPINGS or binder.text.word(p.lo) == "(" for p in parts):
        inner = [r for r in references(binder.text, binder.block.whole, binder.tree) if clause.lo <= r.lo < clause.hi]
        return inner, False
    return [_group_item(binder, p) for p in parts], True


def _group_item(binder: BlockBinder, part: Range) -> Range:
    if part.hi - part.lo != 1:
        return part
    word = binder.text.source(part)
    if word.isdigit() and 0 < int(word) <= len(binder.items):
        return binder.items[int(word) - 1].core
    item: Item | None = binder.aliases.get(word.strip('"').lower())
    from_sql = binder.splice.render(binder.from_range)[0]
    if item is not None and (binder.calls_in(item.core) or binder.try_describe(word, from_sql) is None):
        return item.core
    return part


def _calls_below(binder: BlockBinder, groups: list[Range], conditions: list[Range]) -> list[int]:
    inside = [binder.block.clause("WHERE"), *conditions, *groups]
    for clause in ("SELECT", "HAVING", "ORDER BY"):
        inside += [r for r in _aggregate_arguments(binder, binder.block.clause(clause))]
    below = [s for s in binder.starts if any(r.lo <= s < r.hi for r in inside if r)]
    aggregates = [s for s in below if binder.located[s].function.kind == "aggregate"]
    if aggregates:
        raise Unliftable("a semantic aggregate stands in WHERE, GROUP BY or another aggregate")
    return sorted(below)


def _aggregate_arguments(binder: BlockBinder, region: Range) -> list[Range]:
    found = []
    for index in range(region.lo, region.hi):
        aggregate = _aggregate_at(binder, index)
        located = binder.located.get(index)
        if aggregate is not None:
            found.append(Range(index + 1, aggregate.hi))
        elif located is not None and located.function.kind == "aggregate":
            found.append(Range(index + 1, located.whole.hi))
    return found


def _aggregate_at(binder: BlockBinder, index: int) -> Range | None:
    """A DuckDB aggregate call (with its FILTER) that starts here and is no window function."""
    text = binder.text
    if text.word(index) not in binder.catalog.aggregates or text.word(index + 1) != "(" or text.tokens[index].quoted:
        return None
    end = text.partner[index + 1] + 1
    if text.word(end) == "FILTER" and text.word(end + 1) == "(":
        end = text.partner[end + 1] + 1
    return None if text.word(end) == "OVER" else Range(index, end)


def _aggregates_in(binder: BlockBinder, region: Range) -> bool:
    return bool(region) and any(
        _aggregate_at(binder, i) is not None or (i in binder.located and binder.located[i].function.kind == "aggregate")
        for i in range(region.lo, region.hi)
    )


def _upper_regions(binder: BlockBinder) -> list[Range]:
    clauses = [binder.block.clause(c) for c in ("QUALIFY", "ORDER BY", "LIMIT")]
    return [i.where for i in binder.items] + _having(binder, semantic=True) + [c for c in clauses if c]


def _having(binder: BlockBinder, *, semantic: bool) -> list[Range]:
    clause = binder.block.clause("HAVING")
    conjuncts = split_logical(binder.text, clause, "AND") if clause else []

    def asks(conjunct: Range) -> bool:
        names = {binder.text.word(i).strip('"').lower() for i in range(conjunct.lo, conjunct.hi)}
        aliased = any(binder.calls_in(binder.aliases[n].core) for n in names & set(binder.aliases))
        return aliased or any(s not in binder.done for s in binder.calls_in(conjunct))

    return [c for c in conjuncts if asks(c) == semantic]


def _having_sql(binder: BlockBinder, conjunct: Range) -> str:
    binder.resolve_aliases(conjunct)
    return binder.splice.render(conjunct)[0]


def _clause(binder: BlockBinder, name: str) -> str:
    sql, _ = binder.splice.render(binder.block.clause(name))
    return f" {name} {sql}" if sql else ""


def _words(binder: BlockBinder, where: Range) -> tuple[str, ...]:
    return tuple(binder.text.word(i) for i in range(where.lo, where.hi))


def _is_alias(binder: BlockBinder, where: Range) -> bool:
    """ORDER BY and HAVING may name a select item."""
    return any(_words(binder, where) == (n.upper(),) for n in binder.aliases)
