"""A statement in our own words, and the way back to the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import Position, ProgrammingError


@dataclass(frozen=True, slots=True)
class Piece:
    """``text`` stands for the user's characters ``[start, end)``; ``own`` : it is these characters."""

    text: str
    start: int
    end: int
    own: bool


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A statement whose calls are all canonical.

    Parameters
    ----------
    original : the user's. notices : for the user. words : what the user wrote, for each rewritten call.
    """

    original: str
    pieces: tuple[Piece, ...]
    notices: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """The statement to bind."""
        return "".join(piece.text for piece in self.pieces)

    def name(self, column: str) -> str:
        """The name of a result column, which has the words of an expression, in the user's words."""
        for ours, theirs in sorted(self.words.items(), key=lambda pair: -len(pair[0])):
            column = column.replace(" ".join(ours.split()), " ".join(theirs.split()))
        return column

    def about_original(self, error: ProgrammingError) -> ProgrammingError:
        """The same error, about the text that the user wrote."""
        if error.position is None:
            return error
        start, _ = self._origin(error.position.start)
        _, end = self._origin(max(error.position.start, error.position.end - 1))
        return error.at(Position(self.original, start, max(end, start + 1)))

    def _origin(self, offset: int) -> tuple[int, int]:
        """The user's characters that the one at ``offset`` stands for."""
        for piece in self.pieces:
            if offset < len(piece.text):
                return (piece.start + offset, piece.start + offset + 1) if piece.own else (piece.start, piece.end)
            offset -= len(piece.text)
        return len(self.original), len(self.original)
