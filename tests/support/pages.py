"""The code blocks and links of a Markdown page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_FILE_ABOVE = re.compile(r"`([\w/.-]+)`:\s*\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the file that the line above says it is ("" for none)."""

    language: str
    text: str
    file: str = ""


def page(name: str) -> str:
    """A page by its path from the repository's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[Block]:
    """The fenced blocks in order, of one language if given."""
    found = [Block(m.group(1), m.group(2), _file_above(text[: m.start()])) for m in _BLOCK.finditer(text)]
    return [block for block in found if language in ("", block.language)]


def local_links(text: str) -> list[str]:
    """Link targets that are no web addresses."""
    return [target for target in _LINK.findall(text) if "://" not in target]


def _file_above(before: str) -> str:
    match = _FILE_ABOVE.search(before)
    return match.group(1) if match else ""
