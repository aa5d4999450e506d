"""``UNNEST`` of a list as it is written, in FROM and in a SELECT list.

In FROM, ``UNNEST(…) WITH ORDINALITY AS u(part, n)`` and ``(SELECT UNNEST(…) AS part) AS u`` give the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from .laterals import written_name
from .tokens import NOTHING, Range, Text

_SINGLE = frozenset({"SELECT", "FROM", "OVER", "UNNEST", "GENERATE_SUBSCRIPTS"})
"""What a list that is taken out of its place must not hold: it would mean something else there."""


@dataclass(frozen=True, slots=True)
class ListItem:
    """An item of FROM that unnests a list.

    Parameters
    ----------
    list : the expression. whole : the item without its alias. query : the SELECT around the UNNEST, if there is one.
    name : what the SELECT calls its column; "": nothing.
    ordinality : elements are numbered. fields : a column per field (``max_depth := 2``).
    """

    list: Range
    whole: Range
    query: Range = NOTHING
    name: str = ""
    ordinality: bool = False
    fields: bool = False


def list_item(text: Text, start: int) -> ListItem | None:
    """The item of FROM that begins at a token (behind LATERAL), if it unnests one list."""
    if text.word(start) == "(":
        return _query(text, start)
    found = unnested(text, start)
    if found is None or found.fields:  # DuckDB has no max_depth here
        return None
    end = found.whole.hi
    numbered = text.word(end) == "WITH" and text.word(end + 1) == "ORDINALITY"
    return ListItem(found.list, Range(start, end + 2 if numbered else end), ordinality=numbered)


def unnested(text: Text, start: int) -> ListItem | None:
    """``UNNEST(list)`` or ``UNNEST(list, max_depth := 2)``, if it begins here and is of a list that can be taken out."""
    if text.word(start) != "UNNEST" or text.tokens[start].quoted or text.word(start + 1) != "(":
        return None
    parts = text.split(text.inside(start + 1))
    if not 1 <= len(parts) <= 2 or not parts[0]:
        return None
    if len(parts) == 2 and (text.word(parts[1].lo), text.word(parts[1].hi - 1)) != ("MAX_DEPTH", "2"):
        return None
    if any(text.word(i) in _SINGLE for i in range(parts[0].lo, parts[0].hi)):
        return None
    whole = Range(start, text.partner[start + 1] + 1)
    return ListItem(parts[0], whole, fields=len(parts) == 2)


def _query(text: Text, start: int) -> ListItem | None:
    inside = text.inside(start)
    found = unnested(text, inside.lo + 1) if text.word(inside.lo) == "SELECT" else None
    if found is None:
        return None
    rest = Range(found.whole.hi, inside.hi)
    if text.word(rest.lo) == "AS" and rest:
        rest = Range(rest.lo + 1, rest.hi)
    if rest.hi - rest.lo > 1:
        return None
    name = written_name(text, rest.lo) if rest else ""
    return ListItem(found.list, Range(start, inside.hi + 1), inside, name, fields=found.fields)
