"""Several models answer alike, or the reference is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from ....optimizer.search.agreement import agreement
from ....udfs.spec import Emit
from ...errors import DataError, ModelError
from .asker import Asker, unheard
from .call_stage import Screened


class MixedAsker:
    """Asks all of a mixture at once, and the reference where they differ or one of them failed.

    Parameters
    ----------
    members : of the mixture; where they agree, the first one's answer counts.
    reference : whose answer counts otherwise; whoever made it settles and closes it. seen : told of every row.
    """

    def __init__(self, members: Sequence[Asker], reference: Asker, seen: Screened) -> None:
        self._members, self._reference, self._seen = members, reference, seen

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        return self._answer(values, emit)

    def settle(self) -> None:
        """See :class:`Asker`."""
        for member in self._members:
            member.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        for member in self._members:
            await member.close()

    async def _answer(self, values: Sequence[Any], emit: Emit) -> Any:
        came = await asyncio.gather(*(each.ask(values, unheard) for each in self._members), return_exceptions=True)
        for each in came:
            if isinstance(each, BaseException) and not isinstance(each, ModelError | DataError):
                raise each
        self._seen.asked += 1
        if _alike(came):
            return came[0]
        self._seen.kept += 1
        return await self._reference.ask(values, emit)


def _alike(answers: Sequence[Any]) -> bool:
    if any(isinstance(answer, BaseException) for answer in answers):
        return False
    return all(agreement(answer, answers[0]) == 1.0 for answer in answers[1:])
