"""The box around a result: as wide as the terminal at most, long text wrapped when there is room, else shortened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from rich.cells import cell_len

from .cells import Row, Rows, texts
from .screen import Screen
from .wrap import pad, printable, shorten, wrap

MAX_ROWS = 40
_SPACIOUS_ROWS = 13  # up to here, rows share the 40 lines of a screen; above it, a row is a line
_NARROWEST = 12
_TYPE_WIDTH = 24
_NUMBER = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL\(.*\)|FLOAT|DOUBLE|BIGNUM)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Box:
    top: str
    middle: str
    bottom: str
    across: str
    down: str


_FANCY = _Box("┌┬┐", "├┼┤", "└┴┘", "─", "│")
_PLAIN = _Box("+++", "+++", "+++", "-", "|")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type_text: str
    cells: tuple[str | None, ...]
    width: int = 1

    @property
    def number(self) -> bool:
        return _NUMBER.match(self.type_text) is not None

    @property
    def natural(self) -> int:
        """The width at which nothing is cut, but for a long type."""
        lines = (line for cell in self.cells for line in ("NULL" if cell is None else cell).split("\n"))
        return max(1, cell_len(self.name), min(len(self.type_text), _TYPE_WIDTH), *map(cell_len, lines))

    def at(self, width: int) -> _Column:
        return _Column(self.name, self.type_text, self.cells, width)


@dataclass(slots=True)
class _Head:
    """The first ``limit`` rows of some batches, and how many rows there are in all."""

    batches: Any
    limit: int
    total: int = field(default=0)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            room = self.limit - self.total
            self.total += batch.num_rows
            if room > 0 and batch.num_rows:
                yield batch.slice(0, room)


def write_table(rows: Rows, screen: Screen, max_rows: int = MAX_ROWS) -> int:
    """Print ``rows`` once they are all here, ``max_rows`` of them at most; returns how many there are."""
    head = _Head(rows.batches, max_rows)
    shown = [row for batch in texts(Rows(rows.columns, rows.types, head)) for row in batch]
    for line in render_table(rows.columns, rows.types, shown, head.total, screen):
        screen.out.file.write(line + "\n")
    screen.out.file.flush()
    return head.total


def render_table(
    names: Sequence[str], types: Sequence[str], shown: Sequence[Row], total: int, screen: Screen
) -> Iterator[str]:
    """The lines of a box with the rows ``shown``, of ``total``."""
    columns = [
        _Column(printable(name), _type_label(type_text), tuple(_printable(row[i]) for row in shown))
        for i, (name, type_text) in enumerate(zip(names, types, strict=True))
    ]
    fitted = _fit(columns, screen)
    yield from _Drawing(fitted, len(shown), screen).lines()
    if footer := _footer(total, len(shown), len(columns), sum(column.type_text != "" for column in fitted), screen):
        yield screen.out.paint(footer, "dim")


def _type_label(text: str) -> str:
    """Lower case like DuckDB's own box, but not where the names of fields or enum values would change."""
    named = text.startswith(("STRUCT", "UNION", "ENUM", "MAP"))
    return printable(text) if named else printable(text).lower().strip('"')


def _printable(cell: str | None) -> str | None:
    return None if cell is None else printable(cell)


def _footer(total: int, shown: int, columns: int, columns_shown: int, screen: Screen) -> str:
    parts = []
    if shown < total:
        parts.append(f"{total:,} rows ({shown} shown)")
    elif total == 0:
        parts.append("0 rows")
    if columns_shown < columns:
        parts.append(f"{columns} columns ({columns_shown} shown)")
    return f"{screen.ellipsis + ' ' if shown < total else ''}{', '.join(parts)}" if parts else ""


def _fit(columns: Sequence[_Column], screen: Screen) -> list[_Column]:
    """Widths that fill the screen: columns that need little keep it, the wide ones share the rest."""
    natural = {id(column): column.natural for column in columns}
    kept = _keep(columns, [min(_NARROWEST, natural[id(column)]) for column in columns], screen)
    wanted = [natural.get(id(column), 1) for column in kept]
    budget = screen.width - 3 * len(kept) - 1
    return [column.at(width) for column, width in zip(kept, _share(wanted, budget), strict=True)]


def _keep(columns: Sequence[_Column], floors: Sequence[int], screen: Screen) -> list[_Column]:
    """All columns if they fit at their narrowest; else the outer ones, with a stand-in for those of the middle."""
    room = screen.width - 1
    if sum(floors) + 3 * len(floors) <= room:
        return list(columns)
    room -= 3 + len(screen.ellipsis)
    left, right = 0, len(columns)
    while left < right:
        from_left = left <= len(columns) - right
        need = 3 + floors[left if from_left else right - 1]
        if need > room and left:
            break
        room -= need
        left, right = (left + 1, right) if from_left else (left, right - 1)
    gap = _Column(screen.ellipsis, "", tuple(screen.ellipsis for _ in columns[0].cells))
    return [*columns[:left], gap, *columns[right:]]


def _share(wanted: Sequence[int], budget: int) -> list[int]:
    """Cut the widest to one common width, so that the sum is within ``budget``.

    >>> _share([5, 100, 80], 65)
    [5, 30, 30]
    """
    cap = max(wanted)
    left = budget
    for i, width in enumerate(sorted(wanted)):
        share = max(1, left // (len(wanted) - i))
        if width > share:
            cap = share
            break
        left -= width
    return [min(width, cap) for width in wanted]


@dataclass(frozen=True, slots=True)
class _Drawing:
    columns: Sequence[_Column]
    rows: int
    screen: Screen

    def lines(self) -> Iterator[str]:
        box = _FANCY if self.screen.fancy else _PLAIN
        yield self._rule(box.top)
        yield self._line([self._centre(c.name, c, "bold") for c in self.columns])
        yield self._line([self._centre(c.type_text, c, "dim") for c in self.columns])
        yield self._rule(box.middle)
        limit = MAX_ROWS // self.rows if 0 < self.rows <= _SPACIOUS_ROWS else 1
        blocks = [self._block(i, limit) for i in range(self.rows)]
        tall = any(len(block) > 1 for block in blocks)
        for i, block in enumerate(blocks):
            if tall and i:
                yield self._rule(box.middle)
            yield from block
        yield self._rule(box.bottom)

    def _block(self, row: int, limit: int) -> list[str]:
        """The lines of one row: its tallest cell has ``limit`` at most."""
        cells = [self._cell(column, column.cells[row], limit) for column in self.columns]
        height = max(len(lines) for lines in cells)
        filled = [
            lines + [" " * column.width] * (height - len(lines))
            for column, lines in zip(self.columns, cells, strict=True)
        ]
        return [self._line(parts) for parts in zip(*filled, strict=True)]

    def _cell(self, column: _Column, value: str | None, limit: int) -> list[str]:
        if value is None:
            return [self.screen.out.paint(pad("NULL", column.width, column.number), "dim")]
        if limit == 1:
            lines = [shorten(value.replace("\n", "\\n"), column.width, self.screen.ellipsis)]
        else:
            lines = wrap(value, column.width, limit, self.screen.ellipsis)
        return [pad(line, column.width, column.number) for line in lines]

    def _centre(self, text: str, column: _Column, style: Any) -> str:
        text = shorten(text, column.width, self.screen.ellipsis)
        before = (column.width - cell_len(text)) // 2
        return self.screen.out.paint(pad(" " * before + text, column.width), style)

    def _line(self, parts: Sequence[str]) -> str:
        down = self.screen.out.paint((_FANCY if self.screen.fancy else _PLAIN).down, "dim")
        return down + down.join(f" {part} " for part in parts) + down

    def _rule(self, corners: str) -> str:
        across = (_FANCY if self.screen.fancy else _PLAIN).across
        left, cross, right = tuple(corners)
        return self.screen.out.paint(left + cross.join(across * (c.width + 2) for c in self.columns) + right, "dim")
