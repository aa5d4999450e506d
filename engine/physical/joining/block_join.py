"""All pairs of two sides, many in a prompt: per left row of a block the right rows that match it, by id.

What an answer does not say of a row beyond doubt is asked again: no entry, an id that is not in the block, a count that is not
that of the list, an answer cut off. Blocks that bring nothing new are halved, down to single pairs, which the single-pair judge
answers. So with a judge that says the same in company as alone, the pairs are those of the nested loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .block_size import Sizes, block_rows

FIRST_SHARE = 0.001
"""σ to begin with: blocks are cut large, and an answer that runs over doubles it."""

Pair = tuple[int, int]
Judge = Callable[[int, int], Awaitable[bool | None]]
"""Whether one pair matches; ``None``: it could not be said."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What an answer says of one left row: how many right rows match, and which."""

    count: int
    matches: Sequence[int]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer about a block, as far as it could be read. ``overflow`` : it was cut off."""

    rows: Mapping[int, Listed]
    overflow: bool = False


AskBlock = Callable[[Sequence[int], Sequence[int]], Awaitable[Said]]


@dataclass(slots=True)
class Joined:
    """Pairs that match; pairs of which the judge could not say; prompts by kind; blocks that ran over."""

    pairs: set[Pair] = field(default_factory=set)
    unsaid: set[Pair] = field(default_factory=set)
    blocks: int = 0
    singles: int = 0
    overflows: int = 0


async def block_join(
    lefts: int, rights: int, sizes: Sizes, ask: AskBlock, judge: Judge, *, most_pairs: int | None = None
) -> Joined:
    """Ask about all pairs of ``range(lefts)`` and ``range(rights)``.

    Parameters
    ----------
    sizes : in tokens; see :mod:`.block_size`. ask : about a block. judge : about one pair.
    most_pairs : no block has more.
    """
    joined, share, first, strips = Joined(), FIRST_SHARE, 0, 1
    while first < lefts and rights:
        left, right = block_rows((lefts - first, rights), sizes, share, most_pairs)
        last, before = min(lefts, first + strips * left), joined.overflows
        blocks = [
            (strip, columns) for strip in _cut(range(first, last), left) for columns in _cut(range(rights), right)
        ]
        await _all(_block(*block, ask, judge, joined) for block in blocks)
        # Strips go one by one until blocks are known to be small enough, then ever more of them at once.
        share, strips = (min(1.0, 2 * share), 1) if joined.overflows > before else (share, 2 * strips)
        first = last
    return joined


async def label_join(lefts: int, labels: int, ask: AskBlock, judge: Judge, *, at_once: int) -> Joined:
    """Each left row once, with all labels (``at_once`` in a prompt): any number of them may match, or none."""
    joined = Joined()
    await _all(
        _block((left,), columns, ask, judge, joined)
        for left in range(lefts)
        for columns in _cut(range(labels), at_once)
    )
    return joined


def label_like(values: Iterable[str], most: int = 200, longest: int = 80) -> bool:
    """Whether distinct values are few and short, as the names of classes are.

    >>> label_like(["refund", "late"]), label_like(["x" * 500])
    (True, False)
    """
    distinct = set(values)
    return 0 < len(distinct) <= most and max(map(len, distinct)) <= longest


async def _block(lefts: Sequence[int], rights: Sequence[int], ask: AskBlock, judge: Judge, joined: Joined) -> None:
    if len(lefts) == len(rights) == 1:
        await _single(lefts[0], rights[0], judge, joined)
        return
    joined.blocks += 1
    said = await ask(lefts, rights)
    joined.overflows += said.overflow
    open_rows = [left for left in lefts if not _taken(left, said, frozenset(rights), joined)]
    if not open_rows:
        return
    if len(open_rows) < len(lefts) and not said.overflow:
        await _block(open_rows, rights, ask, judge, joined)
        return
    await _all(_block(some, columns, ask, judge, joined) for some, columns in _halved(open_rows, rights))


async def _single(left: int, right: int, judge: Judge, joined: Joined) -> None:
    joined.singles += 1
    answer = await judge(left, right)
    if answer is None:
        joined.unsaid.add((left, right))
    elif answer:
        joined.pairs.add((left, right))


def _taken(left: int, said: Said, rights: frozenset[int], joined: Joined) -> bool:
    """Take what was said of a row, if it leaves no doubt."""
    listed = said.rows.get(left)
    if listed is None:
        return False
    matches = set(listed.matches)
    if not matches <= rights or not len(matches) == len(listed.matches) == listed.count:
        return False
    joined.pairs |= {(left, right) for right in matches}
    return True


def _halved(lefts: Sequence[int], rights: Sequence[int]) -> list[tuple[Sequence[int], Sequence[int]]]:
    if len(lefts) >= len(rights):
        return [(some, rights) for some in _cut(lefts, (len(lefts) + 1) // 2)]
    return [(lefts, some) for some in _cut(rights, (len(rights) + 1) // 2)]


def _cut(rows: Sequence[int], size: int) -> list[Sequence[int]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


async def _all(parts: Iterable[Coroutine[None, None, None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as errors:  # whoever asks knows its errors, not groups of them
        raise errors.exceptions[0] from None
