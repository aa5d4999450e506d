"""Whose part a row is, and when a parent has all of its parts.

A row of the source has the path ``(its ordinal,)``; a row that a call made of it has the path of its parent and its ordinal
among its siblings. Paths travel as columns ``__p0``, ``__p1``, … beside the data. A :class:`Level` counts, for every prefix of
one length, the rows below it that are still on their way. A call that makes n rows of one adds n and takes the parent away (the
close mark), a filter takes away what it drops (the tombstone), and the operator that gathers the rows takes away what reaches it;
at zero the prefix is closed, for nothing can come any more.

Everything here is used on the event loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pyarrow as pa

from .guesses import Guesses
from .guesses import Path as Path

_PREFIX = "__p"


def path_names(schema: pa.Schema) -> list[str]:
    """The columns of the path, the source's ordinal first.

    >>> path_names(pa.schema([("x", pa.int64()), ("__p0", pa.int64()), ("__p1", pa.int64())]))
    ['__p0', '__p1']
    """
    return [name for name in schema.names if name.startswith(_PREFIX)]


def path_field(depth: int) -> pa.Field:
    """The column of the ordinals at a depth, from 0."""
    return pa.field(f"{_PREFIX}{depth}", pa.int64())


def paths(batch: pa.RecordBatch) -> list[Path]:
    """The path of each row."""
    return list(zip(*(batch.column(name).to_pylist() for name in path_names(batch.schema)), strict=True))


def deeper(schema: pa.Schema) -> pa.Schema:
    """With one more ordinal in the path."""
    return schema.append(path_field(len(path_names(schema))))


class Level:
    """Rows under way below each open prefix of one length.

    Parameters
    ----------
    length : ordinals of a prefix. 0 has one prefix, which is open until the source ends.
    changed : set when a prefix closes, for who gathers.

    Attributes
    ----------
    room : set when a prefix is open no more, for who lets rows set out.
    held : prefixes that have closed and whose rows are still here.
    """

    def __init__(self, length: int, changed: asyncio.Event | None = None) -> None:
        self.length = length
        self.changed = changed or asyncio.Event()
        self.room = asyncio.Event()
        self.held = 0
        self._rows: dict[Path, int] = {}
        self._closed: list[Path] = []

    @property
    def open(self) -> int:
        """Prefixes that are not closed."""
        return len(self._rows)

    def change(self, path: Path, by: int) -> None:
        """So many more rows (or fewer) are under way below a path; nothing, if it does not reach down to this level."""
        if by:
            self.change_all((path,), by)

    def change_all(self, paths: Iterable[Path], by: int) -> None:
        """As :meth:`change`, for each of some paths. All rows of a query pass here several times, so it is one loop."""
        length, under_way, closed = self.length, self._rows, len(self._closed)
        for path in paths:
            if len(path) < length:
                continue
            prefix = path[:length]
            rows = under_way.get(prefix, 0) + by
            if rows:
                under_way[prefix] = rows
            else:
                del under_way[prefix]
                self._closed.append(prefix)
        if len(self._closed) > closed:
            self.changed.set()
            self.room.set()

    def became(self, rows: Mapping[Path, int]) -> None:
        """Rows give way to so many parts each: in one step, because no count may touch zero in between."""
        for path, parts in rows.items():
            if self.length <= len(path):
                self.change(path, parts - 1)
            else:
                self.change_all(((*path, ordinal) for ordinal in range(parts)), 1)

    def closed(self) -> list[Path]:
        """Prefixes that have closed since the last time, in that order."""
        closed, self._closed = self._closed, []
        return closed


class Ancestry:
    """What operators tell the levels above them, the nearest first.

    Parameters
    ----------
    levels : of the operators above that gather rows. guesses : what is made of lists that are not whole, of the whole pipeline.
    ended : told of a row of the source whose list is final, and how many parts have set out; ``None``: nobody asks.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        guesses: Guesses | None = None,
        ended: Callable[[Path, int], None] | None = None,
    ) -> None:
        self.levels = tuple(levels)
        self.guesses = guesses or Guesses()
        self._ended = ended

    def under(self, level: Level) -> Ancestry:
        """That of operators below one more level."""
        return Ancestry((level, *self.levels), self.guesses, self._ended)

    def holds(self, length: int) -> bool:
        """Whether all that is made of a row with so many ordinals is held until it is done: then some of it may be a guess."""
        return any(level.length <= length for level in self.levels)

    def came(self, paths: Iterable[Path]) -> None:
        """Rows set out."""
        self._change(paths, 1)

    def became(self, rows: Mapping[Path, int]) -> None:
        """Rows give way to so many parts each, all of which set out; their lists are final."""
        for level in self.levels:
            level.became(rows)
        self.ended(rows.keys(), rows.values())

    def gone(self, paths: Iterable[Path]) -> None:
        """Rows will not arrive."""
        self._change(paths, -1)

    def kept(self, before: pa.RecordBatch, after: pa.RecordBatch) -> None:
        """Of some rows, only these are left."""
        if before.num_rows != after.num_rows:
            left = set(paths(after))
            self.gone(path for path in paths(before) if path not in left)

    def failed(self, row: pa.RecordBatch, error: Exception) -> None:
        """An expression cannot be computed for a row; raises it, unless the row is but a guess."""
        (path,) = paths(row)
        self.guesses.fail(path, error)

    def void(self, paths: Iterable[Path]) -> None:
        """Rows that set out should not have: whoever gathers them or their parts takes them for gone."""
        self.guesses.void.update(paths)

    def ended(self, parents: Collection[Path], parts: Iterable[int]) -> None:
        """The lists of these rows are final; so many parts of each have set out in all."""
        self.guesses.final(parents)
        if self._ended is None:
            return
        for path, count in zip(parents, parts, strict=True):
            if len(path) == 1:
                self._ended(path, count)

    def is_void(self, path: Path) -> bool:
        """Whether a row is to be forgotten, as one that should not have set out or as a part of one."""
        void = self.guesses.void
        return bool(void) and any(path[:length] in void for length in range(1, len(path) + 1))

    def forget(self, prefix: Path) -> None:
        """Nothing comes from below a prefix any more."""
        if void := self.guesses.void:
            void -= {path for path in void if path[: len(prefix)] == prefix}

    def _change(self, paths: Iterable[Path], by: int) -> None:
        found = list(paths)
        for level in self.levels:
            level.change_all(found, by)
