"""Calls that stand in FROM: ``FROM docs d, LATERAL LLM_SPLIT(d.body, 'claims') AS s(claim)``, one row to many.

DuckDB takes them as ``LATERAL (SELECT UNNEST(LLM_SPLIT(…), max_depth := 2)) AS s(claim)``: two pieces of text around a call
that is a scalar anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import BindError
from .call_text import position
from .query import AFTER_TABLE, CLAUSES
from .tokens import NOTHING, Range, Text

if TYPE_CHECKING:
    from .bind_call import BoundCall

OPENS = "(SELECT UNNEST("
CLOSES = ", max_depth := 2))"

_BEGINS_ITEM = frozenset({"FROM", ",", "JOIN", "LATERAL"})
_CLAUSES = frozenset([*CLAUSES, "SET", "RETURNING"])
_QUERY = frozenset({"SELECT", "FROM", "WITH"})


@dataclass(frozen=True, slots=True)
class RowItem:
    """How an item of FROM is called.

    Parameters
    ----------
    alias : its name; "" where the user gives none. columns : the names of its first columns.
    end : the token behind it. names : where the list of columns stands.
    """

    alias: str
    columns: tuple[str, ...]
    end: int
    names: Range = NOTHING


def in_from(text: Text, index: int) -> bool:
    """Whether the call whose name stands here is an item of a FROM clause."""
    before = text.word(index - 1)
    if before not in _BEGINS_ITEM or text.tokens[index - 1].quoted:
        return False
    if before in ("JOIN", "LATERAL"):
        return True
    around = _around(text, index)
    clauses = [i for i in text.top(around) if i < index and text.word(i) in _CLAUSES and text.word(i - 1) != "DISTINCT"]
    if not clauses or text.word(clauses[-1]) != "FROM":
        return False
    # EXTRACT(year FROM …) has a FROM, and is no query
    return around.lo == 0 or text.word(around.lo) in _QUERY


def row_item(text: Text, whole: Range) -> RowItem:
    """What follows a call in FROM: ``AS s(claim)``."""
    at = whole.hi + (text.word(whole.hi) == "AS")
    if text.word(at) in AFTER_TABLE and not (at < len(text.tokens) and text.tokens[at].quoted):
        return RowItem("", (), whole.hi)
    alias = written_name(text, at)
    if text.word(at + 1) != "(":
        return RowItem(alias, (), at + 1)
    names = text.inside(at + 1)
    return RowItem(alias, tuple(written_name(text, part.lo) for part in text.split(names)), names.hi + 1, names)


def item_name(text: Text, start: int, item: RowItem) -> str:
    """What an item is called: without a name of the user's, like its function."""
    return item.alias or text.word(start).lower()


def frame(text: Text, whole: Range) -> tuple[str, str]:
    """The text before and behind a call in FROM."""
    item = row_item(text, whole)
    return OPENS, CLOSES if item.alias else f"{CLOSES} AS {item_name(text, whole.lo, item)}"


def check_item(text: Text, bound: BoundCall) -> None:
    """What DuckDB cannot say well of a call in FROM.

    Raises
    ------
    BindError : its answers are to have details, or it is given more column names than it has columns.
    """
    located, function = bound.located, bound.located.function.sql_name
    if not located.in_from:
        return
    if bound.options["on_error"] == "details":
        raise BindError(
            f"{function} in FROM has rows, and none to tell an error in: on_error must be 'null' or 'fail' here "
            f"(llm_errors() lists what failed). SELECT {function}(…, on_error := 'details') gives the list and the error.",
            position(text, located.options.get("on_error", located.whole)),
            function,
        )
    item, fields = row_item(text, located.whole), [name for name, _ in bound.type.child.fields]
    if len(item.columns) > len(fields):
        raise BindError(
            f"{function} has {len(fields)} columns here ({', '.join(fields)}), and {len(item.columns)} names are given.",
            position(text, item.names),
            item.alias,
        )


def column_names(item: RowItem, fields: Sequence[str]) -> tuple[str, ...]:
    """The item's columns, the first ones renamed.

    >>> column_names(RowItem("s", ("claim",), 0), ["part", "ordinal"])
    ('claim', 'ordinal')
    """
    return (*item.columns, *fields[len(item.columns) :])


def written_name(text: Text, index: int) -> str:
    """The name that a token is, as its user spells it."""
    source = text.source(Range(index, index + 1))
    return source[1:-1].replace('""', '"') if source[0] == '"' else source


def _around(text: Text, index: int) -> Range:
    """What stands in the innermost bracket around a token."""
    inside = [Range(lo + 1, hi) for lo, hi in text.partner.items() if lo < index < hi]
    return max(inside, key=lambda where: where.lo, default=text.all())
