"""A cheaper model as a proxy: its answers to the same question, by its own probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from ....udfs.spec import Weighed, Weighs
from ...errors import BudgetExceeded, DataError, ModelError
from ..operators.call_stage import CallStage
from ..operators.patience import Patience
from ..operators.questions import preview_of
from ..operators.row_judge import in_window
from .proxy import Judged


class ModelProxy:
    """See :class:`~.proxy.Proxy`.

    A model without probabilities is as sure of one answer as of another: what it says of its own certainty is worth nothing.

    Parameters
    ----------
    stage : the call as the other model would answer it. most : questions under way.
    """

    labels = 0

    def __init__(self, stage: CallStage, most: int) -> None:
        self._stage, self._most = stage, most
        self._patience = Patience(stage.call.site, strict=False)
        self._spent: BudgetExceeded | None = None

    @property
    def name(self) -> str:
        """The model's."""
        return str(self._stage.call.options["model"])

    async def train(self, rows: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """It was trained by others."""

    async def answer(self, rows: Sequence[Sequence[Any]]) -> Sequence[Judged | None]:
        """See :class:`~.proxy.Proxy`."""
        await self._stage.task.prepare(self._stage.caller.calibrating())
        said = await in_window([partial(self._one, row) for row in rows], self._most)
        if self._spent is not None:
            raise self._spent
        return said

    async def _one(self, row: Sequence[Any]) -> Judged | None:
        if self._spent is not None:
            return None
        try:
            said = await self._weighed(row)
        except BudgetExceeded as error:
            self._spent = error  # what is under way is paid for, and is waited for
            return None
        except (ModelError, DataError) as error:
            self._patience.bear(error, preview_of(row))
            return None
        self._patience.answered()
        if said is None or said.value is None or not math.isfinite(said.confidence):
            return None
        return Judged(said.value, said.confidence)

    async def _weighed(self, row: Sequence[Any]) -> Weighed | None:
        task, ask = self._stage.task, self._stage.caller
        if isinstance(task, Weighs):
            return await task.weigh(row, ask)
        value = await task.run(row, ask)
        return Weighed(value, -1.0 if value is False else 1.0)


def note_of(stage: CallStage) -> str:
    """What the user should know of how sure a model's answers are; "": it is as sure as its probabilities say."""
    if isinstance(stage.task, Weighs) and stage.task.weighs:
        return ""
    name = stage.call.options["model"]
    return (
        f"{name} gives no probabilities of its answers here, so all of them are equally sure; "
        f"if its server has them: ALTER MODEL {name} SET (logprobs true)"
    )
