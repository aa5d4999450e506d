"""Fit text into a width measured in terminal cells (a Chinese character takes two)."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells, set_cell_size

_WORD = re.compile(r"\S+\s*|\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Control characters made visible, so that data cannot steer the terminal; newlines stay.

    >>> printable("a\\x1b[2J")
    'a\\\\x1b[2J'
    """
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def shorten(text: str, width: int, ellipsis: str = "…") -> str:
    """``text`` in at most ``width`` cells.

    >>> shorten("geese fly south", 9)
    'geese fl…'
    """
    if len(text) <= width and cell_len(text) <= width:
        return text
    if width <= len(ellipsis):
        return set_cell_size(text[: width + 1], width)
    return set_cell_size(text[: width + 1], width - len(ellipsis)).rstrip() + ellipsis


def pad(text: str, width: int, right: bool = False) -> str:
    """``text`` filled with blanks to ``width`` cells."""
    blanks = " " * max(0, width - cell_len(text))
    return blanks + text if right else text + blanks


def wrap(text: str, width: int, limit: int, ellipsis: str = "…") -> list[str]:
    """``text`` in at most ``limit`` lines of ``width`` cells, broken between words where possible.

    >>> wrap("geese fly south in autumn", 9, 2)
    ['geese fly', 'south in…']
    """
    text = text[: (width + 1) * (limit + 1) * 2]  # the rest of a long text can never show
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += _wrap_paragraph(paragraph, width)
        if len(lines) > limit:
            break
    if len(lines) <= limit:
        return lines
    last = lines[limit - 1]
    return [
        *lines[: limit - 1],
        shorten(last + ellipsis if cell_len(last) < width else last + " " * width, width, ellipsis),
    ]


def _wrap_paragraph(paragraph: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in _WORD.findall(paragraph):
        if cell_len(line) + cell_len(word.rstrip()) <= width:
            line += word
            continue
        if line.strip():
            lines.append(line.rstrip())
        *full, line = chop_cells(word, width) if cell_len(word.rstrip()) > width else [word]
        lines += full
    return [*lines, line.rstrip()]
