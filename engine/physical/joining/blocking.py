"""Likely pairs are asked, of the others a random sample, until few enough matches can be left out.

Pairs are asked in order of a score, in chunks, until a chunk has next to none. Then each of the others is looked at with a
probability, higher just below the last chunk than elsewhere, and what that sample proves of the matches among them
(:mod:`.recall_bound`) has to be enough for the recall that is wanted. If not, twice as many pairs are asked in order, or twice as
many by chance, and the sample is tested again. Each possible test, by how often either was doubled, has its own part of the error
probability, so it does not matter that what was seen decides which comes next. Every answer counts, whatever it was asked
for. Where nothing can be proved, all pairs are asked: then recall is 1 for sure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .recall_bound import most_missed, share_needed

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Phase = Literal["candidates", "sample"]
Judge = Callable[[Ints, Phase], Awaitable[Sequence[bool | None]]]
"""Whether each of these pairs matches; ``None``: it could not be said, which is no match."""

DELTA = 0.05
NEAR = 2.0
"""Pairs just below the last chunk, as many as were asked, are looked at so much more often."""
QUIET = 0.01
"""A chunk with so small a share of the matches so far ends the asking in order."""
NEARLY_ALL = 0.5
"""From such a share on, the rest is asked: a sample of it would hardly cost less."""
WORTHWHILE = 1000
"""Of fewer pairs all are asked."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """What is known of all pairs.

    Parameters
    ----------
    answers : as the judge gave them; ``False`` where it was not asked. asked : which were.
    candidates : asked in order of score. sampled : asked by chance, or because a block named them, beside those.
    recall : what is proved of the share of all matches that were found, with error probability ``delta``.
    sweeps : how often all pairs were asked in blocks. trusted : the proof takes it that blocks overlook other matches no more
        often than those among the candidates.
    """

    answers: list[bool | None]
    asked: Bools
    candidates: int
    sampled: int
    recall: float
    delta: float
    sweeps: int = 0
    trusted: bool = False


async def blocked(
    scores: Sequence[float] | NDArray[np.float32],
    judge: Judge,
    *,
    chunk: int,
    recall: float,
    delta: float = DELTA,
    seed: int = 0,
) -> Blocked:
    """Find at least ``recall`` of the matches, and prove it.

    Parameters
    ----------
    scores : per pair; those with higher ones are asked first, and that is all they decide. chunk : pairs asked between looks.
    recall : share of all pairs that the judge would call matches. delta : probability that fewer are found.
    """
    search = Search(scores, judge, chunk, seed)
    if search.is_small:
        return await search.all()
    await search.likely()
    return await sampled(search, recall, delta)


async def sampled(search: Search, recall: float, delta: float) -> Blocked:
    """Sample what is below the cut of a search, and ask more in order, until enough is proved."""
    deeper = wider = 0
    while search.cut < len(search.order):
        proved, upper = await search.proved(recall, delta * part(deeper) * part(wider), wider)
        if proved >= recall:
            return search.result(proved, delta)
        if upper:
            deeper += 1
            await search.down_to(2 * search.cut)
        else:
            wider += 1
    return search.result(1.0, 0.0)


def part(step: int) -> float:
    """The part of the error probability that a test has; the parts of all steps are 1 together.

    >>> [part(step) for step in range(3)]
    [0.75, 0.125, 0.0625]
    """
    return 0.75 if not step else 0.25 * 0.5**step


class Search:
    """Pairs by place in the order of their scores; those before ``cut`` are all asked."""

    def __init__(self, scores: Sequence[float] | NDArray[np.float32], judge: Judge, chunk: int, seed: int) -> None:
        self.order: Ints = np.argsort(-np.asarray(scores, np.float32), kind="stable").astype(np.int64)
        self.cut = 0
        self._judge, self._chunk = judge, max(1, chunk)
        self._chance = np.random.default_rng(seed).random(len(scores))  # by place in the order
        self._asked = np.zeros(len(scores), np.bool_)
        self._yes = np.zeros(len(scores), np.bool_)
        self._unsaid = np.zeros(len(scores), np.bool_)

    @property
    def is_small(self) -> bool:
        """Whether there are so few pairs that all are asked."""
        return len(self.order) < WORTHWHILE

    @property
    def left(self) -> int:
        """Pairs that were not asked."""
        return len(self.order) - int(np.count_nonzero(self._asked))

    async def all(self) -> Blocked:
        """Ask every pair; then nothing has to be proved."""
        await self.down_to(len(self.order))
        return self.result(1.0, 0.0)

    async def likely(self) -> None:
        """Ask from the top until a chunk finds next to nothing new."""
        while self.cut < len(self.order):
            before = self._found()
            await self.down_to(self.cut + self._chunk)
            if self._found() - before <= QUIET * self._found():
                return

    async def down_to(self, cut: int) -> None:
        """Ask all before this place."""
        self.cut = min(cut, len(self.order))
        await self._ask(np.arange(self.cut, dtype=np.int64), "candidates")

    async def also(self, pairs: Collection[int]) -> None:
        """Ask these, wherever they stand."""
        chosen = np.zeros(len(self.order), np.bool_)
        chosen[list(pairs)] = True
        await self._ask(np.flatnonzero(chosen[self.order]), "sample")

    def matches(self) -> set[int]:
        """Pairs that the judge has called matches."""
        return set(self.order[self._yes].tolist())

    async def proved(self, recall: float, delta: float, wider: int) -> tuple[float, bool]:
        """Sample what is below the cut; what that proves, and whether most matches in it are just below the cut.

        The first sample is as large as it has to be if there is no match in it; ``wider`` : how often it was doubled.
        """
        found = self._found()
        share = self.share(recall, delta) * 2.0**wider
        if share >= NEARLY_ALL:
            await self.down_to(len(self.order))
            return 1.0, False
        near = np.arange(len(self.order)) < 2 * self.cut
        looked_at = self._chance < np.where(near, min(1.0, NEAR * share), share)
        looked_at[: self.cut] = False
        await self._ask(np.flatnonzero(looked_at), "sample")
        matches = self._yes & looked_at
        seen = int(np.count_nonzero(matches))
        upper = 2 * int(np.count_nonzero(matches & near)) > seen
        return (found + seen) / max(1, found + most_missed(seen, share, delta)), upper

    def share(self, recall: float, delta: float) -> float:
        """The share of the pairs below the cut that has to be looked at, if there is no match among them."""
        found = self._found()
        return share_needed(int(found / recall - found + 1e-9), delta)

    async def _ask(self, places: Ints, phase: Phase) -> None:
        new = places[~self._asked[places]]
        if not len(new):
            return
        self._asked[new] = True
        answers = await self._judge(self.order[new], phase)
        self._yes[new] = [answer is True for answer in answers]
        self._unsaid[new] = [answer is None for answer in answers]

    def _found(self) -> int:
        """Matches before the cut."""
        return int(np.count_nonzero(self._yes[: self.cut]))

    def result(self, recall: float, delta: float, *, sweeps: int = 0, trusted: bool = False) -> Blocked:
        """What came of it."""
        answers: list[bool | None] = [False] * len(self.order)
        for place, pair in enumerate(self.order.tolist()):
            if self._asked[place]:
                answers[pair] = None if self._unsaid[place] else bool(self._yes[place])
        asked = np.zeros(len(self.order), np.bool_)
        asked[self.order] = self._asked
        beside = int(np.count_nonzero(self._asked[self.cut :]))
        candidates = int(np.count_nonzero(self._asked)) - beside
        return Blocked(answers, asked, candidates, beside, recall, delta, sweeps, trusted)
