"""How many rows of each side to put in one prompt of a block join.

A prompt of b1 left and b2 right rows has p + b1·s1 + b2·s2 tokens and room for σ·b1·b2·s3 more, σ being the share of pairs that
match. All pairs take r1·r2·(p/(b1·b2) + s1/b2 + s2/b1) tokens of input and as many of output whatever the sizes are, so both
sides get the same number u of tokens, where 2u + (σ·s3 / (s1·s2))·u² is what the context leaves. Cost model after
I. Trummer, "Implementing Semantic Join Operators Efficiently" (2025); the closed form is derived from it here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens: of the instruction, of a left and a right row, of one match in the answer, and of a whole context."""

    prompt: float
    left: float
    right: float
    match: float
    context: float

    def of(self, lefts: float, rights: float, share: float) -> float:
        """What a block takes of the context."""
        return self.prompt + lefts * self.left + rights * self.right + share * lefts * rights * self.match


def block_rows(rows: tuple[int, int], sizes: Sizes, share: float, most_pairs: int | None = None) -> tuple[int, int]:
    """Rows of the left and of the right side in a block; at least one of each.

    Parameters
    ----------
    rows : of both sides. share : σ, of pairs that match. most_pairs : no block has more (where models lose sight of many).

    >>> block_rows((500, 500), Sizes(100, 50, 50, 5, 8000), 0.01)
    (63, 84)
    """
    bend = share * sizes.match / (sizes.left * sizes.right)
    room = max(0.0, sizes.context - sizes.prompt)
    side = room / 2 if bend * room < 1e-9 else (math.sqrt(1 + bend * room) - 1) / bend
    left = _within(side / sizes.left, rows[0])
    right = _within(_fill(sizes.right, left * sizes.left, left, sizes, share), rows[1])
    left = _within(_fill(sizes.left, right * sizes.right, right, sizes, share), rows[0])
    if most_pairs is not None and left * right > most_pairs:
        left, right = _capped(left, right, sizes, most_pairs)
        return _even(left, rows[0]), _even(right, rows[1])
    # Blocks are whole: a few more or fewer of one side may suit the number of rows better.
    blocks = math.ceil(rows[0] / left)
    lefts = {_even(math.ceil(rows[0] / count), rows[0]) for count in range(max(1, blocks - 2), blocks + 3)}
    return min(_beside(some, rows, sizes, share) for some in sorted(lefts))[1]


def _beside(left: int, rows: tuple[int, int], sizes: Sizes, share: float) -> tuple[float, tuple[int, int]]:
    """As many right rows as fit beside so many left ones, and what all blocks take then; infinite if none fits."""
    right = _even(_within(_fill(sizes.right, left * sizes.left, left, sizes, share), rows[1]), rows[1])
    took = sizes.of(left, right, share)
    blocks = math.ceil(rows[0] / left) * math.ceil(rows[1] / right)
    return (blocks * took if took <= sizes.context or left == right == 1 else math.inf), (left, right)


def _fill(own: float, other: float, count: int, sizes: Sizes, share: float) -> float:
    """How many rows of one side fit beside ``count`` of the other, which take ``other`` tokens."""
    return (sizes.context - sizes.prompt - other) / (own + share * count * sizes.match)


def _capped(left: int, right: int, sizes: Sizes, most: int) -> tuple[int, int]:
    """Both sides with the same number of tokens, as far as there are rows."""
    first = min(left, max(1, int(math.sqrt(most * sizes.right / sizes.left))))
    second = min(right, max(1, most // first))
    return min(left, max(1, most // second)), second


def _within(count: float, most: int) -> int:
    return max(1, min(most, int(count + 1e-9)))


def _even(block: int, rows: int) -> int:
    """The same number of blocks, all about as large."""
    return max(1, math.ceil(rows / math.ceil(rows / block))) if rows else 1
