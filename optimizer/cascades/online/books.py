"""What was decided, what audits said of it, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .audits import Audits
from .examples import REFERENCE, Aim, Decision, Prices
from .pairs import UNKNOWN
from .report import LevelReport, OnlineReport

ENTRIES = 1_000
"""Of the history; it is halved when it grows beyond."""
TRIED = 800
"""Rows that a small model is shown before it is given up; from the first that it answers on, it is judged by what it saves."""


class Books:
    """Counts; changed in :meth:`see` and :meth:`alarm` only."""

    def __init__(self, aim: Aim, levels: Sequence[str]) -> None:
        self._aim, self._levels = aim, tuple(levels)
        self._acted, self._asked, self._caught, self._audited, self._contradicted = np.zeros((5, len(levels)), np.int64)
        self._deferred = self._audits = self._shown = self._in_vain = 0
        self._history: list[tuple[int, int]] = []
        self._alarms: list[int] = []
        self._since = Audits(aim.audit)
        self.seconds = 0.0

    @property
    def rows(self) -> int:
        """All that were learnt."""
        return int(self._acted.sum()) + self._deferred

    @property
    def asked(self) -> int:
        """Of these, answered by the reference."""
        return self._deferred + int(self._asked.sum())

    def see(self, decisions: Sequence[Decision], targets: NDArray[np.int64], answers: Sequence[int]) -> None:
        """Rows that are done. ``targets``: the reference's answers; ``answers``: the levels'."""
        before = int(self._contradicted.sum())
        for decision, target, answer in zip(decisions, targets, answers, strict=True):
            self._count(decision, int(target), answer)
        self._since.see(len(decisions), int(self._contradicted.sum()) - before)
        self._history.append((len(decisions), int((targets != UNKNOWN).sum())))
        if len(self._history) > ENTRIES:
            pairs = zip(self._history[::2], [*self._history[1::2], (0, 0)], strict=False)
            self._history = [(a + c, b + d) for (a, b), (c, d) in pairs]

    def _count(self, decision: Decision, target: int, answer: int) -> None:
        self._audits += decision.uniform
        self._shown += "model" in self._levels and len(decision.marks) == len(self._levels)
        if decision.level == REFERENCE or decision.answer is None:
            self._deferred += 1
            return
        level = self._levels.index(decision.level)
        if decision.level == "model" and not self._acted[level]:
            self._in_vain = self._shown - 1
        self._acted[level] += 1
        if target != UNKNOWN:
            self._asked[level] += 1
            self._caught[level] += answer != target
            self._audited[level] += decision.uniform
            self._contradicted[level] += decision.uniform and answer != target

    def broken(self) -> bool:
        """Whether audits since the last alarm prove that more rows go wrong than the user allows."""
        return self._since.rates(self._aim.delta)[0] > 1 - self._aim.quality

    def alarm(self) -> None:
        """Something has changed."""
        self._alarms.append(self.rows)
        self._since = Audits(self._aim.audit)

    def model_pays(self, prices: Prices) -> bool:
        """Whether the small model saves more reference calls than it costs; yes while it is being tried."""
        if not self._acted[-1]:
            return self._shown < TRIED
        return float(self._acted[-1]) * prices.reference > (self._shown - self._in_vain) * prices.model

    def report(self, prices: Prices, threshold: float) -> OnlineReport:
        """All of it."""
        contradicted, caught, rows = int(self._contradicted.sum()), int(self._caught.sum()), max(1, self.rows)
        least, most = (
            max(0, n - caught) / rows for n in Audits(self._aim.audit, self.rows, contradicted).totals(self._aim.delta)
        )
        return OnlineReport(
            rows=self.rows,
            reference=self.asked,
            audits=self._audits,
            contradicted=contradicted,
            agreement=1 - max(0.0, contradicted / self._aim.audit - caught) / rows,
            interval=(1 - most, 1 - least),
            levels=tuple(self._level(n) for n in range(len(self._levels))),
            alarms=tuple(self._alarms),
            fifths=self._fifths(),
            threshold=threshold,
            costs=self._costs(prices),
            seconds=self.seconds,
        )

    def _level(self, level: int) -> LevelReport:
        counts = (self._acted, self._asked, self._audited, self._contradicted)
        acted, asked, audited, contradicted = (int(count[level]) for count in counts)
        lower = 1 - Audits(self._aim.audit, acted, contradicted).rates(self._aim.delta)[1]
        agreement = 1 - contradicted / audited if audited else float("nan")
        return LevelReport(self._levels[level], acted, asked, audited, contradicted, agreement, lower)

    def _fifths(self) -> tuple[float, ...]:
        """Of the rows of each fifth, as far as the history tells them apart."""
        if not self._history:
            return ()
        rows, asked = (np.concatenate([[0], np.cumsum(column)]) for column in zip(*self._history, strict=True))
        ends = np.interp(np.linspace(0, rows[-1], 6), rows, asked)
        return tuple(float(share) for share in np.diff(ends) / (rows[-1] / 5))

    def _costs(self, prices: Prices) -> dict[str, float]:
        shown = {name: self.rows if name != "model" else self._shown for name in self._levels}
        return {
            **{name: count * prices.of(name) for name, count in shown.items()},
            "reference": self._deferred * prices.reference,
            "audits": int(self._asked.sum()) * prices.reference,
            "training": self.seconds * prices.second,
        }

    def dump(self) -> dict[str, NDArray[Any]]:
        """All counts."""
        counts = [self._deferred, self._audits, self._shown, self._in_vain, self._since.rows, self._since.contradicted]
        return {
            "levels": np.stack([self._acted, self._asked, self._caught, self._audited, self._contradicted]),
            "counts": np.array(counts),
            "history": np.array(self._history, np.int64).reshape(-1, 2),
            "alarms": np.array(self._alarms, np.int64),
            "seconds": np.array(self.seconds),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """What :meth:`dump` gave."""
        self._acted, self._asked, self._caught, self._audited, self._contradicted = state["levels"].copy()
        self._deferred, self._audits, self._shown, self._in_vain, rows, caught = (int(x) for x in state["counts"])
        self._since = Audits(self._aim.audit, rows, caught)
        self._history = [(int(a), int(b)) for a, b in state["history"]]
        self._alarms, self.seconds = [int(x) for x in state["alarms"]], float(state["seconds"])
