"""What goes into an online cascade and what comes out of it, row by row."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LevelName = Literal["hashed", "embedded", "model"]
"""Students on hashed words, students on embeddings, and a small model that is asked outside."""
REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Example:
    """A row as students see it.

    Parameters
    ----------
    key : the row's own, from which its chance to be audited is drawn: equal keys are audited together.
    text : all that the question is asked of. embedding : the same as numbers; ``None``: there is none, and "embedded" passes on.
    """

    key: str | bytes
    text: str
    embedding: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """What the user wants of an online cascade.

    Parameters
    ----------
    quality : share (0..1] of all rows that are answered as the reference answers them.
    audit : share (0..1] of rows that the reference answers whoever was sure; it never decays.
    delta : probability of being wrong, of each bound that is used or reported.

    Raises
    ------
    ValueError : one of them is out of range.
    """

    quality: float
    audit: float = 0.02
    delta: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.quality <= 1:
            raise ValueError(f"quality is {self.quality:g}; it is a share of rows, above 0 and at most 1.")
        if not 0 < self.audit <= 1:
            raise ValueError(
                f"audit is {self.audit:g}; it is a share of rows, above 0 and at most 1: drift would go unnoticed without."
            )
        if not 0 < self.delta < 1:
            raise ValueError(f"delta is {self.delta:g}; it is a probability between 0 and 1.")


@dataclass(frozen=True, slots=True)
class Prices:
    """What a row costs at each level and at the reference, and what a second of training costs; all in one unit of your own."""

    hashed: float = 0.0
    embedded: float = 0.0
    model: float = 0.0
    reference: float = 1.0
    second: float = 0.0

    def of(self, level: str) -> float:
        """Of one row at a level."""
        return {"hashed": self.hashed, "embedded": self.embedded, "model": self.model, REFERENCE: self.reference}[level]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a level said of a row before it learnt the reference's answer: half of a predict-then-train pair."""

    choice: int
    signs: Floats
    chances: Floats


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers a row.

    Parameters
    ----------
    level : that answers, or is to be asked: "model" (then :meth:`OnlineCascade.decide_model`) or "reference".
    answer : the level's; ``None`` while there is none, or where the reference is to be asked.
    confidence : the probability that the reference would answer the same, as calibrated by now; 0 where there is no answer.
    audited : the reference is asked whatever the level says, and its answer is the row's.
    uniform : it is so by the row's key alone; else because labels of rows like it are scarce.
    asked : the probability that the reference is asked about such a row.
    """

    level: str
    answer: Hashable | None
    confidence: float
    audited: bool
    uniform: bool = False
    asked: float = 1.0
    marks: tuple[Mark | None, ...] = field(default=(), repr=False, compare=False)

    @property
    def asks(self) -> bool:
        """Whether the reference has to answer this row."""
        return self.audited or self.level == REFERENCE
