"""What an online cascade did, and what its audits prove of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LevelReport:
    """One level.

    Parameters
    ----------
    acted : rows that it was sure enough of. asked : of these, those that the reference answered all the same. audited : of these,
        those whose audit was drawn by key alone. contradicted : of these, by the reference.
    agreement : estimated share of its rows that the reference would answer the same; NaN without audits.
    lower : bound of that share, at any time, with probability 1 − δ; of this level alone.
    """

    level: str
    acted: int
    asked: int
    audited: int
    contradicted: int
    agreement: float
    lower: float


@dataclass(frozen=True, slots=True)
class OnlineReport:
    """All of it, since the task was first seen.

    Parameters
    ----------
    rows : decided and learnt. reference : of these, answered by the reference, audits included.
    audits : rows that were audited. contradicted : of these, rows that a level was sure of and the reference contradicts.
    agreement : estimated share of all rows whose answer is the reference's; ``interval``: of that share, at any time, with
        probability 1 − δ, whatever the rows are.
    alarms : rows after which the reference had contradicted more than expected, and everything was doubted again.
    fifths : share of reference calls in each fifth of the rows.
    threshold : doubt up to which levels answer; −1: none may.
    costs : by phase: what each level and the reference (apart: its audits of rows that a level was sure of) were paid, and training.
    seconds : CPU seconds of training.
    """

    rows: int
    reference: int
    audits: int
    contradicted: int
    agreement: float
    interval: tuple[float, float]
    levels: tuple[LevelReport, ...]
    alarms: tuple[int, ...]
    fifths: tuple[float, ...]
    threshold: float
    costs: Mapping[str, float]
    seconds: float

    @property
    def share(self) -> float:
        """Of rows that the reference answered."""
        return self.reference / self.rows if self.rows else 0.0
