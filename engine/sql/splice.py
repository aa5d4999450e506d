"""Text with parts replaced by offset: the only way SQL is ever changed here."""

from __future__ import annotations

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
        start, end = self.text.span(where)
        self._edits[start, end] = Edit(start, end, new, uses)

    def expr(self, where: Range) -> Expr:
        """The range with its edits, as an expression over plan columns."""
        sql, uses = self.render(where)
        return Expr(sql, uses, " ".join(self.text.source(where).split()))

    def render(self, where: Range) -> tuple[str, frozenset[str]]:
        """Text and columns of the range with its edits."""
        if not where:
            return "", frozenset()
        start, end = self.text.span(where)
        inside = [e for e in self._edits.values() if start <= e.start and e.end <= end]
        inside.sort(key=lambda e: (e.start, -e.end))
        parts: list[str] = []
        uses: set[str] = set()
        at = start
        for edit in inside:
            if edit.start < at:
                continue
            parts += [self.text.sql[at : edit.start], edit.text]
            uses |= edit.uses
            at = edit.end
        parts.append(self.text.sql[at:end])
        return "".join(parts), frozenset(uses)
