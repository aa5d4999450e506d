"""A condition that one model screens and another checks: a cascade of two."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from ....udfs.spec import Emit
from .asker import Asker
from .call_stage import Screened


class CheckedAsker:
    """Asks the screen, and the reference about what the screen does not drop.

    Parameters
    ----------
    screen : whose FALSE counts. reference : whose answer counts otherwise; whoever made it settles and closes it.
    seen : told of every row.
    """

    def __init__(self, screen: Asker, reference: Asker, seen: Screened) -> None:
        self._screen, self._reference, self._seen = screen, reference, seen

    def ask(self, values: Sequence[Any], emit: Emit) -> Coroutine[Any, Any, Any]:
        """See :class:`Asker`."""
        return self._answer(values, emit)

    def settle(self) -> None:
        """See :class:`Asker`."""
        self._screen.settle()

    async def close(self) -> None:
        """See :class:`Asker`."""
        await self._screen.close()

    async def _answer(self, values: Sequence[Any], emit: Emit) -> Any:
        kept = await self._screen.ask(values, emit)
        self._seen.asked += 1
        if kept is False:
            return False
        self._seen.kept += 1
        return await self._reference.ask(values, emit)
