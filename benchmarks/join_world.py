"""Tables of the shared entity data, a judge made by rule from their labelled matches, and the books of what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import duckdb
import numpy as np

from anserdb.engine.physical.joining.block_join import Listed, Said
from anserdb.engine.physical.joining.similarity import Floats, pair_scores
from anserdb.udfs.models.base import Generate
from anserdb.udfs.prompts.judgement import Judge
from anserdb.udfs.prompts.pair_blocks import instruction

DATA = Path(__file__).parents[2] / "shared" / "data" / "er"
CHARACTERS_A_TOKEN = 4.0
BLOCK_RULE = len(instruction(Generate("", ""))) / CHARACTERS_A_TOKEN
"""Tokens of the instruction of a block."""
ID_TOKENS, LISTED_TOKENS = 4.0, 12.0


_HEAD = Judge(("a", "b"), "Are a and b the same thing?", scored=False).request(("", ""))
HEAD_CHARACTERS = len(_HEAD.system) + len(_HEAD.user)
"""What LLM_FILTER sends besides the values of a row."""


@dataclass(frozen=True, slots=True)
class World:
    """Texts of both sides and, by their places, pairs that match (gold) and pairs that the judge calls so (said).

    ``scores`` : of all pairs, those of the first left row first.
    """

    name: str
    lefts: Sequence[str]
    rights: Sequence[str]
    gold: frozenset[tuple[int, int]]
    said: frozenset[tuple[int, int]]
    scores: Floats


@dataclass(slots=True)
class Bill:
    """Calls and tokens, in and out."""

    calls: int = 0
    tokens: float = 0.0

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Pairs alone, each as LLM_FILTER sends it."""
        self.calls += len(pairs)
        self.tokens += sum((HEAD_CHARACTERS + len(a) + len(b)) / CHARACTERS_A_TOKEN + 1 for a, b in pairs)

    def block(self, lefts: Sequence[str], rights: Sequence[str], said: Said) -> None:
        """A block: each row once with an id, and a pair of ids for each match."""
        texts = sum(len(text) / CHARACTERS_A_TOKEN + ID_TOKENS for text in (*lefts, *rights))
        listed = sum(LISTED_TOKENS * len(row.matches) for row in said.rows.values())
        self.calls += 1
        self.tokens += BLOCK_RULE + texts + listed


@cache
def tables(name: str) -> tuple[list[str], list[str], set[tuple[int, int]]]:
    """All rows as texts, and the places of labelled matches."""
    sides = []
    for side in ("left", "right"):
        rows = duckdb.execute(f"SELECT * FROM '{DATA}/{name}_{side}.parquet' ORDER BY id").fetchall()
        sides.append({row[0]: " ".join(str(value) for value in row[1:] if value) for row in rows})
    matches = duckdb.execute(f"SELECT left_id, right_id FROM '{DATA}/{name}_pairs.parquet' WHERE match = 1").fetchall()
    at = [{key: place for place, key in enumerate(side)} for side in sides]
    return list(sides[0].values()), list(sides[1].values()), {(at[0][a], at[1][b]) for a, b in matches}


def world(name: str, rows: int, seed: int, missed: float, invented: float) -> World:
    """``rows`` of each side: any left rows; on the right their partners, and others.

    Parameters
    ----------
    missed : share of matches that the judge denies. invented : share of other pairs that it calls matches.
    """
    chance = Random(f"{name} {rows} {seed}")
    all_lefts, all_rights, matches = tables(name)
    lefts = chance.sample(range(len(all_lefts)), min(rows, len(all_lefts)))
    partners = sorted({right for left, right in matches if left in set(lefts)})
    others = sorted(set(range(len(all_rights))) - set(partners))
    partners = partners[:rows]
    rights = partners + chance.sample(others, min(rows - len(partners), len(others)))
    chance.shuffle(rights)
    left_at, right_at = {row: i for i, row in enumerate(lefts)}, {row: i for i, row in enumerate(rights)}
    gold = frozenset((left_at[a], right_at[b]) for a, b in matches if a in left_at and b in right_at)
    said = {pair for pair in sorted(gold) if chance.random() >= missed}
    count = round(invented * len(lefts) * len(rights))
    said |= {(chance.randrange(len(lefts)), chance.randrange(len(rights))) for _ in range(count)}
    texts = [all_lefts[i] for i in lefts], [all_rights[i] for i in rights]
    at, beside = (axis.ravel().astype(np.int64) for axis in np.indices((len(lefts), len(rights))))
    return World(name, *texts, gold, frozenset(said), pair_scores(*texts, (at, beside)))


def block_answer(
    one: World,
    lefts: Sequence[int],
    rights: Sequence[int],
    overlooked: float,
    order: tuple[Sequence[int], Sequence[int]],
) -> Said:
    """What the judge says of a block.

    Parameters
    ----------
    overlooked : the chance that it misses a match for each 100 pairs of the block. order : of both sides' rows; ``lefts`` and
        ``rights`` are places in it.
    """
    lose = min(1.0, overlooked * len(lefts) * len(rights) / 100)
    rows, block = {}, f"{lefts} {rights} {order[0][:9]}"
    for left in lefts:
        matches = [right for right in rights if (order[0][left], order[1][right]) in one.said]
        found = [right for right in matches if Random(f"{left} {right} {block}").random() >= lose]
        rows[left] = Listed(len(found), found)
    return Said(rows)
