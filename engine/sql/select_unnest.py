"""``SELECT id, UNNEST(LLM_COMPLETE(…)) AS part``: the rows that an item of a SELECT list makes of one, made by an operator of ours.

DuckDB does the same above the answers, but then no plan knows whose parts the rows are.
"""

from __future__ import annotations

from ..plan.nodes import Column, Unnest
from .bind_block import BlockBinder
from .items import Item
from .keys import key_of
from .row_calls import add_unnest, answers, list_type, read_sql
from .splice import words
from .tokens import Range
from .unnests import ListItem, unnested

_OTHERS = ("UNNEST", "GENERATE_SUBSCRIPTS", "OVER", "DISTINCT", "COLUMNS")
"""What is computed before an UNNEST beside it, or together with it."""


def unnested_item(binder: BlockBinder) -> Item | None:
    """The only item that unnests a list with a call, if all that stands beside it means the same above its rows."""
    if any(binder.block.clause(name) for name in ("WINDOW", "QUALIFY", "USING SAMPLE")):
        return None
    found = [item for item in binder.items if _list(binder, item) is not None]
    if len(found) != 1 or not found[0].aliased or binder.alias(found[0].core) is not None:
        return None
    return None if _beside(binder, found[0]) else found[0]


def add_unnested(binder: BlockBinder, item: Item) -> None:
    """Plan all calls of the SELECT list, and the rows: items that name the unnested one are asked per row, others before.

    Raises
    ------
    NotLiftableError : what is unnested is no list.
    """
    where = _list(binder, item)
    assert where is not None
    after = [other for other in binder.items if other is not item and _names(binder, other, item)]
    for other in binder.items:
        if other is not item and other not in after:
            binder.add_calls(other.core)
    binder.resolve_aliases(where.list)
    element = list_type(binder, where.list, binder.whole_from_sql()).child
    column = Column(binder.names.fresh("s" if answers(binder, where.list) else "a"), element.text, item.name or "")
    label = f"{words(binder.text, item.core)} AS {item.name}"
    add_unnest(binder, where.list, Unnest(binder.plan, "", (column,), label=label, whole=True, ordinal="none"))
    binder.splice.replace(item.core, read_sql(column), frozenset({column.name}))
    for other in after:
        binder.add_calls(other.core)


def _list(binder: BlockBinder, item: Item) -> ListItem | None:
    """What an item unnests, if it is nothing but that and asks."""
    found = unnested(binder.text, item.core.lo) if item.name is not None and item.core else None
    whole = found is not None and found.whole == item.core and not found.fields
    return found if whole and found and binder.calls_in(found.list) else None


def _beside(binder: BlockBinder, item: Item) -> bool:
    """Whether the block has anything that would see other rows."""
    clauses = [Range(c.lo, c.hi) for c in map(binder.block.clause, ("SELECT", "ORDER BY")) if c]
    places = (i for c in clauses for i in range(c.lo, c.hi) if i != item.core.lo)
    return any(binder.text.word(i) in _OTHERS for i in places)


def _names(binder: BlockBinder, other: Item, item: Item) -> bool:
    """Whether an item reads another by its name."""
    named = (r for r in binder.references_in(other.core) if binder.alias(r) is item)
    return any(key_of(binder.text.source(r)) not in binder.leaves for r in named)
