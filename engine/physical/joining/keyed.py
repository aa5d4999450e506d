"""Likely pairs and pairs that agree in a key are asked alone; blocks that are drawn by chance show what both have left out.

A sweep (:mod:`.sweep`) asks about all pairs in blocks, which takes ever more blocks a row the more rows there are. Keys take one
question a row, and find matches that have no word in common. What they leave out is seen in a few of the same blocks: these come
upon known and unknown matches alike, because rows fall into blocks by chance. So Fisher's exact test, as of a sweep, says how
many unknown ones there may be, and it takes for granted what it does there: that blocks overlook no larger share of the others than
of the known ones. Where blocks find nothing beside the likely pairs, nobody is asked for keys.

Looks grow on a grid that is fixed before the first, and each has its own part of the error probability; half of it is left for what
is done if no look proves enough: that is what would be done without keys, and it starts from all that is known by then.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .blocking import DELTA, NEARLY_ALL, Blocked, Judge, Search, part
from .recall_bound import at_most, most_overlooked
from .sweep import Sweep, finished

SPARE = 1.3
"""A look is so much larger than it has to be: blocks overlook some matches, and chance gives fewer."""
MOST_LOOK = 0.5
"""Of a larger share of the blocks all are asked."""
USUAL_LOOK = 0.25
"""The share of the blocks that is reckoned with while too few matches are known to say."""
LOOKS, GROWTH = 5, 1.5
"""So often a look may grow, each time by so much."""
PAYS = 0.6
"""Keys and their look may take so much of what would be done without them: they may be in vain."""
ALONE, UNKEYED, KEYED = 0.25, 0.25, 0.5
"""Parts of the error probability, if there is a look before keys are asked: of that, and of looks when they were not, or were."""
UNLIKELY = 0.05
"""Keys of known matches that agree so seldom that this is the chance of it, if enough of all did, are given up."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Asking each row for keys.

    Parameters
    ----------
    ask : the pairs that have one in common, so many at most; ``None``: the answers cannot be read. price : in pairs asked alone.
    probe : asks the rows of a few of these pairs only, and says how many of how many agree.
    """

    ask: Callable[[float], Awaitable[Collection[int] | None]]
    price: float
    probe: Callable[[Collection[int]], Awaitable[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Asking about pairs in blocks: about all (``sweep``), or about this share of the blocks of its first time (``look``)."""

    sweep: Sweep
    look: Callable[[float], Awaitable[Collection[int] | None]]


@dataclass(frozen=True, slots=True)
class Keyed:
    """What is known of all pairs, and which way was taken and why ("": there were too few pairs for any choice)."""

    found: Blocked
    note: str = ""


async def keyed(
    scores: Sequence[float] | NDArray[np.float32],
    judge: Judge,
    keys: Keys,
    blocks: Blocks,
    *,
    chunk: int,
    recall: float,
    delta: float = DELTA,
    seed: int = 0,
) -> Keyed:
    """Find at least ``recall`` of the matches, and say what is proved of it.

    Parameters
    ----------
    scores, judge, chunk, recall, delta, seed : see :func:`.blocking.blocked`. keys, blocks : what may be asked besides.
    """
    search = Search(scores, judge, chunk, seed)
    if search.is_small:
        return Keyed(await search.all())
    await search.likely()
    course = _Course(search, keys, blocks, recall, delta / 2)
    proved = await course.run()
    if proved is not None:
        return Keyed(search.result(proved, delta, trusted=True), f"{course.words()}, which proves it")
    found = await finished(search, course.known, blocks.sweep, recall, delta / 2 if course.looked else delta)
    return Keyed(replace(found, delta=delta if found.delta else 0.0), f"{course.words()}; all others as without keys")


class _Course:
    """A search whose likely pairs have been asked, on its way to a proof by few blocks."""

    def __init__(self, search: Search, keys: Keys, blocks: Blocks, recall: float, delta: float) -> None:
        self._search, self._keys, self._blocks, self._recall, self._delta = search, keys, blocks, recall, delta
        self.known = search.matches()
        """Matches that were found without any block."""
        self._named: set[int] = set()
        self._share = 0.0
        self._why = ""

    @property
    def looked(self) -> bool:
        """Whether a test has taken its part of the error probability."""
        return self._share > 0

    async def run(self) -> float | None:
        """The recall that is proved; ``None``: not enough."""
        whole, first = self._blocks.sweep.price, self._needed(self._delta * ALONE) or 1.0
        if self._may_look(first) and first * whole < max(self._keys.price, USUAL_LOOK * whole):
            if not await self._see(first):
                return None
            if (proved := self._proved(self._delta * ALONE)) >= self._recall:
                self._why = "not asked: blocks show that few matches are not among the likely pairs"
                return proved
        if self._keys_pay() and await self._ask_keys():
            return await self._climb(KEYED if self.looked else 1.0, self._share)
        return await self._climb(UNKEYED if self.looked else 1.0, GROWTH * self._share)

    async def _climb(self, of_delta: float, least: float) -> float | None:
        """Look at ever more blocks, as long as that may prove enough."""
        delta = self._delta * of_delta
        first = self._needed(delta * part(0))
        for step in range(LOOKS):
            share = max(first or 1.0, least) * GROWTH**step
            if not self._may_look(share):
                break
            if not self._hopeful(share, delta * part(step)):
                continue
            if not await self._see(share):
                break
            if (proved := self._proved(delta * part(step))) >= self._recall:
                return proved
        return None

    async def _see(self, share: float) -> bool:
        """Ask so many of the blocks, and about what they name; ``False``: their answers cannot be read."""
        if share > self._share:
            named = await self._blocks.look(share)
            if named is None:
                return False
            self._named |= set(named)
            self._share = share
            await self._search.also(named)
        return True

    def _may_look(self, share: float) -> bool:
        """Whether a look may be had: it costs less than what it may replace, and leaves that enough of the error probability."""
        known, dear = len(self.known), (share - self._share) * self._blocks.sweep.price >= self._otherwise()
        now, then = (self._bound(known, 0, times * self._delta * part(0)) >= self._recall for times in (2, 1))
        return share <= MOST_LOOK and not dear and (then or not now)

    def _keys_pay(self) -> bool:
        """Whether rows should be asked for keys."""
        whole, (_, others) = self._blocks.sweep.price, self._seen()
        # About as many matches as rows of a side: of fewer, no look could prove enough.
        most = max(len(self.known), math.isqrt(len(self._search.order)))
        if most < self._recall * (most + most_overlooked(most, most, 0, self._delta)):
            self._why = "not asked: too few matches for any proof"
            return False
        if self._share and not others:
            self._why = "not asked: blocks found no match beside the likely pairs"
            return False
        if self._share * whole < self._keys.price and self._more_may_do():
            self._why = "not asked: some more blocks are cheaper"
            return False
        mine = self._keys.price + (0.0 if self._share else USUAL_LOOK * whole)
        theirs = self._otherwise()
        pays = mine <= PAYS * theirs
        reason = f"{mine:,.0f} pairs' worth of tokens, against {theirs:,.0f} without them"
        self._why = f"{'asked' if pays else 'not asked'}: {reason}"
        return pays

    def _more_may_do(self) -> bool:
        """Whether a second look may prove what the first did not."""
        return 0 < self._share <= MOST_LOOK / GROWTH and self._hopeful(
            GROWTH * self._share, self._delta * UNKEYED * part(0)
        )

    async def _ask_keys(self) -> bool:
        """Ask for keys, and about the pairs that agree in one; ``False``: they are not worth it."""
        agreed, probed = await self._keys.probe(self.known)
        if at_most(agreed, probed, self._recall) < UNLIKELY:
            self._why += f"; given up, since {agreed} of {probed} known matches agree in a key"
            return False
        named = await self._keys.ask(PAYS * self._otherwise() - self._keys.price)
        if named is None:
            self._why += "; given up, since answers about keys cannot be read"
            return False
        await self._search.also(named)
        before = len(self.known)
        self.known |= self._search.matches() & set(named)
        new = len(self.known) - before
        self._why += f"; {len(named):,} pairs agree in a key, {new:,} of them matches that are not likely pairs"
        return True

    def _otherwise(self) -> float:
        """What the rest costs without keys, in pairs alone: all others in blocks if that may prove enough, a sample, or all."""
        share = self._search.share(self._recall, self._delta * part(0) ** 2)
        sample = self._search.left * (share if share < NEARLY_ALL else 1.0)
        if self._bound(len(self.known), 0, self._delta * part(0)) < self._recall:
            return sample
        return min(sample, (1.0 - self._share) * self._blocks.sweep.price)

    def _needed(self, delta: float) -> float | None:
        """The share of the blocks that proves enough if nothing else is found in it; ``None``: not even all do."""
        known = len(self.known)
        seen = 1 + bisect_left(range(1, known + 1), True, key=lambda seen: self._bound(seen, 0, delta) >= self._recall)
        return None if seen > known else min(1.0, SPARE * seen / known)

    def _hopeful(self, share: float, delta: float) -> bool:
        """Whether such a share proves enough if what it finds is like what was found so far."""
        if not self._share:
            return True
        (seen, others), more = self._seen(), share / self._share
        return self._bound(min(len(self.known), round(seen * more)), int(others * more), delta) >= self._recall

    def _seen(self) -> tuple[int, int]:
        """Known matches that blocks have named, and other ones."""
        found = self._search.matches() & self._named
        return len(found & self.known), len(found - self.known)

    def _proved(self, delta: float) -> float:
        return self._bound(*self._seen(), delta)

    def _bound(self, seen: int, others: int, delta: float) -> float:
        """The least recall, if of the known matches so many were named, and so many others."""
        known = len(self.known)
        return (known + others) / max(1, known + most_overlooked(known, seen, others, delta))

    def words(self) -> str:
        """For EXPLAIN ANALYZE."""
        looked = f"{self._share:.1%} of the blocks drawn by chance" if self._share else "no block drawn"
        return "; ".join(part for part in (self._why, looked) if part)
