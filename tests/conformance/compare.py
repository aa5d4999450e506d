"""What a statement did, and whether two roads did the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Names, types and rows, or the error."""

    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    error: str = ""
    how: str = ""

    def without_last(self) -> Outcome:
        """The outcome without its last column."""
        return replace(self, names=self.names[:-1], types=self.types[:-1], rows=tuple(r[:-1] for r in self.rows))


def difference(found: Outcome, wanted: Outcome, keys: list[int] | None, *, names: bool = True) -> str:
    """What is different in one line; "" for nothing.

    ``keys`` are the columns by which rows are ordered (rows that agree in them may come in any order); ``None``: they are
    ordered by something else, so that the order must be the same.
    """
    if bool(found.error) != bool(wanted.error):
        return f"error: {_line(found.error)}" if found.error else f"no error, DuckDB: {_line(wanted.error)}"
    if found.error:
        return ""
    if found.types != wanted.types:
        return f"types {_some(found.types)}, DuckDB {_some(wanted.types)}"
    if names and found.names not in (wanted.names, _told_apart(wanted.names)):
        return f"names {_some(found.names)}, DuckDB {_some(wanted.names)}"
    reason = _rows_differ([_shown(r) for r in found.rows], [_shown(r) for r in wanted.rows])
    if reason:
        return reason
    same = (
        _shown(found.rows) == _shown(wanted.rows)
        if keys is None
        else _keyed(found.rows, keys) == _keyed(wanted.rows, keys)
    )
    return "" if same else "the same rows in another order"


def _told_apart(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as a relation of DuckDB has them: ``sql()`` numbers those that ``execute()`` gives twice."""
    return tuple(f"{name}_{names[:i].count(name)}" if name in names[:i] else name for i, name in enumerate(names))


def _keyed(rows: tuple[Row, ...], keys: list[int]) -> list[str]:
    return [_shown([row[k] for k in keys]) for row in rows]


def _rows_differ(found: list[str], wanted: list[str]) -> str:
    if len(found) != len(wanted):
        return f"{len(found)} rows, DuckDB {len(wanted)}"
    if found == wanted:
        return ""
    missing = Counter(wanted) - Counter(found)
    if missing:
        extra = Counter(found) - Counter(wanted)
        return f"row {_line(next(iter(extra)))}, DuckDB {_line(next(iter(missing)))}"
    return ""


def _shown(value: Any) -> str:
    """A value as text, floats to ten digits: sums of them depend on the order in which rows come."""
    match value:
        case float():
            return f"{value:.10g}"
        case tuple() | list():
            return f"[{', '.join(_shown(v) for v in value)}]"
        case dict():
            return "{" + ", ".join(f"{_shown(k)}: {_shown(v)}" for k, v in value.items()) + "}"
        case _:
            return repr(value)


def _line(text: str) -> str:
    return " ".join(text.split())[:160]


def _some(texts: tuple[str, ...]) -> str:
    return _line(", ".join(texts))
