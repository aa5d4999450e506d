"""A heap: few comparisons, one after the other. Its first order is made a level at a time, whole levels in one batch."""

from __future__ import annotations

from collections.abc import Sequence

from .court import Bound, Court
from .judge import Pair
from .lockstep import Steps, lockstep


def heap_bound(rows: int, wanted: int) -> Bound:
    """Two comparisons a level of each descent, each asked twice at most."""
    depth = max(1, rows.bit_length())
    descents = rows + min(wanted, rows) * depth
    return Bound(4 * descents, 4 * (depth * depth + min(wanted, rows) * depth))


async def heap(court: Court, rows: Sequence[int], wanted: int) -> list[int]:
    """The best ``wanted`` rows, taken off the top of a heap one by one."""
    tree = list(rows)
    for level in reversed(range(len(tree).bit_length())):
        starts = range(2**level - 1, min(2 ** (level + 1) - 1, len(tree)))
        await lockstep(court, [_sift(tree, start) for start in starts])
    best: list[int] = []
    while tree and len(best) < wanted:
        best.append(tree[0])
        last = tree.pop()
        if tree:
            tree[0] = last
            await lockstep(court, [_sift(tree, 0)])
    return best


def _sift(tree: list[int], place: int) -> Steps[None]:
    """Lets the row at ``place`` down until it is better than both below it."""
    while (below := 2 * place + 1) < len(tree):
        if below + 1 < len(tree):
            pair: Pair = (tree[below], tree[below + 1])
            below += not (yield pair)
        if (yield (tree[place], tree[below])):
            return
        tree[place], tree[below] = tree[below], tree[place]
        place = below
