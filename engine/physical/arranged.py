"""A call's inputs in the order that prompts share first: in what the model reads, and not in the key of the answer.

The order is found from the rows, so it may be another one tomorrow. The answer's key is therefore that of the prompt as it
is written, and says besides that inputs were arranged: a later run finds the answer whatever order it would choose, and
answers to prompts as written stay apart, because a model may say something else to another order.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ...udfs.models.base import Generate, Model, Reply, Request
from ...udfs.models.wrap.wrapper import Wrapper
from ...udfs.prompts.inputs import parted, rearranged
from ...udfs.spec import Task


class Arranged(Wrapper):
    """A model that reads the inputs of every prompt in another order, once it is known.

    Attributes
    ----------
    order : of the blocks of a prompt's inputs; ``None``: as written.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.order: tuple[int, ...] | None = None

    @property
    def identity(self) -> str:
        """The model's, and that inputs are arranged."""
        return f"{self._model.identity} inputs=shared"

    async def call(self, request: Request) -> Reply:
        """Ask with the inputs arranged."""
        if self.order is not None and isinstance(request, Generate):
            request = replace(request, user=rearranged(request.user, self.order))
        return await self._model.call(request)


def places(task: Task, arguments: int) -> tuple[int, ...] | None:
    """Where the prompt has each argument: the number of its block. ``None``: its inputs cannot be arranged.

    Found by asking the task for the prompt of a row whose every argument is a mark: functions lay out their own prompts.
    """
    marks = [f"argument {number} of {arguments}" for number in range(arguments)]
    try:
        requests = task.requests(marks)
    except (TypeError, ValueError, AttributeError):  # an argument that is no input, such as a row's own list of labels
        return None
    if len(requests) != 1 or not isinstance(requests[0], Generate):
        return None
    blocks = parted(requests[0].user)[1]
    found = [[i for i, block in enumerate(blocks) if re.fullmatch(rf"[^\n]*: {mark}", block)] for mark in marks]
    return tuple(where[0] for where in found) if all(len(where) == 1 for where in found) else None
