"""The reference of a certified call: its own model, asked about some inputs ahead of the rows that they belong to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...dataflow.run import QueryRun
from ...errors import BudgetExceeded, DataError, ModelError
from ..operators.asker import StageAsker, unheard
from ..operators.call_stage import CallStage
from ..operators.patience import Patience
from ..operators.questions import preview_of
from ..operators.row_judge import in_window
from ..row_batches import Input

Key = str | bytes
"""Of an input; see ``operators.questions.key_of``."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an input was answered, or why it was not."""

    value: Any = None
    error: Exception | None = None


class Reference:
    """Asks each input once, a bounded number at a time. A failure is what is said of an input, unless it is the query's.

    Parameters
    ----------
    stage : of the call. run : the query. strict : the first failure ends the query. most : questions under way.

    Attributes
    ----------
    said : by input.
    """

    def __init__(self, stage: CallStage, run: QueryRun, *, strict: bool, most: int) -> None:
        # What comes next depends on the answers.
        self._progress = stage.caller.progress
        self._asker = StageAsker(stage, run, input=_stalled, hears=False, fatal=self._fail)
        self._patience, self._most = Patience(stage.call.site, strict=strict), most
        self._fatal: BaseException | None = None
        self._spent: BudgetExceeded | None = None
        self.said: dict[Key, Said] = {}

    async def ask(self, inputs: Mapping[Key, Sequence[Any]]) -> None:
        """Ask what has not been asked.

        Raises
        ------
        ModelError, DataError : of an input, where that ends the query; of all, where nobody is there.
        BudgetExceeded, ProgrammingError : always.
        """
        new = [partial(self._one, key, values) for key, values in inputs.items() if key not in self.said]
        await in_window(new, self._most)
        if self._spent is not None:
            raise self._spent

    async def close(self) -> None:
        """End what is under way."""
        await self._asker.close()

    async def _one(self, key: Key, values: Sequence[Any]) -> None:
        if self._spent is not None:
            return
        self._progress.inputs += 1
        try:
            value = await asyncio.create_task(self._asker.ask(values, unheard))
        except BudgetExceeded as error:
            self._spent = error  # what is under way is paid for, and is waited for
            return
        except (ModelError, DataError) as error:
            if self._fatal is not None:
                raise self._fatal from None
            self._patience.bear(error, preview_of(values))
            self.said[key] = Said(error=error)
            return
        self._patience.answered()
        self.said[key] = Said(value)

    def _fail(self, error: BaseException) -> None:
        self._fatal = self._fatal or error


def _stalled() -> Input:
    return "stalled"
