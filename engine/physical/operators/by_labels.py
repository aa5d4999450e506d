"""A join's pairs, where one side has few short texts: one question a row of the other side, about all of them at once.

Whether that says what pairs alone would say is found out on rows drawn by chance, which are asked both ways (the answer is that
of the pairs). Two arms are compared: what the one question names counts as it is, or is asked alone, too. A row's agreement is
what both name, over all that either names; where nobody names anything, nothing is learnt. So what is proved of its mean holds
of the share of matches found, of the share of named pairs that match, and of the share of pairs decided alike.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ....optimizer.search.assignment import Assignment
from ....optimizer.search.chooser import LEAST_POSITIVES, Chooser
from ....udfs.models.base import Reply
from ....udfs.prompts.candidates import matches
from ...dataflow.caller import Caller
from ...errors import DataError, InvalidAnswer, ModelError
from ..joining.blocking import Ints
from ..row_fates import UnusableError
from .label_grid import TOGETHER, Grid

AT_ONCE = 256
"""Rows under way while an arm serves: its audits are looked at in between."""
SEED = 42
ALONE, CHECKED = 1, 2
NAMES = ("all pairs alone", TOGETHER, f"{TOGETHER}, matches checked alone")

Ask = Callable[[Ints], Awaitable[Sequence[bool | None]]]
"""Asks about pairs alone."""
Matches = frozenset[int]


@dataclass(slots=True)
class Labelled:
    """Answers by pair, as far as they are known.

    Parameters
    ----------
    alone : pairs that were asked alone. together : rows that were asked about all labels. note : for EXPLAIN ANALYZE.
    """

    answers: dict[int, bool | None] = field(default_factory=dict)
    alone: int = 0
    together: int = 0
    note: str = ""


async def by_labels(grid: Grid, ask: Ask, caller: Caller, quality: float, delta: float) -> Labelled:
    """Answers of the rows for which an arm has proved good enough, and of those that it was compared on.

    Parameters
    ----------
    caller : sends the questions about all labels. quality : agreement to be proved. delta : probability of being wrong.

    Raises
    ------
    BudgetExceeded, Interrupted : as of the pairs. A question about all labels that fails is asked pair by pair.
    """
    course = _Course(grid, ask, caller, quality, delta)
    await course.run()
    course.found.note = course.words()
    return course.found


@dataclass(slots=True)
class _Kept:
    """Matches that the pairs, an arm, and both named among the rows that were compared."""

    theirs: int = 0
    mine: int = 0
    both: int = 0

    def see(self, mine: Matches, theirs: Matches) -> None:
        self.theirs += len(theirs)
        self.mine += len(mine)
        self.both += len(mine & theirs)

    def enough(self, quality: float) -> bool:
        """Whether some matches were met, and F1 over all of them is good enough: it is no proof, but a bar for rows with many."""
        return self.theirs >= LEAST_POSITIVES and 2 * self.both >= quality * (self.mine + self.theirs)


class _Course:
    """One population on its way."""

    def __init__(self, grid: Grid, ask: Ask, caller: Caller, quality: float, delta: float) -> None:
        self._grid, self._ask, self._caller = grid, ask, caller
        self.found = Labelled()
        self._compared = 0
        self._kept = {arm: _Kept() for arm in (ALONE, CHECKED)}
        rows = len(grid.units)
        # By the texts and nothing else, so that a rerun finds its answers whatever order its rows come in.
        by_text = sorted(range(rows), key=grid.rows.__getitem__)
        self._waiting = deque(random.Random(SEED).sample(by_text, rows))
        self.chooser = Chooser(
            len(NAMES),
            self._costs,
            room=lambda: 1.0 - quality,
            took=lambda _: None,
            # The arms share one question.
            beside=lambda: (grid.costs.pairs, grid.costs.prompt / 2, grid.costs.prompt / 2),
            rows=lambda: float(rows),
            same=partial(_agreement, quality),
            also=lambda arm: self._kept[arm].enough(quality),
            delta=delta,
        )

    async def run(self) -> None:
        """Until all rows are answered, or the pairs serve."""
        while wave := self._wave():
            await self._answer(wave)

    def _costs(self) -> tuple[float, float, float]:
        """Of a row, by arm."""
        costs, named = self._grid.costs, self._kept[ALONE].mine / max(1, self._compared)
        return costs.pairs, costs.prompt, costs.prompt + named * costs.pair

    def _wave(self) -> list[tuple[int, Assignment]]:
        wave: list[tuple[int, Assignment]] = []
        while self._waiting and len(wave) < AT_ONCE and (given := self.chooser.assign()) is not None:
            if given.arms == (0,):
                break
            wave.append((self._waiting.popleft(), given))
        return wave

    async def _answer(self, wave: Sequence[tuple[int, Assignment]]) -> None:
        rows = [row for row, _ in wave]
        both = [row for row, given in wave if 0 in given.arms]
        # Wanted whatever the question about all labels says; the rest depends on it.
        *said, _ = await _all([*map(self._name, rows), self._alone(_pairs(self._grid, both))])
        named: dict[int, Matches | None] = dict(zip(rows, said, strict=True))
        served = [(row, given.serve) for row, given in wave if 0 not in given.arms]
        await self._alone([unit for row, arm in served for unit in self._doubtful(row, arm, named[row])])
        for row, _ in served:
            for label, unit in self._grid.units[row].items():
                if unit not in self.found.answers:
                    self.found.answers[unit] = label in (named[row] or ())
        for row, given in wave:
            if 0 in given.arms:
                self._learn(row, given, named[row])

    def _doubtful(self, row: int, arm: int, named: Matches | None) -> Iterable[int]:
        """Pairs of a row that have to be asked alone."""
        units = self._grid.units[row]
        if named is None:
            return units.values()
        return (unit for label, unit in units.items() if label in named) if arm == CHECKED else ()

    async def _name(self, row: int) -> Matches | None:
        """The labels that the one question names; ``None``: it has failed."""
        self.found.together += 1
        try:
            named = await self._caller.ask(self._grid.prompt(row), self._read)
        except (ModelError, DataError):
            return None
        return named & self._grid.units[row].keys()

    def _read(self, reply: Reply) -> Matches:
        model = self._caller.spec.name
        try:
            return matches(reply, self._grid.labels, model)
        except InvalidAnswer as error:
            raise UnusableError(str(error), model) from error

    async def _alone(self, units: Sequence[int]) -> None:
        if units:
            self.found.alone += len(units)
            said = await self._ask(np.array(units, np.int64))
            self.found.answers.update(zip(units, said, strict=True))

    def _learn(self, row: int, given: Assignment, named: Matches | None) -> None:
        answers = {label: self.found.answers[unit] for label, unit in self._grid.units[row].items()}
        theirs = frozenset(label for label, said in answers.items() if said)
        if named is None:
            self.chooser.learn(given, {0: theirs})
            return
        self._compared += 1
        mine = frozenset(label for label in named if answers[label] is not None)
        said = {0: theirs, ALONE: mine, CHECKED: mine & theirs}
        for arm in (ALONE, CHECKED):
            self._kept[arm].see(said[arm], theirs)
        self.chooser.learn(given, said if mine | theirs else {})

    def words(self) -> str:
        """For EXPLAIN ANALYZE; none if there were too few rows for any proof."""
        chooser, found = self.chooser, self.found
        if not found.together:
            return ""
        head = (
            f"of {len(self._grid.units):,} rows {found.together:,} asked about {len(self._grid.labels)} labels together, "
            f"{found.alone:,} pairs alone"
        )
        compared = [_words(chooser, arm) for arm in chooser.tallies if chooser.tallies[arm].rows]
        serving = chooser.serving or 0
        return "; ".join([f"{head}; {NAMES[serving]}: serves", *compared, *chooser.notes])


def _agreement(nothing: float, mine: Matches, theirs: Matches) -> float:
    """What both name over what either does; ``nothing``, which proves nothing, where neither names any."""
    return len(mine & theirs) / len(mine | theirs) if mine | theirs else nothing


def _words(chooser: Chooser, arm: int) -> str:
    tally = chooser.tallies[arm]
    if tally.certified is not None and tally.certified.won():
        fate = f"which proves ≥ {chooser.target:.0%} (δ = {tally.certified.delta:.3g})"
    else:
        fate = f"out: {tally.why}" if tally.why else "not proved"
    return f"{NAMES[arm]} agreed in {tally.mean():.1%} of {tally.rows:,} compared, {fate}"


def _pairs(grid: Grid, rows: Iterable[int]) -> list[int]:
    return [unit for row in rows for unit in grid.units[row].values()]


async def _all(asked: Sequence[Awaitable[Any]]) -> list[Any]:
    """What came of each, once all have ended; the first failure is raised."""
    came = await asyncio.gather(*asked, return_exceptions=True)
    for result in came:
        if isinstance(result, BaseException):
            raise result
    return list(came)
