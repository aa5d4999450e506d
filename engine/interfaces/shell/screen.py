"""Where the shell writes, and what it may do there: colour, cursor control, box characters, width."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

PIPE_WIDTH = 120
Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]
_CODES: Mapping[Style, str] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Stream:
    """A text stream and whether SGR colour codes may be written to it."""

    file: TextIO
    colour: bool = False

    def paint(self, text: str, *styles: Style) -> str:
        """``text`` in the given styles, or as it is where colour is off.

        >>> Stream(sys.stdout, colour=False).paint("NULL", "dim")
        'NULL'
        """
        if not self.colour or not styles or not text:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def line(self, text: str = "", *styles: Style) -> None:
        """Write a line at once."""
        self.file.write(self.paint(text, *styles) + "\n")
        self.file.flush()


@dataclass(frozen=True, slots=True)
class Screen:
    """The two streams of a process.

    Parameters
    ----------
    out : results. err : progress, notices, bills and errors, so that a pipe gets data only.
    live : cursor control works on ``err``. fancy : ``out`` can print box characters.
    """

    out: Stream
    err: Stream
    live: bool = False
    fancy: bool = True

    @property
    def width(self) -> int:
        """Columns of the terminal now; a fixed width for a pipe, unless COLUMNS says otherwise."""
        return max(20, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns)

    @property
    def ellipsis(self) -> str:
        """The mark of cut text."""
        return "…" if self.fancy else "..."

    @classmethod
    def detect(cls) -> Screen:
        """Standard output and standard error, as they are now."""
        return cls.over(sys.stdout, sys.stderr)

    @classmethod
    def over(cls, out: TextIO, err: TextIO, environment: Mapping[str, str] = os.environ) -> Screen:
        """What two streams can do. NO_COLOR (any value) and TERM=dumb are obeyed."""
        dumb = environment.get("TERM", "") in ("dumb", "unknown")
        colour = not environment.get("NO_COLOR") and not dumb
        encoding = (getattr(out, "encoding", None) or "utf-8").lower().replace("-", "")
        return cls(
            Stream(out, colour and out.isatty()),
            Stream(err, colour and err.isatty()),
            live=err.isatty() and not dumb,
            fancy=encoding.startswith("utf"),
        )
