"""All pairs of a join's two sides, many in a prompt; see :mod:`..joining.sweep` for what that is good for.

Nobody relies on a block: pairs that it names are asked alone, and how many it overlooks is measured. So an answer that cannot
be read only makes the block smaller, and where most cannot be read, blocks are given up.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

import numpy as np

from ....udfs.models.base import Generate, Reply
from ....udfs.prompts.inputs import parted
from ....udfs.prompts.pair_blocks import (
    ID_TOKENS,
    MATCH_TOKENS,
    PairBlock,
    answer_tokens,
    instruction,
    pair_block,
    read_pairs,
)
from ...dataflow.caller import Caller
from ...errors import InvalidAnswer, ModelError
from ...plan.pairs import Pairs
from ..arranged import places
from ..batch_size import BatchSize, tokens
from ..joining.block_join import FIRST_SHARE, Listed, Said, block_join
from ..joining.block_size import Sizes, block_rows
from ..joining.blocking import Ints
from ..row_fates import UnusableError
from .call_stage import CallStage


class _GivenUpError(Exception):
    """Most answers about blocks cannot be read."""


MOST_PAIRS = 400
"""No block has more: models lose sight of many."""
FILLED = 0.9
"""Of the context, since texts are of unequal length; blocks that would not fit are halved unasked."""
CALL_TOKENS = 32
"""What a request takes besides its words."""
LEAST_UNREAD = 4
"""Blocks that cannot be read before they may be given up."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a call's prompt about one pair is taken apart: the request, its question with inputs of all pairs, and where each
    side's inputs stand."""

    request: Generate
    question: str
    left: tuple[int, ...]
    right: tuple[int, ...]


def layout_of(stage: CallStage, pairs: Pairs, values: Sequence[Any]) -> Layout | None:
    """The layout of a call's prompts, from any pair; ``None``: they cannot be taken apart (the condition comes with the row)."""
    where = places(stage.task, len(stage.call.arguments))
    if where is None:
        return None
    at = dict(zip(stage.call.arguments, where, strict=True))
    left, right = tuple(at[name] for name in pairs.left), tuple(at[name] for name in pairs.right)
    (request,) = stage.task.requests(values)
    assert isinstance(request, Generate)
    question, inputs = parted(request.user)
    common = [text for i, text in enumerate(inputs) if i not in where]
    return Layout(request, "\n".join([question.strip(), *common]), left, right)


class PairBlocks:
    """Asks about all pairs of two sides.

    Parameters
    ----------
    stage : whose condition it is. layout : of its prompts. lefts, rights : per item a pair's values that it is in.
    number : per pair of places (those of the left side times ``len(rights)``, plus those of the right) the number of the pair;
        what gives -1 is no pair that anybody asks about.
    """

    def __init__(
        self,
        stage: CallStage,
        layout: Layout,
        lefts: Sequence[Sequence[Any]],
        rights: Sequence[Sequence[Any]],
        number: Callable[[Ints], Ints],
    ) -> None:
        self._stage, self.layout, self.number = stage, layout, number
        self._lefts = [side_of(stage, values, layout.left) for values in lefts]
        self._rights = [side_of(stage, values, layout.right) for values in rights]
        self._context = BatchSize.of("auto", stage.caller.spec).context
        self._room = asyncio.Semaphore(stage.caller.concurrency)
        self._known: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Said] = {}
        self.asked = 0
        self._unread = 0

    @property
    def sizes(self) -> Sizes:
        """What blocks are made of, in tokens; the items have half the room for a match each, so both sides that of the longer."""
        left, right = (mean(map(tokens, side)) + ID_TOKENS + MATCH_TOKENS / 2 for side in (self._lefts, self._rights))
        head = tokens(instruction(self.layout.request)) + tokens(self.layout.question) + answer_tokens(0, 0)
        return Sizes(head + CALL_TOKENS, left, right, MATCH_TOKENS, FILLED * self._context)

    @property
    def price(self) -> float:
        """What asking about all pairs takes, in pairs asked alone: by tokens or by calls, whichever is more."""
        sizes, rows = self.sizes, (len(self._lefts), len(self._rights))
        left, right = block_rows(rows, sizes, FIRST_SHARE, MOST_PAIRS)
        count = math.ceil(rows[0] / left) * math.ceil(rows[1] / right)
        together = self._stage.batching.size.most if self._stage.batching else 1
        # Room for answers is hardly used: over all blocks there are few matches for each item.
        block = sizes.of(left, right, 0.0) - MATCH_TOKENS * (left + right) / 2
        return max(count * together, count * block / self.alone)

    @property
    def alone(self) -> float:
        """Tokens of a pair that is asked alone."""
        together = self._stage.batching.size.most if self._stage.batching else 1
        words = tokens(self.layout.request.system) + tokens(self.layout.question) + CALL_TOKENS
        return words / together + sum(mean(map(tokens, side)) for side in self.sides)

    @property
    def sides(self) -> tuple[Sequence[str], Sequence[str]]:
        """The inputs of both, as the prompt about a pair has them."""
        return self._lefts, self._rights

    async def sweep(self, number: int, share: float = 1.0) -> Collection[int] | None:
        """The pairs that blocks name; ``None``: answers cannot be read.

        Parameters
        ----------
        number : how often it was done before. share : of the blocks that are asked; a larger one adds to those of a smaller one.
        """
        lefts, rights = _shuffled(self._lefts, 2 * number), _shuffled(self._rights, 2 * number + 1)
        size = block_rows((len(lefts), len(rights)), self.sizes, FIRST_SHARE, MOST_PAIRS)

        async def ask(some: Sequence[int], columns: Sequence[int]) -> Said:
            if not drawn(some[0] // size[0], columns[0] // size[1], share):
                return Said({left: Listed(0, ()) for left in some})
            place = number, tuple(some), tuple(columns)
            if place not in self._known:
                self._known[place] = await self._said(some, columns, lefts, rights)
            return self._known[place]

        try:
            joined = await block_join(len(lefts), len(rights), self.sizes, ask, _named, most_pairs=MOST_PAIRS)
        except _GivenUpError:
            return None
        pairs = np.array(sorted(joined.pairs), np.int64).reshape(-1, 2)
        numbers = self.number(lefts[pairs[:, 0]] * len(rights) + rights[pairs[:, 1]])
        return [number for number in numbers.tolist() if number >= 0]

    async def _said(self, some: Sequence[int], columns: Sequence[int], lefts: Ints, rights: Ints) -> Said:
        block = pair_block(
            self.layout.request,
            self.layout.question,
            [self._lefts[lefts[i]] for i in some],
            [self._rights[rights[i]] for i in columns],
        )
        request = block.request
        if tokens(request.system) + tokens(request.user) + request.max_tokens + CALL_TOKENS > self._context:
            return Said({}, overflow=True)
        found = await self._answer(block)
        if found is None:
            return Said({}, overflow=True)
        rows: dict[int, list[int]] = {left: [] for left in some}
        for left, right in sorted(found):
            rows[some[left]].append(columns[right])
        return Said({left: Listed(len(matches), matches) for left, matches in rows.items()})

    async def _answer(self, block: PairBlock) -> set[tuple[int, int]] | None:
        """The places of the pairs that a block names; ``None``: there is nothing to be read."""
        caller = self._caller

        def parse(reply: Reply) -> set[tuple[int, int]]:
            try:
                return read_pairs(reply, block, caller.spec.name)
            except InvalidAnswer as error:
                raise UnusableError(str(error), caller.spec.name) from error

        async with self._room:
            self.asked += 1
            try:
                return await caller.ask(block.request, parse)
            except ModelError as error:
                if error.hopeless:
                    raise
        self._unread += 1
        if self._unread > max(LEAST_UNREAD, self.asked / 2):
            raise _GivenUpError
        return None

    @cached_property
    def _caller(self) -> Caller:
        assert self._stage.blocks is not None
        return self._stage.blocks()


async def _named(left: int, right: int) -> bool:
    """What is left of a block that nobody could read: it is asked alone in any case."""
    del left, right
    return True


def side_of(stage: CallStage, values: Sequence[Any], where: Sequence[int]) -> str:
    """One side's inputs, as the prompt about a pair has them."""
    (request,) = stage.task.requests(values)
    assert isinstance(request, Generate)
    inputs = parted(request.user)[1]
    return "\n".join(inputs[place] for place in where)


def drawn(row: int, column: int, share: float) -> bool:
    """Whether a block is among so large a share of all, which is spread evenly over rows and columns.

    What is in a block is left to chance by whoever shuffles what it is cut from.

    >>> sum(drawn(row, column, 0.2) for row in range(30) for column in range(30))
    182
    """
    return (row * 0.7548776662466927 + column * 0.5698402909980532 + 0.5) % 1.0 < share


def _shuffled(texts: Sequence[str], seed: int) -> Ints:
    """Places in an order that depends on the texts and on nothing else, so that a later run finds its answers."""
    by_text = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
    return by_text[np.random.default_rng(seed).permutation(len(texts))]
