"""What watchers and EXPLAIN ANALYZE are told of a join of which not every pair is asked alone."""

from __future__ import annotations

import pyarrow as pa

from ..joining.blocking import Blocked
from .by_labels import Labelled
from .call_stage import CallStage


class JoinBooks:
    """The counters and notes of one call site."""

    def __init__(self, stage: CallStage) -> None:
        self._progress = stage.caller.progress
        self._rows = self._null = self._true = 0
        self._pairs = self._candidates = self._others = self._blocks = 0
        self._recall, self._delta, self._trusted = 1.0, 0.0, False
        self._swept = False

    def close(self, answers: pa.Array, nulls: int) -> None:
        """All rows of a population are answered: whoever was asked about some has counted only these.

        ``nulls`` : rows with a NULL input.
        """
        self._rows += len(answers)
        self._null += nulls
        self._true += answers.to_pylist().count(True)
        self._progress.rows_in = self._progress.rows_done = self._rows
        self._progress.rows_null, self._progress.rows_true = self._null, self._true

    def know(self, known: Labelled) -> None:
        """Pairs that a classification answered."""
        if known.note:
            self._progress.notes["classification"] = known.note

    def add(self, pairs: int, found: Blocked, blocks: int, keys: str = "") -> None:
        """What became of so many distinct pairs; ``keys`` : whether rows were asked for some, and why."""
        if keys:
            self._progress.notes["keys"] = keys
        self._pairs += pairs
        self._candidates += found.candidates
        self._others += found.sampled
        self._blocks += blocks
        self._recall = min(self._recall, found.recall)
        self._delta += found.delta
        self._trusted |= found.trusted
        self._swept |= bool(found.sweeps)
        if self._pairs:
            self._progress.notes["join"] = self._note()

    def _note(self) -> str:
        way, others, given = "blocking by shared words", "sampled from the others", ""
        if self._blocks:
            part = "all" if self._swept or not self._trusted else "some by chance"
            way = f"likely ones alone, {part} in {self._blocks:,} block{'s' * (self._blocks > 1)}"
            others = "others that blocks named" if self._trusted else "others named or sampled"
        if self._trusted:
            given = ", if blocks overlook no larger share of the other matches than of the candidates'"
        return (
            f"{way}: of {self._pairs:,} distinct pairs {self._candidates:,} candidates and {self._others:,} {others} were asked "
            f"alone; recall ≥ {self._recall:.1%} (δ = {self._delta:.3g}){given}"
        )
