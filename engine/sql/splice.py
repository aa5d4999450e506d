"""Text with parts replaced by offset: the only way SQL is ever changed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..plan.nodes import Expr
from .tokens import Range, Text


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters ``[start, end)`` become ``text``, which reads the plan columns in ``uses``."""

    start: int
    end: int
    text: str
    uses: frozenset[str] = frozenset()


class Splice:
    """Edits of one statement; of nested edits the outermost inside the asked-for range counts."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self._edits: dict[tuple[int, int], Edit] = {}

    def replace(self, where: Range, new: str, uses: frozenset[str] = frozenset()) -> None:
        """Replace a token range; a later edit of the same range wins."""
        self.replace_characters(*self.text.span(where), new, uses)

    def replace_characters(self, start: int, end: int, new: str, uses: frozenset[str] = frozenset()) -> None:
        """Replace characters, comments between tokens included."""
        self._edits[start, end] = Edit(start, end, new, uses)

    def expr(self, where: Range) -> Expr:
        """The range with its edits, as an expression over plan columns."""
        sql, uses = self.render(where)
        return Expr(sql, uses, words(self.text, where))

    def render(self, where: Range) -> tuple[str, frozenset[str]]:
        """Text and columns of the range with its edits."""
        pieces = list(self._pieces(where))
        return "".join(p.text for p in pieces), frozenset().union(*(p.uses for p in pieces))

    def origin(self, where: Range, offset: int) -> int:
        """The user's character that stands at ``offset`` in the rendered range; an edit's first where that is new text."""
        for piece in self._pieces(where):
            if offset < len(piece.text):
                verbatim = piece.end - piece.start == len(piece.text)
                return piece.start + (offset if verbatim else 0)
            offset -= len(piece.text)
        return self.text.span(where)[1]

    def _pieces(self, where: Range) -> Iterator[Edit]:
        if not where:
            return
        at, end = self.text.span(where)
        inside = [e for e in self._edits.values() if at <= e.start and e.end <= end]
        for edit in sorted(inside, key=lambda e: (e.start, -e.end)):
            if edit.start >= at:
                yield Edit(at, edit.start, self.text.sql[at : edit.start])
                yield edit
                at = edit.end
        yield Edit(at, end, self.text.sql[at:end])


def words(text: Text, where: Range) -> str:
    """The user's words on one line."""
    return " ".join(text.source(where).split()) if where else ""
