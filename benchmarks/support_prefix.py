"""What the benchmark of prefix sharing compares with: exact optima on small tables, a greedy published elsewhere, and data."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

Row = tuple[str, ...]

WORDS = [
    "light",
    "sturdy",
    "quiet",
    "cheap",
    "slow",
    "bright",
    "heavy",
    "plain",
    "sharp",
    "loud",
    "smooth",
    "rough",
    "warm",
    "cool",
    "thin",
    "thick",
    "early",
    "late",
    "steel",
    "glass",
    "paper",
    "wooden",
    "plastic",
    "handle",
    "motor",
    "battery",
    "cable",
    "cover",
    "base",
    "lid",
    "filter",
    "screen",
    "button",
    "strap",
    "wheel",
    "lamp",
    "blade",
    "spout",
    "hose",
]


def words(dice: Random, count: int) -> str:
    """A text of so many words."""
    return " ".join(dice.choices(WORDS, k=count))


def tokens(cell: str) -> int:
    """Four characters each, as the planner counts."""
    return -(-len(cell) // 4)


def total(rows: Sequence[Row]) -> int:
    """Tokens of all cells."""
    return sum(tokens(cell) for row in rows for cell in row)


def review_like(dice: Random, rows: int, columns: int) -> list[Row]:
    """Reviews joined with products: a review of its own first, then texts that the product decides, and a small vocabulary."""
    products = [tuple(words(dice, dice.randint(5, 60)) for _ in range(columns - 2)) for _ in range(max(2, rows // 3))]
    return [
        (f"{number} {words(dice, dice.randint(5, 30))}", *dice.choice(products), dice.choice(("yes", "no")))
        for number in range(rows)
    ]


def unrelated(dice: Random, rows: int, columns: int) -> list[Row]:
    """Columns that know nothing of each other: here one order of inputs for all rows is at its worst."""
    pools = [[words(dice, dice.randint(2, 40)) for _ in range(dice.randint(2, rows))] for _ in range(columns)]
    return [tuple(dice.choice(pool) for pool in pools) for _ in range(rows)]


def once_answered(prompts: Sequence[Sequence[str]], in_flight: int, most_tokens: int, block: int = 16) -> float:
    """The share of tokens found in a cache that has a prompt once it is answered: so many prompts after it came.

    The least recently used blocks go first. This is the harder way to count: some servers find what is still being read.
    """
    known: OrderedDict[int, None] = OrderedDict()
    found = 0
    for number, prompt in enumerate(prompts):
        if number >= in_flight:
            _keep(known, _blocks(prompts[number - in_flight], block), most_tokens // block)
        for key in _blocks(prompt, block):
            if key not in known:
                break
            found += block
    return found / sum(map(len, prompts))


def _blocks(prompt: Sequence[str], block: int) -> list[int]:
    """A key for each beginning that ends with a block."""
    ends = range(block, len(prompt) + 1, block)
    return [hash(tuple(prompt[:end])) for end in ends]


def _keep(known: OrderedDict[int, None], keys: Sequence[int], most: int) -> None:
    for key in reversed(keys):  # a beginning is used later than what goes on from it
        known[key] = None
        known.move_to_end(key)
    while len(known) > most:
        known.popitem(last=False)


def optimum(rows: Sequence[Row]) -> float:
    """The largest share of tokens that can be found, each row with its inputs in an order of its own, by all groupings."""

    @cache
    def cheapest(group: frozenset[int], left: frozenset[int]) -> int:
        if not group or not left:
            return 0
        first = min(group)
        if len(group) == 1:
            return sum(tokens(rows[first][column]) for column in left)
        return min(
            tokens(rows[first][column]) + cheapest(part, left - {column}) + cheapest(group - part, left)
            for column in left
            for part in _parts(rows, group, first, column)
        )

    whole = total(rows)
    return 1 - cheapest(frozenset(range(len(rows))), frozenset(range(len(rows[0])))) / whole


def _parts(rows: Sequence[Row], group: frozenset[int], first: int, column: int) -> Iterator[frozenset[int]]:
    alike = [row for row in sorted(group - {first}) if rows[row][column] == rows[first][column]]
    for chosen in range(1 << len(alike)):
        yield frozenset([first, *(row for bit, row in enumerate(alike) if chosen >> bit & 1)])


def greedy(rows: Sequence[Row]) -> float:
    """What greedy group recursion finds: the value with the largest hit count first, its rows apart, each half again."""
    kept = total(rows) - _greedy_cost(rows, list(range(len(rows))), list(range(len(rows[0]))))
    return kept / total(rows)


def _greedy_cost(rows: Sequence[Row], group: list[int], left: list[int]) -> int:
    if len(group) < 2 or not left:
        return sum(tokens(rows[row][column]) for row in group for column in left)
    best, column, value = max(
        (_hit_count(rows, group, left, c, v), c, v) for c in left for v in {rows[r][c] for r in group}
    )
    if best == 0:
        return sum(tokens(rows[row][c]) for row in group for c in left)
    alike = [row for row in group if rows[row][column] == value]
    rest = [row for row in group if rows[row][column] != value]
    # What the value decides goes with it.
    decided = [c for c in left if len({rows[row][c] for row in alike}) == 1]
    once = sum(tokens(rows[alike[0]][c]) for c in decided)
    return once + _greedy_cost(rows, alike, [c for c in left if c not in decided]) + _greedy_cost(rows, rest, left)


def _hit_count(rows: Sequence[Row], group: list[int], left: list[int], column: int, value: str) -> float:
    alike = [row for row in group if rows[row][column] == value]
    decided = [c for c in left if c != column and len({rows[row][c] for row in alike}) == 1]
    return (len(value) ** 2 + sum(len(rows[alike[0]][c]) for c in decided)) * (len(alike) - 1)
