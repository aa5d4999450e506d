"""Cut what is typed or piped in into statements and dot commands, without understanding SQL.

DuckDB's own splitter parses, so it can say nothing of half a statement; the prompt has to know whether Enter ends one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What a semicolon may hide in. An opening without its end runs to the end of the text, and the piece is unfinished.
_TOKEN = re.compile(
    r"""
      (?P<escaped>(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*(?P<escaped_end>')?)
    | (?P<string>'(?:[^']|'')*(?P<string_end>')?)
    | (?P<name>"(?:[^"]|"")*(?P<name_end>")?)
    | (?P<dollar>(?<![\w$])\$(?P<tag>(?:[A-Za-z_\x80-\uffff][\w]*)?)\$(?:.*?(?P<dollar_end>\$(?P=tag)\$)|.*))
    | (?P<line_comment>--[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTES = ("escaped", "string", "name", "dollar")
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement or a dot command.

    Parameters
    ----------
    text : verbatim, from its first word on, without the semicolon.
    line : 1-based line of its first word.
    finished : a semicolon (for a dot command: its line) ends it.
    command : it is a dot command.
    """

    text: str
    line: int
    finished: bool
    command: bool = False


def pieces(text: str) -> Iterator[Piece]:
    """The statements and dot commands of ``text``; pieces that hold only blanks and comments are left out.

    >>> [p.text for p in pieces("SELECT ';'; -- done;\\n.tables\\nSELECT 2")]
    ["SELECT ';'", '.tables', 'SELECT 2']
    """
    at = 0
    while (at := _skip_blank(text, at)) < len(text):
        line = text.count("\n", 0, at) + 1
        if text[at] == ".":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            yield Piece(text[at:end].rstrip(), line, finished=True, command=True)
            at = end
            continue
        end, finished = _statement_end(text, at)
        if body := text[at:end].strip():
            yield Piece(body, line, finished)
        at = end + 1


def is_finished(text: str) -> bool:
    """Whether Enter should run ``text``: blank, a dot command, or statements that all end.

    >>> is_finished("SELECT 1"), is_finished("SELECT 1;"), is_finished(".help"), is_finished("")
    (False, True, True, True)
    """
    return all(piece.finished for piece in pieces(text))


def _skip_blank(text: str, at: int) -> int:
    """The next character that is neither blank, comment nor empty statement."""
    while at < len(text):
        if text[at].isspace() or text[at] == ";":
            at += 1
        elif text.startswith("--", at):
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text.startswith("/*", at):
            end, closed = _comment_end(text, at)
            if not closed:
                return at
            at = end
        else:
            return at
    return at


def _statement_end(text: str, at: int) -> tuple[int, bool]:
    """Where the statement that starts at ``at`` ends, and whether a semicolon ends it."""
    while match := _TOKEN.search(text, at):
        kind = match.lastgroup  # the outermost group: it is the last to close
        if kind == "end":
            return match.start(), True
        at = match.end()
        if kind == "block_comment":
            at, closed = _comment_end(text, match.start())
            if not closed:
                return len(text), False
        elif kind in _QUOTES and match[f"{kind}_end"] is None:
            return len(text), False
    return len(text), False


def _comment_end(text: str, at: int) -> tuple[int, bool]:
    """Past the block comment that starts at ``at``, and whether it closes; DuckDB nests them."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end(), True
    return len(text), False
