"""The keys of a join's rows, many rows in a prompt, and the pairs that agree in one; see :mod:`..joining.keyed`.

Nobody relies on a key: pairs that agree are asked alone, and what keys leave out is bounded. So a row without an answer has no keys;
where most of the first rows have none, nobody else is asked. An answer is kept for the row, whatever rows stood beside it: a table
that has grown asks about its new rows only.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial

import numpy as np

from ....udfs.models.base import Generate, Reply
from ....udfs.prompts.batched import FRAME_TOKENS
from ....udfs.prompts.join_keys import USUAL_TOKENS, key_request, keys_of
from ....udfs.spec import Ask
from ...dataflow.lookups import in_thread
from ...errors import DataError, ModelError
from ..batch_size import shared_tokens, tokens
from ..joining.blocking import Ints
from ..joining.shared_keys import sharing
from ..row_batches import RowBatcher
from ..row_fates import Batching
from .pair_blocks import PairBlocks

NO_KEYS: frozenset[str] = frozenset()
PROBES = 16
"""Pairs that are known to match, of which it is seen whether their keys agree before all rows are asked."""
LEAST_READ = 0.5
"""Of the first rows so many have to have keys."""


class JoinKeys:
    """Asks each row of two sides for its keys.

    Parameters
    ----------
    batching : how rows share prompts. blocks : of the pairs, with the rows' inputs and the numbers of pairs.
    sides_of : where the two rows of each of some pairs stand on their sides.
    """

    def __init__(
        self, batching: Batching, blocks: PairBlocks, sides_of: Callable[[Collection[int]], tuple[Ints, Ints]]
    ) -> None:
        self._batching, self._blocks, self._sides_of = batching, blocks, sides_of
        self._keys: dict[int, frozenset[str]] = {}
        self._layout = blocks.layout
        self._lefts, self._rights = blocks.sides

    @property
    def price(self) -> float:
        """What asking every row takes, in pairs asked alone: by tokens or by calls, whichever is more."""
        requests, count = self._requests, len(self._lefts) + len(self._rights)
        prompts = math.ceil(count / self._batching.size.mean(requests))
        question = tokens(self._layout.question)
        rows = sum(tokens(request.user) - question + FRAME_TOKENS + USUAL_TOKENS for request in requests)
        return max(float(prompts), (prompts * (shared_tokens(requests[0]) + question) + rows) / self._blocks.alone)

    async def probe(self, pairs: Collection[int]) -> tuple[int, int]:
        """Of a few of these pairs, how many agree in a key, and how many were looked at."""
        sides = [(int(left), len(self._lefts) + int(right)) for left, right in zip(*self._sides_of(pairs), strict=True)]
        by_text = sorted(sides, key=lambda pair: (self._requests[pair[0]].user, self._requests[pair[1]].user))
        some = by_text[:: max(1, len(by_text) // PROBES)][:PROBES]
        await self._know({row for pair in some for row in pair})
        return sum(bool(self._keys[left] & self._keys[right]) for left, right in some), len(some)

    async def ask(self, most: float) -> Collection[int] | None:
        """The pairs that agree in a key, of the rarest keys first, ``most`` at most; ``None``: there are hardly any keys."""
        rows = range(len(self._requests))
        first = sorted(rows, key=lambda row: self._requests[row].user)[: self._batching.size.most]
        await self._know(first)
        if sum(bool(self._keys[row]) for row in first) < LEAST_READ * len(first):
            return None
        await self._know(rows)
        # A key with more pairs than there are rows says too little of any of them.
        return await in_thread(partial(self._pairs, [self._keys[row] for row in rows], min(most, len(rows))))

    async def _know(self, rows: Collection[int]) -> None:
        """Ask those that were not asked yet."""
        # By the texts and nothing else, so that what stands together in a prompt does not depend on the order of the rows.
        new = sorted((row for row in rows if row not in self._keys), key=lambda row: self._requests[row].user)
        self._keys |= zip(new, await self._answers([self._requests[row] for row in new]), strict=True)

    def _pairs(self, keys: Sequence[Collection[str]], most: float) -> list[int]:
        lefts = len(self._lefts)
        places = np.array(sorted(sharing(keys[:lefts], keys[lefts:], most)), np.int64).reshape(-1, 2)
        numbers = self._blocks.number(places[:, 0] * len(self._rights) + places[:, 1])
        return [number for number in numbers.tolist() if number >= 0]

    async def _answers(self, requests: Sequence[Generate]) -> list[frozenset[str]]:
        batcher = RowBatcher(self._batching, self._batching.caller.run, lambda: "ended")
        rows = [asyncio.create_task(batcher.row(partial(self._row, request))) for request in requests]
        try:
            return await asyncio.gather(*rows)
        finally:
            for row in rows:
                row.cancel()
            await batcher.close()
            await asyncio.gather(*rows, return_exceptions=True)

    async def _row(self, request: Generate, ask: Ask) -> frozenset[str]:
        try:
            return await ask(request, self._read)
        except (ModelError, DataError) as error:
            if isinstance(error, ModelError) and error.hopeless:
                raise
            return NO_KEYS

    def _read(self, reply: Reply) -> frozenset[str]:
        return keys_of(reply, self._batching.caller.spec.name)

    @cached_property
    def _requests(self) -> list[Generate]:
        """Of the left rows, then of the right ones."""
        make = partial(key_request, self._layout.request, self._layout.question)
        return [make(own) for own in (*self._lefts, *self._rights)]
