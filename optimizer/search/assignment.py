"""What a chooser of arms says is to be done with a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["profile", "serve", "audit"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """What to do with one row.

    Parameters
    ----------
    number : of the row. arms : who is asked, by number; 0 is the reference. serve : whose answer is the row's.
    phase : whether arms are compared, or an arm serves, or the row is one of those that see whether it still agrees.
    """

    number: int
    arms: tuple[int, ...]
    serve: int
    phase: Phase
