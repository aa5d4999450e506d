"""The output formats: each writes a result to the screen and says how many rows it had."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from .cells import Rows, jsons, texts
from .screen import Screen
from .table import write_table
from .wrap import printable

Format = Callable[[Rows, Screen], int]


def write_csv(rows: Rows, screen: Screen) -> int:
    """RFC 4180 with a header line; NULL is an empty field, an empty string is quoted."""
    out, count = screen.out.file, 0
    out.write(",".join(map(_csv_field, rows.columns)) + "\n")
    for batch in texts(rows):
        for row in batch:
            out.write(",".join("" if cell is None else _csv_field(cell) for cell in row) + "\n")
        count += len(batch)
    out.flush()
    return count


def _csv_field(text: str) -> str:
    """Python's csv module cannot tell an empty string from NULL before 3.12, and then quotes numbers."""
    if not text or any(mark in text for mark in ',"\n\r') or text[0] == " " or text[-1] == " ":
        return '"' + text.replace('"', '""') + '"'
    return text


def write_json(rows: Rows, screen: Screen) -> int:
    """One JSON array of objects."""
    out, count = screen.out.file, 0
    for line in _objects(rows):
        out.write(("[" if count == 0 else ",\n ") + line)
        count += 1
    out.write("]\n" if count else "[]\n")
    out.flush()
    return count


def write_jsonl(rows: Rows, screen: Screen) -> int:
    """A JSON object per line."""
    count = 0
    for line in _objects(rows):
        screen.out.file.write(line + "\n")
        count += 1
    screen.out.file.flush()
    return count


def _objects(rows: Rows) -> Iterator[str]:
    keys = [json.dumps(name, ensure_ascii=False) for name in rows.columns]
    for batch in jsons(rows):
        for row in batch:
            pairs = (f"{key}:{'null' if cell is None else cell}" for key, cell in zip(keys, row, strict=True))
            yield "{" + ",".join(pairs) + "}"


def write_markdown(rows: Rows, screen: Screen) -> int:
    """A GitHub-flavoured Markdown table."""
    out, count = screen.out.file, 0
    out.write("| " + " | ".join(map(_markdown_cell, rows.columns)) + " |\n")
    out.write("|" + "---|" * len(rows.columns) + "\n")
    for batch in texts(rows):
        for row in batch:
            out.write("| " + " | ".join(map(_markdown_cell, row)) + " |\n")
        count += len(batch)
    out.flush()
    return count


def _markdown_cell(text: str | None) -> str:
    return "NULL" if text is None else printable(text).replace("|", "\\|").replace("\n", "<br>")


def write_line(rows: Rows, screen: Screen) -> int:
    """A line per value, names in front; a blank line between rows."""
    out, count = screen.out.file, 0
    width = max(map(len, rows.columns))
    for batch in texts(rows):
        for row in batch:
            out.write("\n" if count else "")
            for name, cell in zip(rows.columns, row, strict=True):
                value = screen.out.paint("NULL", "dim") if cell is None else printable(cell)
                out.write(f"{screen.out.paint(name.rjust(width), 'bold')} = {value}\n")
            count += 1
    out.flush()
    return count


def write_raw(rows: Rows, screen: Screen) -> int:
    """The last column as it is: plans are drawings, not values."""
    count = 0
    for batch in texts(rows):
        for row in batch:
            screen.out.file.write((row[-1] or "").rstrip("\n") + "\n")
        count += len(batch)
    screen.out.file.flush()
    return count


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "table": write_table,
        "csv": write_csv,
        "json": write_json,
        "jsonl": write_jsonl,
        "markdown": write_markdown,
        "line": write_line,
    }
)
