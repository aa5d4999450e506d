"""SIMULATED tables whose matches have words, keys, both or neither in common, and what asking for keys costs on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from anserdb.engine.physical.joining.block_join import Said, block_join
from anserdb.engine.physical.joining.block_size import block_rows
from anserdb.engine.physical.joining.keyed import Keys
from anserdb.engine.physical.joining.shared_keys import sharing
from anserdb.engine.physical.joining.similarity import pair_scores
from anserdb.engine.physical.operators.join_keys import PROBES
from anserdb.engine.physical.operators.pair_blocks import drawn
from anserdb.udfs.models.base import Generate
from anserdb.udfs.prompts.batched import FRAME_TOKENS, instruction
from anserdb.udfs.prompts.join_keys import USUAL_TOKENS, key_request

from .join import MOST_PAIRS, Asked
from .join_world import CHARACTERS_A_TOKEN, ID_TOKENS, World, block_answer

ROWS_A_PROMPT = 16
KEY_RULE = len(instruction(key_request(Generate("", ""), "Are a and b the same thing?", ""))) / CHARACTERS_A_TOKEN
"""Tokens of the instruction of a prompt that asks rows for keys."""
COMMON = ("large", "new", "steel", "classic", "home", "office", "set", "black")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of tables.

    Parameters
    ----------
    rows : of each side. matching : share of left rows with a partner, every tenth of them with two.
    alike : share of matches with words in common. agree : share of rows whose key is the one that its partners have.
    longer : words of a text beside those that tell it from others. brands : rows have a second key that so many share; 0: none.
    clumps : so many groups of eight left and eight right rows that all match, and whose keys do not agree.
    """

    name: str
    rows: int = 400
    matching: float = 0.7
    alike: float = 0.5
    agree: float = 0.985
    longer: int = 4
    brands: int = 0
    clumps: int = 0


@dataclass(frozen=True, slots=True)
class Tables:
    """A world, and the keys that the rows of each side are given."""

    world: World
    lefts: Sequence[Collection[str]] = field(repr=False)
    rights: Sequence[Collection[str]] = field(repr=False)


def tables(kind: Kind, seed: int) -> Tables:
    """Tables of a kind."""
    chance = Random(f"{kind.name} {seed}")
    partners = _partners(kind, chance)
    lefts = [_text(f"l{row}", kind.longer, chance) for row in range(kind.rows)]
    rights = [_text(f"r{row}", kind.longer, chance) for row in range(kind.rows)]
    for left, right in sorted(partners):
        if chance.random() < kind.alike:
            rights[right] = f"{rights[right]} {' '.join(lefts[left].split()[:2])}"
    left_keys = [_keys(f"entity {row}", kind, chance) for row in range(kind.rows)]
    right_keys = [_keys(f"nobody's {row}", kind, chance) for row in range(kind.rows)]
    clumped = set(range(8 * kind.clumps))
    for left, right in sorted(partners):
        if left not in clumped and chance.random() < kind.agree:
            right_keys[right] = right_keys[right] | {f"entity {left}"}
    at = [axis.ravel().astype(np.int64) for axis in np.indices((kind.rows, kind.rows))]
    gold = frozenset(partners)
    world = World(kind.name, lefts, rights, gold, gold, pair_scores(lefts, rights, (at[0], at[1])))
    return Tables(world, left_keys, right_keys)


def _partners(kind: Kind, chance: Random) -> set[tuple[int, int]]:
    found = {(8 * c + i, 8 * c + k) for c in range(kind.clumps) for i in range(8) for k in range(8)}
    free = chance.sample(range(8 * kind.clumps, kind.rows), round(kind.matching * kind.rows))
    others = chance.sample(range(8 * kind.clumps, kind.rows), len(free))
    found |= set(zip(free, others, strict=True))
    return found | {(left, chance.choice(others)) for left in free[::10]}


def _text(own: str, longer: int, chance: Random) -> str:
    """Three words that no other row has, and common ones."""
    return " ".join([f"{own}x", f"{own}y", f"{own}z", *chance.choices(COMMON, k=longer)])


def _keys(own: str, kind: Kind, chance: Random) -> set[str]:
    return {own} | ({f"brand {chance.randrange(kind.brands)}"} if kind.brands else set())


class KeyedAsked(Asked):
    """A judge that is asked for keys, too, and for some of the blocks; it keeps the books of both."""

    def __init__(self, made: Tables, overlooked: float) -> None:
        super().__init__(made.world, overlooked)
        self._made = made
        self._known: dict[tuple[int, int, int], Said] = {}

    async def look(self, share: float) -> list[int]:
        """Of the blocks of the first sweep."""
        return await self.sweep(0, share)

    async def sweep(self, number: int, share: float = 1.0) -> list[int]:
        """As of its base; a block that was asked before is not paid again."""
        chance, rows = np.random.default_rng(number), (len(self.one.lefts), len(self.one.rights))
        order = [int(row) for row in chance.permutation(rows[0])], [int(row) for row in chance.permutation(rows[1])]
        size = block_rows(rows, self.sizes, 0.001, MOST_PAIRS)

        async def block(some: Sequence[int], columns: Sequence[int]) -> Said:
            if not drawn(some[0] // size[0], columns[0] // size[1], share):
                return block_answer(self.one, some, (), 0.0, order)
            place = number, some[0], columns[0]
            if place not in self._known:
                said = self._known[place] = block_answer(self.one, some, columns, self.overlooked, order)
                texts = [self.one.lefts[order[0][i]] for i in some], [self.one.rights[order[1][i]] for i in columns]
                self.bill.block(*texts, said)
            return self._known[place]

        async def named(left: int, right: int) -> bool:
            return bool(left + 1 and right + 1)

        found = await block_join(*rows, self.sizes, block, named, most_pairs=MOST_PAIRS)
        return [order[0][left] * rows[1] + order[1][right] for left, right in found.pairs]

    def keys(self) -> Keys:
        """All rows, ``ROWS_A_PROMPT`` in a prompt."""
        lefts, rights = self._made.lefts, self._made.rights
        wide, known = len(rights), set[tuple[int, int]]()

        def took(rows: Collection[tuple[int, int]]) -> tuple[int, float]:
            """Prompts, and their tokens; a row is its side and its place."""
            prompts = -(-len(rows) // ROWS_A_PROMPT)
            texts = [(self.one.lefts, self.one.rights)[side][place] for side, place in rows]
            words = sum(len(text) / CHARACTERS_A_TOKEN + ID_TOKENS + FRAME_TOKENS + USUAL_TOKENS for text in texts)
            return prompts, prompts * KEY_RULE + words

        def pay(rows: Collection[tuple[int, int]]) -> None:
            prompts, words = took(set(rows) - known)
            known.update(rows)
            self.bill.calls += prompts
            self.bill.tokens += words

        async def probe(pairs: Collection[int]) -> tuple[int, int]:
            some = [divmod(pair, wide) for pair in sorted(pairs)[:: max(1, len(pairs) // PROBES)][:PROBES]]
            pay([(side, place) for pair in some for side, place in enumerate(pair)])
            return sum(bool(set(lefts[left]) & set(rights[right])) for left, right in some), len(some)

        async def ask(most: float) -> list[int]:
            pay(every)
            return sorted(left * wide + right for left, right in sharing(lefts, rights, min(most, len(every))))

        every = [(side, place) for side, texts in enumerate((lefts, rights)) for place in range(len(texts))]
        prompts, words = took(every)
        return Keys(ask, max(prompts, words / self.pair_tokens), probe)
