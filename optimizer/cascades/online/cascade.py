"""The online cascade: decide a micro-batch, ask outside whom it names, learn what was said."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .audits import is_audited
from .books import Books
from .deferral import signs_of, sure_of
from .drift import Drift
from .examples import REFERENCE, Aim, Decision, Example, Floats, LevelName, Mark, Prices
from .hashing import Hasher
from .pairs import NO_CLASS, UNKNOWN, Pairs
from .policy import Policy
from .report import OnlineReport
from .state import Part, packed, unpacked
from .students import EmbeddedStudent, HashedStudent

__all__ = ["Aim", "Decision", "Example", "OnlineCascade", "OnlineReport", "Prices"]

KEPT = 0.05
"""Of the past's weight in students' learning rates, after an alarm."""
ROUNDING = 1 + 1e-9
"""A row's doubt is computed with other rows when it is decided than when the threshold is solved."""
EXPLORED = 0.05
"""Of the rows that would go to the reference are shown to a small model that does not pay at present."""
Said = tuple[Hashable, float]
"""The small model's answer, and the probability that it gives it."""


class OnlineCascade:
    """Students, and perhaps a small model, that answer rows in place of a reference as far as they have been seen to agree with it.

    Nothing is drawn by chance but by keys, and a policy changes only in :meth:`learn`: the same rows in the same micro-batches
    give the same answers. Not for several threads at once.

    Parameters
    ----------
    classes : all answers that the reference may give. An answer that is none of these contradicts every level.
    aim : what the user wants. levels : which there are; "model" is asked outside. prices : of a row, per level.
    seed : of audits. state : what :meth:`dump` gave, of the same classes and levels.

    Raises
    ------
    ValueError : fewer than two classes, no level, or a state of others.

    >>> cascade = OnlineCascade([True, False], Aim(0.95, audit=0.1), levels=["hashed"])
    >>> batch = [Example(f"{n}", "good film" if n % 2 else "bad film") for n in range(600)]
    >>> for first in range(0, 600, 20):
    ...     part = batch[first : first + 20]
    ...     decisions = cascade.decide(part)
    ...     cascade.learn(part, decisions, {n: "good" in part[n].text for n in range(20) if decisions[n].asks})
    >>> report = cascade.report()
    >>> report.share < 0.6, report.contradicted
    (True, 0)
    """

    def __init__(
        self,
        classes: Sequence[Hashable],
        aim: Aim,
        *,
        levels: Sequence[LevelName] = ("hashed", "embedded"),
        prices: Prices | None = None,
        seed: int = 0,
        state: bytes | None = None,
        hasher: Hasher | None = None,
    ) -> None:
        if len(set(classes)) < 2:
            raise ValueError("an online cascade needs at least two different answers to choose from.")
        if not levels:
            raise ValueError("an online cascade needs at least one level below the reference.")
        self.classes, self.aim = tuple(classes), aim
        self._places = {answer: place for place, answer in enumerate(self.classes)}
        self.levels: tuple[LevelName, ...] = tuple(name for name in ("hashed", "embedded", "model") if name in levels)
        self._prices, self._seed = prices or Prices(), seed
        count = len(self.classes)
        self._students: list[HashedStudent | EmbeddedStudent] = [
            HashedStudent(count, hasher) if name == "hashed" else EmbeddedStudent(count)
            for name in self.levels
            if name != "model"
        ]
        self._policy = Policy(len(self.levels), len(self.classes), aim)
        self._drift = Drift(len(self.classes))
        self._books = Books(aim, self.levels)
        if state is not None:
            unpacked(state, self._parts(), self._identity())

    def decide(self, batch: Sequence[Example]) -> list[Decision]:
        """Who answers each row. Changes nothing."""
        if not batch:
            return []
        marks = self._marks(batch)
        doubts = self._policy.doubts(marks)
        return [self._decided(*row) for row in zip(batch, marks, doubts, strict=True)]

    def decide_model(
        self, batch: Sequence[Example], decisions: Sequence[Decision], said: Mapping[int, Said]
    ) -> list[Decision]:
        """The same decisions, where the small model has been asked: its answer, or the reference.

        Parameters
        ----------
        said : per place in the batch whose level is "model", its answer and the probability that it gives it. A place that is
            missing (it could not answer) goes to the reference.
        """
        places = zip(batch, decisions, strict=True)
        return [self._after_model(decision, said.get(n)) for n, (_, decision) in enumerate(places)]

    def learn(self, batch: Sequence[Example], decisions: Sequence[Decision], said: Mapping[int, Hashable]) -> None:
        """What the reference said of a batch, once it has answered; each batch once, in any order.

        Parameters
        ----------
        said : per place in the batch, of all rows whose decision :attr:`Decision.asks`. Rows that are missing there (the reference
            failed) count nowhere; what is there of other rows is not used, for it was not drawn by chance.
        """
        started = time.thread_time()
        kept = [n for n, decision in enumerate(decisions) if n in said or not decision.asks]
        known = [self._places.get(said[n], NO_CLASS) if decisions[n].asks else UNKNOWN for n in kept]
        targets = np.array(known, np.int64)
        chosen = [decisions[n] for n in kept]
        if kept:
            self._learnt([batch[n] for n in kept], chosen, targets)
        self._books.seconds += time.thread_time() - started

    def report(self) -> OnlineReport:
        """What was done so far, and what audits prove of it."""
        return self._books.report(self._prices, self._policy.threshold)

    def dump(self) -> bytes:
        """All that was learnt, to go on with later: ``state`` of another cascade for the same task."""
        return packed(self._parts(), self._identity())

    @property
    def _threshold(self) -> float:
        return -1.0 if self._drift.suspected else self._policy.threshold * ROUNDING

    def _marks(self, batch: Sequence[Example]) -> list[tuple[Mark | None, ...]]:
        columns: list[list[Mark | None]] = []
        below: Floats | None = None
        for student in self._students:
            chances = student.chances(batch, below)
            there = np.isfinite(chances[:, 0])
            signs, choices = signs_of(np.nan_to_num(chances), below, self._books.asked), chances.argmax(axis=1)
            columns.append(
                [Mark(int(choices[n]), signs[n], chances[n]) if there[n] else None for n in range(len(batch))]
            )
            below = chances
        return list(zip(*columns, strict=True)) if columns else [()] * len(batch)

    def _decided(self, example: Example, marks: tuple[Mark | None, ...], doubts: Floats) -> Decision:
        uniform = is_audited(example.key, self.aim.audit, self._seed)
        for level, (mark, doubt) in enumerate(zip(marks, doubts.tolist(), strict=False)):
            if mark is not None and doubt <= self._threshold:
                probed = self._policy.probed(doubt)
                audited = uniform or is_audited(example.key, probed, self._seed + 1)
                asked = 1 - (1 - self.aim.audit) * (1 - probed)
                answer = self.classes[mark.choice]
                return Decision(self.levels[level], answer, 1 - doubt, audited, uniform, asked, marks)
        explores = is_audited(example.key, EXPLORED, self._seed + 2)
        asks_model = "model" in self.levels and (explores or self._books.model_pays(self._prices))
        return Decision("model" if asks_model else REFERENCE, None, 0.0, uniform, uniform, marks=marks)

    def _after_model(self, decision: Decision, said: Said | None) -> Decision:
        if decision.level != "model" or decision.answer is not None:
            return decision
        if said is None or said[0] not in self._places:
            return replace(decision, level=REFERENCE)
        choice = self._places[said[0]]
        mark = sure_of(choice, said[1], len(self.classes), decision.marks[-1] if decision.marks else None)
        marks = (*decision.marks, mark)
        doubt = float(self._policy.doubts([marks])[0, -1])
        if doubt <= self._threshold:
            return replace(decision, answer=said[0], confidence=1 - doubt, asked=self.aim.audit, marks=marks)
        return replace(decision, level=REFERENCE, marks=marks)

    def _learnt(self, batch: Sequence[Example], decisions: Sequence[Decision], targets: NDArray[np.int64]) -> None:
        known = targets != UNKNOWN
        pairs = Pairs.of(decisions, targets, len(self.levels), len(self.classes))
        changed = self._drifted(pairs, known)
        self._books.see(decisions, targets, [self._places.get(decision.answer, NO_CLASS) for decision in decisions])
        if changed or self._books.broken():
            self._restart()
        self._policy.learn(pairs, known)
        self._teach(batch, targets, pairs.standing)

    def _drifted(self, pairs: Pairs, known: NDArray[np.bool_]) -> bool:
        if not self._policy.calibrated:
            return False
        choices, doubts, wrong = self._policy.judged(pairs, known)
        return self._drift.see(choices, doubts, wrong)

    def _restart(self) -> None:
        """Doubt everything until it has been seen to agree again; students keep what they know, and learn faster."""
        self._books.alarm()
        self._policy.forget()
        for student in self._students:
            student.refresh(KEPT)

    def _teach(self, batch: Sequence[Example], targets: NDArray[np.int64], weights: Floats) -> None:
        taught = np.flatnonzero(targets >= 0).tolist()
        examples, below = [batch[n] for n in taught], None
        for student in self._students:
            student.see(batch)
            above = student.chances(examples, below) if examples else None
            if examples:
                student.learn(examples, targets[taught], weights[taught], below)
            below = above

    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = dict(zip(self.levels, self._students, strict=False))
        return {**parts, "policy": self._policy, "drift": self._drift, "books": self._books}

    def _identity(self) -> dict[str, object]:
        return {"version": 1, "classes": [repr(answer) for answer in self.classes], "levels": list(self.levels)}
