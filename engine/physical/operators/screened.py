"""A judge whose scores a cheaper model screens: only rows that may come first are scored by the call's own model.

Rows drawn by chance are scored by both, and say what each screen is worth. Then the cheapest way that is expected to do is gone: the
screen scores all rows, the reference the candidates, and a random sample of the others shows whether enough of the first rows are
candidates (``optimizer.search.first_rows``). Where that is not proved, the reference scores all others, too: the screen's calls were in
vain, and the result is as if nobody had tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from random import Random

import numpy as np

from ....optimizer.search.first_rows import Aim, Screening, best, correlated, draws_needed, error
from ...dataflow.lookups import in_thread
from ...errors import DataError, ModelError
from ..ranking.judge import Judge, Pair

PILOT = 64
DELTA = 0.05
LOOKS = (0.7, 0.2, 0.1)
"""How looks at a growing sample share the error probability."""
BARS = ((1.0, 0.7), (0.5, 0.2), (0.25, 0.1))
"""Tops that a look tries, as shares of the planned one, and the share of its error probability that each takes."""
NEARLY_ALL = 0.85
MOST_FAILED = 0.1
"""The share of a screen's scores that may fail. Rows without one are candidates."""

Scores = Mapping[int, float | None]


@dataclass(frozen=True, slots=True)
class Screen:
    """A cheaper judge. ``price``: of a score, in those of the reference; asked for when both have scored the pilot."""

    name: str
    judge: Judge
    price: Callable[[], float]


@dataclass(frozen=True, slots=True)
class FirstRows:
    """What a ranking needs of scores.

    Parameters
    ----------
    rows : that come first. recall : share of them that has to be found.
    copies : rows of equal text, at most: who loses one text loses so many rows. descending : high scores come first.
    """

    rows: int
    recall: float
    copies: int = 1
    descending: bool = True

    @property
    def behind(self) -> float:
        """What a row gets that was not scored: the end of the scale, so that no expression meets a value that it cannot meet otherwise."""
        return 0.0 if self.descending else 1.0

    @property
    def aim(self) -> Aim:
        """By the first bar, at a first look."""
        allowed = math.floor((1.0 - self.recall) * self.rows / self.copies + 1e-9)
        return Aim(self.rows, allowed, DELTA * LOOKS[0] * BARS[0][1])


@dataclass(slots=True)
class ScreenedJudge:
    """The reference's scores, and infinite ones that stand behind them for rows that it need not score.

    Parameters
    ----------
    judge : the reference. screens : none: it scores all rows. wanted : see :class:`FirstRows`.
    keys : of rows, by number. What is drawn depends on them alone, so that a rerun finds its answers whatever order rows come in.
    look : told of the rows of the pilot. seed : of what is drawn.

    Attributes
    ----------
    scores : by row, of the reference. spared : rows that it did not score. note : for EXPLAIN ANALYZE; "": nothing was tried.
    """

    judge: Judge
    screens: Sequence[Screen]
    wanted: FirstRows
    keys: Sequence[Hashable]
    look: Callable[[int], None] = lambda _: None
    seed: int = 0
    scores: dict[int, float | None] = field(default_factory=dict)
    spared: int = 0
    note: str = ""

    async def compare(self, pairs: Sequence[Pair]) -> Sequence[float | None]:
        """The reference's answers."""
        return await self.judge.compare(pairs)

    async def score(self, rows: Sequence[int]) -> Sequence[float | None]:
        """Of each row; infinite where it stands behind those that were scored."""
        if not await self._screened(rows):
            await self._ask([row for row in rows if row not in self.scores])
        behind = -math.inf if self.wanted.descending else math.inf
        self.spared += sum(row not in self.scores for row in rows)
        return [self.scores.get(row, behind) for row in rows]

    async def _screened(self, rows: Sequence[int]) -> bool:
        """Whether those that come first are known as surely as it is wanted."""
        # If a screen that costs nothing and never errs is not worth it, no other is.
        hope = partial(best, len(rows) - PILOT, 1.0, 0.0, self.wanted.aim)
        if not self.screens or await in_thread(hope) is None:
            return False
        order = sorted(rows, key=lambda row: repr(self.keys[row]))
        Random(self.seed).shuffle(order)
        pilot, rest = order[:PILOT], order[PILOT:]
        found = await self._best(pilot, len(rest))
        if found is None:
            self.note = f"no screen is worth it, by {len(pilot)} rows that were scored by all"
            return False
        return await self._by(*found, rest)

    async def _best(self, pilot: Sequence[int], rows: int) -> tuple[Screen, Screening] | None:
        for row in pilot:
            self.look(row)
        await self._ask(pilot)
        ways = [(screen, await self._way(screen, await _scored(screen, pilot), rows)) for screen in self.screens]
        fits = [(screen, way) for screen, way in ways if way is not None]
        return min(fits, key=lambda fit: fit[1].cost, default=None)

    async def _way(self, screen: Screen, said: Scores, rows: int) -> Screening | None:
        both = [(s, r) for row, s in said.items() if s is not None and (r := self.scores[row]) is not None]
        if not both or len(both) < (1.0 - MOST_FAILED) * len(said):
            return None
        mine, theirs = np.array(both, float).T
        price, aim = screen.price(), self.wanted.aim
        return await in_thread(partial(best, rows, correlated(mine, theirs), price, aim))

    async def _by(self, screen: Screen, way: Screening, rest: Sequence[int]) -> bool:
        said = await _scored(screen, rest)
        if sum(score is None for score in said.values()) > MOST_FAILED * len(rest) or len(said) < len(rest):
            self.note = f"{screen.name} failed too often to be a screen"
            return False
        candidates = set(sorted(rest, key=lambda row: -self._height(said[row], missing=math.inf))[: way.candidates])
        await self._ask([row for row in rest if row in candidates])
        heights = sorted((self._height(self.scores[row]) for row in candidates), reverse=True)
        if heights[self.wanted.rows - 1] <= self._height(self.wanted.behind):
            self.note = f"too few candidates of {screen.name} have a score that others have not"
            return False
        return await self._proved(screen, way, heights, [row for row in rest if row not in candidates])

    async def _proved(self, screen: Screen, way: Screening, heights: Sequence[float], others: Sequence[int]) -> bool:
        """Draw from the others, which stand in an order by chance, until enough is proved."""
        bars = [_Bar.of(heights, max(self.wanted.rows, int(part * way.top)), share) for part, share in BARS]
        drawn, wanted = 0, way.drawn
        for part, next_part in zip_longest(LOOKS, LOOKS[1:]):
            await self._ask(others[drawn:wanted])
            shown = [self._height(self.scores[row]) for row in others[drawn:wanted]]
            bars, drawn = [bar.shown(shown) for bar in bars], wanted
            held = next((bar for bar in bars if bar.holds(drawn, len(others), self._look(part))), None)
            self.note = self._words(screen, (way.candidates, drawn, len(others)), held)
            if held is not None:
                return True
            if next_part is None:
                break
            wanted = await in_thread(partial(_more, bars, drawn, len(others), self._look(next_part)))
            if wanted > NEARLY_ALL * len(others):
                break
        return False

    def _look(self, part: float) -> Aim:
        return replace(self.wanted.aim, delta=DELTA * part)

    def _words(self, screen: Screen, asked: tuple[int, int, int], bar: _Bar | None) -> str:
        candidates, drawn, others = asked
        found = f"{candidates:,} candidates of {screen.name} and {drawn:,} of {others:,} others scored"
        if bar is None:
            return f"{found}: not proved, so all were scored"
        share = 1.0 - self.wanted.aim.allowed / self.wanted.rows
        return (
            f"{found}, {bar.seen:,} of these among the first {bar.top + bar.seen:,}: of the first {self.wanted.rows:,} rows "
            f"≥ {share:.0%} are found (δ = {DELTA:g})"
        )

    def _height(self, score: float | None, missing: float = -math.inf) -> float:
        """How far in front."""
        if score is None:
            return missing
        return score if self.wanted.descending else -score

    async def _ask(self, rows: Sequence[int]) -> None:
        if rows:
            self.scores.update(zip(rows, await self.judge.score(rows), strict=True))


@dataclass(frozen=True, slots=True)
class _Bar:
    """The top by one bar: ``top`` candidates and ``seen`` of the sample reach it. ``share`` : of a look's error probability."""

    height: float
    top: int
    share: float
    seen: int = 0

    @classmethod
    def of(cls, heights: Sequence[float], top: int, share: float) -> _Bar:
        """At the height of the ``top``-th candidate, the highest first."""
        return cls(heights[top - 1], sum(height >= heights[top - 1] for height in heights), share)

    def shown(self, heights: Sequence[float]) -> _Bar:
        """With more of the sample."""
        return replace(self, seen=self.seen + sum(height >= self.height for height in heights))

    def holds(self, drawn: int, others: int, look: Aim) -> bool:
        """Whether a sample proves enough. Rows without a score reach no bar."""
        aim = self._part(look)
        return self.height > -math.inf and error(self.seen, drawn, others, self.top, aim) <= aim.delta

    def needs(self, drawn: int, others: int, look: Aim) -> int:
        """The sample that would, if it goes on like this: a larger one shows more."""
        aim = self._part(look)
        least = draws_needed(self.seen, others, self.top, aim)
        return draws_needed(math.ceil(self.seen * max(1.0, least / drawn)), others, self.top, aim)

    def _part(self, look: Aim) -> Aim:
        return replace(look, delta=look.delta * self.share)


def _more(bars: Sequence[_Bar], drawn: int, others: int, look: Aim) -> int:
    """The next sample."""
    return max(drawn + 1, min(bar.needs(drawn, others, look) for bar in bars))


async def _scored(screen: Screen, rows: Sequence[int]) -> dict[int, float | None]:
    """By row; nothing where nobody is there to answer."""
    try:
        return dict(zip(rows, await screen.judge.score(rows), strict=True))
    except (ModelError, DataError):
        return {}
